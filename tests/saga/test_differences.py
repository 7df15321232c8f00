"""What differs between two versions with groups, switches, maps and sagas inside, in the words of who wrote them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from goconductor.control.definitions.comparing import diff_of
from goconductor.control.definitions.loading import read
from goconductor.saga.definition import every_step
from goconductor.saga.plan import plan
from goconductor.saga.writing.groups.differences import differences
from goconductor.saga.writing.groups.restoring import in_full
from tests.simulation.simulated.definitions import random_definition

Steps = dict[str, Any]


def step(name: str, **fields: Any) -> Steps:
    return {"id": name, "run": f"shop.{name[-1]}", **fields}


def order() -> Steps:
    goods = [
        {"case": "card", "when": "input.card", "steps": [step("hold"), step("charge")]},
        {"case": "bill", "steps": [step("write")]},
    ]
    return {
        "name": "order",
        "steps": [
            step("score"),
            {"id": "pay", "after": ["score"], "switch": copy.deepcopy(goods)},
            {"id": "ship", "after": ["pay"], "when": "input.to_ship", "steps": [step("pack"), step("send")]},
            {"id": "lines", "map": {"over": "$.input.lines", "do": [{"id": "take", "switch": copy.deepcopy(goods)}]}},
            {"id": "gift", "saga": {"steps": [step("buy"), {"id": "wrap", "steps": [step("fold"), step("bind")]}]}},
            step("tell", after=["ship"]),
        ],
    }


def change(edit: Callable[[list[Steps]], object]) -> Steps:
    made = order()
    edit(made["steps"])
    return made


CASES: list[tuple[Callable[[list[Steps]], object], list[str]]] = [
    (
        lambda s: s[1]["switch"][0].update(when="input.gold"),
        ['case \'pay.card\': its when is "input.gold", and was "input.card"'],
    ),
    (lambda s: s[2].update(when="input.abroad"), ['group \'ship\': its when is "input.abroad", and was "input.to_ship"']),
    (lambda s: s[2].pop("when"), ["group 'ship': its when is gone; it was \"input.to_ship\""]),
    (
        lambda s: s[2]["steps"].insert(1, step("seal")),
        [
            "step 'ship.seal' is new, after 'ship.pack'",
            "step 'ship.send': it comes after 'ship.seal' as well",
            "step 'ship.send': it does not come after 'ship.pack' any more",
        ],
    ),
    (
        lambda s: s[1]["switch"].insert(0, {"case": "coin", "when": "input.coin", "steps": [step("count")]}),
        ["case 'pay.coin' is new, with 'pay.coin.count'"],
    ),
    (
        lambda s: s[1]["switch"][0].update(case="debit"),
        [
            "case 'pay.card' is gone, with 'pay.card.hold', 'pay.card.charge'",
            "case 'pay.debit' is new, with 'pay.debit.hold', 'pay.debit.charge'",
        ],
    ),
    (
        lambda s: s.pop(2) and s[4].update(after=["pay"]),
        [
            "group 'ship' is gone, with 'ship.pack', 'ship.send'",
            "step 'tell': it comes after 'pay' as well",
            "step 'tell': it does not come after 'ship' any more",
        ],
    ),
    (
        lambda s: s[5].update(after=["pay"]),
        ["step 'tell': it comes after 'pay' as well", "step 'tell': it does not come after 'ship' any more"],
    ),
    (
        lambda s: s[3]["map"]["do"][0]["switch"][1]["steps"].append(step("file")),
        ["step 'lines': in its map, step 'take.bill.file' is new, after 'take.bill.write'"],
    ),
    (
        lambda s: s[4]["saga"]["steps"][1]["steps"].pop(),
        ["step 'gift': in its saga, step 'wrap.bind' is gone"],
    ),
    (
        lambda s: s[2].update(after=["score"]),
        ["group 'ship': it comes after 'score' as well", "group 'ship': it does not come after 'pay' any more"],
    ),
]


@pytest.mark.parametrize(("edit", "told"), CASES)
def test_each_change_is_told_once_by_the_names_that_were_written(edit: Callable[[list[Steps]], object], told: list[str]) -> None:
    assert list(differences(plan(read(order())), plan(read(change(edit))))) == told


def test_the_order_of_cases_is_part_of_a_switch() -> None:
    two = [{"case": name, "when": f"input.{name}", "steps": [step(name)]} for name in ("a", "b")]
    old, new = [read({"name": "order", "steps": [{"id": "way", "switch": cases}]}) for cases in (two, two[::-1])]
    assert differences(plan(old), plan(new)) == ("switch 'way': its cases are asked in the order 'b', 'a'",)


def test_what_holds_a_saga_is_called_as_it_was_written() -> None:
    found = diff_of(plan(read(order())), plan(read(change(lambda s: s[2].update(when="input.abroad")))))
    assert found.holding == ["ship.when"]
    assert found.summary == "A running saga could go on under the new version while none of these steps has begun: ship."


def test_of_a_large_group_the_first_steps_are_named() -> None:
    group = {"id": "g", "steps": [{"id": f"s{number}", "run": "shop.x"} for number in range(12)]}
    old, new = [read({"name": "order", "steps": steps}) for steps in ([step("a")], [step("a"), group])]
    (told,) = differences(plan(old), plan(new))
    assert told.startswith("group 'g' is new, at the beginning, with 'g.s0', 'g.s1'")
    assert told.endswith("'g.s7' and 4 more")


def test_a_step_that_becomes_a_group_is_told_as_one() -> None:
    old, new = [read({"name": "order", "steps": [each]}) for each in (step("a"), {"id": "a", "steps": [step("b"), step("c")]})]
    told = differences(plan(old), plan(new))
    assert told[0] == "step 'a.b' is new, at the beginning"
    assert "step 'a': it is a group now, and was a step" in told


def test_where_one_version_cannot_be_read_off_both_are_compared_as_they_are_stored() -> None:
    odd = [step("g.a"), step("x"), step("g.b", after=["g.a"])]  # looks like a group, in two pieces
    old, new = [
        read({"name": "order", "steps": [*steps, {"id": "h", "steps": [step("c"), step("d")]}]}) for steps in (odd, odd[:2])
    ]
    assert differences(plan(old), plan(new)) == ("step 'g.b' is gone",)


def test_random_versions_are_compared_and_no_compiled_name_is_shown() -> None:
    made = [random_definition("order", random.Random(seed)) for seed in range(60)]
    read_off = [each for each in made if not any("." in inside.id for inside in every_step(in_full(each).steps))]
    assert len(read_off) > 40
    for old, new in pairwise(read_off):
        told = differences(plan(old), plan(new))
        assert told
        assert not any(".when'" in each.partition(":")[0] for each in told)
    assert differences(plan(made[0]), plan(made[0])) == ()
