"""The leader fires schedules.

It looks at those whose moment has come, starts their sagas, and notes under its epoch how far each has come. What keeps a fire
from being started twice is the start's key, not the epoch: :mod:`goconductor.schedules.schedule` says why.

A fire whose start is refused (there is no such definition any more, the input does not fit its schema) is over: it is noted with
the reason, logged and counted, and the next one is tried at its time. While the database is away nothing is noted, and the fire
is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol
from uuid import UUID

from msgspec.structs import replace

from goconductor.aio.reminders import Reminder
from goconductor.engine.node import Node
from goconductor.engine.work.granted import random_number
from goconductor.errors import (
    ConditionError,
    DefinitionError,
    FencedError,
    GoConductorError,
    PayloadError,
    RequestRefusedError,
    StoreUnavailableError,
)
from goconductor.lifecycle.facts.status import ENDED
from goconductor.ports.store import ScheduleRow
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.retention import DAY_SECONDS
from goconductor.redaction import logger_of
from goconductor.saga.data import values
from goconductor.schedules.schedule import LABEL, Fire, Kept, Overlap, Progress, due_fires, key_of, read

logger = logger_of("goconductor.recovery")

POLL_SECONDS = 5.0
"""Greatest pause between two looks, in seconds, so that a new schedule is seen."""
PAUSE_SECONDS = 0.01
"""Least pause between two looks, in seconds."""
LIMIT = 20
"""Number of schedules that one look takes."""
ASIDE_SECONDS = 60.0
"""Seconds for which a schedule is left alone that this version cannot fire."""
APART_SECONDS = 3_600.0
"""A schedule that is behind by more, in seconds, may have a thousand fire times to compute: that is done off the event loop."""


class StartFire(Protocol):
    """Starts the saga of a fire, with all checks of a start, and returns its id; the same key again finds the same saga."""

    def __call__(self, saga: str, input: Any, *, key: str, labels: Mapping[str, str]) -> Awaitable[UUID]: ...


class Scheduling:
    """Fires schedules beside the sweep.

    Args:
        node: the engine of this process.
        start: starts a saga.
        sagas_days: days for which start keys are kept after their saga has ended; 0 is for ever.
    """

    def __init__(self, node: Node, start: StartFire, *, sagas_days: float) -> None:
        self._node = node
        self._start = start
        self._keys_seconds = sagas_days * DAY_SECONDS if sagas_days else None

    async def fire(self, term: LeadTerm) -> None:
        """Fire until cancelled or another process leads."""
        trouble = Reminder(monotonic=self._node.clock.monotonic)
        while True:
            pause = POLL_SECONDS
            try:
                pause = await self.fire_once(term.epoch)
                trouble.end()
            except FencedError:
                return
            except GoConductorError as error:
                if trouble.is_due():
                    logger.warning("schedules cannot be fired now, and are as soon as that is over: %s", error)
            except Exception:
                if trouble.is_due():
                    logger.exception("schedules cannot be fired now")
            await self._node.clock.sleep(pause)

    async def fire_once(self, epoch: int) -> float:
        """Fire what is due. Return the seconds until the next look.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
        """
        due = await self._node.store.schedules.due(LIMIT)
        for row in due.rows:
            await self._fire_one(row, due.now, epoch)
        if len(due.rows) == LIMIT:
            return PAUSE_SECONDS
        until = POLL_SECONDS if due.next_look is None else due.next_look - due.now
        return min(max(until, PAUSE_SECONDS), POLL_SECONDS if not due.rows else PAUSE_SECONDS)

    async def _fire_one(self, row: ScheduleRow, now: float, epoch: int) -> None:
        try:
            kept = read(row.body)
            if now - kept.progress.next_at < APART_SECONDS:
                times, progress = due_fires(kept, now, self._keys_seconds)
            else:
                times, progress = await asyncio.to_thread(due_fires, kept, now, self._keys_seconds)
            missed = progress.missed - kept.progress.missed
            if missed:
                self._node.counts["schedule_fires_missed"] += missed
                logger.warning("schedule %r: %d of its times passed while nobody led, and are left out", row.name, missed)
            for at in times:
                progress = await self._fire_at(row.name, kept, progress, at)
        except (FencedError, StoreUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001  (one schedule must not stop the others)
            about = error if isinstance(error, GoConductorError) else f"{type(error).__name__}: {error}"
            logger.error("schedule %r cannot be fired by this version and is left alone for a while: %s", row.name, about)  # noqa: TRY400
            aside = replace(row, tag=random_number(), look_at=now + ASIDE_SECONDS)
            await self._node.store.schedules.note(aside, tag=row.tag, epoch=epoch)
            return
        kept = replace(kept, progress=progress)
        noted = replace(row, tag=random_number(), look_at=kept.look_at(now), body=kept.written())
        if not await self._node.store.schedules.note(noted, tag=row.tag, epoch=epoch):
            logger.info("schedule %r was changed while it was fired; it is looked at again", row.name)

    async def _fire_at(self, name: str, kept: Kept, progress: Progress, at: float) -> Progress:
        schedule = kept.schedule
        if schedule.overlap is not Overlap.ALLOW and progress.last_saga is not None and not await self._ended(progress.last_saga):
            held_up = progress.held_up(at, schedule.overlap)
            self._node.counts["schedule_fires_skipped"] += held_up.skipped - progress.skipped
            return held_up
        try:
            saga_id = await self._start(
                schedule.saga, values.decode(bytes(schedule.input)), key=key_of(name, at), labels=schedule.labels | {LABEL: name}
            )
        except (RequestRefusedError, PayloadError, DefinitionError, ConditionError) as error:
            self._node.counts["schedule_fires_refused"] += 1
            logger.error("schedule %r: its saga %r could not be started: %s", name, schedule.saga, error)  # noqa: TRY400
            return progress.noted(Fire(at=at, problem=str(error)[:1_000]))
        self._node.counts["schedule_fires_started"] += 1
        return progress.noted(Fire(at=at, saga_id=saga_id))

    async def _ended(self, saga_id: UUID) -> bool:
        head = await self._node.store.sagas.head(saga_id)
        return head is None or head.status in ENDED
