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
"""How far the time in a saga's id may be from its start by the database's clock: ids are made by processes."""


def id_bound(unix_seconds: float) -> UUID:
    """The lowest id (a UUIDv7) that a saga made at this time can have."""
    milliseconds = min(max(int(unix_seconds * 1000), 0), (1 << 48) - 1)
    return UUID(int=milliseconds << 80)


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """An instance's sign of life as of this moment.

    Args:
        serial: the instance.
        alive: its sign is there.
        heard_at: when the database last heard of it; None where it cannot tell.
        leases: how many living leases it holds.
        lease_ends_at: when the first of them ends unless it is renewed.
    """

    serial: int
    alive: bool
    heard_at: float | None = None
    leases: int = 0
    lease_ends_at: float | None = None


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What the leader has done lately.

    Args:
        at: when it last said so.
        epoch: under which epoch.
        did: what it counted since it last said so.
    """

    at: float
    epoch: int
    did: dict[str, int] = {}
