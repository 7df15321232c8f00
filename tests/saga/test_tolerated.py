"""Steps that may fail: what a definition may say of them, and what stands for their output."""

from __future__ import annotations

import pytest

from goconductor import ArgumentError, DefinitionError, Saga
from goconductor.errors import PayloadError
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Binding, Definition, Delay, Step
from goconductor.saga.plan import Plan


def step(id: str, *after: str, **more: object) -> Step:
    return Step(**{"id": id, "run": f"shop.{id}", "after": after, **more})  # type: ignore[arg-type]


def saga(*steps: Step, **more: object) -> Definition:
    return Definition(**{"name": "order", "steps": steps, **more})  # type: ignore[arg-type]


def ref(path: str) -> dict[str, Binding]:
    return {"x": Binding(ref=path)}


CARD = saga(
    step("card", fallback="invoice"),
    step("invoice", fallback="cash"),
    step("cash", allow_fail=True),
    step("ship", inputs=ref("$.steps.card.output.number"), pivot=True),
)


def test_who_refers_to_a_step_comes_after_its_fallbacks_as_well() -> None:
    plan = Plan(CARD)
    assert problems(CARD) == []
    assert plan.predecessors == {
        "card": (),
        "invoice": ("card",),
        "cash": ("invoice",),
        "ship": ("card", "invoice", "cash"),
    }
    assert plan.features == ("tolerated_failure",)


def test_who_names_a_step_in_after_comes_after_its_fallback_as_well() -> None:
    assert Plan(saga(step("a", fallback="b"), step("b"), step("c", "a"))).predecessors["c"] == ("a", "b")


@pytest.mark.parametrize(
    ("outputs", "until"),
    [({"card": {"at": 60}, "invoice": None}, 60.0), ({"card": None, "invoice": {"at": "1970-01-01T00:02:00Z"}}, 120.0)],
)
def test_a_delay_lasts_until_the_time_that_the_fallback_gives(outputs: dict[str, object], until: float) -> None:
    late = Step(id="late", delay=Delay(until="$.steps.card.output.at"))
    plan = Plan(saga(step("card", fallback="invoice"), step("invoice"), late))
    assert plan.moment("late", None, outputs) == until
    assert plan.moment("card", None, outputs) is None


def test_where_neither_it_nor_its_fallback_gave_a_time_the_delay_names_the_place() -> None:
    late = Step(id="late", delay=Delay(until="$.steps.card.output.at"))
    plan = Plan(saga(step("card", fallback="invoice"), step("invoice", allow_fail=True), late))
    with pytest.raises(PayloadError, match=r"\$\.steps\.card\.output\.at"):
        plan.moment("late", None, {"card": None, "invoice": None})


@pytest.mark.parametrize(
    ("outputs", "given"),
    [
        ({"card": {"number": "C-1"}, "invoice": None, "cash": None}, "C-1"),
        ({"card": None, "invoice": {"number": "I-1"}, "cash": None}, "I-1"),
        ({"card": None, "invoice": None, "cash": {"number": "B-1"}}, "B-1"),
        ({"card": None, "invoice": None, "cash": None}, None),
    ],
)
def test_the_output_of_the_fallback_stands_for_that_of_the_step(outputs: dict[str, object], given: object) -> None:
    assert Plan(CARD).inputs("ship", None, outputs) == {"x": given}


def test_the_fallback_itself_sees_the_step_alone() -> None:
    plan = Plan(saga(step("card", fallback="invoice"), step("invoice", inputs=ref("$.steps.card.output"))))
    assert plan.inputs("invoice", None, {"card": None}) == {"x": None}


def test_the_result_of_all_steps_has_what_stands_for_each() -> None:
    outputs = {"card": None, "invoice": 7, "cash": None, "ship": "x"}
    assert Plan(CARD).output(None, outputs) == {"card": 7, "invoice": 7, "cash": None, "ship": "x"}


def test_a_definition_that_uses_none_of_it_is_the_same_document_as_before() -> None:
    assert saga(step("a")).document() == b'{"name":"order","steps":[{"id":"a","run":"shop.a"}]}'
    assert Plan(saga(step("a"))).tolerated == frozenset()


@pytest.mark.parametrize(
    ("definition", "fault", "remedy"),
    [
        (
            saga(step("a", pivot=True, allow_fail=True)),
            "pivot 'a' has allow_fail; where it fails the saga must turn back",
            "make a later step the pivot",
        ),
        (
            saga(step("a", pivot=True, fallback="b"), step("b")),
            "pivot 'a' has a fallback; where it fails",
            "remove that",
        ),
        (
            saga(step("a", pivot=True), step("b", "a"), step("c", "b", allow_fail=True)),
            "step 'c' comes after the pivot 'a' but has allow_fail; there a step is tried until it succeeds",
            "move the step before the pivot",
        ),
        (saga(step("a", fallback="b"), step("b", pivot=True)), "step 'a' falls back on the pivot 'b'", "let both come before"),
        (saga(step("a", fallback="z")), "step 'a' falls back on 'z', which is not a step", "add it or correct the name"),
        (saga(step("a", fallback="a")), "step 'a' falls back on itself", "name another step"),
        (
            saga(step("a", fallback="c"), step("b", fallback="c"), step("c")),
            "steps 'a' and 'b' both fall back on 'c'",
            "give each a fallback of its own",
        ),
        (
            saga(step("a", fallback="b", allow_fail=True), step("b")),
            "step 'a' has both allow_fail and a fallback",
            "give that step allow_fail",
        ),
        (saga(step("a", fallback="b"), step("b", fallback="a")), "wait for one another in a cycle", "remove one"),
        (saga(step("a", fallback="c"), step("b", "a"), step("c", "b")), "wait for one another in a cycle", "remove one"),
        (
            saga(step("a"), step("b", "a", when="steps.a.failed")),
            "the condition of step 'b' asks for steps.a.failed, but the saga turns back where that step fails",
            "give step 'a' allow_fail or a fallback",
        ),
        (
            saga(step("a"), step("b", "a", when="steps.a.failure.type == 'Boom'")),
            "asks for steps.a.failure",
            "give step 'a' allow_fail or a fallback",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(definition: Definition, fault: str, remedy: str) -> None:
    found = problems(definition)
    assert any(fault in each and remedy in each for each in found), found


def test_in_python_a_step_names_its_fallback() -> None:
    order: Saga = Saga("order")
    invoice = order.step("billing.invoice", allow_fail=True)
    card = order.step("payments.charge", fallback=invoice)
    order.returns(card.output)
    written = {each.id: (each.allow_fail, each.fallback) for each in order.definition.steps}
    assert written == {"invoice": (True, None), "charge": (False, "invoice")}


def test_the_type_of_a_result_is_that_of_the_step_or_of_its_fallback() -> None:
    order: Saga = Saga("order")
    invoice = order.step("billing.invoice", output=str)
    card = order.step("payments.charge", output=int, fallback=invoice)
    assert order.returns(card.output).result_type == int | str


def test_a_fallback_that_is_no_step_is_refused() -> None:
    order: Saga = Saga("order")
    with pytest.raises(ArgumentError, match=r"fallback.*what saga.step\(…\) has returned"):
        order.step("payments.charge", fallback="invoice")  # type: ignore[call-overload]
    with pytest.raises(ArgumentError, match="allow_fail"):
        order.step("payments.charge", allow_fail="yes")  # type: ignore[call-overload]


def test_all_faults_come_at_once() -> None:
    order: Saga = Saga("order")
    order.step("payments.charge", pivot=True, allow_fail=True)
    with pytest.raises(DefinitionError, match="pivot 'charge' has allow_fail"):
        _ = order.definition
