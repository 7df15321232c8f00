"""Did each timer fire in time? By the database's clock alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.testing.checkers import Recorded


class Fired(msgspec.Struct, frozen=True):
    """A timer's event: when it was due, and when the database committed it, by the database's clock."""

    saga_id: UUID
    step: str
    due_at: float
    committed_at: float

    @property
    def late_seconds(self) -> float:
        """How much later; below 0 it was early."""
        return self.committed_at - self.due_at


async def fired(url: str, sagas: Iterable[Recorded], *, schema: str = "goconductor") -> list[Fired]:
    """Every timer that fired, for I9. The time is that of the commit, which nobody but the database tells.

    Args:
        url: the store's DSN; its server must run with ``track_commit_timestamp`` on.
        sagas: all sagas.
        schema: where the store's tables are.
    """
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT saga_id, seq, extract(epoch FROM pg_xact_commit_timestamp(xid::text::xid))::float8 AS at "
            f"FROM \"{schema}\".saga_log WHERE event = 'TimerFired'"
        )
    finally:
        await connection.close()
    committed = {(row["saga_id"], row["seq"]): row["at"] for row in rows}
    found = []
    for saga in sagas:
        first, *others = saga.events
        assert isinstance(first, e.SagaStarted)
        known = Log(saga.plan, saga.events)
        state = begin(saga.plan, saga.head.saga_id, first, known).state
        for seq, event in enumerate(others, 2):
            if isinstance(event, e.TimerFired):
                due_at = state.step(event.step).due_at
                assert due_at is not None
                found.append(Fired(saga.head.saga_id, event.step, due_at, committed[saga.head.saga_id, seq]))
            state = decide(saga.plan, state, event, known).state
    return found


def timers(fired: Iterable[Fired], late_seconds_max: float) -> Iterator[str]:
    """I9: no timer fires early, and none later than the bound.

    Args:
        fired: what :func:`fired` found.
        late_seconds_max: the bound.
    """
    for timer in fired:
        if not 0 <= timer.late_seconds <= late_seconds_max:
            yield f"saga {timer.saga_id}: the timer of step {timer.step!r} fired {timer.late_seconds:+.3f} s after it was due"
