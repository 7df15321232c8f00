"""What is refused of a webhook, and what nobody is ever shown."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_network
from typing import Any

import pytest

from goconductor.control.authority.roles import NEEDS, Permission
from goconductor.control.faults import RequestInvalidError
from goconductor.control.webhooks import queues, requests
from goconductor.control.webhooks.documents import WebhookWanted
from goconductor.errors import RequestRefusedError
from goconductor.webhooks.address import Rules
from tests.system.server import Server, answer
from tests.webhooks.shop import ANN, Shop

OPEN = Rules(enabled=True)
URL = "https://example.com/hooks"


@pytest.mark.parametrize(
    ("wanted", "place", "told"),
    [
        ({"url": ""}, "url", "https://"),
        ({"url": "ftp://example.com/"}, "url", "begins with neither"),
        ({"url": "http://example.com/"}, "url", "webhooks.plaintext"),
        ({"url": "https://user:canary-4711@example.com/"}, "url", "user or password"),
        ({"url": "https://example.com/#canary-4711"}, "url", "fragment"),
        ({"url": "https://example.com/{order}"}, "url", "percent-encode"),
        ({"url": "https://example.com/a b"}, "url", "percent-encode"),
        ({"url": f"https://example.com/{'x' * 10_000}"}, "url", "2,000 characters"),
        ({"url": "https://example.com:8443/"}, "url", "webhooks.hosts"),
        ({"url": "https://127.0.0.1/"}, "url", "webhooks.networks"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url", "not public"),
        ({"url": "https://[::1]/"}, "url", "not public"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url", "not public"),
        ({"url": "https:///nothing"}, "url", "names no host"),
        ({"url": URL, "statuses": ["complete"]}, "statuses", "did you mean completed?"),
        ({"url": URL, "statuses": ["running"]}, "statuses", "not told"),
        ({"url": URL, "definitions": ["ordr"]}, "definitions", "did you mean order?"),
        ({"url": URL, "definitions": ["x"] * 101}, "definitions", "at most 100"),
        ({"url": URL, "description": "x" * 501}, "description", "501"),
        ({"url": URL, "description": "\x00"}, "description", ""),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(shop: Shop, wanted: dict[str, Any], place: str, told: str) -> None:
    await shop.sell()
    with pytest.raises(RequestInvalidError) as refused:
        await requests.create(ANN, shop.node, "orders", WebhookWanted(**wanted), OPEN)
    assert next(fault.path for fault in refused.value.faults) == place
    assert told in str(refused.value)
    assert "canary" not in str(refused.value)
    assert (await requests.list_webhooks(ANN, shop.node)).webhooks == []


async def test_names_are_taken_once_and_there_is_an_end_to_their_number(shop: Shop, monkeypatch: Any) -> None:
    wanted = WebhookWanted(url=URL)
    with pytest.raises(RequestInvalidError, match="name"):
        await requests.create(ANN, shop.node, "a/b", wanted, OPEN)
    with pytest.raises(RequestRefusedError, match=r"webhooks\.enabled"):
        await requests.create(ANN, shop.node, "a", wanted, Rules())
    await requests.create(ANN, shop.node, "a", wanted, OPEN)
    with pytest.raises(requests.WebhookExistsError):
        await requests.create(ANN, shop.node, "a", wanted, OPEN)
    monkeypatch.setattr(requests, "WEBHOOKS_MAX", 2)
    await requests.create(ANN, shop.node, "b", wanted, OPEN)
    with pytest.raises(RequestRefusedError, match="there are 2 webhooks"):
        await requests.create(ANN, shop.node, "c", wanted, OPEN)
    page = await requests.list_webhooks(ANN, shop.node, limit=1)
    assert ([each.name for each in page.webhooks], page.after) == (["a"], "a")
    assert [each.name for each in (await requests.list_webhooks(ANN, shop.node, after="a")).webhooks] == ["b"]
    assert (await requests.list_webhooks(ANN, shop.node, after="\x00")).webhooks == []
    for call in (requests.pause, requests.resume, requests.rotate, requests.delete, queues.redrive, queues.dead_letters):
        with pytest.raises(requests.WebhookNotFoundError):
            await call(ANN, shop.node, "\x00none")


async def test_numbers_out_of_bounds_are_refused(shop: Shop) -> None:
    await requests.create(ANN, shop.node, "a", WebhookWanted(url=URL), OPEN)
    for wrong in (-1.0, 1e12, float("nan"), float("inf")):
        with pytest.raises(RequestInvalidError, match="overlap_seconds"):
            await requests.rotate(ANN, shop.node, "a", overlap_seconds=wrong)
    for number in (-1, 2**63):
        with pytest.raises(RequestInvalidError, match="delivery_id"):
            await queues.redrive(ANN, shop.node, "a", delivery_id=number)
        with pytest.raises(RequestInvalidError, match="after"):
            await queues.dead_letters(ANN, shop.node, "a", after=number)
    for limit in (0, 101):
        with pytest.raises(RequestInvalidError, match="limit"):
            await requests.list_webhooks(ANN, shop.node, limit=limit)
        with pytest.raises(RequestInvalidError, match="limit"):
            await queues.dead_letters(ANN, shop.node, "a", limit=limit)


async def test_a_private_range_is_called_where_the_settings_allow_it() -> None:
    rules = Rules(enabled=True, networks=[ip_network("10.0.0.0/8")])
    assert rules.target_of("https://10.1.2.3/hooks").host == "10.1.2.3"
    with pytest.raises(ValueError, match="not public"):
        rules.target_of("https://192.168.0.1/")
    listed = Rules(enabled=True, hosts=["*.example.com", "example.com:8443"])
    assert listed.target_of("https://example.com:8443/").port == 8443
    with pytest.raises(ValueError, match=r"webhooks\.hosts"):
        listed.target_of("https://example.org/")


async def test_a_secret_is_shown_once_and_nowhere_again(shop: Shop, receiver: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = await shop.hook(f"{receiver.url}/canary-path")
    secrets = [made.secret, (await requests.rotate(ANN, shop.node, "orders")).secret]
    receiver.answers = [answer(500)]
    await shop.sell()
    await shop.deliver()
    for _ in range(3):
        await shop.world.clock.advance(120.0)
        await shop.attempt()
    said = [
        (await shop.shown()).model_dump_json(),
        (await requests.list_webhooks(ANN, shop.node)).model_dump_json(),
        (await queues.dead_letters(ANN, shop.node, "orders")).model_dump_json(),
        str(shop.world.store.data.audit),
        caplog.text,
    ]
    for text in said:
        assert not any(secret in text or secret.removeprefix("whsec_") in text for secret in secrets)
    assert "canary-path" not in caplog.text  # the url of a webhook may have a secret in it
    assert "is a dead letter" in caplog.text


async def test_of_many_who_change_it_at_once_all_are_heard(shop: Shop) -> None:
    await requests.create(ANN, shop.node, "a", WebhookWanted(url=URL), OPEN)
    made = await asyncio.gather(*(requests.rotate(ANN, shop.node, "a", overlap_seconds=60.0) for _ in range(10)))
    assert len({each.secret for each in made}) == 10


def test_whoever_may_only_read_or_operate_sees_and_changes_no_webhook() -> None:
    needs = {name: needed for name, needed in NEEDS.items() if name.startswith("webhooks.")}
    assert len(needs) == 11
    assert set(needs.values()) == {Permission.DEPLOY}
