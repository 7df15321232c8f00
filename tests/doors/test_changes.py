"""Changing the bus and the election from the command line and over REST, and what the doctor says of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from goconductor import app
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.ports.store.leading.choices import BUS, ELECTION, Report
from goconductor.stores.postgres import migrate
from tests.doors.conftest import Shop
from tests.doors.prompt import Prompt

OTHERS = {"second": {"kind": "postgres", "options": {"schema": "second_bus"}}}


@pytest.fixture
def prompt(postgres_url: str) -> Prompt:
    others = json.dumps(OTHERS)
    elections = json.dumps({"second": {"kind": "postgres", "options": {"group": "second"}}})
    return Prompt(
        GOCONDUCTOR_DATABASE_URL=postgres_url,
        GOCONDUCTOR_BUS_OTHERS=others,
        GOCONDUCTOR_ELECTION_OTHERS=elections,
        GOCONDUCTOR_RECOVERY_TERM_SECONDS="2",
    )


@pytest.fixture
async def running(prompt: Prompt, postgres_url: str) -> AsyncIterator[Node]:
    await migrate(postgres_url)
    shop = app.Participant("shop")
    shop.steps.update(Shop().steps().steps)
    async with shop.running(Settings.load(environ=prompt.environ)) as conductor:
        while await conductor._node.store.terms.current() is None:
            pass
        yield conductor._node


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["bus", "election"])
async def test_a_change_is_begun_gone_on_with_and_shown(prompt: Prompt, running: Node, kind: str) -> None:
    begun = await prompt.ask(kind, "migrate", "--to", "second", "--by", "ann", "--wait", "0")
    assert begun.code == 1
    assert " beside it: " in begun.lines[0]
    assert "call it again to go on, or --to the old one to go back; it waits for:\n  shop " in begun.err
    assert (await prompt.ask(kind, "status")).code == 1
    done = await prompt.ask(kind, "migrate", "--to", "second", "--by", "bert")
    assert done.code == 0, done.err
    assert [line.split(" since ")[0] for line in done.lines][-2:] == ["second: settled", "done: 1 living process uses second"]
    assert "(change 3, asked for by bert)" in done.out
    shown = await prompt.ask(kind, "status")
    assert (shown.code, shown.lines[1]) == (0, f"  shop {running.instance.serial} uses second, names postgres, second")
    again = (await prompt.ask(kind, "migrate", "--to", "second", "--json")).json
    assert (again["kind"], again["chosen"], again["phase"], again["number"], again["done"]) == (
        kind,
        "second",
        "settled",
        3,
        True,
    )
    refused = await prompt.ask(kind, "migrate", "--to", "third")
    assert refused.code == 1
    assert f"nobody names {kind} 'third', there are postgres and second" in refused.err


@pytest.mark.postgres
async def test_the_doctor_finds_a_change_under_way_and_settings_that_do_not_name_what_is_used(
    prompt: Prompt, running: Node
) -> None:
    async def choices(doctor: Prompt) -> list[str]:
        (check,) = [each for each in (await doctor.ask("doctor", "--json")).json["checks"] if each["name"] == "choices"]
        return [finding["what"] for finding in check["findings"]] or [check["saw"]]

    assert await choices(prompt) == ["bus postgres, election postgres"]
    await prompt.ask("bus", "migrate", "--to", "second", "--wait", "0")
    (under_way,) = await choices(prompt)
    assert under_way.startswith("the bus is being changed, ")
    assert (await prompt.ask("bus", "migrate", "--to", "second")).code == 0
    assert await choices(prompt) == ["bus second, election postgres"]
    old = Prompt(GOCONDUCTOR_DATABASE_URL=prompt.environ["GOCONDUCTOR_DATABASE_URL"])
    assert await choices(old) == ["the bus 'second' is used, and these settings do not name it"]
    await running.store.choices.report(running.instance.serial, ELECTION, Report(names=["postgres"], uses="postgres", number=0))
    other = await running.store.instances.register("bank", "bank-1", {})
    await running.store.choices.report(other.serial, BUS, Report(names=["second"], uses="second", number=3))
    await running.store.choices.report(other.serial, ELECTION, Report(names=["etcd"], uses="etcd", number=0))
    told = f"etcd: bank {other.serial}; postgres: shop {running.instance.serial}"
    assert await choices(prompt) == [f"living processes use 2 different ones as their election ({told})"]


async def told(shop: Shop, node: Node, **facts: object) -> None:
    """A process without settings says what one with them would."""
    given: dict[str, object] = {"names": ["postgres", "second"], "uses": "postgres", "number": 0}
    await shop.store.choices.report(node.instance.serial, BUS, msgspec.convert(given | facts, Report))


async def test_rest_goes_as_far_as_it_can_and_says_what_it_waits_for(shop: Shop) -> None:
    waits = (await shop.client.get("/v1/bus")).json()
    assert (waits["chosen"], waits["phase"], waits["done"], len(waits["waits_for"])) == ("postgres", "settled", False, 2)
    for node in (shop.server, shop.participant):
        await told(shop, node)
    assert (await shop.client.get("/v1/bus")).json()["done"]
    begun = (await shop.client.post("/v1/bus/migrate", params={"to": "second", "by": "ann"})).json()
    assert (begun["chosen"], begun["beside"], begun["phase"], begun["by"]) == ("postgres", "second", "joining", "ann")
    assert [waited.split(" (")[0] for waited in begun["waits_for"]] == [
        f"{node.registry.name} {node.instance.serial}" for node in (shop.server, shop.participant)
    ]
    await told(shop, shop.server, number=1)
    await told(shop, shop.participant, number=1)
    assert (await shop.client.post("/v1/bus/migrate", params={"to": "second"})).json()["phase"] == "draining"
    refused = await shop.client.post("/v1/bus/migrate", params={"to": "third", "force": True})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:goconductor:problem:refused")
    assert (await shop.client.post("/v1/bus/migrate", params={"to": "not a name"})).status_code == 400
    assert (await shop.client.get("/v1/buss")).status_code == 404
    assert (await shop.client.get("/v1/election")).json()["chosen"] == "postgres"
