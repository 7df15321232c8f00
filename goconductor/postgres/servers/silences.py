"""Hosts that did not answer in time: a process dials for several purposes, and need not find that out each time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from goconductor.postgres.url import Server

SILENCE_SECONDS = 30.0
"""Seconds for which all addresses of the process try a host last that has not answered in time."""

_silences: dict[Server, float] = {}
"""When a host did not answer, on the monotonic clock."""


def silent_lately(server: Server) -> bool:
    """Return whether this host did not answer a moment ago, whoever of this process had dialled it."""
    silent_at = _silences.get(server)
    return silent_at is not None and time.monotonic() - silent_at < SILENCE_SECONDS


@contextmanager
def listening(server: Server) -> Iterator[None]:
    """Remember whether a host answers in time."""
    try:
        yield
    except TimeoutError:
        for other in [each for each in list(_silences) if not silent_lately(each)]:
            _silences.pop(other, None)  # several threads dial
        _silences[server] = time.monotonic()
        raise
    else:
        _silences.pop(server, None)
