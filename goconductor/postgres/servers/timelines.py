"""No process on two primaries: the highest timeline of each cluster is remembered, and a lower one is left.

A promotion begins a new timeline, whose number is higher. An old primary may still answer then: its guard died, its network is
cut, or it waits for a standby that belongs to another primary now. A commit that hangs there is dialled anew and finds the new
one. Reads, leases and messages wait for no standby, and would stay with the old one. So each new connection reads its server's
timeline before it is used. A higher number than was known ends all sessions of this process on lower ones, at once; a lower one
is refused as unavailable.

The number is that of ``pg_walfile_name(pg_current_wal_lsn())``. ``pg_control_checkpoint()`` names the old one for minutes after a
promotion, and neither the start time nor the system's identifier changes by it.

A cluster is the hosts of a URL, with the system's identifier: a server that is made anew in the place of another begins at 1
again and is no older state of it. Where a backup was put in place of a newer server on purpose, processes must be started again.

Sessions may belong to several threads: each is ended in its own loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from goconductor.redaction import logger_of

logger = logger_of("goconductor.postgres")


class Endable(Protocol):
    """A driver's connection."""

    def terminate(self) -> None:
        """End it at once, without a word to the server."""
        ...


class OldTimelineError(Exception):
    """This server is on a timeline that was left."""


@dataclass
class _Cluster:
    highest: int = 0
    looked_at: float = 0.0
    sessions: weakref.WeakKeyDictionary[Endable, tuple[int, asyncio.AbstractEventLoop]] = field(
        default_factory=weakref.WeakKeyDictionary
    )
    listeners: dict[int, tuple[Callable[[int], None], asyncio.AbstractEventLoop]] = field(default_factory=dict)


class Timelines:
    """The timelines of all clusters that a process uses; safe for threads."""

    def __init__(self) -> None:
        self._clusters: dict[str, _Cluster] = {}
        self._numbers = iter(range(1 << 62))
        self._lock = threading.Lock()

    def highest(self, cluster: str) -> int:
        """Return the highest timeline that was seen of this cluster; 0 if none was."""
        with self._lock:
            found = self._clusters.get(cluster)
            return found.highest if found is not None else 0

    def is_due(self, cluster: str, seconds: float) -> bool:
        """Note that somebody of this process looks at a cluster's servers, unless one did within these seconds."""
        now = time.monotonic()
        with self._lock:
            known = self._clusters.setdefault(cluster, _Cluster())
            if now - known.looked_at < seconds:
                return False
            known.looked_at = now
        return True

    def enter(self, cluster: str, timeline: int, session: Endable) -> None:
        """Enter a new session, whose server is on this timeline. Call it within the session's loop.

        Args:
            cluster: the name by :attr:`goconductor.postgres.dialling.Address.cluster`.
            timeline: its number.
            session: ended when a higher one is seen.

        Raises:
            OldTimelineError: a higher one was seen before.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            known = self._clusters.setdefault(cluster, _Cluster())
            if timeline < known.highest:
                raise OldTimelineError(
                    f"this server is on timeline {timeline}, and this process has seen {known.highest}: it was a primary once "
                    "and is not stopped. Stop it; where an older backup was put in place on purpose, start this process again"
                )
            known.sessions[session] = (timeline, loop)
        self.saw(cluster, timeline)

    def saw(self, cluster: str, timeline: int) -> None:
        """Note that a timeline exists, by a server or by our own log; from any thread."""
        with self._lock:
            known = self._clusters.setdefault(cluster, _Cluster())
            before = known.highest
            if timeline <= before:
                return
            known.highest = timeline
            ended = [(session, loop) for session, (at, loop) in known.sessions.items() if at < timeline]
            listeners = list(known.listeners.values())
        if before:
            logger.warning(
                "PostgreSQL has a new primary: timeline %d follows %d; %d sessions on the old one are ended",
                *(timeline, before, len(ended)),
            )
        for session, loop in ended:
            _in(loop, session.terminate)
        for listener, loop in listeners:
            _in(loop, partial(listener, timeline))

    def on_change(self, cluster: str, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call a function with each new highest timeline, in the loop that runs now; returns what ends that."""
        loop = asyncio.get_running_loop()
        with self._lock:
            number = next(self._numbers)
            known = self._clusters.setdefault(cluster, _Cluster())
            known.listeners[number] = (listener, loop)
        return lambda: known.listeners.pop(number, None) and None


def _in(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Call at once if that loop is ours, else as soon as it comes to it; a closed one has nothing left to end."""
    try:
        ours = asyncio.get_running_loop() is loop
    except RuntimeError:
        ours = False
    if ours:
        call()
    elif not loop.is_closed():
        loop.call_soon_threadsafe(call)


TIMELINES = Timelines()
"""The timelines of this process."""
