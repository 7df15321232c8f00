"""Which builders a target needs: inferred once, and refused with all faults at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor import ArgumentError, Builder, Dataflow, DefinitionError, Participant, RequestRefusedError, Saga
from goconductor.dataflow.resolving import resolve
from goconductor.dataflow.shape import CLOSE, graph_of

OFFER = Builder("q.offer", produces="offer", consumes=["price", "customer"], optionals=["voucher"], access=["tariff"])
FAST = Builder("q.fast", produces="price", consumes=["car"])
FAIR = Builder("q.fair", produces="price", consumes=["car", "customer"])
UNUSED = Builder("q.letter", produces="letter", consumes=["offer"])


def problems_of(*builders: Builder, target: str = "offer", **options: Any) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        _ = Dataflow("quote", target=target, builders=builders, **options).definition
    return [*refused.value.problems]


def test_only_what_the_target_needs_becomes_a_step_named_by_its_datum() -> None:
    dataflow = Dataflow("quote", target="offer", builders=[UNUSED, OFFER, FAST])
    steps = {step.id: step for step in dataflow.definition.steps}
    assert {*steps} == {"customer", "car", "voucher", "tariff", "price", "offer", "offer-optionals", "offer-access", CLOSE}
    assert {name for name, step in steps.items() if step.run} == {"price", "offer"}
    graph = graph_of(dataflow.definition)
    assert graph.target == "offer"
    assert {*graph.outside} == {"car", "customer", "voucher", "tariff"}
    assert graph.needed == {"offer", "price", "customer", "car"}
    assert graph.made["offer"].optionals == ("voucher",)
    assert graph.made["offer"].access == ("tariff",)
    assert graph.wanted_by("car") == ["q.fast"]


def test_optionals_and_what_is_only_read_are_no_predecessors() -> None:
    steps = {step.id: step for step in Dataflow("quote", target="offer", builders=[OFFER, FAST]).definition.steps}
    before = {name for step in steps.values() for name in step.after} | {
        str(binding.ref) for step in steps.values() for binding in step.inputs.values()
    }
    assert not [name for name in before if "voucher" in name and "optionals" not in name]
    assert steps["offer-access"].after == ("price", "customer", "offer-optionals")


def test_what_produces_an_optional_is_a_part_of_it() -> None:
    voucher = Builder("q.find", produces="voucher", consumes=["mailing"])
    graph = graph_of(Dataflow("quote", target="offer", builders=[OFFER, FAST, voucher]).definition)
    assert {*graph.made} == {"offer", "price", "voucher"}
    assert "mailing" not in graph.needed
    assert [*graph.made][-1] == "offer"  # after what it takes where it is there


VERSION = """
from goconductor import Builder, Dataflow
names = [f"d{number}" for number in range(9)]
builders = [Builder(f"p.{name}", produces=name, access=["o3"]) for name in names]
target = Builder("p.all", produces="all", consumes=names[:5], optionals=names[5:])
print(Dataflow("many", target="all", builders=[target, *builders]).definition.version)
"""


def test_each_process_makes_the_same_version_of_it() -> None:
    versions = {
        subprocess.run(
            [sys.executable, "-c", VERSION],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(versions) == 1


def test_a_dataflow_says_which_builder_where_several_could() -> None:
    (problem,) = problems_of(OFFER, FAST, FAIR)
    assert problem == (
        "datum 'price' is produced by builders 'q.fast' and 'q.fair', and builder 'q.offer' takes it; "
        "say which one: resolve={'price': 'q.fast'}."
    )
    chosen: list[Any] = ["q.fair", FAIR]
    for each in chosen:
        dataflow = Dataflow("quote", target="offer", builders=[OFFER, FAST, FAIR], resolve={"price": each})
        assert graph_of(dataflow.definition).made["price"].run == "q.fair"


def test_all_faults_come_at_once_each_with_builder_and_datum() -> None:
    risk = Builder("q.risk", produces="risk", consumes=["offer"])
    offer = Builder("q.offer", produces="offer", consumes=["price", "risk", "custmer"])
    letter = Builder("q.customer", produces="letter")
    found = problems_of(
        *(offer, risk, FAST, FAIR, letter),
        given=["customer", "car", "letter"],
        resolve={"score": "q.scor", "letter": "q.offer"},
    )
    *others, cycle = found
    assert others == [
        "resolve says that 'q.scor' produces 'score', but there is no such builder; did you mean q.customer?",
        (
            "resolve says that 'q.offer' produces 'letter', but that builder produces 'offer'; "
            "name another builder, or correct the datum."
        ),
        (
            "datum 'letter' is given from outside, but builder 'q.customer' produces it as well; "
            "leave one of the two out, or give one of them another name."
        ),
        (
            "datum 'price' is produced by builders 'q.fast' and 'q.fair', and builder 'q.offer' takes it; "
            "say which one: resolve={'price': 'q.fast'}."
        ),
        (
            "datum 'custmer', which builder 'q.offer' takes, is produced by no builder and not given from outside; "
            "did you mean customer?"
        ),
    ]
    assert cycle.startswith("builders wait for one another in a cycle: ")
    assert "q.offer (offer)" in cycle
    assert "q.risk (risk)" in cycle


def test_an_optional_that_depends_on_its_own_taker_is_a_cycle() -> None:
    voucher = Builder("q.voucher", produces="voucher", consumes=["offer"])
    (problem,) = problems_of(OFFER, FAST, voucher)
    assert "in a cycle" in problem
    assert "q.voucher (voucher)" in problem
    assert "q.offer (offer)" in problem


def test_a_target_that_nobody_produces_is_refused() -> None:
    assert problems_of(OFFER, FAST, target="ofer") == ["the target 'ofer' is produced by no builder; did you mean offer?"]


def test_a_datum_that_is_written_otherwise_is_missing_and_not_from_outside() -> None:
    (problem,) = problems_of(Builder("q.offer", produces="offer", consumes=["Price"]), FAST)
    assert "datum 'Price', which builder 'q.offer' takes, is produced by no builder, but 'price' is" in problem


def test_arguments_of_a_wrong_type_are_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"builders": "q"}, "builders"),
        ({"builders": [3]}, r"builders\[0\]"),
        ({"builders": [OFFER], "given": "car"}, "given"),
        ({"builders": [OFFER], "resolve": {"price": 3}}, r"resolve\['price'\]"),
        ({"builders": [OFFER], "target": 3}, "target"),
    ]
    for options, named in wrong:
        with pytest.raises(ArgumentError, match=named):
            Dataflow("quote", **{"target": "offer", **options})


def test_a_participant_stands_for_all_its_builders_and_for_no_other_step() -> None:
    quotes = Participant("quotes")

    @quotes.builder
    async def price(car: str) -> int:
        return 1

    @quotes.step
    async def other(car: str) -> int:
        return 1

    graph = graph_of(Dataflow("quote", target="price", builders=[quotes]).definition)
    assert {*graph.made} == {"price"}


def test_a_saga_is_no_dataflow() -> None:
    saga: Saga[Any] = Saga("order")
    saga.step("shop.pack")
    with pytest.raises(RequestRefusedError, match="'order' is a saga, and no dataflow"):
        graph_of(saga.definition)


@st.composite
def layered(draw: st.DrawFn) -> Mapping[str, list[str]]:
    """Builders in layers: each consumes some of what stands before it, and data from outside."""
    count = draw(st.integers(1, 12))
    return {
        f"d{number}": draw(
            st.lists(st.sampled_from([*(f"d{before}" for before in range(number)), "o1", "o2", "o3"]), max_size=4, unique=True)
        )
        for number in range(count)
    }


@given(layered(), st.randoms())
def test_each_builder_comes_after_what_it_takes_and_nothing_is_there_that_the_target_does_not_need(
    layers: Mapping[str, list[str]], random: Any
) -> None:
    builders = [Builder(f"p.{datum}", produces=datum, consumes=taken) for datum, taken in layers.items()]
    target = builders[-1].produces
    random.shuffle(builders)
    resolved, found = resolve(target, builders, {}, None)
    assert not found
    needed, open = {target}, [target]
    while open:
        for datum in layers.get(open.pop(), ()):
            if datum not in needed:
                needed.add(datum)
                open.append(datum)
    assert {*resolved.builders, *resolved.outside} == needed
    order = [*resolved.builders]
    for datum in order:
        assert all(order.index(each) < order.index(datum) for each in layers[datum] if each in order)
    dataflow = Dataflow("any", target=target, builders=builders)
    graph = graph_of(dataflow.definition)
    assert (graph.target, {*graph.made}, {*graph.outside}) == (target, {*order}, {*resolved.outside})
    assert {datum: {*made.consumes} for datum, made in graph.made.items()} == {datum: {*layers[datum]} for datum in order}
