"""Steps that start a saga, in a definition: what they are, how they are written, and what is refused of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor import Saga, Undo
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Definition
from goconductor.saga.features import features_of
from goconductor.saga.ids import CHILDREN_NAMESPACE, Direction, is_name
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python

UNDO = {"run": "shipping.take_back", "inputs": {"label": {"ref": "$.steps.parcel.output"}}}
PARCEL: dict[str, Any] = {"id": "parcel", "saga": {"name": "parcel"}, "undo": UNDO}
HELD: dict[str, Any] = {"name": "parcel", "held": True}
CHARGE: dict[str, Any] = {"id": "charge", "run": "payments.charge", "pivot": True}


def defined(*steps: dict[str, Any], **others: Any) -> Definition:
    return msgspec.convert({"name": "order", "steps": [*steps], **others}, Definition)


def test_the_action_is_sent_to_no_participant_and_the_undo_is() -> None:
    compiled = plan(defined(PARCEL))
    assert not compiled.owners
    assert [*compiled.sent] == [*compiled.undoable] == ["parcel"]
    assert compiled.owners_of[Direction.COMPENSATION] == {"parcel": ("shipping", "take_back")}
    assert compiled.owners_of[Direction.SETTLE] == {}


def test_it_is_a_feature() -> None:
    assert features_of(defined(PARCEL)) == ("declared_undo", "saga")


def test_a_diagram_names_the_saga() -> None:
    assert "saga parcel" in mermaid(plan(defined(PARCEL)))


def test_no_name_is_the_namespace_of_the_keys() -> None:
    assert not is_name(CHILDREN_NAMESPACE)


def test_it_is_written_in_python_and_back() -> None:
    order: Saga[Any, Any] = Saga("order")
    undo = Undo("shipping.take_back", inputs={"label": order.later("parcel").output})
    sent = order.saga("parcel", inputs={"sku": order.input.sku}, undo=undo, when="input.ship")
    order.step("payments.charge", after=[sent], pivot=True)
    found: dict[str, Any] = {}
    exec(as_python(order.definition), found)
    assert found["order"].definition.version == order.definition.version


def test_a_saga_in_python_gives_its_name_and_the_type_of_its_result() -> None:
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.returns(parcel.step("shipping.label", output=str).output)
    order: Saga[Any, Any] = Saga("order")
    charged = order.step("payments.charge", pivot=True)
    sent = order.saga(parcel, after=[charged])
    order.returns(sent.output)
    assert (order.sagas, order.result_type, sent.id) == ((parcel,), str, "parcel")


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([{"id": "a", "saga": {"name": "parcel"}, "undo": "none"}], "step 'a' starts a saga, and says that nothing undoes it"),
        ([PARCEL | {"saga": HELD}], "step 'parcel' holds the saga that it starts, and declares an undo"),
        ([CHARGE, {"id": "a", "saga": HELD, "after": ["charge"]}], "and nothing is undone after the pivot; leave 'held' out"),
        ([PARCEL | {"pivot": True}], "step 'parcel' is a saga, which cannot be the pivot"),
        ([PARCEL | {"retry": {"attempts_max": 2}}], "step 'parcel' is a saga, which nobody runs, but has retry"),
        ([PARCEL | {"timeout_seconds": 5.0}], "but has timeout_seconds"),
        ([PARCEL | {"run": "a.b"}], "but has run"),
        ([PARCEL | {"value": "1"}], "step 'parcel' is both a value and a saga"),
        ([PARCEL | {"saga": {"name": "a b"}}], "step 'parcel' starts saga 'a b', which is no name"),
        ([PARCEL | {"saga": {"name": "a", "version": "a b"}}], "step 'parcel' starts version 'a b' of a saga, which cannot be"),
        ([CHARGE, PARCEL | {"after": ["charge"]}], "its undo can never run"),
    ],
)
def test_what_is_refused(steps: list[dict[str, Any]], problem: str) -> None:
    assert any(problem in each for each in problems(defined(*steps))), problems(defined(*steps))


def test_before_the_pivot_it_undoes_itself_also_in_a_map() -> None:
    lines = {"id": "lines", "map": {"over": "$.input.lines", "do": [{"id": "a", "saga": HELD}]}}
    held = defined({"id": "b", "saga": HELD}, lines, CHARGE | {"after": ["lines", "b"]})
    assert problems(held) == []
    compiled = plan(held)
    assert [each in compiled.holds for each in ("b", "lines[3].a", "charge")] == [True, True, False]
    assert "lines[3].a" in compiled.undoable
    assert features_of(held) == ("held_saga", "map", "saga")


def test_behind_the_pivot_nothing_undoes_it() -> None:
    assert problems(defined(CHARGE, {"id": "invoice", "saga": {"name": "invoice"}, "after": ["charge"]})) == []
