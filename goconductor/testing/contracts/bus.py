# ruff: noqa: S101 - assertions are what a suite is made of
"""What every bus must do; the numbers are the duties of :class:`goconductor.ports.bus.Bus`."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar
from uuid import uuid4

import pytest

from goconductor.errors import BusUnavailableError, PayloadError
from goconductor.ports.bus import Bus, Delivery, Message
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS, Inbox
from goconductor.testing.contracts.payloads import SENSITIVE

B = TypeVar("B", bound=Bus)
P = ParamSpec("P")
NewBus = Callable[[], Bus]
OpenBus = Callable[[], Awaitable[Bus]]


@asynccontextmanager
async def opening(make: Callable[P, B]) -> AsyncIterator[Callable[P, Awaitable[B]]]:
    """Opens what is made, and closes it at the end.

    Args:
        make: makes a bus object, not yet opened, of whatever the caller is given.
    """
    opened: list[B] = []

    async def open_one(*args: P.args, **kwargs: P.kwargs) -> B:
        bus = make(*args, **kwargs)
        await bus.open()
        opened.append(bus)
        return bus

    yield open_one
    for bus in opened:
        await bus.close()


class BusContract(ABC):
    """Subclass it as ``TestMyBus`` and give the fixture ``new_bus``."""

    delay_seconds = 0.5
    """Seconds that a message that was given back waits for its next delivery."""
    lines = 1
    """Number of lines in which messages of one topic travel, each in order and none ahead of another's; as many that follow one
    another in :meth:`messages` are to be one in each line."""

    @pytest.fixture
    @abstractmethod
    def new_bus(self) -> NewBus:
        """Provide a factory of bus objects, not yet opened, that reach one another as processes would: on one empty broker."""

    @pytest.fixture
    async def open_bus(self, new_bus: NewBus) -> AsyncIterator[OpenBus]:
        async with opening(new_bus) as open_one:
            yield open_one

    @pytest.fixture
    async def bus(self, open_bus: OpenBus) -> Bus:
        return await open_bus()

    @pytest.fixture
    def topic(self) -> str:
        return f"orders-{uuid4().hex}"

    def messages(self, topic: str, *payloads: str) -> list[Message]:
        return [Message(topic=topic, key=f"key of {payload}", payload=payload.encode()) for payload in payloads]

    async def comes_again(self, bus: Bus, topic: str, group: str = "group") -> list[bytes]:
        """Return what the group still has to get, as a new subscriber finds it."""
        inbox = Inbox()
        last = self.messages(topic, *(f"the last {secrets.token_hex(8)}" for _ in range(self.lines)))
        subscription = await bus.subscribe([topic], group, inbox, prefetch=100)
        for message in last:
            await bus.send([message])
        await inbox.has_until(lambda: {message.payload for message in last} <= set(inbox.payloads))
        await subscription.stop()
        return sorted(payload for payload in inbox.payloads if not payload.startswith(b"the last"))

    async def test_1_a_bus_that_is_not_open_says_so(self, new_bus: NewBus, topic: str) -> None:
        bus = new_bus()
        with pytest.raises(BusUnavailableError, match="open"):
            await bus.send(self.messages(topic, "too early"))
        with pytest.raises(BusUnavailableError, match="open"):
            await bus.subscribe([topic], "group", Inbox(), prefetch=1)

    async def test_1_a_closed_bus_takes_nothing_and_may_be_closed_again(self, bus: Bus, topic: str) -> None:
        await bus.close()
        with pytest.raises(BusUnavailableError):
            await bus.send(self.messages(topic, "too late"))
        await bus.close()

    async def test_2_what_was_sent_is_with_the_bus_and_no_longer_with_the_sender(self, open_bus: OpenBus, topic: str) -> None:
        sender = await open_bus()
        await sender.send(self.messages(topic, "one", "two"))
        await sender.close()
        assert await self.comes_again(await open_bus(), topic) == [b"one", b"two"]

    async def test_2_sending_nothing_is_no_error(self, bus: Bus) -> None:
        await bus.send([])

    async def test_3_a_message_arrives_as_it_was_sent(self, open_bus: OpenBus, topic: str) -> None:
        inbox = Inbox()
        await (await open_bus()).subscribe([topic], "group", inbox, prefetch=10)
        sent = Message(topic=topic, key="saga 1", payload=b'{"a": 1}', headers={"ce-id": "7", "ce-type": "x"})
        await (await open_bus()).send([sent])
        (delivery,) = await inbox.has(1)
        assert delivery.message == sent
        assert delivery.deliveries == 1

    async def test_3_sender_and_receiver_may_be_one_bus_object(self, bus: Bus, topic: str) -> None:
        inbox = Inbox()
        await bus.subscribe([topic], "group", inbox, prefetch=10)
        await bus.send(self.messages(topic, "to myself"))
        assert [each.message.payload for each in await inbox.has(1)] == [b"to myself"]

    async def test_3_the_same_message_sent_twice_arrives_twice(self, bus: Bus, topic: str) -> None:
        inbox = Inbox()
        await bus.subscribe([topic], "group", inbox, prefetch=10)
        await bus.send(self.messages(topic, "again", "again"))
        await bus.send(self.messages(topic, "again"))
        assert [each.message.payload for each in await inbox.has(3)] == [b"again"] * 3

    async def test_3_what_waits_goes_to_the_first_group_that_comes(self, bus: Bus, topic: str) -> None:
        await bus.send(self.messages(topic, "early"))
        assert await self.comes_again(bus, topic, "first") == [b"early"]

    async def test_4_subscribers_of_one_group_share(self, open_bus: OpenBus, topic: str) -> None:
        one, other = Inbox(hold=True), Inbox(hold=True)
        await (await open_bus()).subscribe([topic], "group", one, prefetch=5)
        await (await open_bus()).subscribe([topic], "group", other, prefetch=5)
        names = [f"{number}" for number in range(10)]
        await (await open_bus()).send(self.messages(topic, *names))
        await one.has(5)
        await other.has(5)
        assert sorted(one.payloads + other.payloads) == [name.encode() for name in names]

    async def test_4_two_groups_get_each_message_both(self, open_bus: OpenBus, topic: str) -> None:
        stock, audit = Inbox(), Inbox()
        await (await open_bus()).subscribe([topic], "stock", stock, prefetch=5)
        await (await open_bus()).subscribe([topic], "audit", audit, prefetch=5)
        await (await open_bus()).send(self.messages(topic, "one", "two"))
        await stock.has(2)
        await audit.has(2)
        assert sorted(stock.payloads) == sorted(audit.payloads) == [b"one", b"two"]

    async def test_4_a_group_that_is_away_gets_it_later(self, bus: Bus, topic: str) -> None:
        for group in ("stock", "audit"):
            await (await bus.subscribe([topic], group, Inbox(), prefetch=1)).stop()
        await bus.send(self.messages(topic, "meanwhile"))
        assert await self.comes_again(bus, topic, "stock") == [b"meanwhile"]
        assert b"meanwhile" in await self.comes_again(bus, topic, "audit")

    async def test_5_what_was_acknowledged_does_not_come_again(self, bus: Bus, topic: str) -> None:
        inbox = Inbox()
        subscription = await bus.subscribe([topic], "group", inbox, prefetch=10)
        await bus.send(self.messages(topic, "one", "two"))
        await inbox.has(2)
        await subscription.stop()
        assert await self.comes_again(bus, topic) == []

    async def test_5_what_was_given_back_comes_again_and_is_counted(self, bus: Bus, topic: str) -> None:
        inbox = Inbox(hold=True)
        await bus.subscribe([topic], "group", inbox, prefetch=10)
        await bus.send(self.messages(topic, "one"))
        (await inbox.has(1))[0].give_back()
        again = (await inbox.has(2))[1]
        assert again.message.payload == b"one"
        assert again.deliveries in {1, 2}  # 1 where the bus does not count

    async def test_5_not_before_its_delay_and_others_overtake_it(self, bus: Bus, topic: str) -> None:
        inbox = Inbox(hold=True)
        loop = asyncio.get_running_loop()
        await bus.subscribe([topic], "group", inbox, prefetch=10)
        await bus.send(self.messages(topic, "first"))
        (first,) = await inbox.has(1)
        given_back_at = loop.time()
        first.give_back(delay_seconds=self.delay_seconds)
        again = (await inbox.has(2))[1]
        assert loop.time() - given_back_at >= self.delay_seconds - 0.01
        again.give_back(delay_seconds=3600.0)  # longer than any machine takes for the others
        await bus.send(self.messages(topic, "second", "third"))
        await inbox.has(4)
        assert sorted(inbox.payloads) == [b"first", b"first", b"second", b"third"]

    async def test_5_what_a_stopped_subscriber_had_in_hand_comes_again(self, bus: Bus, topic: str) -> None:
        inbox = Inbox(hold=True)
        subscription = await bus.subscribe([topic], "group", inbox, prefetch=10)
        await bus.send(self.messages(topic, "done", "open"))
        for delivery in await inbox.has(2):
            if delivery.message.payload == b"done":
                delivery.acknowledge()
        await subscription.stop()
        assert await self.comes_again(bus, topic) == [b"open"]

    async def test_5_a_new_bus_object_goes_on_where_the_old_one_ended(self, open_bus: OpenBus, topic: str) -> None:
        old, inbox = await open_bus(), Inbox(hold=True)
        await old.subscribe([topic], "group", inbox, prefetch=3)
        names = [f"{number}" for number in range(10)]
        await old.send(self.messages(topic, *names))
        acknowledged = (await inbox.has(3))[0]
        acknowledged.acknowledge()
        await old.close()
        rest = sorted(name.encode() for name in names if name.encode() != acknowledged.message.payload)
        assert await self.comes_again(await open_bus(), topic) == rest

    async def test_5_settling_twice_or_too_late_changes_nothing(self, bus: Bus, topic: str) -> None:
        inbox = Inbox(hold=True)
        subscription = await bus.subscribe([topic], "group", inbox, prefetch=10)
        await bus.send(self.messages(topic, "done", "open"))
        done, left = sorted(await inbox.has(2), key=lambda delivery: delivery.message.payload)
        done.acknowledge()
        done.give_back()
        done.acknowledge()
        await subscription.stop()
        left.acknowledge()
        assert await self.comes_again(bus, topic) == [b"open"]

    async def test_5_stop_waits_for_receivers_that_run(self, bus: Bus, topic: str) -> None:
        began, may_end = asyncio.Event(), asyncio.Event()

        async def receiver(delivery: Delivery) -> None:
            began.set()
            await may_end.wait()
            delivery.acknowledge()

        subscription = await bus.subscribe([topic], "group", receiver, prefetch=1)
        await bus.send(self.messages(topic, "one"))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await began.wait()
            stopping = asyncio.create_task(subscription.stop())
            await asyncio.wait({stopping}, timeout=0.05)
            assert not stopping.done()
            may_end.set()
            await stopping
        assert await self.comes_again(bus, topic) == []

    async def test_6_a_receiver_that_raises_does_not_stop_the_queue(self, bus: Bus, topic: str) -> None:
        inbox, seen = Inbox(), Counter[bytes]()

        async def receiver(delivery: Delivery) -> None:
            seen[delivery.message.payload] += 1
            if delivery.message.payload == b"poison" and seen[b"poison"] < 3:
                raise ZeroDivisionError
            await inbox(delivery)

        await bus.subscribe([topic], "group", receiver, prefetch=1)
        await bus.send(self.messages(topic, "poison", "one", "two"))
        await inbox.has(3)
        assert sorted(inbox.payloads) == [b"one", b"poison", b"two"]
        assert seen == {b"poison": 3, b"one": 1, b"two": 1}

    async def test_7_no_more_than_prefetch_are_in_hand(self, bus: Bus, topic: str) -> None:
        in_hand, most, left = set[Delivery](), 0, asyncio.Semaphore(0)

        async def receiver(delivery: Delivery) -> None:
            nonlocal most
            in_hand.add(delivery)
            most = max(most, len(in_hand))
            left.release()

        await bus.subscribe([topic], "group", receiver, prefetch=3)
        await bus.send(self.messages(topic, *(f"{number}" for number in range(20))))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for _ in range(3):
                await left.acquire()
            for _ in range(17):
                in_hand.pop().acknowledge()
                await left.acquire()
        assert most == 3

    async def test_7_a_paused_subscriber_takes_nothing_until_it_is_resumed(self, open_bus: OpenBus, topic: str) -> None:
        paused, busy = Inbox(), Inbox()
        resting = await (await open_bus()).subscribe([topic], "group", paused, prefetch=10)
        resting.pause()
        working = await (await open_bus()).subscribe([topic], "group", busy, prefetch=2)
        sender = await open_bus()
        await sender.send(self.messages(topic, *(f"{number}" for number in range(50))))
        await busy.has(50)
        assert not paused.deliveries
        assert {delivery.deliveries for delivery in busy.deliveries} == {1}  # nor did it take and give back
        working.pause()
        resting.resume()
        await sender.send(self.messages(topic, "after"))
        await paused.has(1)
        assert paused.payloads == [b"after"]

    async def test_8_any_bytes_are_delivered_as_they_are(self, bus: Bus, topic: str) -> None:
        inbox = Inbox()
        await bus.subscribe([topic], "group", inbox, prefetch=10)
        sent = [
            Message(topic=topic, key="", payload=b""),
            Message(topic=topic, key="k\x00", payload=bytes(range(256)) * 5, headers={"": "", "n\x00": "\x00", "ü": "🦆\n"}),
            Message(topic=topic, key="limit", payload=b"\x00" * bus.payload_bytes_max),
        ]
        await bus.send(sent)
        arrived = {delivery.message.key: delivery.message for delivery in await inbox.has(3)}
        assert arrived == {message.key: message for message in sent}

    async def test_8_a_hand_over_keeps_the_bytes(self, open_bus: OpenBus, topic: str) -> None:
        inbox, other = Inbox(hold=True), Inbox()
        first = await (await open_bus()).subscribe([topic], "group", inbox, prefetch=10)
        sent = {f"key {number}": Message(topic=topic, key=f"key {number}", payload=SENSITIVE[number]) for number in range(8)}
        await (await open_bus()).send(list(sent.values()))
        for place, delivery in enumerate(await inbox.has(8)):
            delivery.give_back(self.delay_seconds * (place % 2))
        await inbox.has(16)
        await first.stop()
        await (await open_bus()).subscribe([topic], "group", other, prefetch=10)
        await other.has_until(lambda: {each.message.key for each in other.deliveries} == sent.keys())
        assert all(each.message == sent[each.message.key] for each in (*inbox.deliveries, *other.deliveries))

    async def test_8_what_cannot_be_sent_is_refused_alone(self, bus: Bus, topic: str) -> None:
        inbox = Inbox()
        await bus.subscribe([topic], "group", inbox, prefetch=10)
        too_large = Message(topic=topic, key="k", payload=b"x" * (bus.payload_bytes_max + 1))
        no_text = Message(topic=topic, key="k", payload=b"x", headers={"name": "\ud800"})
        good = self.messages(topic, "one", "two", "three")
        answers = await asyncio.gather(
            bus.send([good[0], too_large]), bus.send([no_text]), bus.send([good[1]]), bus.send([good[2]]), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [PayloadError, PayloadError, type(None), type(None)]
        assert isinstance(answers[0], PayloadError)
        assert answers[0].path == "$[1].payload"
        await inbox.has(3)
        assert sorted(inbox.payloads) == [b"one", b"three", b"two"]

    async def test_9_one_subscription_reads_many_topics(self, open_bus: OpenBus, topic: str) -> None:
        inbox = Inbox()
        topics = [f"{topic}.{number}_A" for number in range(30)]
        await (await open_bus()).subscribe(topics, "group", inbox, prefetch=7)
        await (await open_bus()).send([message for each in topics for message in self.messages(each, "one", "two")])
        await inbox.has(60)
        assert Counter(delivery.message.topic for delivery in inbox.deliveries) == dict.fromkeys(topics, 2)

    async def test_9_a_topic_of_other_characters_is_refused(self, bus: Bus) -> None:
        for name in ("", "a b", "naïve", "a\x00b", "x" * 250):
            with pytest.raises(PayloadError, match="topic"):
                await bus.send(self.messages(name, "one"))

    async def test_of_two_thousand_messages_none_is_lost(self, open_bus: OpenBus, topic: str) -> None:
        """Send by two senders to three subscribers: some receivers raise, some give back, one subscriber leaves on the way."""
        arrived, all_arrived = Counter[bytes](), asyncio.Event()
        names = [f"{number}" for number in range(2000)]

        async def receiver(delivery: Delivery) -> None:
            number = int(delivery.message.payload)
            first = not arrived[delivery.message.payload]
            arrived[delivery.message.payload] += 1
            if len(arrived) == len(names):
                all_arrived.set()
            if first and number % 50 == 0:
                raise ZeroDivisionError
            if first and number % 31 == 0:
                delivery.give_back()
            delivery.acknowledge()

        subscriptions = [await (await open_bus()).subscribe([topic], "group", receiver, prefetch=50) for _ in range(3)]
        senders = [await open_bus(), await open_bus()]
        await asyncio.gather(
            *(senders[index % 2].send([message]) for index, message in enumerate(self.messages(topic, *names[:1000]))),
            subscriptions[0].stop(),
        )
        await senders[0].send(self.messages(topic, *names[1000:]))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await all_arrived.wait()
        assert set(arrived) == {name.encode() for name in names}
