"""A definition compiled, and that its cost grows with its size and not with its square."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from uuid import UUID

import pytest

from goconductor.errors import PayloadError
from goconductor.lifecycle.decide import begin
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.replay import replay
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Binding, Definition, Step, StepRole
from goconductor.saga.graph import reachable
from goconductor.saga.plan import Plan, plan
from goconductor.saga.retry import ACTION_RETRY, RETRIABLE_RETRY, Retry

ORDER = Definition(
    name="order",
    steps=(
        Step(
            id="ship",
            run="shipping.ship",
            after=("reserve",),
            inputs={"paid": Binding(ref="$.steps.charge.output.id")},
            pivot=True,
        ),
        Step(id="mail", run="mail.send", after=("ship",)),
        Step(id="charge", run="payments.charge", inputs={"cents": Binding(ref="$.input.cents"), "fee": Binding(value=3)}),
        Step(id="reserve", run="inventory.reserve"),
    ),
)


def test_steps_are_ordered_after_those_that_they_name_and_those_whose_output_they_use() -> None:
    compiled = plan(ORDER)
    assert compiled.predecessors == {"ship": ("reserve", "charge"), "mail": ("ship",), "charge": (), "reserve": ()}
    assert set(compiled.order[:2]) == set(compiled.roots) == {"charge", "reserve"}
    assert compiled.order[2:] == ("ship", "mail")
    assert [compiled.position[step] for step in compiled.order] == [0, 1, 2, 3]
    assert compiled.successors == {"ship": ("mail",), "mail": (), "charge": ("ship",), "reserve": ("ship",)}


def test_the_pivot_gives_each_step_its_role() -> None:
    compiled = plan(ORDER)
    assert compiled.pivot == "ship"
    assert compiled.roles == {
        "charge": StepRole.COMPENSATABLE,
        "reserve": StepRole.COMPENSATABLE,
        "ship": StepRole.PIVOT,
        "mail": StepRole.RETRIABLE,
    }
    without = plan(Definition(name="order", steps=(Step(id="a", run="x.a"),)))
    assert without.pivot is None
    assert without.roles == {"a": StepRole.COMPENSATABLE}


def test_the_definition_says_when_a_step_is_tried_again_else_its_owner_else_its_role() -> None:
    stated, own = Retry(attempts_max=7), Retry(attempts_max=1)
    retried = plan(Definition(name="order", steps=(*ORDER.steps, Step(id="count", run="stock.count", retry=stated))))
    assert [retried.retry_of("count", given) for given in (own, None)] == [stated, stated]
    assert [retried.retry_of(step, own) for step in ("charge", "ship", "mail")] == [own, own, own]
    assert [retried.retry_of(step, None) for step in ("charge", "ship", "mail")] == [ACTION_RETRY, ACTION_RETRY, RETRIABLE_RETRY]


def test_inputs_are_taken_from_the_input_the_outputs_and_constants() -> None:
    compiled = plan(ORDER)
    assert compiled.inputs("charge", {"cents": 5}, {}) == {"cents": 5, "fee": 3}
    assert compiled.inputs("ship", {}, {"charge": {"id": 7}}) == {"paid": 7}
    with pytest.raises(PayloadError, match=r"\$\.input"):
        compiled.inputs("charge", {}, {})


def test_a_saga_answers_what_its_output_refers_to_or_else_all_outputs() -> None:
    assert plan(ORDER).output({}, {"charge": 1}) == {"charge": 1}
    answering = Definition(name="order", steps=ORDER.steps, output=Binding(ref="$.steps.charge.output.id"))
    assert plan(answering).output({}, {"charge": {"id": 7}}) == 7


def test_a_definition_is_compiled_once() -> None:
    assert plan(ORDER) is plan(Definition(name="order", steps=ORDER.steps))


def test_owners_are_known() -> None:
    assert plan(ORDER).owners["ship"] == ("shipping", "ship")


def test_what_can_be_reached() -> None:
    edges = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "x": ["x"]}
    assert reachable(edges, "a") == {"b", "c", "d"}
    assert reachable(edges, "d") == frozenset()
    assert reachable(edges, "x") == {"x"}


TraceFunction = Callable[[FrameType, str, Any], Any]


def fan(width: int) -> Definition:
    """One step, ``width`` beside one another, and one in which they all come together."""
    parallel = tuple(Step(id=f"p{i}", run="x.p", after=("first",)) for i in range(width))
    last = Step(id="last", run="x.last", after=tuple(step.id for step in parallel))
    return Definition(name="fan", steps=(Step(id="first", run="x.first"), *parallel, last))


def chain(length: int) -> Definition:
    return Definition(
        name="chain", steps=tuple(Step(id=f"s{i}", run="x.s", after=(f"s{i - 1}",) if i else ()) for i in range(length))
    )


def completed(compiled: Plan) -> list[e.Event]:
    return [e.SagaStarted(), *(e.ActionSucceeded(step) for step in compiled.order)]


def compensated(compiled: Plan) -> list[e.Event]:
    """Everything succeeds but the last step, with failures and timers on the way; then everything is compensated."""
    *steps, last = compiled.order
    log: list[e.Event] = [e.SagaStarted()]
    for at, step in enumerate(steps):
        log += [e.ActionFailed(step, at=at), e.TimerFired(step, 2, at=at + 1), e.ActionSucceeded(step, 2, at=at + 1)]
    log.append(e.AbortRequested())
    log += [e.ActionSucceeded(last)]
    log += [e.CompensationSucceeded(step) for step in reversed(compiled.order)]
    return log


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Counts the lines of goconductor's own code that run: no clock, the same number on every machine."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: object) -> TraceFunction:
        nonlocal lines
        lines += event == "line"
        return trace

    def enter(frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        return trace if "goconductor" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield lambda: lines
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("shape", [fan, chain])
@pytest.mark.parametrize("log", [completed, compensated])
def test_compiling_checking_and_replaying_cost_in_line_with_the_size(
    shape: Callable[[int], Definition], log: Callable[[Plan], list[e.Event]]
) -> None:
    cost = []
    for size in (100, 400):
        definition = shape(size)
        with counted() as lines:
            assert problems(definition) == []
            compiled = Plan(definition)
            replay(compiled, UUID(int=1), log(compiled))
            cost.append(lines())
    assert cost[0] > 100
    assert cost[1] < 5 * cost[0], "four times the steps cost about four times as much, not sixteen times"


@pytest.mark.parametrize("definition", [fan(10_000), chain(1_000)], ids=["10,000 in parallel", "1,000 in sequence"])
def test_large_sagas_complete_and_compensate(definition: Definition) -> None:
    assert problems(definition) == []
    compiled = plan(definition)
    assert replay(compiled, UUID(int=1), completed(compiled)).status is SagaStatus.COMPLETED
    assert replay(compiled, UUID(int=1), compensated(compiled)).status is SagaStatus.COMPENSATED


def test_the_first_decision_of_a_wide_saga_asks_for_all_its_roots() -> None:
    wide = Definition(name="wide", steps=tuple(Step(id=f"p{i}", run="x.p") for i in range(10_000)))
    assert len(begin(plan(wide), UUID(int=1), e.SagaStarted()).effects) == 10_000


def test_the_order_of_inputs_in_a_document_changes_nothing() -> None:
    """A version is the hash of a canonical document; two processes that read it from different texts must begin steps alike."""
    uses = {name: Binding(ref=f"$.steps.{name}.output") for name in ("c", "a", "b")}
    sources = tuple(Step(id=name, run=f"shop.{name}") for name in "abc")
    one, two = (
        Definition(name="order", steps=(Step(id="last", run="shop.last", inputs=inputs), *sources))
        for inputs in (uses, dict(sorted(uses.items())))
    )
    assert one.version == two.version
    assert (Plan(one).order, Plan(one).roots, Plan(one).successors) == (Plan(two).order, Plan(two).roots, Plan(two).successors)


def test_the_order_is_the_same_with_every_python() -> None:
    """Of steps whose turn comes together, the first may keep the next from beginning; so a replay needs the same order."""
    after = {"k": "ag", "c": "", "b": "", "a": "cb", "g": "d", "d": "", "h": "", "f": "bh", "i": "kfc", "e": "a"}
    compiled = Plan(Definition(name="order", steps=tuple(Step(id=s, run=f"shop.{s}", after=tuple(a)) for s, a in after.items())))
    assert "".join(compiled.order) == ORDERED
    assert "".join(compiled.roots) == "cbdh"
    assert {s: "".join(later) for s, later in compiled.successors.items() if len(later) > 1} == {"c": "ai", "b": "af", "a": "ek"}


ORDERED = "cbdhagfeki"
