"""How much a definition may have to compile: it is refused before anything is compiled."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import DefinitionError
from goconductor.control.definitions.loading import read
from goconductor.control.importers.orchy.importing import imported
from goconductor.saga.checking import validate
from goconductor.saga.checking.expressions import CHARACTERS_MAX, EXPRESSIONS_MAX
from goconductor.saga.definition import Definition, Step
from goconductor.saga.expressions.conditions import compile_condition
from goconductor.saga.expressions.value import compile_value

MANY = [f"input.a == {n}" for n in range(EXPRESSIONS_MAX + 1)]
LONG = [f"'{n}{'x' * 4_000}' == input.a" for n in range(CHARACTERS_MAX // 4_000 + 1)]


def step(n: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"s{n}", "run": "shop.x"} | fields


def shapes(texts: list[str]) -> dict[str, list[dict[str, Any]]]:
    conditions = [step(n, when=text) for n, text in enumerate(texts)]
    case = {"case": "c", "steps": [step(0)]}
    return {
        "conditions": conditions,
        "values": [{"id": f"s{n}", "value": text} for n, text in enumerate(texts)],
        "wheres": [{"id": f"s{n}", "wait": {"event": "e", "where": text}} for n, text in enumerate(texts)],
        "in a map": [{"id": "m", "map": {"over": "$.input.l", "do": conditions}}],
        "in a group": [{"id": "g", "steps": conditions}],
        "in a case": [{"id": "g", "switch": [{"case": "c", "steps": conditions}]}],
        "of groups": [{"id": f"g{n}", "when": text, "steps": [step(0)]} for n, text in enumerate(texts)],
        "of cases": [{"id": f"g{n}", "switch": [case | {"when": text}]} for n, text in enumerate(texts)],
    }


def compilations() -> int:
    return compile_condition.cache_info().misses + compile_value.cache_info().misses


@pytest.mark.parametrize("place", shapes([]))
@pytest.mark.parametrize(
    ("texts", "told"),
    [(MANY, "it has 1,001 different expressions, at most 1,000"), (LONG, "characters, at most 131,072 are allowed")],
    ids=["many", "long"],
)
def test_too_many_expressions_are_refused_before_one_is_compiled(place: str, texts: list[str], told: str) -> None:
    before = compilations()
    with pytest.raises(DefinitionError, match=told):
        read({"name": "order", "steps": shapes(texts)[place]})
    assert compilations() == before


def test_a_document_of_orchys_is_bounded_as_well() -> None:
    ways = {str(n): n for n in range(2, EXPRESSIONS_MAX + 3)}
    switch = {"id": 1, "type": "system", "name": "switch", "expression": "$.input.way", "next": ways}
    actions = [switch, *({"id": n, "type": "user", "name": "x"} for n in ways.values())]
    document = {"name": "wide", "rootAction": 1, "actions": actions}
    before = compilations()
    with pytest.raises(DefinitionError, match="different expressions"):
        imported(document)
    assert compilations() == before


def test_the_same_expression_counts_once() -> None:
    read({"name": "order", "steps": [step(n, when="input.a == 1") for n in range(EXPRESSIONS_MAX + 1)]})


def test_a_definition_that_was_registered_before_there_was_a_bound_stays_in_use() -> None:
    old = Definition(name="order", steps=tuple(Step(id=f"s{n}", run="shop.x", when=text) for n, text in enumerate(LONG)))
    assert validate.problems(old, stored=True) == []
    assert validate.problems(old) != []
