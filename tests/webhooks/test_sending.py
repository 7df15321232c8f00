"""The ends of sagas are told to webhooks: signed, at least once, whatever a receiver answers and whoever leads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from goconductor.control.webhooks import queues, requests
from goconductor.control.webhooks.documents import WebhookWanted
from goconductor.errors import FencedError, StoreUnavailableError
from goconductor.webhooks.endpoint import State, read
from goconductor.webhooks.queueing import NAME
from tests.system.server import Asked, Server, answer, serving
from tests.webhooks.shop import ANN, PAUSES, Shop, events, ids, verified


async def test_the_end_of_a_saga_is_told_and_signed(shop: Shop, receiver: Server) -> None:
    made = await shop.hook(f"{receiver.url}/hooks?team=a", description="the shop's")
    saga_id = await shop.sell()
    await shop.deliver()
    [asked] = receiver.asked
    event = verified(made.secret, asked.headers, asked.body)
    data = event.pop("data")
    assert {name: event[name] for name in ("specversion", "source", "type", "subject")} == {
        "specversion": "1.0",
        "source": "/goconductor/sagas/order",
        "type": "goconductor.saga.completed",
        "subject": str(saga_id),
    }
    assert (data["status"], data["before"], data["labels"], data["seq"]) == ("completed", "running", {"team": "a"}, 3)
    assert (asked.method, asked.target) == ("POST", "/hooks?team=a")
    assert asked.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert asked.headers["webhook-id"] == event["id"].replace(".", "_")
    assert "." not in asked.headers["webhook-id"]
    assert int(asked.headers["webhook-timestamp"]) == int(shop.world.clock.now())
    assert b"canary" not in asked.body
    shown = await shop.shown()
    assert (shown.delivered, shown.failed, shown.waiting, shown.dead, shown.problem) == (1, 0, 0, 0, "")
    await shop.deliver()
    assert len(receiver.asked) == 1


async def test_each_is_told_what_it_wants_from_its_beginning_on(shop: Shop, receiver: Server) -> None:
    await shop.sell()
    await shop.world.clock.advance(60.0)
    wishes: dict[str, dict[str, Any]] = {
        "all": {},
        "undone": {"statuses": ["compensated"]},
        "stuck": {"statuses": ["stuck", "terminated"]},
        "other": {"definitions": ["other"], "statuses": ["completed"]},
    }
    await shop.sell(saga_name="other")
    await shop.world.clock.advance(60.0)
    for name, wish in wishes.items():
        await shop.hook(f"{receiver.url}/{name}", name, **wish)
    for sku in ("tea", "nothing", "stone"):
        with contextlib.suppress(AssertionError):  # the last is stuck, and has no end
            await shop.sell(sku)
    await shop.sell(saga_name="other")
    await shop.deliver()
    told: dict[str, list[str]] = {name: [] for name in wishes}
    for asked in receiver.asked:
        event = json.loads(asked.body)
        told[asked.target[1:]].append(f"{event['data']['saga']} {event['type'].removeprefix('goconductor.saga.')}")
    assert {name: sorted(each) for name, each in told.items()} == {
        "all": ["order compensated", "order completed", "order stuck", "other completed"],
        "undone": ["order compensated"],
        "stuck": ["order stuck"],
        "other": ["other completed"],
    }


async def test_a_failed_delivery_comes_again_with_its_id_until_it_is_a_dead_letter(shop: Shop, receiver: Server) -> None:
    made = await shop.hook(receiver.url)
    receiver.answers = [answer(500), answer(404), answer(400), answer(200)]
    await shop.sell()
    await shop.queue()
    for number, pause in enumerate((0.0, *PAUSES), 1):
        await shop.attempt()
        assert len(receiver.asked) == number
        await shop.attempt()
        assert len(receiver.asked) == number  # not before its time
        await shop.world.clock.advance(pause)
        if number <= len(PAUSES):
            await shop.world.clock.advance(PAUSES[number - 1] * 1.1)
    assert len(set(ids(receiver.asked))) == 1
    assert len({each.headers["webhook-timestamp"] for each in receiver.asked}) == 3
    assert len(events(receiver, made.secret)) == 3
    shown = await shop.shown()
    assert (shown.delivered, shown.failed, shown.waiting, shown.dead, shown.problem) == (0, 3, 0, 1, "it answered 400")
    assert shown.failing_since is not None
    [letter] = (await queues.dead_letters(ANN, shop.node, "orders")).dead_letters
    assert (letter.message_id, letter.attempts, letter.problem) == (ids(receiver.asked)[0], 3, "it answered 400")
    await shop.world.clock.advance(86_400.0)
    await shop.attempt()
    assert len(receiver.asked) == 3
    with pytest.raises(queues.DeliveryNotFoundError):
        await queues.redrive(ANN, shop.node, "orders", delivery_id=letter.delivery_id + 1)
    assert (await queues.redrive(ANN, shop.node, "orders", delivery_id=letter.delivery_id)).redriven == 1
    await shop.attempt()
    assert ids(receiver.asked) == [letter.message_id] * 4
    shown = await shop.shown()
    assert (shown.delivered, shown.dead, shown.failing_since, shown.problem) == (1, 0, None, "")


async def _drips(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer by a body of 1 GiB, whose end nobody waits for."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def _hangs(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer nothing until the other side has enough."""
    await reader.read()


async def _breaks_off(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (_drips, ""),
        (answer(204), ""),
        (answer(301, b"", "Location: http://169.254.169.254/latest"), "it answered 301; redirects are not followed"),
        (answer(429, b"", "Retry-After: 600"), "it answered 429"),
        (answer(503, b"canary-4711"), "it answered 503"),
        (_hangs, "there was no whole answer within 0.2 s"),
        (_breaks_off, "closed the connection before it had answered"),
        (b"nonsense\r\n\r\n", "cannot be read as HTTP/1.1"),
    ],
)
async def test_what_an_answer_means(shop: Shop, receiver: Server, given: Any, problem: str) -> None:
    shop.posting._timeout_seconds = 0.2 if given is _hangs else 20.0
    await shop.hook(receiver.url)
    receiver.answers = [given]
    await shop.sell()
    await shop.deliver()
    shown = await shop.shown()
    assert (shown.delivered, shown.failed) == ((0, 1) if problem else (1, 0))
    assert problem in shown.problem
    assert "canary" not in shown.problem
    assert len(receiver.asked) == 1


async def test_an_endpoint_that_asks_for_a_pause_is_left_alone_for_it(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    receiver.answers = [answer(429, b"", "Retry-After: 600"), answer(200)]
    await shop.sell()
    await shop.deliver()
    await shop.sell()
    await shop.world.clock.advance(500.0)
    await shop.deliver()
    assert len(receiver.asked) == 1
    await shop.world.clock.advance(101.0)
    await shop.attempt()
    assert len(receiver.asked) == 3
    assert len(set(ids(receiver.asked))) == 2


async def test_one_that_is_gone_is_told_nothing_more_until_it_is_resumed(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    receiver.answers = [answer(410), answer(200)]
    await shop.sell()
    await shop.deliver()
    shown = await shop.shown()
    assert (shown.state, shown.changed_by, shown.waiting) == (State.GONE, "its receiver", 1)
    await shop.sell()
    await shop.world.clock.advance(60.0)
    await shop.deliver()
    assert (await shop.shown()).waiting == 1
    await requests.resume(ANN, shop.node, "orders")
    await shop.sell()
    await shop.deliver()
    assert len(set(ids(receiver.asked))) == 2  # what was refused with 410, and what came after that
    assert (await shop.shown()).delivered == 2


async def test_a_paused_one_gets_all_later(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    await requests.pause(ANN, shop.node, "orders")
    sold = [await shop.sell() for _ in range(3)]
    await shop.deliver()
    assert receiver.asked == []
    assert (await shop.shown()).waiting == 3
    await requests.resume(ANN, shop.node, "orders")
    await shop.attempt()
    assert {json.loads(each.body)["subject"] for each in receiver.asked} == set(map(str, sold))


async def test_one_that_hangs_holds_up_no_other(shop: Shop, receiver: Server) -> None:
    async with serving() as slow:
        slow.answers = [_hangs]
        shop.rules.guard._hosts += [("localhost", slow.port)]
        await shop.hook(slow.url, "slow")
        await shop.hook(receiver.url, "quick")
        for _ in range(12):
            await shop.sell()
        await shop.queue()
        term = await shop.leads()
        async with asyncio.timeout(60):
            while (await shop.shown("quick")).delivered < 12:
                await shop.sending.send_once(term)
                await asyncio.sleep(0.001)
        assert len(slow.asked) <= shop.pace.concurrency
        assert len(shop.sending.running) <= shop.pace.concurrency
        await shop.sending.stop()


async def test_one_that_fails_is_tried_by_one_at_a_time(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    receiver.answers = [answer(500)]
    for _ in range(10):
        await shop.sell()
    await shop.deliver()
    assert len(receiver.asked) == shop.pace.concurrency  # the first attempts; then it rests
    for _ in range(4):
        await shop.world.clock.advance(0.0)
        await shop.attempt()
    assert len(receiver.asked) == shop.pace.concurrency
    await shop.world.clock.advance(30.0)
    before = len(receiver.asked)
    await shop.attempt()
    assert len(receiver.asked) == before + 1
    receiver.answers = [answer(200)]
    await shop.world.clock.advance(200.0)
    await shop.attempt()
    assert (await shop.shown()).waiting == 0
    assert (await shop.shown()).delivered == 10


async def test_a_leader_that_dies_loses_nothing_and_repeats_what_it_had_in_hand(shop: Shop, receiver: Server) -> None:
    made = await shop.hook(receiver.url)
    sold = [await shop.sell() for _ in range(6)]
    shop.lead_anew(limit=4)
    term = await shop.leads()
    await shop.queueing.follow_once(term.epoch)  # a part of the events
    await shop.sending.send_once(term)
    while not receiver.asked:  # noqa: ASYNC110  (the receiver has no event)
        await asyncio.sleep(0.001)
    await shop.sending.stop()  # dies: what was answered is not written
    had = set(ids(receiver.asked))
    shop.lead_anew(limit=4)
    await shop.deliver()
    told = ids(receiver.asked)
    assert {json.loads(each.body)["subject"] for each in receiver.asked} == set(map(str, sold))
    assert len(set(told)) == 6
    assert {each for each in told if told.count(each) > 1} <= had
    assert len(events(receiver, made.secret)) == len(told)


async def test_a_leader_of_the_past_queues_and_writes_nothing(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    await shop.sell()
    old = (await shop.leads()).epoch
    await shop.leads()
    kept = await shop.world.store.feed.position(NAME)
    with pytest.raises(FencedError):
        await shop.queueing.follow_once(old)
    assert await shop.world.store.feed.position(NAME) == kept
    assert (await shop.shown()).waiting == 0
    await shop.queue()
    assert (await shop.shown()).waiting == 1


async def test_an_answer_of_the_store_that_is_lost_queues_nothing_twice(shop: Shop, receiver: Server, monkeypatch: Any) -> None:
    await shop.hook(receiver.url)
    queue, lost = shop.world.store.webhooks.queue, [1]

    async def loses_its_answer(*args: Any, **kwargs: Any) -> None:
        await queue(*args, **kwargs)
        if lost:
            lost.pop()
            raise StoreUnavailableError("the answer was lost")

    monkeypatch.setattr(shop.world.store.webhooks, "queue", loses_its_answer)
    await shop.sell()
    with pytest.raises(StoreUnavailableError):
        await shop.queue()
    await shop.deliver()
    assert len(receiver.asked) == 1


async def test_it_goes_on_by_itself_while_it_leads(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    term = await shop.leads()
    duties = [asyncio.create_task(duty(term)) for duty in (shop.queueing.follow, shop.sending.send)]
    await shop.sell()
    term.term = (await shop.leads()).term
    async with asyncio.timeout(60):
        while not receiver.asked:
            await shop.leads()
            await shop.world.clock.advance(1.0)
            await asyncio.sleep(0.001)
    await shop.world.store.terms.raise_epoch("another one", 1e9)
    async with asyncio.timeout(60):
        while not all(duty.done() for duty in duties):
            await shop.sell()
            await shop.world.clock.advance(30.0)
            await asyncio.sleep(0.001)
    for duty in duties:
        await duty


async def test_a_secret_that_is_rotated_signs_for_a_while(shop: Shop, receiver: Server) -> None:
    first = (await shop.hook(receiver.url)).secret
    second = (await requests.rotate(ANN, shop.node, "orders", overlap_seconds=100.0)).secret
    await shop.sell()
    await shop.deliver()
    for secret in (first, second):
        assert events(receiver, secret)
    await shop.world.clock.advance(101.0)
    await shop.sell()
    await shop.deliver()
    with pytest.raises(PermissionError):
        verified(first, receiver.asked[1].headers, receiver.asked[1].body)
    assert verified(second, receiver.asked[1].headers, receiver.asked[1].body)
    third = await requests.rotate(ANN, shop.node, "orders", overlap_seconds=0.0)
    assert len(third.detail.secrets) == 1
    for _ in range(5):
        detail = (await requests.rotate(ANN, shop.node, "orders")).detail
    assert len(detail.secrets) == 3
    row = await shop.world.store.webhooks.get("default", "orders")
    assert row is not None
    assert len(set(read(row.body).signs(shop.world.clock.now()))) == 3


async def test_a_change_is_told_to_what_waits(shop: Shop, receiver: Server) -> None:
    await shop.hook(f"{receiver.url}/old")
    await shop.sell()
    await shop.queue()
    await requests.replace_webhook(ANN, shop.node, "orders", WebhookWanted(url=f"{receiver.url}/new"), shop.rules)
    await shop.attempt()
    assert [each.target for each in receiver.asked] == ["/new"]
    await requests.delete(ANN, shop.node, "orders")
    await shop.sell()
    await shop.deliver()
    assert len(receiver.asked) == 1


async def test_a_test_is_sent_as_any_other(shop: Shop, receiver: Server) -> None:
    made = await shop.hook(receiver.url, statuses=["stuck"])
    sent = await queues.send_test(ANN, shop.node, "orders", shop.rules)
    await shop.attempt()
    [event] = events(receiver, made.secret)
    assert event["type"] == "goconductor.webhook.test"
    assert ids(receiver.asked) == [sent.message_id]


async def test_a_name_that_means_another_address_later_is_not_called(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    shop.rules.guard._networks = ()
    await shop.sell()
    await shop.deliver()
    assert receiver.asked == []
    assert "has no address that may be called" in (await shop.shown()).problem
    assert "webhooks.networks" in (await shop.shown()).problem


async def test_what_nobody_has_taken_for_long_is_removed(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    await requests.pause(ANN, shop.node, "orders")
    await shop.sell()
    await shop.deliver()
    await shop.world.clock.advance(31 * 86_400.0)
    await shop.sell()
    await shop.deliver()
    assert (await shop.shown()).waiting == 1


async def test_the_receiver_of_the_page_takes_what_is_sent_and_nothing_else(
    shop: Shop, receiver: Server, monkeypatch: Any
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
    written: dict[str, Any] = {}
    exec(page.partition('title="receiver.py"\n')[2].partition("```")[0], written)
    made = await shop.hook(receiver.url)
    await requests.rotate(ANN, shop.node, "orders")
    await shop.sell()
    await shop.deliver()
    [asked] = receiver.asked
    monkeypatch.setattr(time, "time", lambda: shop.world.clock.now() + 299.0)
    assert written["received"](made.secret, asked.headers, asked.body)["type"] == "goconductor.saga.completed"
    for headers, body in ((asked.headers, asked.body + b" "), (asked.headers | {"webhook-id": "other"}, asked.body)):
        with pytest.raises(PermissionError):
            written["received"](made.secret, headers, body)
    monkeypatch.setattr(time, "time", lambda: shop.world.clock.now() + 301.0)
    with pytest.raises(PermissionError, match="old"):
        written["received"](made.secret, asked.headers, asked.body)
