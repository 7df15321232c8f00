"""Ports of this machine alone, for servers that tests start."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import socket
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
"""The address at which only this machine is reached."""

_PORTS = range(20_000, 32_768)
"""Ports below those that Linux and others give to outgoing connections. Otherwise one of these could have a server's port before
the server has bound it, or while it restarts; a client that tries to reach it again may even be connected with itself."""

_first = secrets.randbelow(len(_PORTS))  # each process begins elsewhere, whatever seed its tests have
_candidates: Iterator[int] = itertools.cycle([*_PORTS[_first:], *_PORTS[:_first]])


def free_port() -> int:
    """Find a loopback port that nobody listens on now, and that no outgoing connection takes; the next call finds another.

    Raises:
        OSError: all of them are in use.
    """
    for port in itertools.islice(_candidates, len(_PORTS)):
        with contextlib.suppress(OSError), socket.create_server((LOOPBACK, port)):
            return port
    raise OSError(f"every port from {_PORTS.start} to {_PORTS.stop - 1} of {LOOPBACK} is in use: end what listens there")
