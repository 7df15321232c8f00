"""Was anything lost? Checks what a saga log promises afterwards, by its database and not by what programs report.

Each checker yields what is wrong, in words, and nothing where all is well; :func:`broken_promises` runs all that need only the
database. They read the saga log and the heads (:func:`recorded`).

The form is that of Jepsen's checkers: a history in, violations out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from goconductor.engine.facts import log
from goconductor.errors import GoConductorError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.state import SagaState, StepState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.lifecycle.grown import lost_around
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.replay import replay
from goconductor.ports.store import Head, LogEntry
from goconductor.saga.definition import Definition, StepRole
from goconductor.saga.graph import reachable
from goconductor.saga.growth import outermost, split
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan, plan

_COMPENSATED = (e.CompensationSucceeded, e.CompensationSettled)
_COMPENSATING = (*_COMPENSATED, e.CompensationFailed, e.CompensationHandedOut, e.CompensationReported)
_Turn: TypeAlias = tuple[str, int]
"""A step in a round."""


class Recorded(msgspec.Struct, frozen=True):
    """One saga as it stands in the database."""

    head: Head
    plan: Plan
    entries: Sequence[LogEntry]

    @property
    def events(self) -> list[e.Event]:
        """Its log, decoded."""
        return [log.event(entry) for entry in self.entries]

    def steps(self) -> Mapping[str, StepState]:
        """Return where each step is at the end of the log, grown ones as well; none where the log could not have come about."""
        try:
            return replay(self.plan, self.head.saga_id, self.events).steps
        except GoConductorError:
            return {}

    def story(self) -> str:
        """Return its log, a line for each event, for an investigation."""
        head = self.head
        lines = [f"saga {head.saga_id} ({head.saga}): {head.status}, seq {head.seq}, wake_at {head.wake_at}"]
        for entry in self.entries:
            about = f"{entry.seq:3} {entry.at:.3f} {entry.event} {entry.step} #{entry.attempt} by {entry.participant}"
            lines.append(f"  {about} {entry.data.decode()[:200]}")
        return "\n".join(lines)


async def recorded(url: str, *, schema: str = "goconductor") -> list[Recorded]:
    """Return all sagas of a store, in the order of their ids, each read in one snapshot.

    Args:
        url: the store's DSN.
        schema: the schema of its tables.
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


def compensation_order(saga: Recorded) -> Iterator[str]:
    """I3: completed ⊆ compensated ⊆ sent, in the reverse order of the graph, and nothing after a pivot; in each round.

    What the saga has gone on without was undone on its way forward, and is left out: steps that were given up, and lost items.
    So are undos that end by word from outside, which names no step: that none is left is an invariant of the state.
    """
    where = f"saga {saga.head.saga_id} ({saga.head.status})"
    begun: dict[_Turn, int] = {}
    closed: dict[_Turn, int] = {}
    succeeded: set[_Turn] = set()
    for place, event in enumerate(saga.events):
        if not isinstance(event, e.StepEvent):
            continue
        turn = event.step, event.round
        if isinstance(event, e.ActionSucceeded):
            succeeded.add(turn)
        if turn in begun and (isinstance(event, e.OutcomeDeclared) or (isinstance(event, e.SkipRequested) and event.forced)):
            closed[turn] = place  # a person has ended the compensation
        backward = isinstance(event, _COMPENSATING)
        if isinstance(event, e.OutcomeUnknown):
            backward = event.direction is Direction.COMPENSATION
        if backward:
            begun.setdefault(turn, place)
            if isinstance(event, _COMPENSATED) or (isinstance(event, e.CompensationReported) and event.failure is None):
                closed[turn] = place
    steps, roles = saga.steps(), saga.plan.roles
    without = {name for name, step in steps.items() if step.action.status is ActionStatus.GIVEN_UP or lost_around(steps, name)}
    undone = sorted(step for step, round in begun if round == _round(steps, step) and step not in without)
    pivot = saga.plan.pivot
    if pivot is not None and (pivot, _round(steps, pivot)) in succeeded and undone:
        yield f"{where}: {undone} were compensated, though the pivot succeeded"
    undoable = {step for step, _ in succeeded if step in saga.plan.undoable and step not in saga.plan.undo_waits}
    over = {(step, round) for step, round in succeeded if round < _round(steps, step)}
    if missing := sorted(step for step, _ in over - closed.keys() if step in undoable):
        yield f"{where}: {missing} succeeded, were restarted, and were not compensated"
    if saga.head.status == SagaStatus.COMPENSATED:
        compensatable = {turn for turn in succeeded - over if roles[turn[0]] is StepRole.COMPENSATABLE and turn[0] in undoable}
        if missing := sorted(step for step, _ in compensatable - closed.keys()):
            yield f"{where}: {missing} succeeded and were not compensated"
    elif saga.head.status == SagaStatus.COMPLETED and undone:
        yield f"{where}: {undone} were compensated"
    yield from (
        f"{where}: {step!r} was compensated before {later!r}, which came after it" for step, later in _early(saga, begun, closed)
    )


def _early(saga: Recorded, begun: Mapping[_Turn, int], closed: Mapping[_Turn, int]) -> Iterator[tuple[str, str]]:
    """Yield each step whose compensation began before that of a later one was over, with that one.

    What comes after a step is in each rewind of it, so its round is never lower; a higher one it has from a rewind of its own.
    """
    events = [(place, event) for place, event in enumerate(saga.events) if isinstance(event, e.StepEvent)]
    for (step, round), first in begun.items():
        for later in reachable(saga.plan.successors, step):
            turn = later, max([round, *(event.round for place, event in events if event.step == later and place < first)])
            if turn not in begun or closed.get(turn, first + 1) < first:
                continue
            if not _is_alone(saga, step, first) or _is_alone(saga, later, begun[turn]):
                yield step, later


def _is_alone(saga: Recorded, step: str, place: int) -> bool:
    """Return whether a step was being undone on its saga's way forward, before the event at this place of the log.

    What came after such a step could begin, and be undone, later. A rewind forgets that, so the state of that time is asked.
    """
    try:
        state = replay(saga.plan, saga.head.saga_id, saga.events[:place])
    except GoConductorError:
        return False
    rewinds = state.rewind is not None and outermost(step) in state.rewind.steps
    return state.phase is SagaStatus.RUNNING and not rewinds


def _round(steps: Mapping[str, StepState], name: str) -> int:
    """Return the round in which a step is at the end: of an item whose map has not grown again, the map's."""
    while name not in steps and (found := split(name)) is not None:
        name = found.map
    return steps[name].round if name in steps else 0


def ended(saga: Recorded) -> Iterator[str]:
    """I4, of one saga: it completed or was compensated."""
    if saga.head.status not in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED):
        yield f"not ended:\n{saga.story()}"


def accepted(sagas: Iterable[Recorded], starts: Iterable[UUID]) -> Iterator[str]:
    """I5: whatever was accepted is there."""
    known = {saga.head.saga_id for saga in sagas}
    yield from (f"saga {saga_id} was accepted and is not there" for saga_id in starts if saga_id not in known)


def legal_history(saga: Recorded) -> Iterator[str]:
    """Check I6: the log has no gap and only legal moves, all invariants hold after each, and the head is the sum of them."""
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
    untold = state.parent is not None and state.phase.done and head.wake_at is not None
    if state.status != head.status or ((state.wake_at is None) != (head.wake_at is None) and not untold):
        yield f"{where}: its head has {head.status}, wake_at {head.wake_at}; its log {state.status}, {state.wake_at}"


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


def same_start(sagas: Iterable[Recorded], keys: Mapping[str, UUID], answers: Iterable[tuple[str, UUID]]) -> Iterator[str]:
    """I8: one key started one saga, in whichever process.

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


async def broken_promises(url: str, *, schema: str = "goconductor") -> list[str]:
    """Find what is wrong with the sagas of a store, whose services may have been killed at any moment.

    Args:
        url: the store's DSN.
        schema: where its tables are.

    Returns:
        what is wrong, in words: a history that could not have come about, a compensation that is missing or came too early, a
        saga that neither completed nor was compensated. Nothing, if all is well.
    """
    sagas = await recorded(url, schema=schema)
    return [wrong for saga in sagas for check in (legal_history, compensation_order, ended) for wrong in check(saga)]
