"""The catalogue has every request that an event stands for, and says of each what its event takes."""

from __future__ import annotations

from types import NoneType
from typing import get_args

import msgspec
import pytest

from goconductor.lifecycle.facts.events import OperatorRequest, StepEvent
from goconductor.lifecycle.facts.restart import RestartAsNew
from goconductor.lifecycle.requests.catalogue import CATALOGUE, OPERATIONS, Kind, Operation, Request

OF_EVERY_EVENT = {*StepEvent.__struct_fields__, "by", "reason"}
FOUND = {"version_before"}
"""What nobody gives: it is found where the event is made."""
TYPES = {Kind.FLAG: (bool,), Kind.STEP: (str,), Kind.TEXT: (str, NoneType), Kind.VALUE: (object,), Kind.VALUES: (dict, NoneType)}

each_operation = pytest.mark.parametrize("operation", CATALOGUE, ids=lambda operation: operation.request)


def test_every_request_is_in_the_catalogue_once() -> None:
    assert [operation.request for operation in CATALOGUE] == list(Request)
    assert set(OPERATIONS) == {*get_args(OperatorRequest), RestartAsNew}


@each_operation
def test_its_parameters_are_those_of_its_event(operation: Operation) -> None:
    fields = msgspec.structs.fields(operation.event)
    assert {each.name for each in operation.parameters} == {field.name for field in fields} - OF_EVERY_EVENT - FOUND
    assert operation.about_step == ("step" in operation.event.__struct_fields__)
    assert operation.takes_reason or not operation.needs_reason


@each_operation
def test_a_default_is_of_the_kind_that_the_parameter_has(operation: Operation) -> None:
    optional = [each for each in operation.parameters if not each.required]
    assert [each.name for each in optional if not isinstance(operation.default(each), TYPES[each.kind])] == []


@each_operation
def test_its_event_says_what_was_asked(operation: Operation) -> None:
    values = {each.name: {"a": 1} for each in operation.parameters}
    event = operation.asked(step="pay", round=3, reason="so", values=values)
    assert type(event) is operation.event
    assert {name: getattr(event, name) for name in values} == values
    assert getattr(event, "reason", "so") == "so"
    assert not isinstance(event, StepEvent) or (event.step, event.round) == ("pay", 3)


@each_operation
def test_it_says_in_words_what_it_does_and_why_it_must_be_explained(operation: Operation) -> None:
    assert operation.summary.endswith(".")
    assert operation.event.verb
    assert "{" not in operation.why.format(step="pay")
