"""Switches, groups and optional references, written in Python: the same document as that of a file."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor import DefinitionError, Saga, Undo, optional
from goconductor.control.definitions.loading import load_definition
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import ArgumentError
from goconductor.saga.writing.as_python import as_python

LOAN = b"""
name: loan
steps:
  - {id: score, run: credit.score}
  - id: decide
    after: [score]
    switch:
      - case: good
        when: steps.score.output.points >= 700
        steps:
          - {id: offer, run: bank.offer}
          - {id: signed, wait: {event: signed, where: payload.offer == steps.offer.output.number}}
      - case: poor
        steps:
          - {id: refuse, run: bank.refuse}
  - {id: tell, run: mail.tell, after: [decide], inputs: {way: {ref: $.steps.decide.output}}}
  - {id: file, run: mail.file, after: [decide.good]}
"""
ORDER = b"""
name: order
steps:
  - {id: pay, run: payments.pay}
  - {id: pack, run: stock.count}
  - id: shipping
    after: [pay]
    when: input.to_ship
    steps:
      - {id: pack, run: stock.pack, inputs: {counted: {ref: $.steps.pay.output}}}
      - id: inner
        steps:
          - {id: send, run: parcel.send, inputs: {box: {ref: "$.steps['shipping.pack'].output"}}}
  - {id: thank, run: mail.thank, after: [shipping], inputs: {parcel: {ref: $.steps.shipping.output}}}
"""


def same(saga: Saga[Any, Any], document: bytes) -> None:
    assert msgspec.to_builtins(saga.definition) == msgspec.to_builtins(load_definition(document))


def test_a_switch_is_the_one_of_a_document() -> None:
    loan: Saga[Any] = Saga("loan")
    score = loan.step("credit.score")
    decide = loan.switch("decide", after=[score])
    good = decide.case("good", when="steps.score.output.points >= 700")
    good.step("bank.offer")
    good.wait("signed", where="payload.offer == steps.offer.output.number")
    decide.case("poor").step("bank.refuse")
    loan.step("mail.tell", after=[decide], inputs={"way": decide.output})
    loan.step("mail.file", after=[good])
    same(loan, LOAN)


def test_a_group_is_the_one_of_a_document_and_names_are_never_mistaken() -> None:
    """``pack`` stands outside and inside; in Python each object is the step that it is."""
    order: Saga[Any] = Saga("order")
    paid = order.step("payments.pay")
    order.step("stock.count", id="pack")
    shipping = order.group("shipping", after=[paid], when="input.to_ship")
    packed = shipping.step("stock.pack", inputs={"counted": paid.output})
    shipping.group("inner").step("parcel.send", inputs={"box": packed.output})
    order.step("mail.thank", after=[shipping], inputs={"parcel": shipping.output})
    same(order, ORDER)


def test_a_step_outside_is_meant_where_one_inside_has_its_name() -> None:
    order: Saga[Any] = Saga("order")
    outside = order.step("stock.count", id="pack")
    group = order.group("shipping", after=[outside])
    group.step("stock.pack")
    group.step("parcel.send", inputs={"count": outside.output})
    sent = order.definition.steps[-1]
    assert sent.inputs["count"].ref == "$.steps.pack.output"


def test_types_and_code_at_hand_are_known_inside() -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack(pieces: int) -> str:
        return "box" * pieces

    @shop.step
    async def unpack(box: str, shelf: int) -> None: ...

    order: Saga[Any] = Saga("order")
    group = order.group("shipping")
    packed = group.step(pack, inputs={"pieces": "many"}, undo=Undo(unpack, inputs={"box": group.later("pack").output}))
    case = order.switch("way").case("only")
    case.step(pack, id="again", inputs={"piece": 1})
    order.returns(packed.output)
    with pytest.raises(DefinitionError) as refused:
        _ = order.definition
    found = " ".join(refused.value.problems)
    assert "shelf" in found
    assert "'piece'" in found
    assert "pieces" in found


def test_what_is_wrong_with_a_switch_is_named() -> None:
    order: Saga[Any] = Saga("order")
    way = order.switch("way")
    way.case("first")
    way.case("second", when="((")
    order.group("nothing")
    with pytest.raises(DefinitionError) as refused:
        _ = order.definition
    found = " ".join(refused.value.problems)
    for what in (
        "'way.first' has no steps",
        "case 'first' of switch 'way' has no condition",
        "does not compile",
        "'nothing' has",
    ):
        assert what in found, what
    with pytest.raises(ArgumentError, match="id"):
        order.group(7)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="after"):
        order.switch("x", after=["pay"])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match="name"):
        way.case(7)  # type: ignore[arg-type]


def test_a_step_that_is_added_later_is_in_the_document() -> None:
    order: Saga[Any] = Saga("order")
    group = order.group("shipping")
    group.step("stock.pack")
    before = order.definition
    group.step("parcel.send")
    assert len(order.definition.steps) == len(before.steps) + 1


def test_a_reference_may_be_optional_and_is_written_so() -> None:
    order: Saga[Any] = Saga("order")
    paid = order.step(
        "payments.pay",
        inputs={"note": optional(order.input.note)},
        undo=Undo("payments.refund", inputs={"why": optional(order.input.why)}),
    )
    order.step("mail.thank", inputs={"paid": optional(paid.output.amount)})
    definition = order.definition
    assert definition.steps[0].inputs["note"].optional
    there: dict[str, Any] = {}
    text = as_python(definition)
    assert "from goconductor import Saga, Undo, optional" in text
    exec(text, there)
    assert there["order"].definition.version == definition.version
    with pytest.raises(ArgumentError, match="place"):
        optional("note")
