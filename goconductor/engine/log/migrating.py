"""Moves a saga to another version of its definition, where that is proven (:mod:`goconductor.lifecycle.requests.migration`).

The event does not go through the appender. That one folds by the version that the head names, and here the version changes with
the event: it is decided by the new one, on top of the whole log as the new one reads it. The guard is the same, the head's seq
and tag, so whoever else appends either comes before, and the proof is made again, or comes after, and reads the new version.
"""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from goconductor.engine.facts import log
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.engine.log.append import Appender
from goconductor.engine.log.folding import Expected
from goconductor.engine.work.granted import new_event_id, random_number
from goconductor.errors import GoConductorError, RequestRefusedError, SagaChangedError, SagaNotFoundError
from goconductor.lifecycle.decide import decide
from goconductor.lifecycle.facts.events import SagaMigrated
from goconductor.lifecycle.replay import replay
from goconductor.lifecycle.requests.migration import refusals
from goconductor.ports.clock import Clock
from goconductor.ports.store import Append, Known, Log, Outcome, Tail, Verdict
from goconductor.ports.store.log.notes import unwritten, written
from goconductor.saga.features import MIGRATION
from goconductor.saga.plan import Plan

TRIES = 10
"""Proofs for one request: a saga that is busy moves on while it is proven."""
PAUSE_SECONDS = 0.1
"""Seconds between two attempts to append the change of version."""


class Migrator:
    """Moves sagas to other versions.

    Args:
        log: the sagas' logs.
        definitions: compiled definitions.
        appender: does what follows the commit.
        clock: the database's time.
        instance: this process's serial.
        participant: its participant's name, for the record.
    """

    def __init__(
        self, *, log: Log, definitions: Definitions, appender: Appender, clock: Clock, instance: int, participant: str
    ) -> None:
        self._log = log
        self._definitions = definitions
        self._appender = appender
        self._clock = clock
        self._instance = instance
        self._participant = participant

    async def prove(self, saga_id: UUID, version: str) -> None:
        """Refuse what :meth:`migrate` would refuse now.

        Raises:
            as :meth:`migrate`.
        """
        (tail,) = await self._log.read([Known(saga_id)])
        await self._proven(saga_id, version, tail)

    async def migrate(
        self, saga_id: UUID, event: SagaMigrated, *, expected: Expected | None = None, event_id: UUID | None = None
    ) -> None:
        """Move a saga.

        Args:
            saga_id: which.
            event: names the new version.
            expected: the place in the saga's log that was seen; None moves it wherever it is.
            event_id: the event's id; None draws one.

        Raises:
            SagaNotFoundError: there is no such saga.
            SagaChangedError: it is not at the expected place, or moves on too fast.
            RequestRefusedError: there is no such version, it is not proven, or an instance lives that knows no migrations.
            GoConductorError: its log cannot be read by this version, or the database refuses the event.
            StoreUnavailableError: the database cannot be reached; whether the saga was moved is then open.
        """
        for _ in range(TRIES):
            (tail,) = await self._log.read([Known(saga_id)])
            if expected is not None and tail.head is not None and expected != (tail.head.seq, tail.head.tag):
                raise SagaChangedError
            plan = await self._proven(saga_id, event.version, tail)
            outcome = await self._append(saga_id, plan, event, tail, event_id or new_event_id())
            if outcome.verdict is Verdict.WON:
                return
            if outcome.verdict is Verdict.REJECTED:
                raise GoConductorError(f"the database refuses an event of saga {saga_id} (SagaMigrated): {outcome.problem}")
            if outcome.verdict is Verdict.HELD_UP:
                await self._clock.sleep(PAUSE_SECONDS)
        raise SagaChangedError

    async def _proven(self, saga_id: UUID, version: str, tail: Tail) -> Plan:
        """Return the new version, compiled, for a saga that can go on by it."""
        head = tail.head
        if head is None:
            raise SagaNotFoundError(f"there is no saga {saga_id}")
        if head.version == version:
            raise RequestRefusedError(f"saga {saga_id} runs by version {version} already")
        old = await self._definitions.plan(head.saga, head.version)
        new = await self._definitions.plan(head.saga, version)
        if behind := await self._definitions.unready((MIGRATION, *new.features)):
            raise RequestRefusedError(
                f"{', '.join(behind)} cannot run a saga that was migrated to version {version}: replace them by newer ones first"
            )
        if found := refusals(old, new, saga_id, [log.event(entry) for entry in tail.entries]):
            raise RequestRefusedError(f"saga {saga_id} cannot go on by version {version}: {'; '.join(found)}")
        return new

    async def _append(self, saga_id: UUID, plan: Plan, event: SagaMigrated, tail: Tail, event_id: UUID) -> Outcome:
        head = tail.head
        assert head is not None  # noqa: S101  (it was proven)
        state = replay(plan, saga_id, map(log.event, tail.entries))
        made = replace(event, version_before=head.version, at=max(self._clock.now(), state.at))
        decision = decide(plan, state, made)
        kept = log.entry(decision.event, event_id, participant=self._participant)
        size = sum(len(entry.data) for entry in (*tail.entries, kept))
        view = View(decision.state, head.seq + 1, random_number(), size)
        (outcome,) = await self._log.append(
            [
                Append(
                    saga_id=saga_id,
                    seq=head.seq,
                    tag=head.tag,
                    new_tag=view.tag,
                    entries=[kept],
                    status=decision.status,
                    instance=self._instance,
                    wake_at=view.state.wake_at,
                    version=event.version,
                    notes=[] if (note := unwritten()) is None else [note],
                )
            ]
        )
        if outcome.verdict is Verdict.WON:
            written()
            self._appender.act(plan, view, decision.effects, (), ())
        return outcome
