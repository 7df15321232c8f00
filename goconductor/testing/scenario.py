"""A saga's life as a conversation: given an event, expect these effects.

::

    Scenario(ORDER)
        .given(SagaStarted(input={"sku": "A-1"}))        .expect(RunAction("reserve_stock"))
        .given(ActionSucceeded("reserve_stock"))         .expect(RunAction("charge_card"))
        .given(ActionFailed("charge_card", failure=NO))  .expect(RunCompensation("reserve_stock"))
        .given(CompensationSucceeded("reserve_stock"))   .expect(EndSaga(SagaStatus.COMPENSATED))

It asks the same pure function that every participant asks, without a bus, a database or a clock; time passes only by ``wait``.
After each event all invariants are checked, and the log so far is replayed and must give the same state. The form of the
conversation is Eventuate's (``SagaUnitTestSupport``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol, Self, TypeAlias, get_args
from uuid import UUID

import msgspec

from goconductor.errors import RequestRefusedError, UnexpectedEventError, check_type, unfit
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts.effects import (
    Decision,
    Effect,
    EndSaga,
    RunAction,
    RunCompensation,
    SeeToChildren,
    SeeToLocks,
    SetTimer,
    Settle,
    SettleUndo,
)
from goconductor.lifecycle.facts.events import DeadlinePassed, Event, LoggedEvent, SagaStarted, StepEvent, TimerFired
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.pending_work import pending_work
from goconductor.lifecycle.replay import replay
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Definition
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from goconductor.saga.retry import Retry, seconds

SAGA_ID = UUID("01900000-0000-7000-8000-000000000001")
"""The id of a scenario's saga, always the same: so is the jitter of its waits."""

WORK = (RunAction, RunCompensation, Settle)


class Defined(Protocol):
    """Whatever has a definition, such as a ``Saga``."""

    @property
    def definition(self) -> Definition: ...


class Timer(msgspec.Struct, frozen=True):
    """An expected :class:`SetTimer`, made by :func:`timer`."""

    step: str
    direction: Direction
    after_seconds: float | None
    jitter: float


Expected: TypeAlias = Effect | Timer


def timer(
    step: str,
    *,
    after: float | str | None = None,
    direction: Direction = Direction.ACTION,
    jitter: float = Retry().jitter,
) -> Timer:
    """Make a timer to expect, without its exact moment.

    Args:
        step: the step of the timer.
        after: the wait by its policy, jitter aside: seconds, or a string with a unit; None for any.
        direction: the action's, or the compensation's.
        jitter: by which part of itself the wait may be longer.
    """
    return Timer(step, direction, None if after is None else seconds(after), jitter)


class Scenario:
    """One saga, its log, and what the last event has asked for.

    Args:
        saga: a definition, or an object that has one.

    Raises:
        ArgumentError: it has no definition.
        DefinitionError: the definition cannot run.
    """

    def __init__(self, saga: Definition | Defined) -> None:
        if not isinstance(saga, Definition) and (isinstance(saga, type) or not hasattr(saga, "definition")):
            raise unfit("saga", saga, "a Saga, or its definition")
        definition = saga if isinstance(saga, Definition) else saga.definition
        check(definition)
        self._plan = plan(definition)
        self._state: SagaState | None = None
        self._events: list[Event] = []
        self._effects: list[Effect] = []
        self._story: list[str] = []
        self._refusal: RequestRefusedError | UnexpectedEventError | None = None
        self.now = 0.0
        """The scenario's time in seconds; events without a time of their own get it."""

    @property
    def state(self) -> SagaState:
        """The state after all events so far."""
        if self._state is None:
            raise AssertionError("the saga has not started; begin with given(SagaStarted(input=…))")
        return self._state

    @property
    def events(self) -> Sequence[Event]:
        """The saga log: all events that were accepted."""
        return tuple(self._events)

    @property
    def effects(self) -> Sequence[Effect]:
        """What has been asked for since the last ``given`` or ``wait``."""
        return tuple(self._effects)

    @property
    def refusal(self) -> RequestRefusedError | UnexpectedEventError | None:
        """Why the last event was not accepted; None if it was."""
        return self._refusal

    def given(self, event: Event) -> Self:
        """Let something happen. An event without a time happens now. If it is refused, ``expect_refused`` must follow.

        Raises:
            ArgumentError: this is no event.
            AssertionError: an invariant does not hold after it, or the replayed log gives another state.
        """
        __tracebackhide__ = True
        check_type("event", event, LoggedEvent, "an event, such as SagaStarted(input={})")
        self._accepted()
        self._effects.clear()
        self._story.append(describe_event(event))
        try:
            self._take(event)
        except (RequestRefusedError, UnexpectedEventError) as error:
            self._refusal = error
            self._story.append(f"  ! refused: {self._named(error)}")
        else:
            self._tell_status()
        return self

    def wait(self, duration: float | str) -> Self:
        """Time passes. What falls due on the way happens, in order: timers fire, the saga's deadline passes.

        Args:
            duration: seconds, or a string with a unit: ``"250ms"``, ``"10s"``, ``"5m"``.
        """
        __tracebackhide__ = True
        self._accepted()
        until = self.now + seconds(duration)
        self._effects.clear()
        self._story.append(f"wait {seconds(duration):g}s")
        while (due := self._next_due(until)) is not None:
            self.now, event = max(self.now, due[0]), due[1]
            self._story.append(f"  · {describe_event(event)}")
            self._take(event)
        self.now = until
        self._tell_status()
        return self

    def expect(self, *effects: Expected) -> Self:
        """Exactly these effects were asked for since the last ``given`` or ``wait``, in any order.

        An expected attempt of 1 and round of 0, the defaults, stand for whatever is the present one.

        Raises:
            ArgumentError: one is no effect.
            AssertionError: others were asked for; shows the story so far.
        """
        __tracebackhide__ = True
        for number, effect in enumerate(effects):
            check_type(f"effects[{number}]", effect, (*get_args(Effect), Timer), "effects, such as RunAction('charge')")
        self._accepted()
        missing = list(effects)
        surplus: list[Effect] = []
        for actual in self._effects:
            match = next((expected for expected in missing if self._fits(expected, actual)), None)
            if match is None:
                surplus.append(actual)
            else:
                missing.remove(match)
        if missing or surplus:
            self._fail(
                [self._describe(effect) for effect in effects] or ["nothing"],
                [self._describe(effect) for effect in self._effects] or ["nothing"],
            )
        return self

    def expect_nothing(self) -> Self:
        """Expect that no effect was asked for since the last ``given`` or ``wait``."""
        __tracebackhide__ = True
        return self.expect()

    def expect_refused(self, text: str = "") -> Self:
        """Expect that the last event was refused, and changed nothing.

        Args:
            text: a part of the reason.
        """
        __tracebackhide__ = True
        refusal, self._refusal = self._refusal, None
        if refusal is None:
            self._fail([f"refused: …{text}…"], ["accepted"])
        if text not in str(refusal):
            self._fail([f"refused: …{text}…"], [f"refused: {refusal}"])
        return self

    def expect_status(self, status: SagaStatus | str) -> Self:
        """Expect that the saga has this status now."""
        __tracebackhide__ = True
        self._accepted()
        if self.state.status != status:
            self._fail([f"status {status}"], [f"status {self.state.status}"])
        return self

    def story(self) -> str:
        """Return the conversation so far: each event, and indented below it what it asked for and the saga's status."""
        return "\n".join(self._story)

    def _take(self, event: Event) -> None:
        if not event.at:
            event = msgspec.structs.replace(event, at=self.now)
        self.now = max(self.now, event.at)
        decision = self._decide(event)
        self._events.append(decision.event)
        self._state = decision.state
        self._effects += decision.effects
        self._story += [f"  → {self._describe(effect)}" for effect in decision.effects]
        if found := list(violations(self._plan, decision.state)):
            self._fail(["all invariants hold"], found)
        if (again := replay(self._plan, SAGA_ID, self._events)) != decision.state:
            self._fail([f"the replayed log gives {decision.state}"], [str(again)])

    def _decide(self, event: Event) -> Decision:
        if self._state is None and isinstance(event, SagaStarted):
            return begin(self._plan, SAGA_ID, event)
        return decide(self._plan, self.state, event)

    def _next_due(self, until: float) -> tuple[float, Event] | None:
        state = self.state
        if state.phase.ended:
            return None
        due: list[tuple[float, Event]] = [
            (t.due_at, TimerFired(t.step, t.attempt, t.round, direction=t.direction))
            for t in pending_work(state.steps)
            if isinstance(t, SetTimer)
        ]
        if state.next_deadline_at is not None:
            due.append((state.next_deadline_at, DeadlinePassed()))
        first = min(due, key=lambda one: one[0], default=None)
        return first if first is not None and first[0] <= until else None

    def _fits(self, expected: Expected, actual: Effect) -> bool:
        if isinstance(expected, Timer):
            if not isinstance(actual, SetTimer) or (expected.step, expected.direction) != (actual.step, actual.direction):
                return False
            least = expected.after_seconds
            return least is None or least - 1e-6 <= actual.due_at - self.now <= least * (1 + expected.jitter) + 1e-6
        if isinstance(expected, WORK) and isinstance(actual, WORK):
            attempt = expected.attempt if expected.attempt != 1 else actual.attempt
            expected = msgspec.structs.replace(expected, attempt=attempt, round=expected.round or actual.round)
        return expected == actual

    def _accepted(self) -> None:
        __tracebackhide__ = True
        if self._refusal is not None:
            self._fail(["accepted"], [f"refused: {self._refusal}"])

    def _fail(self, expected: Sequence[str], actual: Sequence[str]) -> NoReturn:
        __tracebackhide__ = True
        lines = ["The story so far:", *(f"    {line}" for line in self._story)]
        lines += ["Expected:", *(f"    {line}" for line in expected), "Actual:", *(f"    {line}" for line in actual)]
        raise AssertionError("\n".join(lines))

    def _tell_status(self) -> None:
        state = self.state
        about = ", ".join(sorted(state.stuck_steps)) or state.reason.removeprefix("terminated: ")
        late = "; late effects are possible" if state.late_effects else ""
        if state.rewind is not None:
            late += f"; goes back: {', '.join(state.rewind.steps)}"
        late += "".join(f"; {name} takes way {self._plan.savepoints[name][way.number]}" for name, way in state.ways.items())
        if state.left_standing:
            late += f"; effects left standing: {', '.join(state.left_standing)}"
        self._story.append(f"  = {state.status}" + (f": {about}" if about else "") + late)

    def _named(self, error: Exception) -> str:
        return str(error).replace(f"saga {SAGA_ID}", "the saga")

    def _describe(self, effect: Expected) -> str:
        match effect:
            case RunAction():
                return _worded("run", effect.step, effect.attempt, effect.round)
            case RunCompensation():
                return _worded("compensate", effect.step, effect.attempt, effect.round)
            case SettleUndo():
                return _worded("settle the undo of", effect.step, effect.attempt, effect.round)
            case Settle():
                return _worded("settle", effect.step, effect.attempt, effect.round)
            case SetTimer():
                wait = _worded("wait for", effect.step, effect.attempt, effect.round)
                return f"{wait} ({effect.direction}), {effect.due_at - self.now:.2f} s"
            case Timer():
                after = "any time" if effect.after_seconds is None else f"{effect.after_seconds:g} s and some jitter"
                return f"wait for {effect.step} ({effect.direction}), {after}"
            case EndSaga():
                return f"end: {effect.status}"
            case SeeToLocks():
                return "see to its locks"
            case SeeToChildren():  # pragma: no branch
                return "see to its children"


def _worded(verb: str, step: str, attempt: int, round: int) -> str:
    return f"{verb} {step}" + (f", attempt {attempt}" if attempt > 1 else "") + (f", round {round}" if round else "")


def describe_event(event: Event) -> str:
    """Return one line: the event's name, its step, and those of its fields that differ from their defaults."""
    about = [type(event).__name__]
    if isinstance(event, StepEvent):
        about.append(event.step)
    for field in msgspec.structs.fields(event):
        value = getattr(event, field.name)
        if field.name not in {"step", "at"} and (field.required or value != field.default):
            about.append(f"{field.name}={msgspec.json.encode(value).decode()}")
    return " ".join(about)
