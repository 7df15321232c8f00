"""Groups and switches beside maps and repeats, around them, and in their bodies."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from goconductor import DefinitionError, Saga
from goconductor.control.definitions.loading import load_definition, read
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.lifecycle.decide import begin
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.saga.definition import Definition, Step
from goconductor.saga.features import features_of
from goconductor.saga.growth import Name, split, template
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python

ORDER = b"""
name: order
steps:
  - {id: open, run: shop.open}
  - id: ship
    when: input.to_ship
    steps:
      - {id: pack, run: stock.pack}
      - id: lines
        map:
          over: $.input.lines
          do:
            - id: pay
              switch:
                - case: card
                  when: item.card && steps.pack.skipped == false
                  steps:
                    - {id: charge, run: bank.charge, inputs: {line: {ref: $.item}, box: {ref: $.steps.pack.output}}}
                    - {id: book, run: bank.book, inputs: {paid: {ref: $.steps.charge.output}, all: {ref: $.steps.open.output}}}
                - case: bill
                  steps:
                    - {id: write, run: bank.write, inputs: {number: {ref: $.index}}}
            - {id: note, run: shop.note, after: [pay], inputs: {way: {ref: $.steps.pay.output}}}
  - id: poll
    after: [ship]
    repeat:
      do:
        - id: ask
          steps:
            - {id: call, run: mail.call, inputs: {sent: {ref: $.steps.ship.output}, turn: {ref: $.index}}}
            - {id: hear, run: mail.hear, inputs: {said: {ref: $.steps.call.output}}}
      until: steps.ask.output.arrived
      max: 3
  - {id: thank, run: mail.thank, after: [poll], inputs: {lines: {ref: $.steps.ship.output}, said: {ref: $.steps.poll.output}}}
"""


def test_names_are_looked_up_in_the_body_first_and_then_around_the_map() -> None:
    by_id = {step.id: step for step in load_definition(ORDER).steps}
    assert [*by_id] == ["open", "ship.when", "ship.pack", "ship.lines", "poll", "thank"]
    body = {step.id: step for step in by_id["ship.lines"].body}
    assert [*body] == ["pay", "pay.card.charge", "pay.card.book", "pay.bill.write", "note"]
    assert 'item.card && steps["ship.pack"].skipped == false' in str(body["pay"].value)
    assert {name: binding.ref for name, binding in body["pay.card.charge"].inputs.items()} == {
        "line": "$.item",
        "box": "$.steps['ship.pack'].output",
    }
    assert body["pay.card.book"].inputs["paid"].ref == "$.steps['pay.card.charge'].output"
    assert body["note"].after == ("pay.card.book", "pay.bill.write")
    assert by_id["poll"].after == ("ship.lines",)
    assert by_id["poll"].repeat is not None
    assert by_id["poll"].repeat.until == 'steps["ask.hear"].output.arrived'
    assert by_id["poll"].body[0].inputs["sent"].ref == "$.steps['ship.lines'].output"
    assert by_id["thank"].inputs["lines"].ref == "$.steps['ship.lines'].output"


def test_older_instances_leave_such_sagas_to_others() -> None:
    assert "grouped_growth" in features_of(load_definition(ORDER))
    apart = {"id": "g", "steps": [{"id": "a", "run": "shop.a"}]}
    lines = {"id": "lines", "map": {"over": "$.input", "do": [{"id": "b", "run": "shop.b"}]}}
    assert "grouped_growth" in features_of(read({"name": "order", "steps": [apart, lines]}))
    for steps in ([apart], [lines]):
        assert "grouped_growth" not in features_of(read({"name": "order", "steps": steps}))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("lines[3].pay.card.charge", Name("lines.pay.card.charge", "lines", 3, "pay.card.charge")),
        ("ship.lines[0].a", Name("ship.lines.a", "ship.lines", 0, "a")),
        ("a.b[1].c.d[22].e.f", Name("a.b.c.d.e.f", "a.b[1].c.d", 22, "e.f")),
        ("ship.pack", None),
        ("a[1]", None),
        ("a[01].b", None),
        ("a[1].b[]", None),
        ("[1].b", None),
        ("a[1].b[2].c[3].d[4].e", None),
    ],
)
def test_a_name_that_has_grown_is_split_at_its_last_index(name: str, parts: Name | None) -> None:
    assert split(name) == parts
    assert template(name) == (name if parts is None else parts.template)


def test_each_item_goes_its_own_way() -> None:
    compiled = plan(load_definition(ORDER))
    lines = [{"card": True}, {"card": False}]
    state = begin(compiled, UUID(int=1), e.SagaStarted(input={"to_ship": True, "lines": lines})).state
    assert {name for name, step in state.steps.items() if step.action.status is ActionStatus.SENT} == {"open", "ship.pack"}
    assert compiled.steps["ship.lines[1].pay.card.charge"].run == "bank.charge"
    assert compiled.predecessors["ship.lines[1].pay.card.book"][-1] == "ship.lines[1].pay.card.charge"
    assert compiled.inputs("ship.lines[1].pay.card.book", {}, {"open": 1, "ship.lines[1].pay.card.charge": 2}) == {
        "paid": 2,
        "all": 1,
    }
    assert "each item of ship.lines" in mermaid(compiled)


def test_python_writes_the_same_document() -> None:
    order: Saga[Any] = Saga("order")
    opened = order.step("shop.open")
    ship = order.group("ship", when="input.to_ship")
    packed = ship.step("stock.pack")
    lines = ship.map(order.input.lines, id="lines")
    pay = lines.switch("pay")
    card = pay.case("card", when="item.card && steps.pack.skipped == false")
    charged = card.step("bank.charge", inputs={"line": lines.item, "box": packed.output})
    card.step("bank.book", inputs={"paid": charged.output, "all": opened.output})
    pay.case("bill").step("bank.write", inputs={"number": lines.index})
    lines.step("shop.note", after=[pay], inputs={"way": pay.output})
    poll = order.repeat(until="steps.ask.output.arrived", max=3, id="poll", after=[ship])
    ask = poll.group("ask")
    called = ask.step("mail.call", inputs={"sent": ship.output, "turn": poll.index})
    ask.step("mail.hear", inputs={"said": called.output})
    order.step("mail.thank", after=[poll], inputs={"lines": ship.output, "said": poll.output})
    made = load_definition(ORDER)
    assert msgspec.to_builtins(order.definition) == msgspec.to_builtins(made)
    there: dict[str, Any] = {}
    exec(as_python(made), there)
    assert there["order"].definition.version == made.version


A, B = {"id": "a", "run": "shop.a"}, {"id": "b", "run": "shop.b"}


def lines(*do: dict[str, Any], id: str = "lines") -> dict[str, Any]:
    return {"id": id, "map": {"over": "$.input.lines", "do": [*do]}}


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([lines({"id": "g", "steps": []})], "in map 'lines': 'g' has no steps"),
        ([lines({"id": "g", "steps": [A, A]})], "in map 'lines': 'g.a' is written twice"),
        (
            [lines({"id": "g", "switch": [{"case": "c", "when": "previous == 1", "steps": [A]}]})],
            "in map 'lines': the condition of case 'c' of switch 'g' does not compile",
        ),
        ([lines({"id": "g", "steps": [A | {"pivot": True}]})], "pivot 'g.a' is in map 'lines'"),
        ([lines({"id": "g", "steps": [A]}), B | {"after": ["lines.g"]}], "step 'b' comes after 'lines.g', which is not a step"),
        (
            [{"id": "g", "steps": [A]}, lines(B | {"after": ["g"]})],
            "in map 'lines': step 'b' comes after 'g.a', which is outside",
        ),
        (
            [
                {"id": "g", "steps": [A, lines({"id": "g", "steps": [A]}, B | {"inputs": {"x": {"ref": "$.steps.a.output"}}})]},
            ],
            "in map 'g.lines': 'a' means 'g.a' around the map or repeat, in which another step is called 'g.a'; rename",
        ),
        (
            [{"id": "l", "map": {"over": "$.input", "do": [{"id": "a.b", "run": "shop.a"}]}}, {"id": "l.a.b", "run": "shop.b"}],
            "without its indexes the name 'l.a.b' is that of several steps; rename one of them",
        ),
        (
            [lines({"id": "g", "steps": [{"id": "s", "savepoint": {"otherwise": ["x"]}}, A]})],
            "savepoint 'g.s' stands in map 'lines'",
        ),
        ([lines({"id": "g", "steps": [lines(lines(lines(A)))]})], "its maps and repeats stand more than 3 deep"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(steps: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read({"name": "order", "steps": steps})
    assert any(problem.startswith(told) for problem in caught.value.problems), caught.value.problems


def test_what_was_registered_before_is_read_as_it_was() -> None:
    """A body without groups is its own compiled form, also where the definition has a group elsewhere."""
    body = (Step(id="a", run="shop.a"), Step(id="b", run="shop.b", after=("a",), when="index == 1"))
    made = read({"name": "order", "steps": [lines(*msgspec.to_builtins(body)), {"id": "g", "steps": [A]}]})
    assert made.steps[0].body == body
    assert read(msgspec.json.decode(made.document())).version == made.version
    assert isinstance(made, Definition)
