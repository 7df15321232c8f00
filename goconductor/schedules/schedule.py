"""A schedule, and how far it has come: what is kept of it, and what is due.

**No start twice.** A fire is a start with a key, made of the schedule's name and the fire's nominal time in UTC. Whoever repeats
it finds the saga that is there: a leader that died between the start and the note of it, two that lead at once, a clock that was
set back. No user's key can be one of these, as users' keys are printable ASCII.

**The note comes after.** What a leader notes is refused when its term is over, or when somebody has changed the schedule
meanwhile. Then the fires that it had begun are decided once more, and their keys find what was started.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from goconductor.schedules.fire_times import Cron, FireTimes, Interval, due

FIRES_KEPT = 10
"""Number of fires that are kept with a schedule, the last ones; the sagas themselves are found by their label."""
CATCH_UP_MAX = 100
"""Greatest number of missed fires that are caught up."""
LATE_SECONDS = 60.0
"""A fire that is late by more, in seconds, was missed: nobody led. It is caught up, or left out."""
LABEL = "goconductor/schedule"
"""The label that a schedule's sagas have, with its name."""


class Overlap(enum.StrEnum):
    """What is done when the saga of the fire before has not ended."""

    SKIP = "skip"
    """This fire is left out."""
    QUEUE = "queue"
    """One fire waits until that saga has ended; others are left out meanwhile."""
    ALLOW = "allow"
    """It is started beside it."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has asked for.

    Args:
        saga: the definition's name; the version that is active at the fire is started.
        input: its input, as JSON text.
        cron: the expression; None with an interval.
        time_zone: the zone in which the expression is meant.
        every_seconds: the interval; None with an expression.
        overlap: what is done when the saga of the fire before has not ended.
        catch_up: how many missed fires are started at most, the last ones.
        paused: whether nothing is fired.
        labels: of each saga.
        changed_at: when it was changed last, in seconds since 1970.
        changed_by: who did that.
    """

    saga: str
    input: msgspec.Raw
    cron: str | None = None
    time_zone: str = "UTC"
    every_seconds: int | None = None
    overlap: Overlap = Overlap.SKIP
    catch_up: int = 1
    paused: bool = False
    labels: dict[str, str] = {}
    changed_at: float = 0.0
    changed_by: str = ""

    @property
    def fire_times(self) -> FireTimes:
        """When it fires.

        Raises:
            FireTimesError: zone or expression cannot be read here.
        """
        if self.every_seconds is not None:
            return Interval(self.every_seconds)
        return Cron(self.cron or "", self.time_zone)


class Fire(msgspec.Struct, frozen=True, kw_only=True):
    """One fire that was tried.

    Args:
        at: its nominal time.
        saga_id: the saga; None where it was refused.
        problem: why it was refused.
        by: who asked for it, where it was not the time.
    """

    at: float
    saga_id: UUID | None = None
    problem: str = ""
    by: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a schedule has come.

    Args:
        next_at: the next nominal time. It is computed once and kept, since the zones' rules differ between machines.
        waiting_at: the fire that waits for the end of the saga before.
        last_saga: the saga of the last fire that started one.
        fires: the last fires that were tried, oldest first.
        started: number of sagas started.
        skipped: number of fires left out because the saga before had not ended.
        missed: number of fires left out because nobody led; after very long, more than that.
        refused: number of fires whose start was refused.
    """

    next_at: float
    waiting_at: float | None = None
    last_saga: UUID | None = None
    fires: tuple[Fire, ...] = ()
    started: int = 0
    skipped: int = 0
    missed: int = 0
    refused: int = 0

    def noted(self, fire: Fire) -> Progress:
        """Note a fire that was tried."""
        changes: dict[str, Any] = {"fires": (*self.fires, fire)[-FIRES_KEPT:]}
        if self.waiting_at == fire.at:
            changes["waiting_at"] = None
        if fire.saga_id is not None:
            changes |= {"last_saga": fire.saga_id, "started": self.started + 1}
        else:
            changes["refused"] = self.refused + 1
        return msgspec.structs.replace(self, **changes)

    def held_up(self, at: float, overlap: Overlap) -> Progress:
        """Let a fire wait, or leave it out, as the saga before has not ended."""
        if overlap is Overlap.QUEUE and self.waiting_at in (None, at):
            return msgspec.structs.replace(self, waiting_at=at)
        return msgspec.structs.replace(self, skipped=self.skipped + 1)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the store keeps, as JSON."""

    schedule: Schedule
    progress: Progress

    def written(self) -> str:
        """Write it."""
        return msgspec.json.encode(self).decode()

    def look_at(self, now: float) -> float | None:
        """Return when somebody has to look at it again; None while it is paused."""
        if self.schedule.paused:
            return None
        return min(self.progress.next_at, now + 1.0) if self.progress.waiting_at is not None else self.progress.next_at


_decoder = msgspec.json.Decoder(Kept)


def read(body: str) -> Kept:
    """Read what the store has kept.

    Raises:
        msgspec.DecodeError: it was written by a newer release, or by somebody's hand.
    """
    return _decoder.decode(body)


def key_of(name: str, at: float) -> str:
    """Return the start key of a fire. Its first character can be in no user's key.

    Args:
        name: the schedule's name.
        at: the nominal time, in seconds since 1970.
    """
    return f"\N{RIGHTWARDS ARROW}schedule/{name}/{datetime.fromtimestamp(at, UTC).isoformat()}"


def key_by_hand(name: str, request: str) -> str:
    """Return the start key of a fire by hand. No time is in it: a request that comes again has another one.

    Args:
        name: the schedule's name.
        request: the request's id.
    """
    return f"\N{RIGHTWARDS ARROW}schedule/{name}/by-hand/{request}"


def due_fires(kept: Kept, now: float, keys_seconds: float | None) -> tuple[tuple[float, ...], Progress]:
    """Return the nominal times that are to be started now, oldest first, and the progress that leaves them behind.

    One that is as old as the keys get is not started: whether it was started already could not be found.

    Args:
        kept: the schedule.
        now: the database's time.
        keys_seconds: for how long start keys are kept at least; None is for ever.

    Raises:
        FireTimesError: zone or expression cannot be read here, or never comes again.
    """
    schedule, before = kept.schedule, kept.progress
    come = due(schedule.fire_times, before.next_at, now, schedule.catch_up + int(LATE_SECONDS) + 1)
    late = [at for at in come.times if now - at > LATE_SECONDS]
    wanted = [at for at in late[max(0, len(late) - schedule.catch_up) :] if keys_seconds is None or now - at < keys_seconds]
    missed = come.left_out + len(late) - len(wanted)
    waits = () if before.waiting_at is None else (before.waiting_at,)
    progress = msgspec.structs.replace(before, next_at=come.next, missed=before.missed + missed)
    return (*waits, *wanted, *come.times[len(late) :]), progress
