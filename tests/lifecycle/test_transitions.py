"""The tables show each move that some saga can make, and no other: small sagas are led through everything that can happen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import Event, SagaStarted
from goconductor.lifecycle.facts.state import ActionStatus, CompensationStatus, SagaState, SagaStatus, Side, StepState
from goconductor.lifecycle.facts.transitions import ACTION_MOVES, COMPENSATION_MOVES, FIRST_STATUSES, SAGA_MOVES
from goconductor.lifecycle.fold import Fold
from goconductor.saga.definition import Binding, Definition, Delay, Map, Step, Undo, Wait, every_step
from goconductor.saga.plan import plan
from goconductor.saga.retry import Retry
from tests.lifecycle.sagas import FINAL, INPUT, sensible

WAITING = ("sent", "backoff", "waiting", "settling", "fencing", "fencing_undo", "stuck")
GOING_BACK = (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED)
BY_HAND = (e.RetryRequested, e.SkipRequested, e.OutcomeDeclared)
GO = Wait(event="go", timeout_seconds=5.0)
VALUES = {"#": "input.yes", "/": "input.missing", "*": 'steps["s" + "2"].output'}
ONCE = Retry(attempts_max=1)
MANY = 99
MAPS = {"@": "$.input.one", "^": "$.input.missing"}
DELAYS = {"~": Delay(seconds=5.0), "%": Delay(until="$.input.missing")}
UNDO = Undo(run="clerk.undo", inputs={"amount": Binding(value=1)})
Moves = dict[type[Any], dict[Any, set[Any]]]


def saga(*steps: str, unknowns_max: int = 2, attempts_max: int = 2) -> Definition:
    """``c`` is compensatable, ``t`` such a step that may fail, ``p`` the pivot, ``r`` retriable; a number after it says which
    step it waits for; ``?`` and ``!`` give it a condition that is false, or that cannot be evaluated. ``~`` makes it a delay,
    ``%`` one until a time of nowhere, and ``&`` a wait. ``#`` makes it a value, ``/`` one that cannot be worked out, and ``*``
    one that can once the third step has ended. ``@`` makes it a map over one item, ``^`` one over nothing that is there.
    """
    policy = Retry(attempts_max=attempts_max)
    return Definition(
        name="small",
        steps=tuple(
            Step(
                id=f"s{i}",
                map=Map(
                    over=MAPS[text[1]], do=(Step(id="a", run="service.a", retry=ONCE, compensation_retry=ONCE, unknowns_max=1),)
                ),
                after=tuple(f"s{n}" for n in text if n.isdigit()),
            )
            if text[1:2] in MAPS
            else Step(
                id=f"s{i}",
                delay=DELAYS.get(text[1]),
                wait=GO if text[1] == "&" else None,
                value=VALUES.get(text[1]),
                after=tuple(f"s{n}" for n in text if n.isdigit()),
                allow_fail=text[0] == "t",
            )
            if text[1:2] in {*DELAYS, *VALUES, "&"}
            else Step(
                id=f"s{i}",
                run=f"service.s{i}",
                inputs={"amount": Binding(value=1)},
                after=tuple(f"s{n}" for n in text if n.isdigit()),
                pivot=text[0] == "p",
                undo=UNDO if text[0] in "uv" else "none" if text[0] in "nm" else None,
                when="input.no" if "?" in text else "input.missing" if "!" in text else None,
                retry=policy,
                compensation_retry=policy,
                unknowns_max=unknowns_max,
                allow_fail=text[0] in "tvm",
            )
            for i, text in enumerate(steps)
        ),
    )


SMALL = {
    "one step": saga("c", unknowns_max=3),
    "one step that is lost at once": saga("c", unknowns_max=1),
    "two branches": saga("c", "c", unknowns_max=1, attempts_max=1),
    "a pivot": saga("p", unknowns_max=3),
    "a step and the pivot": saga("c", "p0"),
    "two retriable branches": saga("p", "r0", "r0", unknowns_max=1, attempts_max=1),
    "a step that is skipped": saga("c?"),
    "a step that is skipped, at the end": saga("c", "c0?"),
    "a condition that cannot be evaluated": saga("c!"),
    "such a condition beside a step": saga("c", "c!"),
    "such a condition after a step": saga("c", "c0!"),
    "such a condition after a pivot": saga("p", "r0!"),
    "such a condition after a retriable step": saga("p", "r0", "r1!", unknowns_max=1, attempts_max=1),
    "a value": saga("c#"),
    "a value after a step": saga("c", "c#0"),
    "a value that cannot be worked out": saga("c/"),
    "such a value that may fail": saga("t/"),
    "such a value after a pivot": saga("p", "r/0", unknowns_max=1, attempts_max=1),
    "such a value after a pivot, until a delay has ended": saga("p", "r*0", "r~0", unknowns_max=1, attempts_max=1),
    "a delay": saga("c~"),
    "a delay before a step": saga("c~", "c0"),
    "a delay after a step": saga("c", "c~0"),
    "a delay beside a step": saga("c", "c~"),
    "two delays, one after the other": saga("c~", "c~0"),
    "a delay before a pivot": saga("c~", "p0"),
    "a delay after a pivot": saga("p", "r~0"),
    "a delay beside a retriable step": saga("p", "r~0", "r0"),
    "a delay before a condition that cannot be evaluated": saga("c~", "c0!"),
    "the same after a pivot": saga("p", "r~0", "r1!"),
    "such a condition after a delay beside a step": saga("c", "c~", "c1!"),
    "two delays after a pivot": saga("p", "r~0", "r~1"),
    "a delay before a retriable step": saga("p", "r~0", "r1"),
    "a delay beside a delay": saga("c~", "c~"),
    "a wait": saga("c&"),
    "a wait beside a step": saga("c", "c&"),
    "a wait after a delay": saga("c~", "c&0"),
    "a wait before a condition that cannot be evaluated": saga("c&", "c0!"),
    "the same beside a step": saga("c", "c&", "c1!"),
    "a wait after a step and before one": saga("c", "c&0", "c1", unknowns_max=1, attempts_max=1),
    "two waits after a pivot": saga("p", "r&0", "r&1"),
    "a wait after a pivot, beside a retriable step": saga("p", "r&0", "r0", "r1!", unknowns_max=1, attempts_max=1),
    "a delay until a time that is missing": saga("c%"),
    "the same after a step": saga("c", "c%0"),
    "the same after a pivot and a delay": saga("p", "r~0", "r%1"),
    "a step that may fail": saga("t"),
    "such a step, lost at once": saga("t", unknowns_max=1),
    "such a step, never sent": saga("t!"),
    "such a step, never sent, after another": saga("c", "t0!"),
    "such a step and another": saga("t", "c0", unknowns_max=1, attempts_max=1),
    "such a step beside another": saga("t", "c", unknowns_max=1, attempts_max=1),
    "such a step and a condition that cannot be evaluated": saga("t", "c0!", unknowns_max=1, attempts_max=1),
    "such a step before a delay": saga("t", "c~0", unknowns_max=1, attempts_max=1),
    "such a step after a step and before a delay": saga("c", "t0", "c~1", unknowns_max=1, attempts_max=1),
    "such a step beside a delay": saga("t", "c~", unknowns_max=1, attempts_max=1),
    "such a step that is a delay": saga("t~"),
    "such a step that is a wait": saga("t&"),
    "such a step that is a wait, before another": saga("t&", "c0"),
    "such a step that is a wait, after another": saga("c", "t&0"),
    "such a step that is a delay until a time that is missing, after a step": saga("c", "t%0"),
    "a step with a declared undo": saga("u"),
    "such a step that may fail": saga("v", unknowns_max=1, attempts_max=1),
    "a step with nothing to undo": saga("n"),
    "such a step, lost at once, with nothing to undo": saga("n", unknowns_max=1),
    "such a step before a condition that cannot be evaluated": saga("n", "c0!"),
    "a step that may fail, with nothing to undo": saga("m", attempts_max=1),
    "the same before a delay": saga("m", "c~0", attempts_max=1),
    "the same before a condition that cannot be evaluated": saga("m", "c0!", unknowns_max=1, attempts_max=1),
    "the same beside a wait": saga("n", "c&"),
    "the same beside a wait before a value that cannot be worked out": saga("n", "c&", "c/1"),
    "a map": saga("c@"),
    "a map without a list": saga("c^"),
    "a map after a step": saga("c", "c@0", unknowns_max=1, attempts_max=1),
    "a map without a list, after a pivot": saga("p", "r^0", unknowns_max=1, attempts_max=1),
    "such a step between the two": saga("c", "t0", "c1!", unknowns_max=1, attempts_max=1),
}


NONE = Step(id="a", run="service.a", undo="none", retry=ONCE, unknowns_max=1)
TWICE = replace(NONE, id="b", run="service.b", when="index == 1", retry=Retry(attempts_max=2))


def one_is_enough(*do: Step, then: Step | None = None) -> Definition:
    """A map over two items, of which one is enough."""
    lines = Step(id="m", map=Map(over="$.input.two", do=do, join="any"))
    return Definition(name="small", steps=(lines, *(() if then is None else (replace(then, after=("m",)),))))


JOINED = {
    "items with nothing to undo": one_is_enough(NONE),
    "the same of two steps": one_is_enough(NONE, replace(NONE, id="b", run="service.b", after=("a",))),
    "a wait beside one that is tried again": one_is_enough(Step(id="a", wait=GO, when="index == 0"), TWICE),
    "the same before a wait": one_is_enough(Step(id="a", wait=GO, when="index == 0"), TWICE, then=Step(id="w", wait=GO)),
    "a delay beside it": one_is_enough(Step(id="a", delay=DELAYS["~"], when="index == 0"), TWICE),
    "the same before a delay": one_is_enough(
        Step(id="a", delay=DELAYS["~"], when="index == 0"), TWICE, then=Step(id="w", wait=GO)
    ),
}
"""Sagas with a map that does not need all its items."""
MORE = Step(id="s1", wait=Wait(event="more"))


def asks_a_signal(*, pivot: bool = False, beside: bool = False, then: Step = MORE) -> Definition:
    """A wait, and a step after it whose condition reads what was taken; what is taken in a new round may be other."""
    after = ("p",) if pivot else ()
    once = Retry(attempts_max=1)
    steps = [
        *([Step(id="p", run="service.p", pivot=True, retry=once, unknowns_max=1)] if pivot else []),
        Step(id="s0", wait=GO, after=after),
        replace(then, when="steps.s0.output.x > 1", after=("s0",)),
        *([Step(id="s2", run="service.s2", after=after, retry=once, unknowns_max=1)] if beside else []),
    ]
    return Definition(name="small", steps=tuple(steps))


def asks_a_value(*beside: Step, x: int = 7) -> Definition:
    """A step that runs where a value says so, and the value reads an input that a restart may give anew."""
    value = Step(id="v", value="inputs.x > 3", inputs={"x": Binding(value=x)})
    then = Step(id="s1", run="service.s1", after=("v",), when="steps.v.output", undo="none", unknowns_max=1, retry=ONCE)
    return Definition(name="small", steps=(value, then, *beside))


STEP = Step(id="s2", run="service.s2", unknowns_max=1, retry=ONCE, compensation_retry=ONCE)
SHORT = {"unknowns_max": 1, "attempts_max": 1}
RESTARTED = {
    "one step": saga("c", **SHORT),
    "two steps": saga("c", "c0", **SHORT),
    "a pivot": saga("p", "r0!", **SHORT),
    "a pivot that is skipped by hand": saga("p", "r0", **SHORT),
    "a step that is skipped": saga("c?", "c0", **SHORT),
    "a condition that cannot be evaluated": saga("c", "c0!", **SHORT),
    "a delay": saga("c~", "c0", **SHORT),
    "a delay after a step": saga("c", "c~0", **SHORT),
    "a delay beside a step": saga("c", "c~", **SHORT),
    "a wait": saga("c&"),
    "a wait after a pivot": saga("p", "r&0", **SHORT),
    "a step that may fail": saga("t", **SHORT),
    "such a step and another": saga("t", "c0", **SHORT),
    "such a step before a delay": saga("t", "c~0", **SHORT),
    "such a step that is a wait": saga("t&", "c0", **SHORT),
    "a wait after a pivot, beside a retriable step": saga("p", "r&0", "r0", **SHORT),
    "what is asked of a signal": asks_a_signal(),
    "the same beside a step": asks_a_signal(beside=True),
    "the same before a step with nothing to undo": asks_a_signal(then=Step(id="s1", run="service.s1", undo="none")),
    "what is asked of a value": asks_a_value(),
    "what is asked of a value beside a wait": asks_a_value(Step(id="w", wait=GO)),
    "what is asked of a value beside a step": asks_a_value(STEP),
    "a value that says no, beside a wait": asks_a_value(Step(id="w", wait=GO), x=1),
    "a value that says no, beside a step": asks_a_value(STEP, x=1),
    "the same after a pivot": asks_a_signal(pivot=True),
    "the same after a pivot, beside a step": asks_a_signal(pivot=True, beside=True),
}
"""Sagas that are restarted once, from any step, at any time."""


def possible(state: SagaState, *, restarts: bool) -> list[Event]:
    """Everything that can happen in this state, each once."""
    return [*{(type(each), msgspec.json.encode(each)): each for each in _possible(state, restarts=restarts)}.values()]


def _possible(state: SagaState, *, restarts: bool) -> Iterator[Event]:
    """Everything that can happen in this state, of what can change anything; late successes included."""
    yield from (each for each in sensible(state) if restarts or not isinstance(each, e.RestartRequested))
    if state.phase.ended:
        return
    if restarts and "v" in state.steps:
        yield from (e.RestartRequested(from_step="v", inputs={"x": each}, reason="because") for each in (1, 9, "no"))
    yield e.TerminateRequested(reason="because")
    yield e.TerminationRequested(reason="because")
    yield e.TerminationRequested(reason="because", forced=True)
    if not state.signals:
        for payload in (None, {"x": 1}, {"x": 2}) if restarts else (None,):
            yield e.SignalReceived(name="go", id=f"{state.signals_received}", payload=payload)
    for name, step in state.steps.items():
        now = step.round
        yield e.ActionSucceeded(name, round=now)
        yield e.CompensationSucceeded(name, round=now)
        if step.action.status is ActionStatus.SENT:
            yield e.ActionFailed(name, step.action.attempt, now, failure=FINAL)
        if step.action.status not in WAITING and step.compensation.status not in WAITING:
            continue
        if step.action.failure is not None and step.action.failure.type == "NoListError":
            yield e.InputEdited(name, round=now, inputs={"over": [1]}, reason="because")
            yield e.InputEdited(name, round=now, inputs={"over": []}, reason="because")
        yield e.RetryRequested(name, round=now)
        yield e.SkipRequested(name, round=now, reason="because")
        yield e.SkipRequested(name, round=now, reason="because", forced=True)
        yield e.OutcomeDeclared(name, round=now, happened=True, output=5, reason="seen")
        yield e.OutcomeDeclared(name, round=now, happened=False, reason="looked")


def tries(definition: Definition) -> int:
    """How many attempts its policies allow at most. An attempt after the last of them leads to what the last one does."""
    called = [each for each in every_step(definition.steps) if each.run]
    policies = [policy for each in called for policy in (each.retry, each.compensation_retry)]
    return max((MANY if policy is None else policy.attempts_max or MANY for policy in policies), default=1)


def side(of: Side[Any], tried_max: int) -> tuple[object, ...]:
    return of.status, min(of.attempt, tried_max), of.unknowns, of.failure is None


def closing(of: Side[Any]) -> tuple[object, ...]:
    return of.status, of.attempt > 0, of.unknowns > 0


def key(state: SagaState, tried_max: int) -> object:
    if state.phase is SagaStatus.TERMINATING:  # nothing is tried again
        return state.phase, tuple((n, *closing(s.action), *closing(s.compensation)) for n, s in sorted(state.steps.items()))
    steps = tuple(
        (name, *side(s.action, tried_max), *side(s.compensation, tried_max), s.skipping, str((s.edited or {}).get("over")))
        for name, s in sorted(state.steps.items())
    )
    return (
        state.phase,
        state.paused,
        state.deadline_passed,
        repr([each.payload for each in state.signals]),
        state.rewind and (state.rewind.steps, str(state.rewind.inputs)),
        steps,
    )


@pytest.fixture(scope="module")
def made() -> tuple[Moves, Moves, Moves, set[Any]]:
    """All moves of sagas, actions and compensations, and all first statuses."""
    sagas, actions, compensations = (defaultdict[type[Any], dict[Any, set[Any]]](lambda: defaultdict(set)) for _ in range(3))
    now: list[tuple[Moves, type[Any], object, object]] = []

    class Watched(Fold):
        __slots__ = ()

        def set_action(self, name: str, cause: type[Any], action: Side[ActionStatus], **changes: Any) -> StepState:
            now.append((actions, cause, self.step(name).action.status, action.status))
            return super().set_action(name, cause, action, **changes)

        def set_compensation(
            self, name: str, cause: type[Any], compensation: Side[CompensationStatus], **changes: Any
        ) -> StepState:
            now.append((compensations, cause, self.step(name).compensation.status, compensation.status))
            return super().set_compensation(name, cause, compensation, **changes)

    firsts = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("goconductor.lifecycle.decide.Fold", Watched)
        young = [*SMALL.values(), *JOINED.values()]
        for definition, restarts in [*((each, False) for each in young), *((each, True) for each in RESTARTED.values())]:
            compiled = plan(definition)
            level = [begin(compiled, UUID(int=1), SagaStarted(input=INPUT)).state]
            firsts.add(level[0].status)
            steps, tried_max = len(definition.steps), tries(definition)
            known = {key(level[0], tried_max)}
            attempts_max = 1 if steps > 3 else 3 if steps < 3 and not restarts else 2  # the states of three steps are many
            while level:
                reached = []
                for state in level:
                    for event in possible(state, restarts=restarts):
                        if state.rounds and isinstance(event, e.RestartRequested):
                            continue
                        if isinstance(event, e.TerminationRequested) and len(definition.steps) > 2:
                            continue  # each step is closed by itself, so small sagas show all of it
                        now.clear()
                        try:
                            after = decide(compiled, state, event).state
                        except (UnexpectedEventError, RequestRefusedError):
                            continue
                        sagas[type(event)][state.status].add(after.status)
                        for moves, cause, before, to in now:
                            moves[cause][before].add(to)
                        if after.rounds and after.rewind is None and after.phase not in GOING_BACK:
                            continue  # what was rewound is as if it had never begun: such a saga goes on like a young one
                        if isinstance(event, BY_HAND) and event.step not in state.stuck_steps:
                            continue  # what is settled by hand while it still waits leads where its own outcome does
                        if after.phase.ended:
                            continue  # the table of sagas lets it see nothing any more
                        attempts = max(s.action.attempt + s.compensation.attempt for s in after.steps.values())
                        if attempts <= attempts_max and (reaches := key(after, tried_max)) not in known:
                            known.add(reaches)
                            reached.append(after)
                level = reached
    return sagas, actions, compensations, firsts


def test_the_table_of_sagas_shows_what_sagas_do(made: tuple[Moves, Moves, Moves, set[Any]]) -> None:
    assert made[0] == SAGA_MOVES
    assert made[3] == FIRST_STATUSES


def test_the_table_of_actions_shows_what_actions_do(made: tuple[Moves, Moves, Moves, set[Any]]) -> None:
    assert made[1] == ACTION_MOVES


def test_the_table_of_compensations_shows_what_compensations_do(made: tuple[Moves, Moves, Moves, set[Any]]) -> None:
    assert made[2] == COMPENSATION_MOVES
