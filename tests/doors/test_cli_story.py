"""``saga story`` and ``saga watch``: what happened, and what goes on."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from goconductor.cli.commands.sagas import watch
from goconductor.cli.seeking import Sought
from goconductor.control.actor import Actor
from goconductor.control.doors.exits import Exit
from goconductor.control.sagas.queries import saga_status
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.errors import StoreUnavailableError
from goconductor.lifecycle.facts.events import AbortRequested
from goconductor.lifecycle.facts.status import SagaStatus
from tests.doors.conftest import INPUT
from tests.doors.prompt import Prompt

pytestmark = pytest.mark.postgres

UNKNOWN = "01920000-0000-7000-8000-000000000000"
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


async def test_a_story_tells_who_did_what_and_what_followed(command_line: Prompt, open_shop: Node) -> None:
    started = await open_shop.starting.start("order", {**INPUT, "card": "declined"})
    await open_shop.wait_for_end(started.saga_id, 300)
    told = await command_line.ask("saga", "story", str(started.saga_id))
    assert told.code == 0
    assert re.fullmatch(rf"order {started.saga_id} compensated, \S+ m?s after its start", told.lines[0])
    sentences = [re.sub(r"^.*?Z  \+\S+ m?s +| \(\d.*?s\)", "", line).strip() for line in told.lines[1:]]
    assert sentences == [
        "shop started the saga.",
        "→ reserve is asked to run",
        "shop ran reserve.",
        "→ charge is asked to run",
        "shop failed to run charge: PermanentError: the card was declined.",
        "→ the saga turns back",
        "→ charge is to be compensated",
        "shop compensated charge.",
        "→ reserve is to be compensated",
        "shop compensated reserve.",
        "→ the saga is compensated",
    ]
    tale = (await command_line.ask("saga", "story", str(started.saga_id), "--json")).json
    assert (tale["status"], [line["because_of"] for line in tale["lines"]]) == ("compensated", [None, 1, 2, 3, 4])
    assert all(line["took_seconds"] >= 0 for line in tale["lines"][1:])
    assert (await command_line.ask("saga", "story", UNKNOWN)).code == 4


class Terminal(Console):
    """A terminal whose picture can be looked at while it changes."""

    def __init__(self) -> None:
        super().__init__(file=io.StringIO(), width=160, height=40, force_terminal=True, color_system=None)

    @property
    def shown(self) -> str:
        assert isinstance(self.file, io.StringIO)
        return CONTROLS.sub("", self.file.getvalue())


async def test_a_watch_draws_the_living_tree_until_the_end(
    command_line: Prompt, open_shop: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(watch, "console_of", lambda: terminal)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.05)
    started = await open_shop.starting.start("order", {**INPUT, "card": "busy"})
    watching = asyncio.create_task(
        watch.watch(Settings.load(environ=command_line.environ), Sought(started.saga_id), as_json=False)
    )
    while "TemporaryError: the bank is busy" not in terminal.shown:
        await asyncio.wait([watching], timeout=0.05)
    assert re.search(r"├── ✓ reserve  succeeded  \S+ m?s", terminal.shown)
    assert re.search(r"├── … charge  waiting  attempt 2  retry in \d.* after TemporaryError: the bank is busy", terminal.shown)
    assert "└── … ship  waiting  waits for charge" in terminal.shown
    await open_shop.request(started.saga_id, AbortRequested(at=open_shop.clock.now(), reason="enough"))
    assert await watching is Exit.FAILED
    assert re.search(rf"order {started.saga_id} compensated  aborted: enough", terminal.shown)
    assert re.search(r"↩ reserve  compensated  \S+ m?s", terminal.shown)


async def test_a_watch_waits_for_a_database_that_goes_away(
    command_line: Prompt, open_shop: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = await open_shop.starting.start("order", INPUT)
    await open_shop.wait_for_end(started.saga_id, 300)
    asked: list[UUID] = []

    async def sometimes(who: Actor, node: Node, saga_id: UUID) -> Any:
        asked.append(saga_id)
        if len(asked) == 2:
            raise StoreUnavailableError
        detail = await saga_status(who, node, saga_id)
        return detail.model_copy(update={"status": SagaStatus.RUNNING}) if len(asked) == 1 else detail

    monkeypatch.setattr("goconductor.cli.commands.sagas.watch.queries.saga_status", sometimes)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    settings = Settings.load(environ=command_line.environ)
    assert await watch.watch(settings, Sought(started.saga_id), as_json=True) is Exit.OK
    assert len(asked) == 3
