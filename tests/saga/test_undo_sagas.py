"""Undos that are sagas, in a definition: what they are, how they are written, and what is refused of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from goconductor import ArgumentError, Saga, Undo
from goconductor.control.definitions.loading import read
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.errors import DefinitionError
from goconductor.saga.features import features_of
from goconductor.saga.ids import Direction, child_key
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python

RECEIPT = {"receipt": {"ref": "$.steps.charge.output"}}


def charge(**undo: Any) -> dict[str, Any]:
    return {"id": "charge", "run": "payments.charge", "undo": {"saga": {"name": "refund"}, "inputs": RECEIPT, **undo}}


def order(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"name": "order", "steps": [*steps]}


def test_no_participant_undoes_the_step_and_its_own_one_is_asked_what_had_happened() -> None:
    compiled = plan(read(order(charge())))
    assert compiled.undo_sagas["charge"].name == "refund"
    assert compiled.starts_sagas
    assert compiled.owners_of[Direction.COMPENSATION] == compiled.owners_of[Direction.SETTLE_UNDO] == {}
    assert compiled.owners_of[Direction.SETTLE] == {"charge": ("payments", "charge")}
    assert features_of(compiled.definition) == ("declared_undo", "undo_saga")
    assert "<br/>saga refund" in mermaid(compiled)


def test_it_has_a_key_of_its_own() -> None:
    saga = plan(read(order(charge()))).undo_sagas
    assert [*saga] == ["charge"]
    keys = {child_key(UUID(int=1), "charge", 0, 1, undoes=undoes) for undoes in (False, True)}
    assert keys == {f"{UUID(int=1)}/charge/0/1", f"{UUID(int=1)}/charge/0/1/undo"}


def test_it_is_written_in_python_and_back() -> None:
    refund: Saga[Any, Any] = Saga("refund")
    refund.step("payments.pay_back")
    made: Saga[Any, Any] = Saga("order")
    lines = made.map(made.input.lines, id="lines")
    lines.step("payments.charge", undo=Undo.saga(refund, inputs={"receipt": lines.later("charge").output}))
    made.step("payments.book", undo=Undo.saga("unbook"))
    assert made.sagas == (refund,)
    found: dict[str, Any] = {}
    exec(as_python(made.definition), found)
    assert found["order"].definition.version == made.definition.version
    with pytest.raises(ArgumentError, match="a saga written in Python, or the name of a registered one"):
        Undo.saga(5)


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([charge(run="a.b")], "the undo of step 'charge' is a saga, and runs 'a.b'; leave one of them out."),
        ([charge(wait={"event": "done"})], "the undo of step 'charge' waits, so nobody runs it, but it has inputs and saga"),
        ([charge(saga={"name": "a b"})], "the undo of step 'charge' starts saga 'a b', which is no name"),
        ([charge(saga={"name": "a", "version": "a b"})], "starts version 'a b' of a saga, which cannot be"),
        ([charge(saga={"name": "a", "held": True})], "starts a saga by its name, and says of it held"),
        ([charge(saga={"steps": [{"id": "a", "run": "a.b"}]})], "starts saga '', which is no name"),
        ([charge(saga=None)], "the undo of step 'charge' has neither run, wait nor saga"),
        ([charge() | {"pivot": True}], "so its undo can never run"),
        ([charge(inputs={"x": {"ref": "$.steps.later.output"}}), {"id": "later", "run": "a.b"}], "which there need not be"),
    ],
)
def test_what_is_refused(steps: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(order(*steps))
    assert any(problem in each for each in refused.value.problems), refused.value.problems
