"""What the contract cannot ask of every bus: the broker breaks, groups are shaken, topics change, credentials are wrong."""

import asyncio
import secrets
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from goconductor.buses.kafka import KafkaBus, consuming
from goconductor.errors import BusUnavailableError, ConfigurationError, PayloadError
from goconductor.ports.bus import Delivery, Message
from goconductor.testing.contracts.bus import opening
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS, Inbox
from tests.contracts.bus_on_a_server import send_surely
from tests.contracts.kafka_cluster import Cluster, Ledger, orders, until
from tests.servers.kafka import KafkaServer

pytestmark = pytest.mark.kafka

OpenBus = Callable[..., Awaitable[KafkaBus]]
PATIENT: dict[str, Any] = {"open_timeout_seconds": 60, "send_timeout_seconds": 60}
BOTH_PROTOCOLS = pytest.mark.parametrize("group_protocol", ["consumer", "classic"])


@pytest.fixture
async def open_bus(request: pytest.FixtureRequest) -> AsyncIterator[OpenBus]:
    """Opens bus objects on the shared broker, or on one that is given; their groups are this test's own."""
    prefix = f"test-{secrets.token_hex(6)}."

    def make(url: str = "", **settings: Any) -> KafkaBus:
        url = url or request.getfixturevalue("kafka_server")
        return KafkaBus(url, **{"partitions": 3, "group_prefix": prefix, **PATIENT, **settings})

    async with opening(make) as open_one:
        yield open_one


@pytest.fixture
def topic() -> str:
    return f"orders-{secrets.token_hex(6)}"


@pytest.fixture
def cluster(kafka_server: str) -> Cluster:
    return Cluster(kafka_server)


class TestOpening:
    async def test_a_broker_that_is_not_there_is_waited_for_no_longer_than_said(self) -> None:
        with pytest.raises(BusUnavailableError, match=r"0\.5 s"):
            await KafkaBus("kafka://127.0.0.1:1", open_timeout_seconds=0.5).open()

    async def test_nor_is_one_that_never_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # it never accepts
            bus = KafkaBus(f"kafka://127.0.0.1:{silent.getsockname()[1]}", open_timeout_seconds=0.5)
            with pytest.raises(BusUnavailableError, match=r"0\.5 s"):
                await bus.open()

    async def test_wrong_credentials_are_said_at_once_without_the_password(self, topic: str) -> None:
        with KafkaServer(users={"shop": "sesame"}) as server:

            def bus(password: str) -> KafkaBus:
                sasl = {"sasl.mechanism": "PLAIN", "sasl.username": "shop", "sasl.password": password}
                extra = {"security.protocol": "SASL_PLAINTEXT", **sasl}
                return KafkaBus(server.url, open_timeout_seconds=60, librdkafka=extra)

            with pytest.raises(ConfigurationError, match=r"sasl\.password") as raised:
                await bus("hunter2").open()
            assert "hunter2" not in str(raised.value)
            assert raised.value.__cause__ is None
            right, inbox = bus("sesame"), Inbox()
            await right.open()
            await right.subscribe([topic], "group", inbox, prefetch=1)
            await right.send(orders(topic, "one"))
            await inbox.has(1)
            await right.close()

    async def test_tls_is_spoken_with_who_is_trusted(self, topic: str) -> None:
        with KafkaServer(users={"shop": "sesame"}, tls=True) as server:
            sasl = {"sasl.mechanism": "PLAIN", "sasl.username": "shop", "sasl.password": "sesame"}
            extra = {"security.protocol": "SASL_SSL", **sasl}
            said = ""
            while "certificate" not in said:  # on a busy machine it may not even come to the handshake
                with pytest.raises(BusUnavailableError) as raised:
                    await KafkaBus(server.url, open_timeout_seconds=5, librdkafka=extra).open()
                said = str(raised.value)
            bus = KafkaBus(server.url, open_timeout_seconds=60, librdkafka={**extra, "ssl.ca.location": str(server.certificate)})
            await bus.open()
            inbox = Inbox()
            await bus.subscribe([topic], "group", inbox, prefetch=1)
            await bus.send(orders(topic, "one"))
            await inbox.has(1)
            await bus.close()

    async def test_a_topic_that_cannot_be_made_says_what_to_correct(self, open_bus: OpenBus, topic: str) -> None:
        bus = await open_bus(replication=3)
        with pytest.raises(ConfigurationError, match="replication"):
            await bus.subscribe([topic], "group", Inbox(), prefetch=1)
        with pytest.raises(BusUnavailableError, match="replication"):
            await bus.send(orders(topic, "one"))

    async def test_a_topic_is_made_with_the_partitions_and_settings_that_were_wanted(
        self, open_bus: OpenBus, topic: str, cluster: Cluster
    ) -> None:
        wanted = {"partitions": 7, "partitions_by_prefix": {f"{topic}-": 2}, "topic_settings": {"retention.ms": 60_000}}
        bus = await open_bus(**wanted)
        await bus.send([*orders(topic, "one"), *orders(f"{topic}-replies", "one")])
        assert cluster.partitions(topic) == 7
        assert cluster.partitions(f"{topic}-replies") == 2

    async def test_auto_takes_the_newer_group_protocol_where_it_recovers_as_fast(self, open_bus: OpenBus) -> None:
        wanted = {0.5: "classic", 6.0: "consumer"}  # the broker of the tests allows 1 s
        for seconds, protocol in wanted.items():
            opened = (await open_bus(session_timeout_seconds=seconds))._connected()
            assert await opened.topics.group_protocol("auto") == protocol


class TestBreaking:
    @BOTH_PROTOCOLS
    async def test_nothing_is_lost_when_the_broker_is_killed_under_load(
        self, kafka_to_break: KafkaServer, open_bus: OpenBus, topic: str, group_protocol: str
    ) -> None:
        ledger, taken = Ledger(), set[str]()
        for _ in range(2):
            bus = await open_bus(kafka_to_break.url, group_protocol=group_protocol)
            await bus.subscribe([topic], "group", ledger, prefetch=20)
        sender = await open_bus(kafka_to_break.url, send_timeout_seconds=60)
        enough = asyncio.Event()

        async def keep_sending() -> None:
            number = 0
            while not enough.is_set():
                names = [f"{number + each}" for each in range(10)]
                number += 10
                try:
                    await sender.send(orders(topic, *names))
                except BusUnavailableError:
                    continue
                taken.update(names)

        sending = asyncio.create_task(keep_sending())
        await until(lambda: len(ledger.came) > 200)
        await asyncio.to_thread(kafka_to_break.kill)
        await asyncio.to_thread(kafka_to_break.start)
        before = len(taken)
        await until(lambda: len(taken) > before + 200)
        enough.set()
        await sending
        await ledger.has(taken)

    async def test_a_broker_that_answers_nothing_is_told_and_gone_on_with_when_it_does(
        self, kafka_to_break: KafkaServer, open_bus: OpenBus, topic: str
    ) -> None:
        ledger = Ledger()
        bus = await open_bus(kafka_to_break.url, send_timeout_seconds=1.0, session_timeout_seconds=1.0)
        await bus.subscribe([topic], "group", ledger, prefetch=20)
        await send_surely(bus, orders(topic, "before"))
        await ledger.has({"before"})
        kafka_to_break.pause()
        for name in ("lost", "lost too"):  # longer than the session's timeout
            with pytest.raises(BusUnavailableError):
                await bus.send(orders(topic, name))
        kafka_to_break.go_on()
        await send_surely(bus, orders(topic, "after"))
        await ledger.has({"after"})

    async def test_it_closes_soon_while_the_broker_is_away(
        self, kafka_to_break: KafkaServer, open_bus: OpenBus, topic: str
    ) -> None:
        inbox = Inbox(hold=True)
        bus = await open_bus(kafka_to_break.url)
        await bus.subscribe([topic], "group", inbox, prefetch=20)
        await bus.send(orders(topic, "one"))
        await inbox.has(1)
        await asyncio.to_thread(kafka_to_break.kill)
        async with asyncio.timeout(300):
            await bus.close()

    @BOTH_PROTOCOLS
    async def test_what_a_killed_process_had_comes_to_another_soon(
        self, open_bus: OpenBus, topic: str, kafka_server: str, group_protocol: str
    ) -> None:
        settings = {"group_protocol": group_protocol, "session_timeout_seconds": 6.0}
        bus, ledger = await open_bus(**settings), Ledger()
        code = (
            "import asyncio, sys\n"
            "from goconductor.buses.kafka import KafkaBus\n"
            "async def main():\n"
            "    url, prefix, protocol, topic = sys.argv[1:]\n"
            "    bus = KafkaBus(url, group_prefix=prefix, group_protocol=protocol, partitions=3)\n"
            "    await bus.open()\n"
            "    async def hold(delivery): print(delivery.message.payload.decode(), flush=True)\n"
            "    await bus.subscribe([topic], 'group', hold, prefetch=10)\n"
            "    await asyncio.Event().wait()\n"
            "asyncio.run(main())\n"
        )
        await bus.send(orders(topic, "one"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, kafka_server, bus._group_prefix, group_protocol, topic, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"one\n"
        process.kill()
        await process.wait()
        await bus.subscribe([topic], "group", ledger, prefetch=10)
        await ledger.has({"one"})

    @BOTH_PROTOCOLS
    async def test_nothing_is_lost_in_a_storm_of_rebalances(self, open_bus: OpenBus, topic: str, group_protocol: str) -> None:
        """Subscribers come and go, some with deliveries in hand, while others send."""
        ledger, held = Ledger(), list[Delivery]()
        stayer = await open_bus(group_protocol=group_protocol, drain_seconds=0.2)
        await stayer.subscribe([topic], "group", ledger, prefetch=10)
        names = [f"{number}" for number in range(1500)]

        async def careless(delivery: Delivery) -> None:
            held.append(delivery)
            if len(held) % 3:
                await ledger(delivery)

        async def come_and_go() -> None:
            bus = await open_bus(group_protocol=group_protocol, drain_seconds=0.2)
            for _ in range(4):
                subscription = await bus.subscribe([topic], "group", careless, prefetch=10)
                await subscription.stop()

        async def send() -> None:
            for begin in range(0, len(names), 50):
                await stayer.send(orders(topic, *names[begin : begin + 50]))

        async with asyncio.timeout(TIMEOUT_SECONDS):
            await asyncio.gather(come_and_go(), come_and_go(), send())
        await ledger.has(set(names))


class TestTopics:
    async def test_partitions_that_are_added_are_read_too(self, open_bus: OpenBus, topic: str, cluster: Cluster) -> None:
        ledger = Ledger()
        bus = await open_bus(partitions=1, librdkafka={"topic.metadata.refresh.interval.ms": 500})
        await bus.subscribe([topic], "group", ledger, prefetch=10)
        await bus.send(orders(topic, "before"))
        await cluster.add_partitions(topic, 4)
        cluster.write(topic, partition=3, key="k", value="in the new one")
        await bus.send(orders(topic, *(f"{number}" for number in range(20))))
        await ledger.has({"before", "in the new one", *(f"{number}" for number in range(20))})

    async def test_a_topic_that_is_deleted_is_made_again_by_who_sends(
        self, open_bus: OpenBus, topic: str, cluster: Cluster
    ) -> None:
        ledger = Ledger()
        bus = await open_bus(librdkafka={"topic.metadata.refresh.interval.ms": 500}, send_timeout_seconds=5)
        await bus.subscribe([topic], "group", ledger, prefetch=10)
        await send_surely(bus, orders(topic, *(f"{number}" for number in range(30))))
        await ledger.has({f"{number}" for number in range(30)})
        await cluster.delete(topic)
        await send_surely(bus, orders(topic, "after"))
        await ledger.has({"after"})
        assert cluster.partitions(topic) == 3

    async def test_what_its_topic_does_not_take_is_refused_alone(self, open_bus: OpenBus, topic: str, cluster: Cluster) -> None:
        await cluster.make(topic, max_message_bytes="1000")
        bus, ledger = await open_bus(), Ledger()
        await bus.subscribe([topic], "group", ledger, prefetch=10)
        too_large = Message(topic=topic, key="one", payload=b"x" * 5000)
        with pytest.raises(PayloadError, match=r"\$\[1\]\.payload.*max\.message\.bytes"):
            await bus.send([*orders(topic, "one"), too_large, *orders(topic, "two", "three")])
        await bus.send(orders(topic, "four"))
        await ledger.has({"one", "two", "three", "four"})

    async def test_a_message_of_another_system_reaches_the_receiver_as_it_is(
        self, open_bus: OpenBus, topic: str, cluster: Cluster
    ) -> None:
        await cluster.make(topic)
        inbox = Inbox()
        cluster.write(topic, value=None, key=None)
        cluster.write(topic, value=b"\xff\x00{", key=b"\xff", headers=[("a", None), ("b", b"\xff"), ("50%", b"1"), ("a", b"2")])
        cluster.write(topic, value=b"bad", headers=[("goconductor-deliveries", b"many"), ("goconductor-not-before", b"-1")])
        await (await open_bus()).subscribe([topic], "group", inbox, prefetch=10)
        await inbox.has(3)
        assert inbox.payloads == [b"", b"\xff\x00{", b"bad"]
        assert inbox.deliveries[1].message.headers == {"a": "2", "b": "\ufffd", "50%": "1"}
        assert {delivery.deliveries for delivery in inbox.deliveries} == {1}


class TestGivingBack:
    async def test_a_long_delay_and_the_count_outlive_the_process(self, open_bus: OpenBus, topic: str) -> None:
        first, inbox = await open_bus(), Inbox(hold=True)
        loop = asyncio.get_running_loop()
        await first.subscribe([topic], "group", inbox, prefetch=10)
        await first.send(orders(topic, "one"))
        (delivery,) = await inbox.has(1)
        given_back_at = loop.time()
        delivery.give_back(3.0)
        await first.close()
        again = Inbox()
        await (await open_bus()).subscribe([topic], "group", again, prefetch=10)
        (delivery,) = await again.has(1)
        assert delivery.message == orders(topic, "one")[0]
        assert delivery.deliveries == 2
        assert loop.time() - given_back_at >= 2.9

    async def test_it_comes_again_to_its_own_group_alone(self, open_bus: OpenBus, topic: str) -> None:
        stock, audit = Inbox(hold=True), Inbox()
        bus = await open_bus()
        await bus.subscribe([topic], "stock", stock, prefetch=10)
        await bus.subscribe([topic], "audit", audit, prefetch=10)
        await bus.send(orders(topic, "one"))
        (await stock.has(1))[0].give_back(1.0)
        await stock.has(2)
        await bus.send(orders(topic, *(f"{number}" for number in range(12))))
        await audit.has(13)
        assert Counter(audit.payloads)[b"one"] == 1

    async def test_another_instance_gets_what_one_cannot_use(self, open_bus: OpenBus, topic: str) -> None:
        """As in a rolling upgrade, where only the newer instance has the step."""
        inbox = Inbox()

        async def older(delivery: Delivery) -> None:
            delivery.give_back(1.0)

        await (await open_bus()).subscribe([topic], "group", older, prefetch=10)
        await (await open_bus()).subscribe([topic], "group", inbox, prefetch=10)
        await (await open_bus()).send(orders(topic, *(f"{number}" for number in range(12))))
        await inbox.has(12)

    async def test_what_waits_for_long_does_not_hold_up_what_is_stored(
        self, open_bus: OpenBus, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(consuming, "HELD_UP_MAX", 20)
        monkeypatch.setattr(consuming, "LOOK_SECONDS", 0.2)
        bus, ledger, first = await open_bus(partitions=1), Ledger(), list[Delivery]()

        async def receiver(delivery: Delivery) -> None:
            if delivery.message.payload == b"late":
                first.append(delivery)
                delivery.give_back(600.0)
            else:
                await ledger(delivery)

        subscription = await bus.subscribe([topic], "group", receiver, prefetch=10)
        await bus.send(orders(topic, "late"))
        await until(lambda: len(subscription._waiting) == 1)
        names = [f"{number}" for number in range(100)]
        await bus.send(orders(topic, *names))
        await ledger.has(set(names))
        await until(lambda: sum(partition.held_up for partition in subscription._partitions) == 0)
        await until(lambda: len(subscription._waiting) == 1)
        (late,) = subscription._waiting
        assert (late.deliveries, len(first)) == (2, 1)
        assert late.arrived.wait_seconds > 500


async def test_librdkafkas_statistics_are_told(open_bus: OpenBus, topic: str) -> None:
    bus, ledger = await open_bus(statistics_interval_seconds=0.2), Ledger()
    await bus.subscribe([topic], "group", ledger, prefetch=10)
    await bus.send(orders(topic, *(f"{number}" for number in range(10))))
    await ledger.has({f"{number}" for number in range(10)})

    def total(name: str) -> float:
        return sum(statistic.value for statistic in bus.statistics() if statistic.name == name)

    await until(lambda: total("kafka_client_sent_messages") >= 10 and total("kafka_client_received_messages") >= 10)
    await until(lambda: total("kafka_group_partitions") == 3)

    def lagging() -> set[str]:
        return {each.labels["topic"] for each in bus.statistics() if each.name == "kafka_group_lag_messages"}

    await until(lambda: lagging() == {topic})
