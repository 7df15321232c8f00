"""A saga's log as sentences for people: each event with its actor, its time, its duration and its cause.

The log holds facts only. The consequence of a fact is not stored: :func:`~goconductor.lifecycle.decide.decide` gives it, and the
same log always gives the same answer. So a story is built by folding the log as a participant does. It keeps for each effect the
event that requested it; when the outcome comes, that event is its cause.

A :class:`StoryBuilder` takes entry after entry, so that a watcher of a live saga need not begin anew with each of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import Field

from goconductor.control.actor import Actor
from goconductor.control.consequences import consequences
from goconductor.control.models import Document, StepStatus, moment
from goconductor.control.sagas.queries import saga_status
from goconductor.control.wording import doer, happened
from goconductor.engine.facts import log
from goconductor.engine.facts.log import UnreadableLogError
from goconductor.engine.node import Node
from goconductor.errors import GoConductorError, SagaNotFoundError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts.effects import Decision, EndSaga, RunAction, RunCompensation, SetTimer, Settle, SettleUndo
from goconductor.lifecycle.facts.events import (
    OF_COMPENSATION,
    STEP_REQUESTS,
    Event,
    SagaStarted,
    StepEvent,
    TimerFired,
)
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.ports.store import LogEntry
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan

PAGE_ENTRIES = 1000
"""Number of events that are read at a time."""

_WAITS = (StepStatus.WAITING, StepStatus.QUEUED, StepStatus.COMPENSATING)


class StoryLine(Document):
    """One event of a saga, as a sentence."""

    seq: int
    at: datetime
    since_start_seconds: float
    event: str
    step: str | None = None
    attempt: int | None = None
    by: str = Field(description="the participant that wrote it, or the operator who asked for it")
    took_seconds: Annotated[float | None, Field(description="from when it was asked for; null where nobody asked")] = None
    because_of: Annotated[int | None, Field(description="the seq of the event that asked for it")] = None
    text: str = Field(description="a sentence")
    consequences: list[str] = Field(default_factory=list, description="what followed from it, a clause each")
    status: Annotated[SagaStatus | None, Field(description="the saga's, after it")] = None


class Story(Document):
    """A saga's log as a story, from its start."""

    saga_id: UUID
    saga: str
    version: str
    status: SagaStatus | None = None
    took_seconds: Annotated[float | None, Field(description="from its start to its end; null while it goes on")] = None
    lines: list[StoryLine]
    waits: list[str] = Field(default_factory=list, description="what the steps that are due wait for now, a clause each")


class Timing(NamedTuple):
    """How long one side of a step has been asked for."""

    seq: int
    """The seq of the event that requested it."""
    asked_at: float
    ended_at: float | None = None


class StoryBuilder:
    """Builds the story of one saga, entry after entry.

    Args:
        plan: the saga's compiled definition.
        saga_id: the saga's id.
        version: the version under which its definition is stored, if that is not the plan's.
    """

    def __init__(self, plan: Plan, saga_id: UUID, *, version: str = "") -> None:
        self.state: SagaState | None = None
        self.timings: dict[tuple[str, Direction], Timing] = {}
        self.seq = 0
        self._plan = plan
        self._log = Log(plan)
        self.saga_id = saga_id
        self._version = version or plan.version
        self._timers: dict[tuple[str, Direction], int] = {}
        self._lost = ""

    def foresee(self, entries: Iterable[LogEntry]) -> None:
        """Learn what conditions answered: an event may carry the answers of those before it, which an older version wrote."""
        if not self._plan.asks:
            return
        for entry in entries:
            with suppress(UnreadableLogError):
                self._log.learn(log.event(entry))

    def add(self, entry: LogEntry) -> StoryLine:
        """Return the sentence of the next entry; from one that this version cannot read on, only the bare facts."""
        self.seq = entry.seq
        try:
            event = log.event(entry)
            decided = None if self._lost else self._decide(event)
        except GoConductorError as error:
            self._lost = self._lost or str(error)
            event, decided = None, None
        before = self.state
        cause, took = self._cause(event, entry) if event is not None and before is not None else (None, None)
        if decided is not None:
            self.state = decided.state
            self._remember(decided, entry)
        started = entry.at if self.state is None else self.state.started_at
        return StoryLine(
            seq=entry.seq,
            at=moment(entry.at),
            since_start_seconds=round(max(0.0, entry.at - started), 6),
            event=entry.event,
            step=entry.step or None,
            attempt=entry.attempt if entry.step else None,
            by=doer(event, entry.participant),
            took_seconds=None if took is None else round(took, 6),
            because_of=cause,
            text=happened(event, entry, took, before, self._plan),
            consequences=[] if decided is None else list(consequences(self._plan, before, decided, entry.at)),
            status=None if decided is None else decided.state.status,
        )

    def story(self, lines: list[StoryLine]) -> Story:
        """Return the story so far."""
        ended = self.state is not None and self.state.status.ended
        return Story(
            saga_id=self.saga_id,
            saga=self._plan.name,
            version=self._version,
            status=None if self.state is None else self.state.status,
            took_seconds=lines[-1].since_start_seconds if ended else None,
            lines=lines,
        )

    def _decide(self, event: Event) -> Decision:
        if isinstance(event, SagaStarted):
            return begin(self._plan, self.saga_id, event, self._log)
        assert self.state is not None  # noqa: S101  (a log begins with SagaStarted)
        return decide(self._plan, self.state, event, self._log)

    def _cause(self, event: Event, entry: LogEntry) -> tuple[int | None, float | None]:
        """Return which event requested this outcome, and how long ago."""
        if not isinstance(event, StepEvent):
            return None, None
        if isinstance(event, TimerFired):
            return self._timers.pop((event.step, event.direction), None), None
        side = _side(event)
        asked = self.timings.get((event.step, side))
        if asked is None or isinstance(event, STEP_REQUESTS):
            return None, None
        self.timings[event.step, side] = asked._replace(ended_at=entry.at)
        return asked.seq, max(0.0, entry.at - asked.asked_at)

    def _remember(self, decided: Decision, entry: LogEntry) -> None:
        asked = Timing(entry.seq, entry.at)
        for effect in decided.effects:
            match effect:
                case SettleUndo():
                    self.timings[effect.step, Direction.COMPENSATION] = asked
                case RunAction() | Settle():
                    self.timings[effect.step, Direction.ACTION] = asked
                case RunCompensation():
                    self.timings[effect.step, Direction.COMPENSATION] = asked
                case SetTimer():
                    self._timers[effect.step, effect.direction] = entry.seq
                case EndSaga():  # pragma: no branch
                    pass


def story(plan: Plan, saga_id: UUID, entries: Iterable[LogEntry]) -> Story:
    """Return the story of a whole log.

    Args:
        plan: the saga's compiled definition.
        saga_id: the saga's id.
        entries: its log from the first event on.
    """
    builder, entries = StoryBuilder(plan, saga_id), [*entries]
    builder.foresee(entries)
    return builder.story([builder.add(entry) for entry in entries])


async def saga_story(actor: Actor, node: Node, saga_id: UUID) -> Story:
    """Return the story of a saga.

    Raises:
        SagaNotFoundError: there is no such saga.
        StoreUnavailableError: the database cannot be reached.
    """
    builder = await story_builder(actor, node, saga_id)
    found = builder.story(await catch_up(actor, node, builder))
    return found.model_copy(update={"waits": await _waits(actor, node, builder)})


async def _waits(actor: Actor, node: Node, builder: StoryBuilder) -> list[str]:
    """Return what no event shows, because nothing has happened: missing participants, and journals that cannot be used."""
    state = builder.state
    if state is None or state.status.ended:
        return []
    detail = await saga_status(actor, node, builder.saga_id)
    return [
        f"{step.id} {step.reason}"
        for step in detail.steps
        if step.reason and step.status in _WAITS and state.step(step.id).action.status is not ActionStatus.PENDING
    ]


async def story_builder(actor: Actor, node: Node, saga_id: UUID) -> StoryBuilder:
    """Return a builder at the begin of a saga's story.

    Raises:
        as :func:`saga_story`.
    """
    head = await node.store.sagas.head(saga_id)
    if head is None:
        raise SagaNotFoundError(f"there is no saga {saga_id}; list the sagas, or check which database you are connected to")
    return StoryBuilder(await node.definitions.plan(head.saga, head.version), saga_id, version=head.version)


async def catch_up(actor: Actor, node: Node, builder: StoryBuilder) -> list[StoryLine]:
    """Return the lines of what has happened since.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    lines: list[StoryLine] = []
    while page := await node.store.sagas.history(builder.saga_id, after=builder.seq, limit=PAGE_ENTRIES):
        builder.foresee(page)
        lines += map(builder.add, page)
    return lines


def _side(event: StepEvent) -> Direction:
    direction = getattr(event, "direction", Direction.ACTION)
    back = isinstance(event, OF_COMPENSATION) or direction in (Direction.COMPENSATION, Direction.SETTLE_UNDO)
    return Direction.COMPENSATION if back else Direction.ACTION
