"""Ports of this machine alone, for servers that tests start."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"
"""The address at which only this machine is reached."""


def free_port() -> int:
    """Find a loopback port that nobody listens on now."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])
