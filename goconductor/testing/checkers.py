"""Was anything lost? The invariants of a run, checked afterwards from what stands in its databases, not from what programs say.

Each checker yields what is wrong, in words, and nothing where all is well. They read the saga log (:func:`recorded`), the heads,
the services' journals and effects, and the record that a *witness* has kept of all that leaders wrote (:data:`WITNESS`): triggers
in the store's database that note under whose epoch, and by whom, each write was made. The row of the epoch is locked while they
do, so the order of their notes is the order of the writes.

The form is that of Jepsen's checkers: a history in, violations out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from goconductor.errors import GoConductorError
from goconductor.lifecycle import events as e
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.state import SagaState, SagaStatus
from goconductor.participant import log
from goconductor.ports.store import Head, LogEntry
from goconductor.saga.definition import Definition, StepKind
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.saga.plan import Plan, plan, reachable

_COMPENSATED = (e.CompensationSucceeded, e.CompensationSettled)
_COMPENSATING = (*_COMPENSATED, e.CompensationFailed)

WITNESS = """
CREATE TABLE goconductor.leader_writes (
    write_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what text NOT NULL, epoch bigint NOT NULL, holder text NOT NULL, writer text NOT NULL
);
CREATE FUNCTION goconductor.witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO goconductor.leader_writes (what, epoch, holder, writer)
    SELECT TG_ARGV[0], epoch, holder, coalesce((
        SELECT name FROM goconductor.participants WHERE application_name = current_setting('application_name')
    ), '') FROM goconductor.leadership;
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER UPDATE ON goconductor.leadership
    FOR EACH ROW EXECUTE FUNCTION goconductor.witness('term');
CREATE TRIGGER witness AFTER INSERT ON goconductor.saga_log
    FOR EACH ROW WHEN (NEW.event = 'OutcomeUnknown' AND NEW.data->>'reason' NOT LIKE ALL (
        ARRAY['its instance was stopped in the middle', 'its saga turned back%', '% took it over']))
    EXECUTE FUNCTION goconductor.witness('outcome unknown');
CREATE TRIGGER witness AFTER UPDATE ON goconductor.sagas
    FOR EACH ROW WHEN (OLD.seq = NEW.seq) EXECUTE FUNCTION goconductor.witness('put off');
CREATE TRIGGER witness AFTER UPDATE ON goconductor.participants
    FOR EACH ROW WHEN (OLD.dead_at IS NULL AND NEW.dead_at IS NOT NULL
        AND NEW.application_name <> current_setting('application_name'))
    EXECUTE FUNCTION goconductor.witness('declared dead');
"""
"""Installed into the store's database, before the run; ``goconductor`` stands for the schema."""


class Recorded(msgspec.Struct, frozen=True):
    """One saga as it stands in the database."""

    head: Head
    plan: Plan
    entries: Sequence[LogEntry]

    @property
    def events(self) -> list[e.Event]:
        """Its log, decoded."""
        return [log.event(entry) for entry in self.entries]

    def story(self) -> str:
        """Its log, a line for each event; for whoever must find out."""
        head = self.head
        lines = [f"saga {head.saga_id} ({head.saga}): {head.status}, seq {head.seq}, wake_at {head.wake_at}"]
        for entry in self.entries:
            about = f"{entry.seq:3} {entry.at:.3f} {entry.event} {entry.step} #{entry.attempt} by {entry.participant}"
            lines.append(f"  {about} {entry.data.decode()[:200]}")
        return "\n".join(lines)


class LeaderWrite(msgspec.Struct, frozen=True):
    """What the witness saw: under whose epoch somebody wrote as a leader."""

    what: str
    epoch: int
    holder: str
    writer: str


class Movement(msgspec.Struct, frozen=True):
    """An effect on an account, as the service kept it: the effect's key, the amount, the balance after it."""

    key: str
    account: str
    amount: int
    balance: int


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


async def recorded(url: str, *, schema: str = "goconductor") -> list[Recorded]:
    """All sagas of a store, in the order of their ids, each read in one snapshot.

    Args:
        url: the store's DSN.
        schema: where its tables are.
    """
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            definitions = await connection.fetch(f'SELECT saga, version, document FROM "{schema}".definitions')  # noqa: S608
            heads = await connection.fetch(
                f"SELECT saga_id, saga, version, status, seq, tag, last_instance, extract(epoch FROM wake_at)::float8 AS wake_at "  # noqa: S608
                f'FROM "{schema}".sagas ORDER BY saga_id'
            )
            rows = await connection.fetch(
                f"SELECT saga_id, event_id, event, step, round, attempt, token, participant, data::text AS data, seq, tag, "  # noqa: S608
                f'extract(epoch FROM at)::float8 AS at FROM "{schema}".saga_log ORDER BY saga_id, seq'
            )
    finally:
        await connection.close()
    plans = {(row["saga"], row["version"]): plan(msgspec.json.decode(row["document"], type=Definition)) for row in definitions}
    logs: dict[UUID, list[LogEntry]] = {row["saga_id"]: [] for row in heads}
    for row in rows:
        fields = {name: row[name] for name in LogEntry.__struct_fields__ if name != "data"}
        logs.setdefault(row["saga_id"], []).append(LogEntry(**fields, data=row["data"].encode()))
    return [
        Recorded(
            Head(**{**dict(row), "wake_at": row["wake_at"]}),
            plans[row["saga"], row["version"]],
            logs[row["saga_id"]],
        )
        for row in heads
    ]


def money(before: Mapping[str, int], now: Mapping[str, int], movements: Iterable[Movement]) -> Iterator[str]:
    """I1: nothing was made or lost, each account is the sum of its movements, and no balance was ever below zero.

    Args:
        before: the balances at the beginning, by account.
        now: those at the end.
        movements: all effects between, of all databases.
    """
    if sum(before.values()) != sum(now.values()):
        yield f"there were {sum(before.values())}, and there are {sum(now.values())}"
    expected = Counter(before)
    for movement in movements:
        if movement.account in before:
            expected[movement.account] += movement.amount
        if movement.balance < 0:
            yield f"account {movement.account} was at {movement.balance} after {movement.key}"
    for account, balance in now.items():
        if balance != expected[account]:
            yield f"account {account} holds {balance}, its movements add up to {expected[account]}"


def one_effect(
    sagas: Iterable[Recorded], effects: Mapping[str, int], journal: Mapping[str, str], transactional: frozenset[str]
) -> Iterator[str]:
    """I2: a key has one effect at most; what succeeded has one; a compensation has one exactly if its action has.

    Args:
        sagas: all sagas.
        effects: how often each idempotency key had its effect, in the services' databases.
        journal: the state that the services' journals hold under each key.
        transactional: the steps, as ``participant.step``, whose effects are in ``effects``.
    """
    unknown = Counter({key: times for key, times in effects.items() if times})
    for saga in sagas:
        succeeded = {event.step for event in saga.events if isinstance(event, e.ActionSucceeded)}
        for step, definition in saga.plan.steps.items():
            if definition.run not in transactional:
                continue
            keys = [idempotency_key(saga.head.saga_id, step, side, 0) for side in (Direction.ACTION, Direction.COMPENSATION)]
            action, compensation = (unknown.pop(key, 0) for key in keys)
            done = [journal.get(key) == "done" for key in keys]
            told = f"saga {saga.head.saga_id} ({saga.head.status}), step {step!r}: {action} effects, {compensation} compensations"
            if action != done[0] or compensation != (done[0] and done[1]):
                yield f"{told}; its journal says {[journal.get(key) for key in keys]}"
            if step in succeeded and not action:
                yield f"{told}, though the log says that it succeeded"
            if saga.head.status == SagaStatus.COMPLETED and (action, compensation) != (1, 0):
                yield f"{told}, in a completed saga"
            if saga.head.status == SagaStatus.COMPENSATED and action != compensation:
                yield f"{told}, in a compensated saga"
    yield from (f"{times} effects of {key}, which no saga knows" for key, times in unknown.items())


def compensation_order(saga: Recorded) -> Iterator[str]:
    """I3: completed ⊆ compensated ⊆ sent, in the reverse order of the graph, and nothing after a pivot."""
    where = f"saga {saga.head.saga_id} ({saga.head.status})"
    begun: dict[str, int] = {}
    closed: dict[str, int] = {}
    succeeded: set[str] = set()
    for place, event in enumerate(saga.events):
        if isinstance(event, e.ActionSucceeded):
            succeeded.add(event.step)
        backward = isinstance(event, _COMPENSATING)
        if isinstance(event, e.OutcomeUnknown):
            backward = event.direction is Direction.COMPENSATION
        if backward and isinstance(event, e.StepEvent):
            begun.setdefault(event.step, place)
            if isinstance(event, _COMPENSATED):
                closed[event.step] = place
    kinds = saga.plan.kinds
    if saga.plan.pivot in succeeded and begun:
        yield f"{where}: {sorted(begun)} were compensated, though the pivot succeeded"
    if saga.head.status == SagaStatus.COMPENSATED:
        compensatable = {step for step in succeeded if kinds[step] is StepKind.COMPENSATABLE}
        if missing := sorted(compensatable - closed.keys()):
            yield f"{where}: {missing} succeeded and were not compensated"
    elif saga.head.status == SagaStatus.COMPLETED and begun:
        yield f"{where}: {sorted(begun)} were compensated"
    for step, first in begun.items():
        for later in reachable(saga.plan.successors, step) & begun.keys():
            if closed.get(later, first + 1) > first:
                yield f"{where}: {step!r} was compensated before {later!r}, which came after it"


def ended(saga: Recorded) -> Iterator[str]:
    """I4, of one saga: it completed or was compensated."""
    if saga.head.status not in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED):
        yield f"not ended:\n{saga.story()}"


def accepted(sagas: Iterable[Recorded], starts: Iterable[UUID]) -> Iterator[str]:
    """I5: whatever was accepted is there."""
    known = {saga.head.saga_id for saga in sagas}
    yield from (f"saga {saga_id} was accepted and is not there" for saga_id in starts if saga_id not in known)


def legal_history(saga: Recorded) -> Iterator[str]:
    """I6: the log has no gap and holds only legal moves, all invariants hold after each, and the head says what it adds up to."""
    head, entries = saga.head, saga.entries
    where = f"saga {head.saga_id}"
    if [entry.seq for entry in entries] != list(range(1, len(entries) + 1)):
        yield f"{where}: its log has the numbers {[entry.seq for entry in entries]}"
    if len({entry.event_id for entry in entries}) != len(entries):
        yield f"{where}: an event stands in its log twice"
    if not entries or (entries[-1].seq, entries[-1].tag) != (head.seq, head.tag):
        yield f"{where}: its head and the end of its log are not the same"
        return
    try:
        state, found = _fold(saga)
    except GoConductorError as error:
        yield f"{where}: its log could not have come about: {error}"
        return
    yield from (f"{where}: {problem}" for problem in found)
    if state.status != head.status or (state.wake_at is None) != (head.wake_at is None):
        yield f"{where}: its head says {head.status}, wake_at {head.wake_at}; its log {state.status}, {state.wake_at}"


def _fold(saga: Recorded) -> tuple[SagaState, list[str]]:
    first, *others = saga.events
    if not isinstance(first, e.SagaStarted):
        raise GoConductorError(f"it begins with {type(first).__name__}")
    known = Log(saga.plan, saga.events)
    state = begin(saga.plan, saga.head.saga_id, first, known).state
    found = list(violations(saga.plan, state))
    for event in others:
        if event.at < state.at:
            found.append(f"{type(event).__name__} is older than the event before it")
        state = decide(saga.plan, state, event, known).state
        found += violations(saga.plan, state)
    return state, found


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
            "SELECT saga_id, seq, extract(epoch FROM pg_xact_commit_timestamp(xid::text::xid))::float8 AS at "  # noqa: S608
            f"FROM \"{schema}\".saga_log WHERE event = 'TimerFired'"
        )
    finally:
        await connection.close()
    committed = {(row["saga_id"], row["seq"]): row["at"] for row in rows}
    found = []
    for saga in sagas:
        first, *others = saga.events
        assert isinstance(first, e.SagaStarted)  # noqa: S101  (I6 is asked first)
        known = Log(saga.plan, saga.events)
        state = begin(saga.plan, saga.head.saga_id, first, known).state
        for seq, event in enumerate(others, 2):
            if isinstance(event, e.TimerFired):
                due_at = state.step(event.step).due_at
                assert due_at is not None  # noqa: S101
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


def leader_writes(writes: Sequence[LeaderWrite]) -> Iterator[str]:
    """I7: epochs never fall, and who wrote under an epoch held it.

    Args:
        writes: what the witness saw, in its order.
    """
    highest = 0
    for number, write in enumerate(writes, 1):
        if write.epoch < highest:
            yield f"write {number} ({write.what}) has epoch {write.epoch} after {highest}"
        if write.what != "term" and write.writer != write.holder:
            yield f"write {number} ({write.what}), epoch {write.epoch}: by {write.writer!r} while {write.holder!r} led"
        highest = max(highest, write.epoch)


async def witnessed(url: str, *, schema: str = "goconductor") -> list[LeaderWrite]:
    """What the witness saw, in its order."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(f'SELECT what, epoch, holder, writer FROM "{schema}".leader_writes ORDER BY write_id')  # noqa: S608
    finally:
        await connection.close()
    return [LeaderWrite(**dict(row)) for row in rows]


def same_start(sagas: Iterable[Recorded], keys: Mapping[str, UUID], answers: Iterable[tuple[str, UUID]]) -> Iterator[str]:
    """I8: one key started one saga, whoever asked.

    Args:
        sagas: all sagas, each of which was started with a key.
        keys: the saga of each key, as the database has it.
        answers: what callers were answered: the key, and the saga's id.
    """
    for key, saga_id in answers:
        if keys.get(key) != saga_id:
            yield f"key {key!r} was answered by saga {saga_id}, it is {keys.get(key)}"
    if strays := {saga.head.saga_id for saga in sagas} - set(keys.values()):
        yield f"sagas without a key: {sorted(strays)}"
