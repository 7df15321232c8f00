"""A saga goes on by another version only where that changes nothing of its past: who has folded a part of its log goes on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from goconductor.errors import DefinitionError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import Event, SagaStarted
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.replay import extend, replay
from goconductor.lifecycle.requests.migration import refusals
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Binding, Child, Definition, Map, Step, Wait
from goconductor.saga.features import MIGRATION
from goconductor.saga.plan import Plan
from tests.lifecycle.sagas import definitions, many_examples, moves
from tests.lifecycle.test_properties import ID, Life

ORDER = Definition(
    name="order",
    steps=(
        Step(id="reserve", run="stock.reserve"),
        Step(id="charge", run="payments.charge", after=("reserve",), pivot=True),
    ),
)


def changed(*steps: Step, **fields: Any) -> Definition:
    """The order with other steps of these names, or with more of them."""
    kept = {step.id: step for step in ORDER.steps} | {step.id: step for step in steps}
    return replace(ORDER, steps=tuple(kept.values()), **fields)


WRAPPED = changed(
    Step(id="wrap", run="stock.wrap", after=("reserve",)),
    Step(id="charge", run="payments.debit", after=("wrap",), pivot=True),
)


def lived(definition: Definition, *events: Event) -> tuple[Plan, list[Event], SagaState]:
    compiled = Plan(definition)
    begun = begin(compiled, ID, SagaStarted(input={"yes": True}, at=1.0))
    log, state = [begun.event], begun.state
    for number, event in enumerate(events, 2):
        decision = decide(compiled, state, replace(event, at=float(number)))
        log.append(decision.event)
        state = decision.state
    return compiled, log, state


def test_a_saga_before_the_change_goes_on_by_the_new_version() -> None:
    old, log, _ = lived(ORDER)
    new = Plan(WRAPPED)
    assert refusals(old, new, ID, log) == []
    moved = decide(new, replay(new, ID, log), e.SagaMigrated(version=new.version, version_before=old.version, at=2.0))
    assert MIGRATION in moved.state.features
    after = decide(new, moved.state, e.ActionSucceeded("reserve", at=3.0))
    assert [effect.step for effect in after.effects] == ["wrap"]  # type: ignore[union-attr]


TWICE = (e.ActionSucceeded("reserve"), e.ActionSucceeded("charge"))


@pytest.mark.parametrize(
    ("events", "new", "says"),
    [
        (TWICE[:1], WRAPPED, "step 'charge' has begun, and would come after other steps"),
        ((), changed(Step(id="reserve", run="shop.reserve")), "step 'reserve' has begun, and is another one"),
        ((), changed(Step(id="reserve", run="stock.reserve", undo="none")), "step 'reserve' has begun"),
        ((), replace(ORDER, steps=(replace(ORDER.steps[1], after=()),)), "step 'reserve' has begun, and is not there any more"),
        ((), replace(ORDER, timeout_seconds=9.0), "the saga's timeout differs"),
        ((), replace(ORDER, name="other"), "another saga"),
        ((), changed(Step(id="tell", run="mail.tell")), "step 'tell' would have had its turn already, and be sent"),
        ((), changed(Step(id="tell", run="mail.tell", when="input.no")), "step 'tell' would have had its turn already"),
        (
            TWICE[:1],
            changed(Step(id="tell", run="mail.tell", after=("reserve",), allow_fail=True)),
            "step 'tell' would have had its turn already, and be sent",
        ),
        (TWICE, changed(Step(id="tell", run="mail.tell", after=("charge",))), "it has ended"),
        ((e.TerminationRequested(reason="so"),), changed(Step(id="tell", run="m.t", after=("charge",))), "it is terminating"),
    ],
)
def test_another_past_is_refused_with_its_reason(events: tuple[Event, ...], new: Definition, says: str) -> None:
    old, log, _ = lived(ORDER, *events)
    found = refusals(old, Plan(new), ID, log)
    assert any(says in reason for reason in found), found


def test_a_signal_that_only_the_old_version_knows_is_refused() -> None:
    old, log, _ = lived(
        changed(Step(id="paid", wait=Wait(event="paid"), after=("charge",))), e.SignalReceived(name="paid", id="1")
    )
    (reason,) = refusals(old, Plan(ORDER), ID, log)
    assert "under the new version its history could not have happened" in reason


def test_all_steps_that_hold_it_are_named() -> None:
    old, log, _ = lived(ORDER, *TWICE[:1])
    other = changed(Step(id="reserve", run="a.b"), replace(ORDER.steps[1], run="c.d"))
    assert len(refusals(old, Plan(other), ID, log)) == 2


def test_a_child_keeps_the_version_that_its_parent_names() -> None:
    old, new = Plan(ORDER), Plan(WRAPPED)
    parent = Parent(UUID(int=9), "order", 0, 1)
    begun = begin(old, ID, SagaStarted(parent=parent, at=1.0))
    (reason,) = refusals(old, new, ID, [begun.event])
    assert "whose definition names its version" in reason


@st.composite
def edited(draw: st.DrawFn, definition: Definition) -> Definition:
    """Another version: some steps are gone, others are new, or have other code."""
    steps = [*definition.steps]
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(steps) - 1))
        step = steps[place]
        match draw(st.sampled_from(["remove", "other code", "add", "condition"])):
            case "remove" if len(steps) > 1:
                del steps[place]
                steps = [replace(each, after=tuple({*each.after} - {step.id})) for each in steps]
            case "other code" if step.run:
                steps[place] = replace(step, run="service.other")
            case "condition" if not step.pivot:
                steps[place] = replace(step, when="input.yes")
            case "add":
                new = Step(id=f"n{len(steps)}", run="service.new", after=(step.id,), inputs={"amount": Binding(value=1)})
                steps.insert(draw(st.integers(0, len(steps))), new)
            case _:
                pass
    try:
        check(made := replace(definition, steps=tuple(steps)))
    except DefinitionError:
        return definition
    return made


@settings(many_examples, max_examples=many_examples.max_examples // 4)
@given(st.data(), definitions(steps_max=5), st.lists(moves(), max_size=12), st.lists(moves(), max_size=8))
def test_whoever_knows_any_part_of_the_log_carries_on_by_the_new_version(
    data: st.DataObject, definition: Definition, drawn: list[Any], later: list[Any]
) -> None:
    life = Life(definition)
    new = Plan(data.draw(edited(definition)))
    life.live(drawn[: data.draw(st.integers(0, len(drawn)))])
    if refusals(life.plan, new, ID, life.log):
        return
    old = life.plan
    life.plan, life.definition, life.state = new, new.definition, replay(new, ID, life.log)
    assert violations(new, life.state) == []
    assert life.take(e.SagaMigrated(version=new.version, version_before=old.version, at=life.state.at))
    life.live(later)
    assert replay(new, ID, life.log) == life.state
    for length, state in enumerate(life.states, start=1):
        assert forward(extend(new, state, life.log[length:])) == forward(life.state)


def forward(state: SagaState) -> SagaState:
    """The state without what counts only while it goes forward: how many steps are still to come."""
    back = state.phase in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED, SagaStatus.TERMINATING, SagaStatus.TERMINATED)
    return replace(state, remaining=0) if back else state


def test_a_map_that_has_grown_is_held_as_a_whole() -> None:
    def of(step: str) -> Definition:
        do = (Step(id=step, run="stock.reserve"),)
        return Definition(name="order", steps=(Step(id="lines", map=Map(over="$.input.lines", do=do)),))

    old, new = Plan(of("reserve")), Plan(of("keep"))
    begun = begin(old, ID, SagaStarted(input={"lines": [1, 2]}, at=1.0))
    (reason,) = refusals(old, new, ID, [begun.event])
    assert "step 'lines' has begun" in reason


def test_a_step_that_has_started_another_version_of_a_saga_is_held() -> None:
    def of(version: str) -> Definition:
        return Definition(name="trip", steps=(Step(id="order", saga=Child(name="order", version=version), pivot=True),))

    old, new = Plan(of("a" * 32)), Plan(of("b" * 32))
    begun = begin(old, ID, SagaStarted(at=1.0))
    (reason,) = refusals(old, new, ID, [begun.event])
    assert "step 'order' has begun" in reason
