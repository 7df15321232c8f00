"""A start is refused for the same reasons at every door: in Python as over REST and at the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from goconductor import Conductor, PayloadError, Saga
from goconductor.control.faults import RequestInvalidError
from goconductor.control.sagas.starting import InputRefusedError
from goconductor.testing.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


def waving(**options: Any) -> Saga[Any]:
    saga: Saga[Any] = Saga("wave", **options)
    saga.step("island.wave")
    return saga


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a label that is a number": (
        {"labels": {"customer": 17}},
        r"labels.customer is of type int; labels are texts: give str\(value",
    ),
    "a label that is nothing": ({"labels": {"customer": None}}, "labels.customer is null; labels are texts"),
    "a label's name that is a number": ({"labels": {17: "customer"}}, "labels have a name '17'; use up to 63 letters"),
    "a label's name with a space": ({"labels": {"our customer": "17"}}, "labels have a name 'our customer'; use"),
    "a label of the library": (
        {"labels": {"goconductor/schedule": "x"}},
        "labels.goconductor/schedule is reserved: choose a name",
    ),
    "a label that is long": ({"labels": {"customer": "x" * 256}}, "labels.customer should be up to 255 printable"),
    "a label of two lines": ({"labels": {"customer": "a\nb"}}, "labels.customer should be up to 255 printable"),
    "labels in a list": ({"labels": ["customer"]}, r"labels are of type list; give a dict, such as \{'customer': '17'\}"),
    "labels as a text": ({"labels": "customer=17"}, "labels are of type str; give a dict"),
    "no labels, of another kind": ({"labels": ()}, "labels are of type tuple; give a dict"),
    "too many labels": ({"labels": {f"l{number}": "" for number in range(21)}}, "labels are 21, at most 20"),
    "a key that is a number": ({"key": 17}, "key should be 1 to 255 printable ASCII"),
    "a key that is empty": ({"key": ""}, "key should be 1 to 255 printable ASCII"),
    "a key that is long": ({"key": "x" * 256}, "key should be 1 to 255 printable ASCII"),
    "a key with what an index cannot hold": ({"key": "x" * 20_000}, "key should be 1 to 255 printable ASCII"),
    "a key that a header could not carry": ({"key": "ü"}, "key should be 1 to 255 printable ASCII"),
}


@pytest.mark.parametrize(("options", "says"), WRONG.values(), ids=WRONG.keys())
async def test_a_key_and_labels_that_cannot_be_are_refused_in_python_too(world: World, options: Any, says: str) -> None:
    conductor = Conductor(await world.node())
    saga = waving()
    for named in (saga, "wave"):
        with pytest.raises(RequestInvalidError, match=says):
            await conductor.start(named, None, **options)
        await conductor._node.definitions.register(saga.definition)
    assert world.store.data.heads == {}


async def test_an_input_that_does_not_fit_the_schema_is_refused_whoever_names_the_saga(world: World) -> None:
    conductor = Conductor(await world.node())
    saga = waving(input_schema={"type": "object", "required": ["sku"]})
    for named in (saga, "wave"):
        with pytest.raises(InputRefusedError, match=r"the input does not fit saga 'wave': \$ lacks 'sku'; add it"):
            await conductor.start(named, {"quantity": 2})
    assert world.store.data.heads == {}
    assert (await conductor.start(saga, {"sku": "tea"})).saga_id in world.store.data.heads


async def test_labels_that_are_no_texts_do_not_get_past_the_engine_either(world: World) -> None:
    node = await world.node()
    await node.definitions.register(waving().definition)
    with pytest.raises(PayloadError, match=r"\$.labels.customer: is no text; labels are texts: give str\(value\)"):
        await node.starting.start("wave", None, labels={"customer": 17})  # type: ignore[dict-item]
    assert world.store.data.heads == {}
