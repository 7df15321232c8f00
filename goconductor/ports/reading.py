"""What doors ask of a store about many sagas, and about who is alive. Times are seconds since 1970 by the database's clock."""

from __future__ import annotations

from uuid import UUID

import msgspec


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which sagas; what is None or empty does not narrow.

    Args:
        saga: of this definition.
        statuses: of one of these.
        started_from: started at or after.
        started_until: started before.
        updated_from: last appended to at or after.
        updated_until: last appended to before.
        labels: with all of these.
        error: with this text, ASCII letters in any case, in a failure (its type, ``: ``, its message) or a reason of an event of
            ``error_events``.
        error_events: the events that have such.
    """

    saga: str | None = None
    statuses: tuple[str, ...] = ()
    started_from: float | None = None
    started_until: float | None = None
    updated_from: float | None = None
    updated_until: float | None = None
    labels: dict[str, str] = {}
    error: str = ""
    error_events: tuple[str, ...] = ()


EVERYTHING = Wanted()

ID_SLACK_SECONDS = 300.0
"""Greatest seconds between the time in a saga's id, made by a process, and its start by the database's clock."""


def id_bound(unix_seconds: float) -> UUID:
    """Return the lowest id (a UUIDv7) of a saga made at this time."""
    milliseconds = min(max(int(unix_seconds * 1000), 0), (1 << 48) - 1)
    return UUID(int=milliseconds << 80)


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """An instance's heartbeat as of this moment.

    Args:
        serial: the instance.
        alive: whether it has a heartbeat.
        heard_at: the database's time of the last heartbeat; None where it is not known.
        leases: the number of its valid leases.
        lease_ends_at: when the first of them ends unless it is renewed.
    """

    serial: int
    alive: bool
    heard_at: float | None = None
    leases: int = 0
    lease_ends_at: float | None = None


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """The last report of the leader about its sweep.

    Args:
        at: the time of the report.
        epoch: the epoch of the leader.
        did: its counts since the report before.
    """

    at: float
    epoch: int
    did: dict[str, int] = {}
