"""The way to the broker: it loses, repeats and delays messages, also those that it acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from goconductor.buses.memory import MemoryBroker, MemoryBus, _Place, _Queue, _Subscription
from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.in_flight import HeldDelivery
from goconductor.errors import BusUnavailableError
from goconductor.ports.bus import Message
from tests.simulation.simulated.faults import Fault, Faults
from tests.simulation.simulated.loop import Machine, SimulatedLoop

LATE_SECONDS = 40.0
"""So late may a message be, or its copy come."""


class _Reading(_Subscription):
    """A subscription whose receivers run on the machine of its process."""

    def __init__(self, bus: SimulatedBus, queues: list[_Queue], reading: Reading) -> None:
        self._loop, self._machine, self._on_acknowledged = bus.loop, bus.machine, bus.on_acknowledged
        super().__init__(bus, queues, reading)

    def take(self, queue: _Queue, encoded: bytes, deliveries: int) -> None:
        with self._loop.on(self._machine):
            super().take(queue, encoded, deliveries)

    def _on_settled(self, delivery: HeldDelivery[_Place], delay_seconds: float | None) -> None:
        if delay_seconds is None:
            self._on_acknowledged(delivery.message)
        super()._on_settled(delivery, delay_seconds)

    def lose(self) -> None:
        """The process is gone: what it had in hand comes again, to others."""
        in_hand = list(self._in_flight._in_hand)
        self._in_flight._in_hand.clear()
        for queue in self._queues:
            queue.readers = [reader for reader in queue.readers if reader is not self]
        for delivery in in_hand:
            delivery.tag.queue.put(delivery.tag.encoded, delivery.deliveries)


class SimulatedBus(MemoryBus):
    """A process's end of the broker.

    Args:
        broker: all have one.
        broker_machine: the broker's.
        loop: the simulation's.
        machine: the process's.
        faults: what goes wrong on the way.
        travel: draws how long a message is on its way, in seconds.
        on_acknowledged: called with each message that is acknowledged.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        broker_machine: Machine,
        *,
        loop: SimulatedLoop,
        machine: Machine,
        faults: Faults,
        travel: Callable[[], float],
        on_acknowledged: Callable[[Message], None],
    ) -> None:
        super().__init__(broker)
        self.on_acknowledged = on_acknowledged
        self.loop, self.machine = loop, machine
        self._broker_machine = broker_machine
        self._faults, self._travel = faults, travel
        self._readings: list[_Reading] = []

    async def _send(self, opened: MemoryBroker, messages: Sequence[Message]) -> None:
        faults = self._faults
        if faults.strikes(Fault.SEND_REFUSED):
            await asyncio.sleep(self._travel())
            raise BusUnavailableError("the broker does not answer")
        taken = len(messages)
        if unknown := faults.strikes(Fault.SEND_UNKNOWN):
            taken = faults.chance(Fault.SEND_UNKNOWN).randrange(taken + 1)
        with self.loop.on(self._broker_machine):
            for message in messages[:taken]:
                for seconds in self._arrivals():
                    self.loop.call_later(seconds, self._put, opened, message)
        await asyncio.sleep(2 * self._travel())
        if unknown:
            raise BusUnavailableError("the answer to a send was lost")

    def _arrivals(self) -> list[float]:
        """Draw when a message arrives: never, once, or twice."""
        if self._faults.strikes(Fault.DROP):
            return []
        arrivals = [self._travel()]
        if self._faults.strikes(Fault.DELAY):
            arrivals[0] += self._late(Fault.DELAY)
        if self._faults.strikes(Fault.DUPLICATE):
            arrivals.append(self._travel() + self._late(Fault.DUPLICATE))
        return arrivals

    def _late(self, kind: Fault) -> float:
        chance = self._faults.chance(kind)
        return chance.random() * chance.choice([0.02, 2.0, LATE_SECONDS])

    def _put(self, broker: MemoryBroker, message: Message) -> None:
        encoded = msgspec.msgpack.encode(message)
        for queue in broker.queues(message.topic):
            queue.put(encoded)

    async def _take(self, opened: MemoryBroker, reading: Reading) -> _Subscription:
        await asyncio.sleep(self._travel())
        begun = _Reading(self, [opened.queue(topic, reading.group) for topic in reading.topics], reading)
        self._readings.append(begun)
        return begun

    def put_later(self, delay_seconds: float, queue: _Queue, encoded: bytes, deliveries: int) -> None:
        with self.loop.on(self._broker_machine):
            super().put_later(delay_seconds, queue, encoded, deliveries)

    def lose(self) -> None:
        """The process is gone."""
        with self.loop.on(self._broker_machine):
            for reading in self._readings:
                reading.lose()
