"""Schedules from the command line, and from code that blocks."""

from __future__ import annotations

import asyncio
import json

import pytest

from goconductor import Overlap, Settings, blocking
from goconductor.engine.node import Node
from tests.doors.conftest import INPUT
from tests.doors.prompt import Prompt

pytestmark = pytest.mark.postgres
ORDER = ["order", "--input", json.dumps(INPUT)]


async def test_a_schedule_from_its_making_to_its_end(command_line: Prompt, open_shop: Node) -> None:
    rule = ["--cron", "30 2 * * *", "--time-zone", "Europe/Berlin", "--overlap", "queue", "--label", "team=night"]
    made = (await command_line.ask("schedule", "create", "nightly", *ORDER, *rule, "--by", "ann", "--json")).json
    assert (made["cron"], made["overlap"], made["labels"], made["changed_by"]) == (
        "30 2 * * *",
        "queue",
        {"team": "night"},
        "ann",
    )
    again = await command_line.ask("schedule", "create", "nightly", *ORDER, *rule)
    assert again.code == 1
    assert "replace it" in again.err
    replaced = await command_line.ask("schedule", "replace", "nightly", *ORDER, "--every", "900")
    assert replaced.lines[0] == "nightly  order, every 900 s"
    assert "paused" in (await command_line.ask("schedule", "pause", "nightly")).lines
    fired = (await command_line.ask("schedule", "fire", "nightly", "--by", "bob", "--json")).json
    assert (fired["started"], fired["last"]["by"], fired["last"]["saga_id"]) == (1, "bob", fired["saga_id"])
    named = (await command_line.ask("schedule", "fire", "nightly", "--request-id", "monday", "--json")).json
    again = await command_line.ask("schedule", "fire", "nightly", "--request-id", "monday")
    assert f"started {named['saga_id']}" in again.lines
    assert again.lines[2].startswith("2 started")
    assert (await command_line.ask("schedule", "resume", "nightly", "--json")).json["paused"] is False
    listed = await command_line.ask("schedule", "list")
    assert listed.lines[0].split() == ["schedule", "saga", "fires", "next", "last"]
    assert listed.lines[1].startswith("nightly   order  every 900 s")
    shown = await command_line.ask("schedule", "show", "nightly")
    assert any(line.endswith("by bob") for line in shown.lines)
    assert (await command_line.ask("schedule", "delete", "nightly")).lines == ["nightly  deleted"]
    assert (await command_line.ask("schedule", "show", "nightly")).code == 4


async def test_an_expression_that_never_fires_is_refused(command_line: Prompt, open_shop: Node) -> None:
    refused = await command_line.ask("schedule", "create", "never", *ORDER, "--cron", "0 0 30 2 *", "--time-zone", "UTC")
    assert refused.code == 2
    assert "never fires" in refused.err


async def test_code_that_blocks_has_the_same(command_line: Prompt, open_shop: Node) -> None:
    def ask() -> None:
        with blocking.connect(Settings.load(environ=command_line.environ)) as sagas:
            made = sagas.schedules.create("often", "order", INPUT, every_seconds=600, overlap=Overlap.ALLOW)
            assert sagas.schedules.show("often") == made
            assert sagas.schedules.fire("often").started == 1
            sagas.schedules.delete("often")
            assert sagas.schedules.list().schedules == []

    await asyncio.to_thread(ask)
