"""What a subscriber of the PostgreSQL bus has left to others does not come back to it before they had their chance."""

from __future__ import annotations

import pytest

from goconductor.buses.postgres import left, taking
from goconductor.buses.postgres.left import Left
from goconductor.ports.bus import Delivery, pass_on
from goconductor.testing.contracts.inbox import Inbox
from tests.contracts.buses_on_postgres import OnPostgres, OpenBus, orders

pytestmark = pytest.mark.postgres

NAMES = [f"{number}" for number in range(50)]


class TestLeft(OnPostgres):
    async def test_what_was_passed_on_comes_to_another(self, open_bus: OpenBus, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(taking, "PASSED_ON_SECONDS", 3_600.0)
        seen, able = list[bytes](), Inbox()

        async def unable(delivery: Delivery) -> None:
            seen.append(delivery.message.payload)
            pass_on(delivery)

        await (await open_bus()).subscribe(["orders"], "group", unable, prefetch=10)
        await (await open_bus()).subscribe(["orders"], "group", able, prefetch=10)
        await (await open_bus()).send(orders(*NAMES))
        await able.has(50)
        assert sorted(able.payloads) == sorted(name.encode() for name in NAMES)
        assert len(seen) == len(set(seen))

    async def test_where_nobody_takes_it_who_passed_it_on_sees_it_again(
        self, open_bus: OpenBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(taking, "PASSED_ON_SECONDS", 0.1)
        bus, inbox = await open_bus(poll_interval_seconds=60.0), Inbox(hold=True)
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        await bus.send(orders("one"))
        pass_on((await inbox.has(1))[0], 0.01)
        await inbox.has(2)

    async def test_who_gave_back_for_a_while_finds_it_after_the_others(
        self, open_bus: OpenBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(taking, "HEAD_START_SECONDS", 3_600.0)
        full, free = Inbox(hold=True), Inbox()
        await (await open_bus(poll_interval_seconds=60.0)).subscribe(["orders"], "group", full, prefetch=10)
        await (await open_bus()).send(orders("one"))
        (delivery,) = await full.has(1)
        await (await open_bus(poll_interval_seconds=60.0)).subscribe(["orders"], "group", free, prefetch=10)
        delivery.give_back(0.01)
        await free.has(1)
        assert len(full.deliveries) == 1


def test_no_more_are_remembered_than_a_look_can_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left, "LEFT_MAX", 2)
    kept = Left()
    for number in (1, 2, 3):
        kept.leave(number, 3_600.0)
    kept.leave(2, -1.0)
    assert kept.now() == [3]
