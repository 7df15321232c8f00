"""A process that stands still: SIGSTOP, and the proof that it has arrived."""

from __future__ import annotations

import os
import signal


def pause(pid: int) -> None:
    """Stop a child of ours in its tracks: its connections stay open, and nothing answers.

    A signal is sent before it has an effect: a thread that runs on another processor goes on until the kernel has stopped it. The
    kernel reports a process as stopped once all its threads stand.

    Args:
        pid: its number.
    """
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
