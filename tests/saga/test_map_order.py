"""A map has another order in each process: no condition makes a list of one, and so all processes answer alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from goconductor.errors import ConditionError
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Definition, Step
from goconductor.saga.expressions.conditions import MAP_WALKED, NO_LIST, compile_condition

KEYS = "abcde"
DATA = {
    "input": {
        "map": {key: number for number, key in enumerate(KEYS)},
        "list": [1, 2, 3],
        "lists": [[1], [2]],
        "maps": [{"x": 1}],
        "text": "a.map(k, k)",
    },
    "steps": {"pay": {"output": {"map": {"q": 1}}, "skipped": False}},
}


@pytest.mark.parametrize(
    "source",
    [
        "input.map.map(k, input.map[k])[0] == 4",
        "input.map.filter(k, true).size() == 5",
        "input.map.filter(k, true).map(k, k)[0] == 'a'",
        "steps.pay.output.map.map(k, k) == ['q']",
        "steps.map(k, k) == ['pay']",
        "input.maps[0].map(k, k) == ['x']",
        "[input.map][0].filter(k, true) == []",
        "[input.list, input.map][1].map(k, k) == []",
        "dyn(input.map).map(k, k) == []",
        "(input.list == [] ? input.list : input.map).map(k, k) == []",
        "input.map // .map(\n . /* */ map(k, k) == []".replace("/* */ ", ""),
        "input.`map`.map(k, k > 'a', k) == []",
        "input.maps.filter(m, true)[0].map(k, k) == ['x']",
        "'(' != input.text && ('[' == '' || input.map.map(k, k) == [])",
    ],
)
def test_what_makes_a_list_of_a_map_is_refused_with_the_remedy(source: str) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(source).holds(DATA)
    assert caught.value.problem == MAP_WALKED
    assert "ask exists(…), all(…), size(…) or 'in' of it" in str(caught.value)
    assert compile_condition(source).holds(DATA, any_order=True) in (True, False), "a log that is older was decided by it"


@pytest.mark.parametrize(
    "source",
    [
        "input.list.map(k, k * 2) == [2, 4, 6]",
        "input.list.filter(k, k > 1).map(k, k) == [2, 3]",
        "input.list.map(k, k > 1, k) == [2, 3]",
        "(input.list + input.list).map(k, k).size() == 6",
        "input.lists[0].map(k, k) == [1]",
        "[input.list].filter(k, true)[0].map(k, k) == [1, 2, 3]",
        "[1, 2].map(k, k) == [1, 2]",
        "1 in [[1]][0].map(k, k)",
        "!input.list.map(k, k > 1)[0]",
        "-input.list.map(k, k)[0] == -1",
        "true || input.map.map(k, k) == []",
        "type(input.map) == map ? input.map.size() == 5 : input.map.map(k, k) == []",
        "[[timestamp('2020-01-01T00:00:00Z')]][0].map(t, t)[0].getFullYear() == 2020",
        "[[1u]][0].map(u, type(u) == uint)[0]",
        "'x.map(y, y)' != input.text && input.list.filter(k, 'map' in ['map']).size() == 3",
        "input.map.exists(k, k == 'a') && input.map.all(k, k != '') && size(input.map) == 5 && 'a' in input.map",
        "input.map.exists_one(k, input.map[k] == 4) && input.map == {'e': 4, 'd': 3, 'c': 2, 'b': 1, 'a': 0}",
    ],
)
def test_lists_and_questions_about_a_map_are_answered(source: str) -> None:
    assert compile_condition(source).holds(DATA)


SCHEMA = {
    "type": "object",
    "properties": {
        "map": {"type": "object"},
        "list": {"type": "array"},
        "either": {"anyOf": [{"type": "object"}, {"type": "array"}]},
        "order": {"$ref": "#/$defs/Order"},
        "by_day": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Order"}},
        "circle": {"$ref": "#/properties/circle"},
        "a.b": {"type": "object"},
    },
    "$defs": {
        "Order": {"type": "object", "properties": {"lines": {"type": "array"}, "notes": {"$ref": "#/$defs/a~1b"}}},
        "a/b": {"type": "object"},
    },
}


def faults(when: str, schema: dict[str, Any] | None = None) -> list[str]:
    steps = (Step(id="pay", run="shop.pay"), Step(id="gift", run="shop.gift", after=("pay",), when=when))
    return problems(Definition(name="order", steps=steps, input_schema=schema))


@pytest.mark.parametrize(
    ("when", "place"),
    [
        ("input.map.map(k, k) == []", "input.map"),
        ("input.map(k, k) == []", "input"),
        ("input['a.b'].size() == 1 || input.`a.b`.filter(k, true) == []", "input.a.b"),
        ("input.order.filter(k, true) == []", "input.order"),
        ("input.order.notes.filter(k, true) == []", "input.order.notes"),
        ("input.by_day.monday.map(k, k) == []", "input.by_day.monday"),
        ("steps.map(k, k) == []", "steps"),
        ("steps.pay.map(k, k) == []", "steps.pay"),
    ],
)
def test_what_the_schema_calls_a_map_is_refused_at_registration(when: str, place: str) -> None:
    assert faults(when, SCHEMA) == [f"the condition of step 'gift' walks over {place}: it {MAP_WALKED}."]


@pytest.mark.parametrize(
    "when",
    [
        "input.list.map(k, k) == []",
        "input.either.map(k, k) == []",
        "input.order.lines.map(k, k) == []",
        "input.circle.map(k, k) == []",
        "input.unknown.map(k, k) == []",
        "steps.pay.output.map(k, k) == []",
        "input.map.exists(k, true)",
    ],
)
def test_what_may_be_a_list_is_not(when: str) -> None:
    assert faults(when, SCHEMA) == []


def test_a_map_that_stands_in_the_text_is_refused_at_registration() -> None:
    when = "{'a': 1}.map(k, k) == ['a']"
    assert faults(when) == [f"the condition of step 'gift' {NO_LIST}."]
    with pytest.raises(ConditionError, match="over what is no list"):
        compile_condition(when).holds(DATA)


def test_what_was_registered_before_is_not_refused_any_more() -> None:
    """Sagas may be on their way by it: what they decided stands in their logs."""
    steps = (Step(id="pay", run="shop.pay", when="steps.map(k, k) == []"),)
    assert problems(Definition(name="order", steps=steps))
    assert problems(Definition(name="order", steps=steps), stored=True) == []


ASKED = [
    "input.map.exists(k, input.map[k] == 4)",
    "input.map.all(k, input.map[k] < 4)",
    "input.map.exists_one(k, k > 'c')",
    "size(input.map) == 5 && 'e' in input.map",
    "input.list.filter(n, n > 1)[0] == 2",
    *(f"input.map.map(k, k)[{place}] == '{key}'" for place in range(3) for key in KEYS),
    "input.map.exists(k, 1 / input.map[k] == 1)",
    "double('0.1') + 0.2 == 0.3 || string(1e23) == '1e+23'",
]
PROCESSES = 4
ANSWER = """
import json, sys
from goconductor.errors import ConditionError
from goconductor.saga.expressions.conditions import compile_condition
data, asked = json.load(sys.stdin)
def answer(source):
    try:
        return compile_condition(source).holds(data)
    except ConditionError as error:
        return error.problem
print(json.dumps([answer(source) for source in asked]))
"""


def test_every_process_answers_alike() -> None:
    """Each has its own order of maps, so where a list of a map is asked for, some of them would hardly ever agree."""
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", ANSWER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
        )
        for seed in range(PROCESSES)
    ]
    asked = json.dumps([DATA, ASKED]).encode()
    answers = [json.loads(process.communicate(asked)[0]) for process in begun]
    assert answers == [answers[0]] * PROCESSES
    assert answers[0][:5] == [True, False, False, True, True]
    assert answers[0][5:20] == [MAP_WALKED] * 15
