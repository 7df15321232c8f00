"""Signals, by the pure function alone: who takes one, what is kept, and the limits that hold for a saga."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.events import SagaStarted, SignalReceived
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.moves.kinds.wait import RECEIVED_MAX
from goconductor.lifecycle.replay import replay
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Definition, Map, Repeat, Step, Wait
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan, plan

ID = UUID(int=7)


def saga(*waits: Wait, **after: tuple[str, ...]) -> Definition:
    steps = [Step(id=f"w{number}", wait=wait, after=after.get(f"w{number}", ())) for number, wait in enumerate(waits)]
    return Definition(name="waiting", steps=tuple(steps))


class Life:
    def __init__(self, definition: Definition, **input: Any) -> None:
        assert problems(definition) == []
        self.plan: Plan = plan(definition)
        self.state: SagaState = begin(self.plan, ID, SagaStarted(input=input, at=1.0)).state
        self.answers: dict[str, Any] = {}

    def signal(self, id: str = "1", payload: Any = None, name: str = "go", **facts: Any) -> None:
        decision = decide(self.plan, self.state, SignalReceived(name=name, id=id, payload=payload, at=2.0, **facts))
        self.state = decision.state
        self.answers |= decision.event.answers or {}

    @property
    def taken(self) -> dict[str, Any]:
        return {name: step.output for name, step in self.state.steps.items() if step.action.status is ActionStatus.SUCCEEDED}


def test_of_steps_that_wait_the_first_in_the_definition_takes_a_signal_whatever_their_ids_are() -> None:
    steps = (Step(id="z", wait=Wait(event="go")), Step(id="a", wait=Wait(event="go")))
    life = Life(Definition(name="waiting", steps=steps))
    life.signal("1", "first")
    assert life.taken == {"z": "first"}
    life.signal("2", "second")
    assert life.taken == {"z": "first", "a": "second"}


def test_the_step_that_began_to_wait_first_goes_first_wherever_it_stands() -> None:
    late = Step(id="late", wait=Wait(event="go"), after=("gate",))
    early = Step(id="early", wait=Wait(event="go"))
    life = Life(Definition(name="waiting", steps=(late, Step(id="gate", wait=Wait(event="open")), early)))
    life.signal("1", name="open")
    life.signal("2", "here")
    assert life.taken == {"gate": None, "early": "here"}


def test_signals_that_came_before_go_in_the_order_of_the_log_through_a_row_of_waits() -> None:
    life = Life(saga(Wait(event="open"), Wait(event="go"), Wait(event="go"), w1=("w0",), w2=("w1",)))
    life.signal("1", "one")
    life.signal("2", "two")
    life.signal("3", name="open")
    assert life.taken == {"w0": None, "w1": "one", "w2": "two"}
    assert life.state.phase.ended


def test_a_signal_is_for_the_step_whose_where_holds_and_the_answers_are_kept_with_the_event() -> None:
    life = Life(saga(Wait(event="go", where="payload.n == input.n"), Wait(event="go", where="payload.n > 5")), n=3)
    life.signal("1", {"n": 9})
    assert life.taken == {"w1": {"n": 9}}
    assert life.answers == {"w0/0/1/1": False, "w1/0/1/1": True}
    life.signal("2", {"m": 3})
    assert life.taken == {"w1": {"n": 9}}
    assert [(signal.id, "'payload.n == input.n'" in signal.why) for signal in life.state.signals] == [("2", True)]


def test_a_kept_answer_is_read_and_never_asked_again() -> None:
    life = Life(saga(Wait(event="go", where="payload.n > 5")))
    before = life.state
    after = decide(life.plan, before, SignalReceived(name="go", id="1", payload={"n": 0}, answers={"w0/0/1/1": True})).state
    assert after.phase.ended


def late(where: str) -> tuple[Plan, SagaState, list[e.Event]]:
    """A wait behind the pivot that was late: a signal came that it could not take, and a step has ended since."""
    steps = (
        Step(id="pay", run="shop.pay", pivot=True),
        Step(id="w", wait=Wait(event="go", where=where, timeout_seconds=10.0), after=("pay",)),
        Step(id="other", run="shop.other", after=("pay",)),
    )
    compiled = plan(Definition(name="waiting", steps=steps))
    decision = begin(compiled, ID, SagaStarted(input={}, at=1.0))
    log = [decision.event]
    for event in (
        e.ActionSucceeded("pay", at=2.0),
        SignalReceived(name="go", id="1", payload={"n": 1}, at=3.0),
        e.TimerFired("w", at=12.5),
        e.ActionSucceeded("other", at=13.0, output={"n": 1}),
    ):
        decision = decide(compiled, decision.state, event)
        log.append(decision.event)
    return compiled, decision.state, log


def test_a_wait_that_waits_again_asks_again_and_a_replay_reads_the_answer_of_that_time() -> None:
    compiled, state, log = late("has(steps.other) && steps.other.output.n == payload.n")
    again = decide(compiled, state, e.RetryRequested("w", at=14.0))
    assert again.state.status == "completed"
    assert [event.answers for event in log[2:]] == [{"w/0/1/1": False}, None, None]
    assert again.event.answers == {"w/0/2": True, "w/0/2/1": True}
    assert replay(compiled, ID, [*log, again.event]) == again.state


def test_a_wait_that_could_not_begin_asks_again_whether_it_can() -> None:
    steps = (
        Step(id="pay", run="shop.pay", pivot=True),
        Step(id="w", wait=Wait(event="go", where="steps.pay.output.n == payload.n"), after=("pay",)),
    )
    compiled = plan(Definition(name="waiting", steps=steps))
    begun = begin(compiled, ID, SagaStarted(input={}, at=1.0))
    stuck = decide(compiled, begun.state, e.ActionSucceeded("pay", at=2.0, output={}))
    assert stuck.state.step("w").action.attempt == 1
    assert [*(stuck.event.answers or ())] == ["w/0/1"]
    with pytest.raises(RequestRefusedError, match="still cannot begin"):
        decide(compiled, stuck.state, e.RetryRequested("w", at=3.0))


def test_the_timer_of_an_earlier_try_ends_nothing() -> None:
    compiled, state, _ = late("payload.n == 2")
    again = decide(compiled, state, e.RetryRequested("w", at=14.0))
    assert again.effects == (SetTimer("w", Direction.ACTION, 2, 0, 24.0),)
    with pytest.raises(UnexpectedEventError, match="names attempt 1, it is at 2"):
        decide(compiled, again.state, e.TimerFired("w", at=24.0))
    assert decide(compiled, again.state, e.TimerFired("w", 2, at=24.0)).state.status == "stuck"


def test_nobody_but_an_operator_can_say_that_a_wait_has_ended() -> None:
    compiled, state, _ = late("payload.n == 2")
    with pytest.raises(UnexpectedEventError, match="was never sent"):
        decide(compiled, state, e.ActionSucceeded("w", at=14.0))


def test_a_kept_signal_says_why_a_step_that_began_to_wait_could_not_read_it() -> None:
    life = Life(saga(Wait(event="open"), Wait(event="go", where="payload.n > 5"), w1=("w0",)))
    life.signal("0", {"n": 1})
    life.signal("1", {"m": 1})
    life.signal("2", {"n": 2})
    assert [signal.why for signal in life.state.signals] == ["", "", ""]
    sizes = [signal.size for signal in life.state.signals]
    life.signal("3", name="open")
    whys = [signal.why for signal in life.state.signals]
    assert ["payload.n > 5" in why for why in whys] == [False, True, False]
    assert [signal.size for signal in life.state.signals] == [size + len(why) for size, why in zip(sizes, whys, strict=True)]
    life.signal("4", {"n": 6})
    assert life.taken == {"w0": None, "w1": {"n": 6}}


def test_a_signal_in_any_live_state_is_kept_also_on_the_way_back() -> None:
    steps = (Step(id="a", run="shop.a"), Step(id="w", wait=Wait(event="go"), after=("a",)))
    life = Life(Definition(name="waiting", steps=steps))
    life.state = decide(life.plan, life.state, e.ActionSucceeded("a")).state
    life.state = decide(life.plan, life.state, e.AbortRequested()).state
    life.signal("1")
    assert (life.state.status, len(life.state.signals)) == ("compensating", 1)
    assert life.state.step("w").action.status is ActionStatus.PREVENTED


def test_ten_thousand_signals_are_all_that_a_saga_takes_in_its_life() -> None:
    steps = (Step(id="w", wait=Wait(event="go", where="payload == 1")), Step(id="other", wait=Wait(event="stop")))
    life = Life(Definition(name="waiting", steps=steps))
    life.state = decide(life.plan, life.state, SignalReceived(name="go", id="0", payload=1)).state
    life.state = msgspec.structs.replace(life.state, signals_received=RECEIVED_MAX - 1)
    life.signal("last but one", name="go", payload=2)
    with pytest.raises(RequestRefusedError, match="has had 10,000 signals"):
        life.signal("one more", name="stop")


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step(id="w", wait=Wait(event="go", where="payload.n >")), "the 'where' of step 'w' does not compile"),
        (Step(id="w", wait=Wait(event="go", where="payload.n")), None),
        (Step(id="w", wait=Wait(event="go", where="steps.x.output == 1")), "asks for step 'x', which is not a step of this saga"),
        (Step(id="w", wait=Wait(event="go", where="payload.map(x, payload.map(y, y)) == []")), "inside another comprehension"),
        (Step(id="w", wait=Wait(event="go", where="'text'")), "not a bool"),
        (Step(id="w", wait=Wait(event="go", where="paylod.n > 1")), "does not compile"),
        (Step(id="w", wait=Wait(event="go"), when="payload.n > 1"), "does not compile"),
        (Step(id="w", wait=Wait()), "either event or approval"),
        (Step(id="w", wait=Wait(event="go", approval="really?")), "either event or approval"),
        (Step(id="w", wait=Wait(event="go/on")), "name the event by"),
        (Step(id="w", wait=Wait(approval=" ")), "has no question"),
        (Step(id="w", wait=Wait(event="go", timeout_seconds=0)), "give more than 0"),
        (Step(id="w", wait=Wait(event="go"), pivot=True), "which cannot be the pivot"),
        (Step(id="w", wait=Wait(event="go"), run="shop.pack"), "which nobody runs, but has run"),
    ],
)
def test_a_definition_says_what_is_wrong_with_a_wait(step: Step, problem: str | None) -> None:
    found = problems(Definition(name="waiting", steps=(step,)))
    assert [problem in each for each in found] == [True] if problem is not None else found == []


def test_an_event_cannot_have_the_name_of_a_step_that_is_approved() -> None:
    steps = (Step(id="release", wait=Wait(approval="really?")), Step(id="w", wait=Wait(event="release")))
    assert "but a step of that id is approved" in problems(Definition(name="waiting", steps=steps))[0]


@pytest.mark.parametrize(
    "around",
    [
        {"map": Map(over="$.input", do=(Step(id="w", wait=Wait(event="release")),))},
        {"map": Map(over="$.input", do=(Step(id="n", map=Map(over="$.item", do=(Step(id="w", wait=Wait(event="release")),))),))},
        {"repeat": Repeat(do=(Step(id="w", wait=Wait(event="release")),), until="true", max=2)},
    ],
)
def test_nor_can_one_in_a_map_or_repeat_which_would_take_the_approval(around: dict[str, Any]) -> None:
    """A definition that was stored before goes on."""
    steps = (Step(id="release", wait=Wait(approval="really?")), Step(id="m", **around))
    definition = Definition(name="waiting", steps=steps)
    (problem,) = problems(definition)
    assert "step 'w' waits for event 'release', but a step of that id is approved" in problem
    assert problems(definition, stored=True) == []
