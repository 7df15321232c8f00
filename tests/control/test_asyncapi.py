"""The AsyncAPI document: what is really published and sent is as it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from goconductor import PermanentError, Saga
from goconductor.cli import main
from goconductor.control.asyncapi import asyncapi
from goconductor.control.sagas.starting import start_fire
from goconductor.engine.steps.registry import StepRegistry
from goconductor.messages.topics import PREFIX
from goconductor.recovery.feed.cloud_events import KNOWN_TYPES, Wish, encoded, types_of
from goconductor.recovery.feed.telling import Teller
from goconductor.testing.world import World
from goconductor.webhooks.endpoint import STATUSES

DOCUMENT = asyncapi("orders.events")


def target(reference: str) -> Any:
    """What a reference means."""
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(value: Any) -> Iterator[str]:
    """All references of a document."""
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def validate(event: bytes, message: str) -> None:
    """Compare an event with a message of the document."""
    schema = DOCUMENT["components"]["messages"][message]["payload"] | {"components": DOCUMENT["components"]}
    jsonschema.validate(json.loads(event), schema, jsonschema.Draft7Validator)


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert all(isinstance(target(each), dict) for each in found)
    assert len(found) > len(KNOWN_TYPES)


def test_it_has_every_type_once() -> None:
    events = DOCUMENT["channels"]["events"]
    names = [target(each["$ref"])["name"] for each in events["messages"].values()]
    assert names == [f"{PREFIX}.{kind}" for kind in KNOWN_TYPES]
    assert events["address"] == "orders.events"
    called = [target(each["$ref"])["name"] for each in DOCUMENT["channels"]["webhooks"]["messages"].values()]
    assert called == [*(f"{PREFIX}.saga.{status}" for status in STATUSES), f"{PREFIX}.webhook.test"]


def test_every_field_is_described() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        assert all(field.get("description") or "$ref" in field for field in schema["properties"].values())


@pytest.mark.parametrize("bodies", [False, True])
async def test_what_is_published_is_as_it_says(world: World, *, bodies: bool) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pay(sku: str) -> str:
        return sku

    @shop.step
    async def pack(sku: str) -> None:
        raise PermanentError("there is none")

    node = await world.node(shop)
    saga: Saga[Any] = Saga("order")
    saga.step(pay, inputs={"sku": saga.input["sku"]})
    saga.step(pack, inputs={"sku": saga.input["sku"]})
    await node.definitions.register(saga.definition)
    begun = await node.store.feed.end()
    await world.end_of(await start_fire(node, "order", {"sku": "tea"}, key="one", labels={"team": "a"}))
    told = await Teller(node).tell((await node.store.feed.read(begun, limit=100)).entries)
    assert [each.status for each in told][-1] == "compensated"
    for each in told:
        for kind in types_of(each):
            event = encoded(each, kind, Wish(bodies=bodies))
            validate(event, kind.replace(".", "_"))
            with pytest.raises(jsonschema.ValidationError):
                validate(event.replace(b'"sequence"', b'"sequenze"'), kind.replace(".", "_"))


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["goconductor", "events", "asyncapi"])
    (tmp_path / "goconductor.yaml").write_text("events: {topic: orders.events}\n")
    monkeypatch.setenv("GOCONDUCTOR_DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    assert msgspec.json.decode(capsys.readouterr().out) == DOCUMENT
