"""What the doors show of sagas: the same documents over REST, at the command line and wherever else people look.

Times are UTC; values are JSON as the saga has them.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.requests.catalogue import Request
from goconductor.saga.data.moments import SECONDS_MAX


class StepStatus(enum.StrEnum):
    """What a step is doing, as people see it."""

    PENDING = "pending"
    """Has not begun, and waits for nothing in particular: the saga is paused, goes back, or is over."""
    QUEUED = "queued"
    """Its turn has come; nobody has taken it yet."""
    RUNNING = "running"
    """An instance holds its lease."""
    WAITING = "waiting"
    """Waits for what ``reason`` describes."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Nobody knows whether it ran."""
    SKIPPED = "skipped"
    GIVEN_UP = "given_up"
    """Failed for good, and the saga goes on without it."""
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    STUCK = "stuck"
    """An operator must decide."""


class Document(BaseModel):
    """What is shown."""

    model_config = ConfigDict(frozen=True)


class WaitDetail(Document):
    """What a step waits for that nobody runs."""

    event: Annotated[str | None, Field(description="the name of the signal that ends it")] = None
    approval: Annotated[str | None, Field(description="the question that a person is to answer")] = None
    round: Annotated[int, Field(description="the step's round; an approval names it")] = 0
    since: datetime
    until: Annotated[datetime | None, Field(description="when time ends it; null where it waits without an end")] = None


class SignalDetail(Document):
    """A signal that no step has taken yet."""

    id: str
    name: str
    payload: Any = None
    approves: Annotated[str | None, Field(description="the step that it approves")] = None
    by: str = ""
    reason: Annotated[str, Field(description="why it approves")] = ""
    at: datetime
    why: Annotated[str, Field(description="why the last step that looked at it could not read it")] = ""


class StepDetail(Document):
    """One step of one saga."""

    id: str
    run: str = Field(description="the code, as participant.step; empty where no participant runs it")
    saga: Annotated[str | None, Field(description="the saga that it starts, by name")] = None
    started: Annotated[UUID | None, Field(description="the saga that it has started last; of a hundred steps at most")] = None
    undo: Annotated[
        str | None,
        Field(description="what undoes it: code, a signal, an approval, or 'none'; null where its service knows"),
    ] = None
    status: StepStatus
    reason: Annotated[str | None, Field(description="why it waits, or why it is what it is")] = None
    waits_for: Annotated[WaitDetail | None, Field(description="while it waits and nobody runs it")] = None
    attempt: Annotated[int, Field(description="the present or last attempt of its action, from 1; 0 before the first")] = 0
    compensation_attempt: Annotated[int, Field(description="the same of its compensation")] = 0
    error: Annotated[str | None, Field(description="the last failure")] = None
    traceback: Annotated[str | None, Field(description="where in the step's code it was raised")] = None
    output: Any = None
    edited: Annotated[dict[str, Any] | None, Field(description="inputs that an operator gave")] = None
    round: Annotated[int, Field(description="the number of this run of the step: 0, and another one after each restart")] = 0
    allowed: Annotated[list[Request], Field(description="what it accepts now")] = []
    owner: Annotated[str | None, Field(description="the instance that runs it now")] = None
    after: list[str] = Field(description="the steps before it")
    follows: Annotated[
        list[str], Field(description="the same as it was written: a group or a switch in place of the last steps of it")
    ] = []


class ParentDetail(Document):
    """The step that started a saga."""

    saga_id: UUID
    step: str
    round: Annotated[int, Field(description="the round of the step")] = 0
    attempt: Annotated[int, Field(description="the attempt of its action, or of its compensation")] = 1
    undoes: Annotated[bool, Field(description="whether this saga undoes that step")] = False


class SagaDetail(Document):
    """One saga with its steps, in an order that the graph allows."""

    saga_id: UUID
    saga: str
    version: str
    status: SagaStatus
    revision: str = Field(description="its place in the log; a request can be made to depend on it")
    allowed: Annotated[list[Request], Field(description="what it, or one of its steps, accepts now")] = []
    late_effects: Annotated[
        bool, Field(description="an effect may stand: a skip was forced, or an action succeeded after its compensation had begun")
    ] = False
    left_standing: Annotated[
        list[str], Field(description="steps whose compensation was skipped, so that their effects may stand")
    ] = []
    rewinding: Annotated[
        list[str], Field(description="steps that are being undone and then begin again, in an order that the graph allows")
    ] = []
    deadline_at: datetime | None = None
    reason: Annotated[str | None, Field(description="why it turned back, was paused or was terminated")] = None
    started_at: Annotated[datetime, Field(description="by the database's clock, as in a list")]
    updated_at: datetime
    labels: dict[str, str] = {}
    parent: Annotated[ParentDetail | None, Field(description="the step of another saga that started it, and ends with it")] = None
    restarted_from: Annotated[UUID | None, Field(description="the saga that had ended, and in whose place it was started")] = None
    restarted_as: Annotated[UUID | None, Field(description="the saga that was started in its place, once it had ended")] = None
    signals: Annotated[list[SignalDetail], Field(description="those that no step has taken, in the order of the log")] = []
    input: Any = None
    output: Annotated[Any, Field(description="what it answers; only of a completed saga")] = None
    steps: list[StepDetail]


class Hindrance(Document):
    """A step that cannot go back."""

    step: str
    problem: str


class RestartPreview(Document):
    """What a restart would do now. Nothing has changed."""

    saga_id: UUID
    revision: str = Field(description="the saga's place in the log; the restart can be made to depend on it")
    accepted: Annotated[bool, Field(description="whether the restart would be accepted now")]
    problem: Annotated[str | None, Field(description="why it would not")] = None
    steps: Annotated[list[str], Field(description="what goes back, in an order that the graph allows")] = []
    compensated: Annotated[list[str], Field(description="those that may have had an effect, the last first")] = []
    awaited: Annotated[list[str], Field(description="those at work: what they say is waited for")] = []
    refusing: Annotated[list[Hindrance], Field(description="those that cannot go back, and why")] = []
    warning: Annotated[str | None, Field(description="what an operator should know before")] = None


class SagaSummary(Document):
    """One row of a list."""

    saga_id: UUID
    saga: str
    version: str
    status: str
    started_at: datetime
    updated_at: datetime
    labels: dict[str, str] = {}
    restarted_from: Annotated[UUID | None, Field(description="the saga that had ended, and in whose place it was started")] = None


class SagaPage(Document):
    """Some sagas, newest first."""

    sagas: list[SagaSummary]
    cursor: Annotated[str | None, Field(description="ask for the rest with this, and the same filters; null at the end")] = None
    searched_until: Annotated[
        datetime | None,
        Field(description="the search is not over: it came to the sagas of this time; the cursor goes on from there"),
    ] = None


class HistoryEntry(Document):
    """One event of a saga's log."""

    seq: int
    at: datetime
    event: str
    step: str | None = None
    round: int = 0
    attempt: int | None = None
    participant: str = Field(description="who wrote it")
    data: dict[str, Any] = {}


class FeedEvent(Document):
    """One event in the order of all sagas' events, with its saga."""

    cursor: Annotated[str, Field(description="go on behind the event with this")]
    saga_id: UUID
    saga: str
    labels: dict[str, str] = {}
    status: Annotated[SagaStatus | None, Field(description="the saga's status after it; null where it is not known")] = None
    before: Annotated[SagaStatus | None, Field(description="the status before it")] = None
    entry: HistoryEntry


class History(Document):
    """A part of a saga's log, oldest first."""

    saga_id: UUID
    entries: list[HistoryEntry]
    after: Annotated[int | None, Field(description="ask for the rest with this; null at the end")] = None


class DefinitionSummary(Document):
    """One version of a saga's definition."""

    saga: str
    version: str
    active: bool = Field(description="whether new sagas that are started by name take this version")
    pinned: Annotated[
        bool, Field(description="an operator pinned it; else the newest that a living instance offers is active")
    ] = False
    offered_by: Annotated[int, Field(description="how many living instances have it in their code")] = 0
    features: Annotated[list[str], Field(description="what it uses that older code does not know")] = []
    waits_for: Annotated[
        list[str], Field(description="living instances that do not know these; it is not active before they are replaced")
    ] = []
    registered_at: datetime | None = None


class DefinitionDetail(DefinitionSummary):
    """One version with its document, whose hash is the version, and as it was written where it has groups or switches."""

    document: dict[str, Any]
    written: dict[str, Any] | None = None


class DefinitionList(Document):
    """Versions of definitions."""

    definitions: list[DefinitionSummary]


class CheckedDefinition(Document):
    """What is wrong with a definition that lies in a file."""

    file: str
    saga: Annotated[str | None, Field(description="its name, as far as it can be read")] = None
    version: Annotated[str | None, Field(description="what it would be registered as; null where it cannot run")] = None
    steps: int = 0
    problems: list[str] = []
    advice: Annotated[list[str], Field(description="what can run, and may surprise: each with its remedy")] = []


class CheckedDefinitions(Document):
    """The same of some files."""

    sound: bool = Field(description="none has a problem")
    definitions: list[CheckedDefinition]


class LockDetail(Document):
    """A saga that holds a lock, or waits for it."""

    key: str
    saga_id: UUID
    mode: Annotated[str, Field(description="'exclusive', or 'shared' with others that are shared too")]
    held: Annotated[bool, Field(description="whether it holds the lock; else it waits")]
    number: Annotated[int | None, Field(description="of this taking; each later one has a higher number")] = None
    since: Annotated[datetime, Field(description="when it took the lock, or began to wait")]
    status: Annotated[str | None, Field(description="the saga's; one that has ended is in nobody's way any more")] = None


class LockPage(Document):
    """Locks by key: first who holds one, then who waits for it, in the order of the queue."""

    locks: list[LockDetail]
    after: Annotated[str | None, Field(description="where the next page begins; null at the end")] = None


class Readiness(Document):
    """Whether requests can be served, and by part what is missing."""

    ready: bool
    parts: dict[str, str] = Field(description="'ready', or what is wrong and the remedy")


class InstanceDetail(Document):
    """One process of a participant."""

    serial: int
    name: str
    alive: bool = Field(description="its sign of life, a lock in the database, is there")
    started_at: datetime
    heard_at: Annotated[datetime | None, Field(description="its last sign of life")] = None
    dead_at: Annotated[datetime | None, Field(description="when it left or was declared dead")] = None
    leases: Annotated[int, Field(description="how many steps it runs by its leases")] = 0
    lease_ends_at: Annotated[datetime | None, Field(description="when its oldest lease ends unless it is renewed")] = None
    steps: list[str] = []


class ParticipantDetail(Document):
    """One participant: all processes of one name."""

    participant: str
    alive: int = Field(description="how many of its instances live")
    leases: int
    steps: list[str] = Field(description="what its living instances offer")
    instances: list[InstanceDetail]


class ParticipantList(Document):
    """All participants."""

    participants: list[ParticipantDetail]


class SweepDetail(Document):
    """What the leader did lately."""

    at: datetime
    epoch: int
    did: dict[str, int] = Field(description="what it counted since its last report")


class LeaderDetail(Document):
    """Who leads."""

    holder: Annotated[str | None, Field(description="null while nobody leads")] = None
    epoch: int = 0
    ends_at: datetime | None = None
    last_sweep: SweepDetail | None = None


class ProcessDetail(Document):
    """A living process's report on the buses, or elections, that its settings name."""

    serial: int
    participant: str
    name: str
    names: list[str] = Field(description="those that its settings name, its own first")
    uses: str = Field(description="the one that it sends over, or campaigns in")
    number: int = Field(description="the change up to which it has followed")
    problem: Annotated[str, Field(description="why it cannot follow further")] = ""


class ChangeDetail(Document):
    """Which bus, or election, is used, and how far a change of it is."""

    kind: Literal["bus", "election"]
    chosen: Annotated[str | None, Field(description="the one that is used; null where living processes use several")] = None
    beside: Annotated[str | None, Field(description="the other one while a change is under way")] = None
    phase: Literal["joining", "draining", "settled"]
    number: int = Field(description="of the change; grows with each phase, 0 if there never was one")
    since: Annotated[datetime | None, Field(description="when this phase began")] = None
    by: Annotated[str, Field(description="who asked for it")] = ""
    done: bool = Field(description="no change is under way, and every living process has arrived")
    waits_for: list[str] = Field(description="what this phase waits for, in words")
    left_behind: Annotated[list[str], Field(description="who was left behind by force, until it is restarted")] = []
    instances: list[ProcessDetail]


class DeadLetterDetail(Document):
    """A message that was given up on."""

    letter_id: int
    topic: str
    reason: str
    at: datetime
    headers: dict[str, str] = {}
    bytes: int = Field(description="the length of its payload")
    text: Annotated[str | None, Field(description="the beginning of its payload, where that is text")] = None
    saga_id: Annotated[UUID | None, Field(description="the saga that it is about, where that is known")] = None


class DeadLetterPage(Document):
    """Some dead letters, newest first."""

    letters: list[DeadLetterDetail]
    before: Annotated[int | None, Field(description="ask for the rest with this; null at the end")] = None


def moment(unix_seconds: float) -> datetime:
    """Return a time as a datetime; one after the year 9999, which older definitions could ask for, as the end of that year."""
    return datetime.fromtimestamp(min(unix_seconds, SECONDS_MAX), UTC)
