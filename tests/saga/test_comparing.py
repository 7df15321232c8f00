"""What differs between two versions, in the words of who wrote them, and which steps hold a saga that runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts.events import RestartRequested, SagaStarted, SignalReceived
from goconductor.lifecycle.facts.state import SagaState, StepState
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.pending_work import is_backward
from goconductor.saga.checking.validate import problems
from goconductor.saga.comparing import compare
from goconductor.saga.definition import Binding, Definition, Step
from goconductor.saga.plan import plan
from goconductor.saga.retry import Retry
from goconductor.saga.writing.groups.differences import differences
from tests.lifecycle.sagas import INPUT, Move, definitions, event_of, many_examples, moves

RESERVE = Step(id="reserve", run="stock.reserve", inputs={"sku": Binding(ref="$.input.sku")})
CHARGE = Step(id="charge", run="payments.charge", after=("reserve",), timeout_seconds=10.0)
SHIP = Step(id="ship", run="shipping.ship", after=("charge",), pivot=True)
OLD = Definition(name="order", steps=(RESERVE, CHARGE, SHIP))
MAIL = Step(id="mail", run="mail.send", after=("ship",))
WRAP = Step(id="wrap", run="stock.wrap", after=("reserve",))


def changed(step: Step, **fields: Any) -> Step:
    return msgspec.structs.replace(step, **fields)


def order(*steps: Step, **fields: Any) -> Definition:
    return Definition(name="order", steps=steps, **fields)


CASES: list[tuple[Definition, tuple[str, ...], tuple[str, ...]]] = [
    (OLD, (), ()),
    (order(CHARGE, RESERVE, SHIP), ("the steps are the same, in another order",), ()),
    (
        order(RESERVE, WRAP, changed(CHARGE, after=("wrap",)), SHIP),
        (
            "step 'wrap' is new, after 'reserve'",
            "step 'charge': it comes after 'wrap' as well",
            "step 'charge': it does not come after 'reserve' any more",
        ),
        ("charge",),
    ),
    (order(RESERVE, CHARGE, SHIP, MAIL), ("step 'mail' is new, after 'ship'",), ()),
    (
        order(RESERVE, changed(SHIP, after=("reserve",))),
        (
            "step 'charge' is gone",
            "step 'ship': it comes after 'reserve' as well",
            "step 'ship': it does not come after 'charge' any more",
        ),
        ("charge", "ship"),
    ),
    (
        order(RESERVE, changed(CHARGE, run="payments.debit", timeout_seconds=None), SHIP),
        (
            'step \'charge\': its run is "payments.debit", and was "payments.charge"',
            "step 'charge': its timeout_seconds is gone; it was 10.0",
        ),
        ("charge",),
    ),
    (
        order(changed(RESERVE, inputs={"sku": Binding(value="tea")}), changed(CHARGE, retry=Retry(attempts_max=5)), SHIP),
        (
            'step \'reserve\': its input \'sku\' is {"value": "tea"}, and was {"ref": "$.input.sku"}',
            "step 'charge': its retry is new: {\"attempts_max\": 5}",
        ),
        ("reserve", "charge"),
    ),
    (
        order(RESERVE, changed(CHARGE, pivot=True), changed(SHIP, pivot=False)),
        ("step 'charge': it is pivot now, and was compensatable", "step 'ship': it is retriable now, and was pivot"),
        ("charge", "ship"),
    ),
    (order(RESERVE, CHARGE, SHIP, output=Binding(value=1)), ('the saga\'s output is new: {"value": 1}',), ()),
]


@pytest.mark.parametrize(("new", "changes", "holding"), CASES)
def test_each_difference_is_told_in_words(new: Definition, changes: tuple[str, ...], holding: tuple[str, ...]) -> None:
    assert differences(plan(OLD), plan(new)) == changes
    assert compare(plan(OLD), plan(new)) == (holding, "")


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (msgspec.structs.replace(OLD, name="sale"), "'sale' is another saga than 'order'"),
        (msgspec.structs.replace(OLD, timeout_seconds=60.0), "the saga's timeout differs"),
        (msgspec.structs.replace(OLD, input_schema={"type": "object"}), "the schema of the input differs"),
    ],
)
def test_what_was_fixed_at_the_start_lets_no_saga_move(new: Definition, why: str) -> None:
    assert compare(plan(OLD), plan(new)).stays.startswith(why)


@pytest.mark.parametrize(("one", "other", "holds"), [(1, True, True), ([{"a": 0}], [{"a": False}], True), (1, 1.0, False)])
def test_a_number_is_not_a_truth_though_python_has_them_equal(one: Any, other: Any, holds: bool) -> None:
    old, new = [plan(order(changed(RESERVE, inputs={"sku": Binding(value=each)}))) for each in (one, other)]
    assert (old.version != new.version) is holds
    assert bool(compare(old, new).holding) is holds
    assert [each.partition(" is {")[0] for each in differences(old, new)] == ["step 'reserve': its input 'sku'"] * holds
    schemas = [plan(msgspec.structs.replace(OLD, input_schema={"properties": {"a": {"default": each}}})) for each in (one, other)]
    assert bool(compare(*schemas).stays) is holds


def test_a_long_value_is_cut() -> None:
    long = order(RESERVE, CHARGE, SHIP, output=Binding(value="x" * 1000))
    (change,) = differences(plan(OLD), plan(long))
    assert len(change) < 120


@st.composite
def versions(draw: st.DrawFn) -> tuple[Definition, Definition]:
    """A random definition and one in which some steps are other ones or new, in either order."""
    drawn = draw(definitions(steps_max=5))
    steps = [
        changed(step, when="input.no") if step.when is None and draw(st.integers(0, 4)) == 0 else step for step in drawn.steps
    ]
    if draw(st.booleans()):
        after = draw(st.lists(st.sampled_from([step.id for step in steps]), max_size=2, unique=True))
        steps.append(Step(id="new", run="service.new", after=tuple(after)))
    place = draw(st.integers(0, len(steps) - 1))
    steps[place] = changed(steps[place], after=draw(st.sampled_from([(), steps[place].after])))
    other = msgspec.structs.replace(drawn, steps=tuple(steps))
    two = (drawn, drawn if problems(other) else other)
    return two if draw(st.booleans()) else two[::-1]


@many_examples
@example(two=(order(RESERVE, changed(CHARGE, after=())), order(RESERVE, CHARGE)), happened=[Move(pick=0)])
@given(versions(), st.lists(moves(nonsense=False), max_size=15))
def test_where_no_holding_step_has_begun_what_has_begun_stands_alike_in_both(
    two: tuple[Definition, Definition], happened: list[Move]
) -> None:
    """On the way forward, without signals and restarts: else what has begun in one of the two only counts as well."""
    old, new = plan(two[0]), plan(two[1])
    holding, first = compare(old, new).holding, SagaStarted(input=INPUT)
    one, other = begin(old, UUID(int=1), first).state, begin(new, UUID(int=1), first).state
    for move in happened:
        if any(is_backward(state) or state.phase.ended for state in (one, other)) or {*begun(one)} & {*holding}:
            return
        assert {name: other.step(name) for name in begun(one)} == begun(one)
        event = event_of(two[0], one, move)
        if isinstance(event, SignalReceived | RestartRequested):
            return
        try:
            one, other = decide(old, one, event).state, decide(new, other, event).state
        except (UnexpectedEventError, RequestRefusedError):
            return


def begun(state: SagaState) -> dict[str, StepState]:
    return {name: step for name, step in state.steps.items() if step.action.status is not ActionStatus.PENDING}
