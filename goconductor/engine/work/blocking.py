"""Finds code that blocks the event loop, and tells once which step it belongs to.

One blocking call in an ``async def`` step (``time.sleep``, a client that is not asynchronous) stops everything else in its
process: other steps, messages, appends. Such a process looks healthy from outside, since its leases are renewed by a thread.

That thread asks the loop a question at each of its rounds, while steps run: a callback that the loop has to call. If there is
no answer for some rounds and seconds, the loop is blocked, and the stack of its thread shows where. A process that stood still as
a whole (a stopped machine, no CPU) asks no questions in that time either, so it is not taken for a blocked one.

Code that keeps Python's global lock, such as one long call of an extension in C, stops the asking thread too, and is not found.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple, TypeAlias

from goconductor.ports.clock import Clock
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

BLOCKED_SECONDS = 2.0
"""Seconds without an answer after which the loop counts as blocked."""
BLOCKED_ROUNDS = 2
"""Rounds without an answer, at least: a single one may be due to a process that stood still."""
TOLD_MAX = 1_000
"""Greatest number of steps and places that are remembered as told."""
_OURS = str(Path(__file__).parents[2])

StepIn: TypeAlias = Callable[[FrameType], str]
"""Returns the step whose code is called from a frame of a stack; empty where it calls none."""


def no_step(frame: FrameType) -> str:
    """Return that there is none."""
    del frame
    return ""


class _Place(NamedTuple):
    step: str
    code: str


class LoopWatch:
    """Watches one event loop from another thread.

    Args:
        step_in: finds the step that runs, in a frame of a stack.
        clock: monotonic time.
    """

    def __init__(self, step_in: StepIn, clock: Clock) -> None:
        self._step_in = step_in
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._asked_at: float | None = None
        self._rounds = 0
        self._told: set[_Place] = set()
        self.blocked = 0
        """How often the loop was found blocked."""

    def start(self) -> None:
        """Watch the loop that runs now."""
        self._loop, self._thread, self._asked_at = asyncio.get_running_loop(), threading.get_ident(), None

    def look(self) -> None:
        """Ask the loop, or count that it has not answered. Called by the other thread, again and again."""
        asked_at = self._asked_at
        if self._loop is None:
            return
        if asked_at is None:
            self._rounds, self._asked_at = 0, self._clock.monotonic()
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._answer)
            return
        self._rounds += 1
        seconds = self._clock.monotonic() - asked_at
        if self._rounds >= BLOCKED_ROUNDS and seconds >= BLOCKED_SECONDS:
            self._tell(seconds)

    def _answer(self) -> None:
        self._asked_at = None

    def _tell(self, seconds: float) -> None:
        place = self._place()
        if place is None or self._asked_at is None:  # it has gone on meanwhile
            return
        self._rounds = -sys.maxsize  # this block is told; the next answer begins anew
        if place not in self._told and len(self._told) < TOLD_MAX:
            self._told.add(place)
            logger.warning(
                "%s blocks the event loop of this process, for %.1f s by now, at %s: all else waits. Make the step a plain "
                "`def`, which runs in a thread, or await what blocks by `asyncio.to_thread`",
                f"step {place.step!r}" if place.step else "code that is no step",
                seconds,
                place.code,
            )
        self.blocked += 1

    def _place(self) -> _Place | None:
        """Return where the loop's thread is; None where it only waits. In a step that is the line of the step's own code."""
        frame = innermost = sys._current_frames().get(self._thread)  # noqa: SLF001  (the way to another thread's stack)
        theirs = frame
        while frame is not None:
            if step := self._step_in(frame):
                return _Place(step, _line(theirs))
            if not frame.f_code.co_filename.startswith(_OURS):
                theirs = frame
            frame = frame.f_back
        return None if innermost is None or _is_asyncio(innermost) else _Place("", _line(innermost))


def _line(frame: FrameType | None) -> str:
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_asyncio(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    return module == "selectors" or module.partition(".")[0] == "asyncio"
