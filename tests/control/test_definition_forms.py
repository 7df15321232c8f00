"""A definition written as Python or YAML is the same version again."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor import DefinitionError, Saga, load_definition
from goconductor.control.definitions.loading import read
from goconductor.control.yaml_reader import read_yaml
from goconductor.control.yaml_writer import write_yaml
from goconductor.saga.definition import Definition
from goconductor.saga.writing.as_python import as_python
from tests.lifecycle.sagas import definitions, many_examples
from tests.simulation.simulated.definitions import random_definition

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
LOOKS_LIKE = ["no", "On", "~", "null", "010", "1e3", ".5", "12:30", "2026-01-01", "<<", "=", "-", "a: b", "a #b", "$.input.x", ""]


def made_by(code: str) -> Definition:
    """Run code that was written, and return the definition of the saga that it makes."""
    found: dict[str, Any] = {}
    exec(code, found)
    (saga,) = (value for value in found.values() if isinstance(value, Saga))
    return saga.definition


@many_examples
@given(definitions())
def test_python_makes_the_same_version(definition: Definition) -> None:
    assert made_by(as_python(definition)).version == definition.version


@given(st.integers(0, 2**32))
def test_python_makes_the_same_version_with_references_and_retries(seed: int) -> None:
    definition = random_definition("random", random.Random(seed))
    assert made_by(as_python(definition)).version == definition.version


def test_python_says_of_an_item_within_a_repeat_and_of_a_turn_within_a_map_whose_they_are() -> None:
    seen = {"item": {"ref": "$.item"}, "turn": {"ref": "$.previous"}, "place": {"ref": "$.index"}, "all": {"ref": "$.input.n"}}
    do = [{"id": "ask", "run": "shop.ask", "inputs": seen}]
    turns = {"id": "turns", "repeat": {"do": do, "until": "true", "max": 2}}
    items = {"id": "items", "map": {"over": "$.input.list", "do": do}}
    outer = [
        {"id": "each", "map": {"over": "$.input.list", "do": [turns]}},
        {"id": "again", "after": ["each"], "repeat": {"do": [items], "until": "true", "max": 2}},
    ]
    definition = read({"name": "nested", "steps": outer})
    code = as_python(definition)
    assert made_by(code).version == definition.version
    written = ("each.item", "turns.previous", "turns.index", "again.previous", "items.item", "items.index")
    assert [place for place in written if place not in code] == []


@given(VALUES, TEXTS, TEXTS)
def test_python_keeps_constants_names_and_schemas(value: object, parameter: str, key: str) -> None:
    step = {"id": "class", "run": "shop.sell", "inputs": {parameter: {"value": value}, "all": {"value": [value]}}}
    document = {
        "name": "2-for-1",
        "steps": [step, {"id": "sell", "run": "shop.sell", "after": ["class"]}],
        "output": {"value": {key: value}},
        "input_schema": {"type": "object", "properties": {key: {"enum": [value]}}},
    }
    definition = read(document)
    assert made_by(as_python(definition)).version == definition.version


def test_python_reads_as_people_write_it() -> None:
    definition = load_definition(
        b"""
name: order-2
timeout_seconds: 600
steps:
  - {id: reserve, run: inventory.reserve, inputs: {sku: {ref: $.input.sku}, pieces: {value: 1}}, compensation: true}
  - {id: class, delay: {until: $.input.class.from}}
  - {id: paid, wait: {event: paid, where: payload.cents > 0, timeout_seconds: 60}, after: [later]}
  - {id: net, value: inputs.cents * 100 / 119, inputs: {cents: {ref: $.steps.paid.output.cents}}, allow_fail: true}
  - {id: later, run: shop.later, retry: {attempts_max: null, factor: 3}, allow_fail: true}
  - id: ship
    run: shipping.ship
    after: [reserve, class, net]
    pivot: true
    inputs: {receipt: {ref: $.steps.paid.output.number}, sku: {ref: $.steps.later.output}}
output: {ref: "$.steps.ship.output.items[0]"}
"""
    )
    code = """\
from goconductor import Retry, Saga

order_2 = Saga('order-2', timeout=600)
reserve = order_2.step(
    'inventory.reserve',
    inputs={'sku': order_2.input.sku, 'pieces': 1},
    compensation=True,
)
class_ = order_2.delay(until=order_2.input['class']['from'], id='class')
paid = order_2.wait('paid', where='payload.cents > 0', timeout=60, after=[order_2.later('later')])
net = order_2.value(
    'inputs.cents * 100 / 119',
    id='net',
    inputs={'cents': paid.output.cents},
    allow_fail=True,
)
later = order_2.step('shop.later', retry=Retry(attempts_max=None, factor=3.0), allow_fail=True)
ship = order_2.step(
    'shipping.ship',
    after=[reserve, class_, net],
    inputs={'receipt': paid.output.number, 'sku': later.output},
    pivot=True,
)
order_2.returns(ship.output.items[0])
"""
    assert as_python(definition) == code
    assert made_by(code).version == definition.version


def test_what_python_cannot_make_is_said() -> None:
    step = {"id": "a", "run": "a.b", "inputs": {"x": {"ref": '$["input"]'}}}
    told = r"cannot be written in Python:\n.*input 'x' of step 'a' refers to .* which Python writes as \$\.input; register"
    with pytest.raises(DefinitionError, match=told):
        as_python(read({"name": "order", "steps": [step]}))


@many_examples
@given(VALUES)
def test_yaml_has_the_same_values(value: object) -> None:
    read_again = read_yaml(write_yaml(value), bytes_max=1_000_000)
    assert read_again == value
    assert repr(read_again) == repr(value)


@pytest.mark.parametrize("text", LOOKS_LIKE)
def test_yaml_keeps_a_text_that_looks_like_something_else(text: str) -> None:
    assert read_yaml(write_yaml({text: [text]}), bytes_max=1_000) == {text: [text]}


@given(definitions())
def test_yaml_is_the_same_version(definition: Definition) -> None:
    document = json.loads(definition.document())
    assert load_definition(write_yaml(document).encode()).version == definition.version


def test_a_default_that_was_given_is_written_again() -> None:
    document = {"name": "order", "steps": [{"id": "a", "run": "a.b", "retry": {"initial_seconds": 0.5, "jitter": 0.2}}]}
    definition = read(document)
    assert made_by(as_python(definition)).version == definition.version


def test_a_policy_that_writes_out_a_default_of_its_decimals_is_another_version() -> None:
    def version(**retry: float) -> str:
        return read({"name": "order", "steps": [{"id": "a", "run": "a.b", "retry": retry}]}).version

    assert version() == version(attempts_max=3)
    assert version() != version(initial_seconds=0.5)
