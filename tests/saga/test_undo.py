"""Declared undo in a definition: what is refused, with the path on which something would be missing, and its ways in and out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor import DefinitionError, Saga, Undo
from goconductor.engine.steps.registry import StepRegistry, check_definition
from goconductor.errors import ArgumentError
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Binding, Definition, Step
from goconductor.saga.definition import Undo as Declared
from goconductor.saga.features import features_of
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python


def reads(ref: str) -> Declared:
    return Declared(run="ledger.refund", inputs={"of": Binding(ref=ref)})


def steps(**charge: Any) -> Definition:
    return Definition(
        name="order",
        steps=(
            Step(id="reserve", run="stock.reserve"),
            Step(id="look", run="stock.look"),
            Step(id="charge", run="payments.charge", after=("reserve",), **charge),
            Step(id="ship", run="shipping.ship", after=("charge", "look"), pivot=True),
            Step(id="mail", run="mails.mail", after=("ship",)),
        ),
    )


@pytest.mark.parametrize("ref", ["$.input.order", "$.steps.charge.output.number", "$.steps.reserve.output"])
def test_an_undo_refers_to_the_input_to_its_own_step_and_to_those_before(ref: str) -> None:
    assert problems(steps(undo=reads(ref))) == []


@pytest.mark.parametrize(
    ("charge", "problem"),
    [
        (
            {"undo": reads("$.steps.look.output")},
            "Path: reserve → charge → the saga turns back → the undo of charge asks",
        ),
        (
            {"undo": reads("$.steps.mail.output")},
            "→ the undo of charge asks for mail",
        ),
        ({"undo": reads("$.steps.chrage.output")}, "'chrage', which is not a step of this saga"),
        ({"undo": reads("$.steps[*]")}, "input 'of' of the undo of step 'charge' refers to '$.steps[*]'"),
        ({"undo": Declared(run="refund")}, "the undo of step 'charge' runs 'refund'; name its code as 'participant.step'"),
        ({"undo": Declared(run="ledger.refund"), "compensation": True}, "both a compensation and undo"),
        ({"undo": "none", "compensation": True}, "both a compensation and undo"),
    ],
)
def test_what_could_be_missing_is_refused_with_a_path(charge: dict[str, Any], problem: str) -> None:
    (found,) = problems(steps(**charge))
    assert problem in found


@pytest.mark.parametrize(("step", "why"), [("ship", "is the pivot"), ("mail", "comes after the pivot 'ship'")])
def test_an_undo_that_could_never_run_is_refused(step: str, why: str) -> None:
    definition = steps()
    undone = tuple(
        msgspec.structs.replace(each, undo=Declared(run="x.y")) if each.id == step else each for each in definition.steps
    )
    (found,) = problems(msgspec.structs.replace(definition, steps=undone))
    assert f"step {step!r} {why}, so its undo can never run" in found


def test_what_nobody_runs_has_no_undo() -> None:
    from goconductor.saga.definition import Delay

    (found,) = problems(Definition(name="order", steps=(Step(id="night", delay=Delay(seconds=1.0), undo="none"),)))
    assert "which nobody runs, but has undo" in found


def code() -> StepRegistry:
    ledger = StepRegistry("ledger")

    @ledger.step
    async def refund(receipt: dict[str, int]) -> None: ...

    @ledger.step
    async def careful(receipt: dict[str, int] | None, note: str = "") -> None: ...

    @ledger.step
    async def look() -> dict[str, int]:
        return {}

    return ledger


@pytest.mark.parametrize(
    ("charge", "undo", "problem"),
    [
        (
            {},
            Declared(run="ledger.refund", inputs={"receipt": Binding(ref="$.steps.charge.output")}),
            "let it take None there as well. Path: nobody knows whether charge ran → the saga turns back.",
        ),
        (
            {},
            Declared(run="ledger.refund", inputs={"receipt": Binding(ref="$.steps.skipped.output")}),
            "Path: skipped is skipped → charge → the saga turns back.",
        ),
        (
            {},
            Declared(run="ledger.refund", inputs={"receipt": Binding(ref="$.steps.allowed.output")}),
            "Path: allowed fails, and the saga goes on → charge → the saga turns back.",
        ),
        ({}, Declared(run="ledger.careful"), "gives 'ledger.careful' no value for its input 'receipt'"),
        ({}, Declared(run="ledger.careful", inputs={"recipt": Binding(value=None)}), "an input 'recipt' that it does not take"),
        ({}, Declared(run="ledger.refnd"), "the undo of step 'charge' runs 'ledger.refnd', but participant 'ledger' has no such"),
        ({}, Declared(run="ledger.refund", inputs={"receipt": Binding(value=3)}), "a constant for its input 'receipt' that does"),
    ],
)
def test_the_code_of_an_undo_must_take_what_it_is_given(charge: dict[str, Any], undo: Declared, problem: str) -> None:
    definition = Definition(
        name="order",
        steps=(
            Step(id="skipped", run="x.y", when="input.yes"),
            Step(id="allowed", run="x.y", allow_fail=True),
            Step(id="charge", run="payments.charge", after=("skipped", "allowed"), undo=undo, **charge),
        ),
    )
    assert problems(definition) == []
    with pytest.raises(DefinitionError) as refused:
        check_definition(code(), definition)
    assert problem in str(refused.value)


def test_code_that_takes_null_may_be_given_what_could_be_missing() -> None:
    inputs = {"receipt": Binding(ref="$.steps.charge.output")}
    undo = Declared(run="ledger.careful", inputs=inputs)
    check_definition(code(), Definition(name="order", steps=(Step(id="charge", run="payments.charge", undo=undo),)))


def test_a_saga_in_python_refuses_an_undo_that_refers_to_its_own_missing_output() -> None:
    ledger = code()
    order: Saga[Any] = Saga("order")
    order.step("payments.charge", undo=Undo(ledger.steps["refund"], inputs={"receipt": order.later("charge").output}))
    with pytest.raises(DefinitionError, match="let it take None there as well"):
        _ = order.definition


def test_an_undo_in_python_stands_in_place_of_the_codes_own_compensation() -> None:
    ledger = code()
    payments = StepRegistry("payments")

    @payments.step
    async def charge() -> dict[str, int]:
        return {}

    @charge.compensation
    async def own() -> None: ...

    order: Saga[Any] = Saga("order")
    order.step(charge, undo=Undo(ledger.steps["careful"], inputs={"receipt": order.later("charge").output, "note": "back"}))
    (step,) = order.definition.steps
    assert step.compensation is None
    assert step.undo == Declared(
        run="ledger.careful", inputs={"receipt": Binding(ref="$.steps.charge.output"), "note": Binding(value="back")}
    )
    written = as_python(order.definition)
    assert "undo=Undo('ledger.careful'" in written
    made: dict[str, Any] = {}
    exec(written, made)  # our own text
    assert made["order"].definition.version == order.definition.version


@pytest.mark.parametrize("undo", ["nothing", 3, Undo])
def test_what_is_no_undo_is_refused(undo: Any) -> None:
    with pytest.raises(ArgumentError, match="'none' where there is nothing to undo"):
        Saga("order").step("payments.charge", undo=undo)


def test_a_saga_with_a_declared_undo_is_left_to_those_who_know_it() -> None:
    assert features_of(steps(undo=reads("$.input"))) == features_of(steps(undo="none")) == ("declared_undo",)
    assert features_of(steps()) == ()


def test_each_side_of_a_step_has_an_owner() -> None:
    compiled = plan(steps(undo=reads("$.input")))
    assert [compiled.owners_of[each]["charge"] for each in Direction] == [
        ("payments", "charge"),
        ("ledger", "refund"),
        ("payments", "charge"),
        ("ledger", "refund"),
    ]
    assert {compiled.owners_of[each]["reserve"] for each in Direction} == {("stock", "reserve")}
