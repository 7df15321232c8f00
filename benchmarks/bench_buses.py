"""What each bus can do by itself: messages a second through it, and the latency of a message when little is sent.

For each bus a server is started for the run. A sender and a receiver, two bus objects of this process with the bus's own
defaults, share one event loop. First as much is sent as goes through: lanes that each send 100 messages at a time, while not more
than 4,000 are on their way. Then little: one message at a time, at a steady rate; its latency is from the call of ``send`` to the
call of the receiver. Every message has to arrive.

    python benchmarks/bench_buses.py [--bus postgres,kafka,kinesis,rabbitmq,nats,sqs] [--seconds 4] [--rate 100]
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import secrets
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from goconductor import plugins
from goconductor.ports.bus import Bus, Delivery, Message
from tests.servers.__main__ import SERVERS

BUSES = ("postgres", "kafka", "kinesis", "rabbitmq", "nats", "sqs")
NEED_A_DATABASE = ("kinesis",)
"""For who reads what, and how far."""
PAYLOAD_BYTES = 1_000
BATCH = 100
LANES = 4
ON_THEIR_WAY_MAX = 4_000
PREFETCH = 500
PATIENCE_SECONDS = 60.0


@dataclass
class Figures:
    bus: str
    messages_per_second: float
    cpu_us_per_message: float
    p50_ms: float
    p99_ms: float


class Receiver:
    """Acknowledges at once, and notes when what came was sent."""

    def __init__(self) -> None:
        self.came: set[str] = set()
        self.latencies: list[float] = []
        self.news = asyncio.Event()

    async def __call__(self, delivery: Delivery) -> None:
        self.latencies.append(time.perf_counter() - float(delivery.message.headers["sent"]))
        self.came.add(delivery.message.key)
        delivery.acknowledge()
        self.news.set()

    async def has(self, count: int) -> None:
        """Wait until so many different messages came."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.came) < count:
                self.news.clear()
                await self.news.wait()


class Sender:
    def __init__(self, bus: Bus, topic: str, receiver: Receiver) -> None:
        self.sent = 0
        self._bus, self._topic, self._receiver = bus, topic, receiver

    async def send(self, count: int) -> None:
        headers = {"sent": repr(time.perf_counter())}
        payload = secrets.token_bytes(PAYLOAD_BYTES)
        keys = [str(self.sent + number) for number in range(count)]
        self.sent += count
        await self._bus.send([Message(topic=self._topic, key=key, payload=payload, headers=headers) for key in keys])

    async def as_much_as_goes_through(self, until: float) -> None:
        async def lane() -> None:
            while time.perf_counter() < until:
                await self._receiver.has(self.sent - ON_THEIR_WAY_MAX)
                await self.send(BATCH)

        await asyncio.gather(*(lane() for _ in range(LANES)))

    async def little(self, rate: float, until: float) -> None:
        """At a steady rate, whether the message before has arrived or not."""
        async with asyncio.TaskGroup() as group:
            due = time.perf_counter()
            while due < until:
                await asyncio.sleep(max(due - time.perf_counter(), 0.0))
                group.create_task(self.send(1))
                due += 1 / rate


async def measure(kind: str, url: str, database_url: str | None, *, seconds: float, rate: float) -> Figures:
    leaf = plugins.load("bus", kind)
    options = {} if database_url is None else {"database_url": database_url}
    at_sender: Bus = leaf(url, **options)
    at_receiver: Bus = leaf(url, **options)
    await at_sender.open()
    await at_receiver.open()
    receiver = Receiver()
    await at_receiver.subscribe(["bench"], "bench", receiver, prefetch=PREFETCH)
    sender = Sender(at_sender, "bench", receiver)

    await sender.as_much_as_goes_through(time.perf_counter() + min(1.0, seconds / 2))  # to warm up
    await receiver.has(sender.sent)
    before, began, cpu = len(receiver.came), time.perf_counter(), time.process_time()
    await sender.as_much_as_goes_through(began + seconds)
    await receiver.has(sender.sent)
    elapsed, cpu, through = time.perf_counter() - began, time.process_time() - cpu, len(receiver.came) - before

    receiver.latencies.clear()
    await sender.little(rate, time.perf_counter() + seconds)
    await receiver.has(sender.sent)
    cuts = statistics.quantiles(receiver.latencies, n=100)
    await at_receiver.close()
    await at_sender.close()
    return Figures(kind, through / elapsed, 1e6 * cpu / through, 1000 * cuts[49], 1000 * cuts[98])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bus", default=",".join(BUSES), help="which, with commas between them")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each of the two measurements of a bus")
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second, for the latency")
    options = parser.parse_args()
    kinds = options.bus.split(",")
    if unknown := set(kinds) - set(BUSES):
        parser.error(f"there is no bus {min(unknown)!r} here; there are {', '.join(BUSES)}")
    print(f"Python {platform.python_version()}, {PAYLOAD_BYTES} bytes a message, {options.rate:g} messages/s for the latency\n")
    print("| bus | messages/s | Python's CPU µs a message | p50 ms | p99 ms |\n|---|---|---|---|---|")
    for kind in kinds:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="goconductor-bench-"))
            url = SERVERS[kind](stack, Path(folder) / kind)
            database_url = SERVERS["postgres"](stack, Path(folder) / "postgres") if kind in NEED_A_DATABASE else None
            measuring = measure(kind, url, database_url, seconds=options.seconds, rate=options.rate)
            found = uvloop.run(measuring) if sys.platform != "win32" else asyncio.run(measuring)
        figures = f"{found.messages_per_second:,.0f} | {found.cpu_us_per_message:.0f} | {found.p50_ms:.1f} | {found.p99_ms:.1f}"
        print(f"| {found.bus} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
