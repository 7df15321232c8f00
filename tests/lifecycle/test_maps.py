"""A map behaves as the same steps written out: both live through the same events, in random definitions with maps."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction, SetTimer
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.grown import in_order
from goconductor.lifecycle.pending_work import pending_work
from goconductor.lifecycle.replay import extend, replay
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Binding, Definition, Map, Step, Wait
from goconductor.saga.plan import plan
from tests.lifecycle.sagas import Move, definitions, many_examples, moves
from tests.lifecycle.test_properties import ID, Life
from tests.lifecycle.written_out import coded, live_alike

LISTS = {"$.input.none": 0, "$.input.one": 1, "$.input.two": 2}


@st.composite
def growing(draw: st.DrawFn) -> Definition:
    """A definition in which some steps have become maps, over lists of no, one or two items."""
    drawn = draw(definitions(steps_max=4))
    stands_in = {step.fallback for step in drawn.steps}
    steps = [
        _mapped(draw, step) if step.run and not step.pivot and not step.tolerated and step.id not in stands_in else step
        for step in drawn.steps
    ]
    definition = msgspec.structs.replace(drawn, steps=tuple(steps), locks=())
    check(definition)
    return definition


def _mapped(draw: st.DrawFn, step: Step) -> Step:
    if draw(st.booleans()):
        return step
    if draw(st.integers(0, 3)) == 0:
        inner = Step(id="in", map=Map(over="$.item", do=(coded(step, "x"),)))
        return Step(id=step.id, after=step.after, map=Map(over="$.input.nested", do=(coded(step, "a"), inner)))
    second = draw(st.none() | st.just(("a",)) | st.just(()))
    do = (coded(step, "a"), *([] if second is None else [coded(step, "b", second)]))
    over = draw(st.sampled_from(sorted(LISTS)))
    joins = ["all", *([LISTS[over]] if LISTS[over] else []), *(["any"] if LISTS[over] == 1 else [])]  # which all need all
    return Step(id=step.id, after=step.after, map=Map(over=over, do=do, join=draw(st.sampled_from(joins))))


def written(definition: Definition) -> Definition:
    """The same saga without maps: each item's steps are written, and what comes after a map comes after their last ones."""
    ends: dict[str, tuple[str, ...]] = {}
    steps = []
    for step in definition.steps:
        if step.map is None:
            steps.append(step)
            continue
        found = [*_written(step.id, step.map, step.after)]
        steps += found
        named = {name for each in found for name in each.after}
        ends[step.id] = tuple(each.id for each in found if each.id not in named) or step.after

    def resolved(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(last for name in names for last in (resolved(ends[name]) if name in ends else (name,))))

    return msgspec.structs.replace(
        definition, steps=tuple(msgspec.structs.replace(step, after=resolved(step.after)) for step in steps)
    )


def _written(name: str, map: Map, after: tuple[str, ...]) -> Iterator[Step]:
    lengths = [2, 0] if map.over == "$.input.nested" else []
    for place in range(len(lengths) or LISTS[map.over]):
        for step in map.do:
            own = tuple(f"{name}[{place}].{each}" for each in step.after) or after
            full = f"{name}[{place}].{step.id}"
            if step.map is None:
                yield msgspec.structs.replace(step, id=full, after=own)
            else:
                for inner in range(lengths[place]):
                    yield from (msgspec.structs.replace(each, id=f"{full}[{inner}].{each.id}", after=own) for each in step.map.do)


@many_examples
@given(growing(), st.lists(moves(), max_size=40))
def test_a_map_behaves_as_the_same_steps_written_out(definition: Definition, drawn: list[Move]) -> None:
    live_alike(definition, written(definition), drawn)


@many_examples
@given(growing(), st.lists(moves(), max_size=40))
def test_the_log_of_a_saga_that_has_grown_gives_its_state_again(definition: Definition, drawn: list[Move]) -> None:
    life = Life(definition)
    life.live(drawn)
    assert replay(life.plan, ID, life.log) == life.state
    for length, state in enumerate(life.states, start=1):
        assert extend(life.plan, state, life.log[length:]) == life.state


@many_examples
@given(growing(), st.integers(0, 10))
def test_a_saga_with_maps_ends_when_its_steps_do(definition: Definition, seed: int) -> None:
    life = Life(definition)
    for number in range(300):
        work = sorted(pending_work(life.state.steps), key=lambda each: (each.step, type(each).__name__))
        waits = [name for name, step in life.state.steps.items() if step.action.status is ActionStatus.WAITING]
        if life.state.phase.ended or life.state.stuck_steps:
            break
        if work:
            each = work[(seed + number) % len(work)]
            match each:
                case RunAction():
                    assert life.take(e.ActionSucceeded(each.step, each.attempt, each.round, at=life.state.at, output=each.step))
                case SetTimer():
                    assert life.take(e.TimerFired(each.step, each.attempt, each.round, at=each.due_at))
                case _:
                    assert life.take(e.CompensationSucceeded(each.step, each.attempt, each.round, at=life.state.at))
        else:
            name = waits[0]
            life.take(e.OutcomeDeclared(name, happened=True, reason="seen", at=life.state.at))
    else:
        raise AssertionError(f"it never ends: {life.state}")


def test_a_join_gives_the_items_outputs_in_the_order_of_the_list_and_is_not_kept() -> None:
    definition = Definition(
        name="order",
        steps=(
            Step(id="lines", map=Map(over="$.input.lines", do=(Step(id="reserve", run="inventory.reserve"),))),
            Step(
                id="ship",
                run="shipping.ship",
                inputs={
                    "all": Binding(ref="$.steps.lines.output"),
                    "last": Binding(ref="$.steps.lines.output[-1].shelf"),
                },
            ),
        ),
    )
    check(definition)
    compiled, lines = plan(definition), ["hat", "shoes", "hat"]
    state = begin(compiled, UUID(int=1), e.SagaStarted(input={"lines": lines})).state
    for place in (2, 0, 1):
        name = f"lines[{place}].reserve"
        assert compiled.inputs(name, state.input, state.referable()) == {}
        state = decide(compiled, state, e.ActionSucceeded(name, output={"shelf": place})).state
    made = compiled.inputs("ship", state.input, state.referable())
    assert made == {"all": [{"shelf": 0}, {"shelf": 1}, {"shelf": 2}], "last": 2}
    assert state.step("lines").output is None
    assert [*in_order(compiled, state.steps)] == ["lines[0].reserve", "lines[1].reserve", "lines[2].reserve", "lines", "ship"]


def test_a_saga_ends_that_turns_back_through_a_map_at_the_beginning_of_an_item() -> None:
    inner = Step(id="in", map=Map(over="$.item", do=(Step(id="x", run="service.x"),)))
    outer = Step(id="out", map=Map(over="$.input", do=(Step(id="a", run="service.a"), inner)))
    definition = Definition(name="order", steps=(outer, Step(id="late", run="service.late", after=("out",))))
    check(definition)
    compiled, names = plan(definition), ["out[0].a", "out[1].a", "out[0].in[0].x", "out[0].in[1].x"]
    state = begin(compiled, UUID(int=1), e.SagaStarted(input=[[1, 2], []])).state
    for name in names:
        state = decide(compiled, state, e.ActionSucceeded(name)).state
    state = decide(compiled, state, e.ActionFailed("late", failure=Failure("Refused", retryable=False))).state
    for name in ("late", *names):
        assert state.phase == "compensating"
        state = decide(compiled, state, e.CompensationSucceeded(name)).state
    assert state.phase == "compensated"


def test_a_condition_reads_the_size_of_a_map_that_never_grew() -> None:
    body = (Step(id="a", run="service.a"),)
    skipped = Step(id="m", map=Map(over="$.input", do=body), when="false")
    ship = Step(id="ship", run="shipping.ship", after=("m",), when="steps.m.size == 0")
    definition = Definition(name="order", steps=(skipped, ship))
    check(definition)
    state = begin(plan(definition), UUID(int=1), e.SagaStarted(input=[1])).state
    assert state.step("ship").action.status is ActionStatus.SENT

    pivot = Step(id="pay", run="payments.pay", pivot=True)
    lost = Step(id="m", map=Map(over="$.input.missing", do=body), after=("pay",))
    definition = Definition(name="order", steps=(pivot, lost, msgspec.structs.replace(ship, when="steps.m.size == 2")))
    check(definition)
    compiled = plan(definition)
    state = begin(compiled, UUID(int=1), e.SagaStarted(input=[1])).state
    for event in (e.ActionSucceeded("pay"), e.OutcomeDeclared("m", happened=True, output=[1, 2], reason="seen")):
        state = decide(compiled, state, event).state
    assert state.step("ship").action.status is ActionStatus.SENT


def test_a_list_that_makes_more_than_20_000_steps_is_the_maps_failure() -> None:
    definition = Definition(
        name="order", steps=(Step(id="m", map=Map(over="$.input", do=(Step(id="a", run="x.a"), Step(id="b", run="x.b")))),)
    )
    compiled = plan(definition)
    most = begin(compiled, UUID(int=1), e.SagaStarted(input=[0] * 9_999))
    assert len(most.effects) == 19_998
    state = begin(compiled, UUID(int=1), e.SagaStarted(input=[0] * 20_001)).state
    assert state.phase == "compensated"
    assert "20,001 items, so that the saga would have 40,003 steps; at most 20,000 are allowed" in state.reason


@pytest.mark.parametrize(("where", "most"), [("payload.id == item", 1_000), (None, 10_000)])
def test_a_map_grows_no_more_waits_than_signals_can_be_shown_to(where: str | None, most: int) -> None:
    """Each signal may be shown to each wait, within one decision, and a saga takes only so many signals."""
    body = (Step(id="paid", wait=Wait(event="payment", where=where)),)
    definition = Definition(name="order", steps=(Step(id="m", map=Map(over="$.input", do=body)),))
    check(definition)
    compiled = plan(definition)
    assert begin(compiled, UUID(int=1), e.SagaStarted(input=[0] * most)).state.status == "waiting"
    state = begin(compiled, UUID(int=1), e.SagaStarted(input=[0] * (most + 1))).state
    assert state.phase == "compensated"
    assert (
        f"has {most + 1:,} items, but where its steps wait for signals as these do, at most {most:,} are allowed" in state.reason
    )
