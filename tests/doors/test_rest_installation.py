"""The installation over REST: who is there, who leads, and what was given up on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from goconductor.errors import BusUnavailableError
from goconductor.messages.topics import steps_topic
from goconductor.ports.bus import Message
from goconductor.ports.store import DeadLetter
from tests.doors.conftest import Shop

URN = "urn:goconductor:problem:"


async def letter(shop: Shop, payload: bytes = b"\xff not ours", topic: str = "goconductor.shop.steps") -> int:
    await shop.store.dead_letters.put(DeadLetter(topic=topic, payload=payload, reason="it is not JSON", headers={"id": "7"}))
    (newest,) = await shop.store.dead_letters.newest(limit=1)
    return newest.letter_id


async def newest(shop: Shop, *, beside: int) -> int:
    """The newest dead letter, once there is another than this one."""
    while True:
        letters = (await shop.client.get("/v1/dead-letters")).json()["letters"]
        if letters and letters[0]["letter_id"] != beside:
            number: int = letters[0]["letter_id"]
            return number
        await asyncio.sleep(0)


async def participants(shop: Shop, **params: float) -> dict[str, dict[str, Any]]:
    answer = await shop.client.get("/v1/participants", params=params)
    return {each["participant"]: each for each in answer.json()["participants"]}


async def test_participants_show_their_instances_leases_and_steps(shop: Shop) -> None:
    await shop.start(card="slow")
    await shop.at_gate.wait()
    shown = await participants(shop)
    assert set(shown) == {"shop", "client"}
    (instance,) = shown["shop"]["instances"]
    assert (shown["shop"]["alive"], shown["shop"]["leases"], shown["shop"]["steps"]) == (1, 1, ["charge", "reserve", "ship"])
    assert (instance["name"], instance["alive"], instance["leases"]) == (shop.participant.name, True, 1)
    assert instance["lease_ends_at"] > instance["heard_at"] >= instance["started_at"]


async def test_an_instance_that_died_is_shown_for_a_while(shop: Shop) -> None:
    gone = await shop.store.instances.register("island", "island-1", {"wave": {}})
    await shop.store.instances.unregister(gone.serial)
    shown = await participants(shop, dead_seconds=60)
    (instance,) = shown["island"]["instances"]
    assert (instance["alive"], shown["island"]["alive"], shown["island"]["steps"]) == (False, 0, [])
    assert instance["dead_at"] == instance["heard_at"]
    assert "island" not in await participants(shop, dead_seconds=0)


async def test_the_leader_is_shown_with_its_epoch_and_its_last_sweep(shop: Shop) -> None:
    assert (await shop.client.get("/v1/leader")).json() == {"holder": None, "epoch": 0, "ends_at": None, "last_sweep": None}
    term = await shop.store.terms.raise_epoch("server-1", 60.0)
    assert term is not None
    await shop.store.recovery.note_sweep({"sagas": 3}, epoch=term.epoch)
    leader = (await shop.client.get("/v1/leader")).json()
    assert (leader["holder"], leader["epoch"]) == ("server-1", term.epoch)
    assert leader["last_sweep"]["did"] == {"sagas": 3}
    assert datetime.fromisoformat(leader["last_sweep"]["at"]).tzinfo == UTC
    await shop.store.terms.resign(term)
    assert (await shop.client.get("/v1/leader")).json()["holder"] is None


async def test_dead_letters_come_newest_first_in_pages(shop: Shop) -> None:
    numbers = [await letter(shop, str(number).encode()) for number in range(3)][::-1]
    page = (await shop.client.get("/v1/dead-letters", params={"limit": 2})).json()
    rest = (await shop.client.get("/v1/dead-letters", params={"limit": 2, "before": page["before"]})).json()
    assert [each["letter_id"] for each in page["letters"] + rest["letters"]] == numbers
    assert rest["before"] is None
    assert (page["letters"][0]["text"], page["letters"][0]["bytes"], page["letters"][0]["headers"]) == ("2", 1, {"id": "7"})


async def test_a_message_of_another_system_is_kept_redriven_and_dropped(shop: Shop) -> None:
    topic = steps_topic("shop")
    await shop.server.bus.send([Message(topic=topic, key="x", payload=b'{"order": 17}')])
    first = await newest(shop, beside=0)
    answer = await shop.client.post(f"/v1/dead-letters/{first}/redrive", params={"by": "ann"})
    assert (answer.status_code, answer.json()["topic"], answer.json()["text"]) == (200, topic, '{"order": 17}')
    again = await newest(shop, beside=first)
    dropped = await shop.client.delete(f"/v1/dead-letters/{again}", params={"reason": "another team's", "by": "ann"})
    assert dropped.status_code == 200
    assert (await shop.client.get("/v1/dead-letters")).json()["letters"] == []


async def test_a_dead_letter_that_is_gone_is_not_found(shop: Shop) -> None:
    for answer in (
        await shop.client.post("/v1/dead-letters/99/redrive"),
        await shop.client.delete("/v1/dead-letters/99", params={"reason": "so"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, f"{URN}dead-letter-not-found")


@pytest.mark.parametrize("params", [{}, {"reason": ""}, {"reason": " "}])
async def test_dropping_a_dead_letter_needs_a_reason(shop: Shop, params: dict[str, str]) -> None:
    number = await letter(shop)
    answer = await shop.client.delete(f"/v1/dead-letters/{number}", params=params)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "query.reason")
    assert len((await shop.client.get("/v1/dead-letters")).json()["letters"]) == 1


async def test_while_the_bus_is_away_a_letter_is_kept_and_rest_answers(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    number = await letter(shop)

    async def away(*_: object) -> None:
        raise BusUnavailableError("the broker is away")

    monkeypatch.setattr(shop.server.bus, "send", away)
    answer = await shop.client.post(f"/v1/dead-letters/{number}/redrive")
    assert (answer.status_code, answer.json()["type"]) == (503, f"{URN}bus-unavailable")
    assert len((await shop.client.get("/v1/dead-letters")).json()["letters"]) == 1
    assert (await shop.start())["status"] == "queued"
    ready = (await shop.client.get("/readyz")).json()
    while ready["parts"]["bus"] == "ready":
        ready = (await shop.client.get("/readyz")).json()
    assert ready == {"ready": True, "parts": {"store": "ready", "bus": "the broker is away"}}
