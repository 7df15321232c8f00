"""The bus object: sends, subscriptions and hints of one process."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from goconductor.buses.postgres import session, statements
from goconductor.buses.postgres.hints import Hints
from goconductor.buses.postgres.sending import Sender
from goconductor.buses.postgres.taking import PostgresSubscription
from goconductor.buses.shared.frame import BusFrame, Reading, begun_within
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import Message
from goconductor.ports.figures import COUNTED_MAX, Lag
from goconductor.ports.vitals import BusVitals
from goconductor.postgres.direct import refuse_pooler
from goconductor.postgres.rights import examine_tables
from goconductor.postgres.setup import Setup, end

HOUSEKEEPING_INTERVAL_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Opened:
    """The two sessions of the bus itself; each subscription has its own."""

    sender: Sender
    hints: Hints


class PostgresBus(BusFrame[_Opened, PostgresSubscription]):
    """A bus on PostgreSQL; the package's docstring says how it works and what it does not promise.

    It takes one connection for sending, one for hints, and one for each subscription.

    Args:
        url: the database's DSN; it may be another database than the saga log's.
        schema: where its tables are; created when missing.
        poll_interval_seconds: the longest wait between two looks of an idle subscription.
        visibility_seconds: what is in hand for longer may come to another as well; so long do the deliveries of a process wait
            that is stopped or cut off (those of a dead one are taken back within a second or two).
        payload_bytes_max: larger payloads are refused, in bytes.
        open_timeout_seconds: how long ``open`` and ``subscribe`` try.
        hints_per_second_max: so many notifications a second are sent at most; ten times as many while all
            processes together send fewer than a thousand.
        retention_seconds: what nobody takes for so long is dropped, and a group that does not read for so long forgotten.

    Raises:
        ConfigurationError: the schema's name is not a plain identifier, a number makes no sense, or the url cannot be.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "goconductor_bus",
        poll_interval_seconds: float = 1.0,
        visibility_seconds: float = 15.0,
        payload_bytes_max: int = 1 << 20,
        open_timeout_seconds: float = 30.0,
        hints_per_second_max: float = 50.0,
        retention_seconds: float = 7 * 86_400.0,
    ) -> None:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
            raise ConfigurationError(f"{schema!r} cannot be the bus's schema; use small letters, digits and '_', at most 63")
        if min(poll_interval_seconds, visibility_seconds, hints_per_second_max, retention_seconds) <= 0:
            raise ConfigurationError("the bus's intervals and limits must be greater than 0")
        super().__init__(payload_bytes_max=payload_bytes_max)
        self._address = session.address_of(url)
        self._schema = schema
        self._poll_interval_seconds = poll_interval_seconds
        self._visibility_seconds = visibility_seconds
        self._open_timeout_seconds = open_timeout_seconds
        self._hints_per_second_max = hints_per_second_max
        self._retention_seconds = retention_seconds
        self._housekeep_at = 0.0

    async def _open(self) -> _Opened:
        """Connect, and create the schema when it is missing.

        Raises:
            BusUnavailableError: PostgreSQL could not be reached within ``open_timeout_seconds``.
            ConfigurationError: it refuses us, which trying again would not help.
            PoolerError: a transaction pooler stands in between.
        """
        hints = Hints(
            self._set_up("hints").dial,
            channel=self._schema,
            per_second_max=self._hints_per_second_max,
            heard=self._heard,
            housekeep=self._housekeep,
        )
        sender = await self._sender_beside(hints)
        hints.start()
        return _Opened(sender, hints)

    async def examine(self) -> BusVitals:
        """As :class:`goconductor.ports.vitals.ExaminableBus` says.

        Raises:
            ConfigurationError: the database refuses us.
            BusUnavailableError: it cannot be reached.
        """
        return await examine_tables(self._address, self._schema, statements.NEEDS)

    async def _close(self, opened: _Opened) -> None:
        await opened.sender.close()
        await opened.hints.close()

    async def _send(self, opened: _Opened, messages: Sequence[Message]) -> None:
        counts = Counter(message.topic for message in messages)
        here = frozenset(topic for subscription in self._subscriptions for topic in subscription.topics)
        sent = await opened.sender.send(messages, counts.keys() - here)
        untold = {topic: count for topic, count in counts.items() if topic not in sent.told}
        opened.hints.tell([t for t, count in untold.items() if not self._take_here(t, count) or sent.queues[t] > 1])

    async def _take(self, opened: _Opened, reading: Reading) -> PostgresSubscription:
        subscription = PostgresSubscription(
            self._set_up("taking").dial,
            reading,
            poll_interval_seconds=self._poll_interval_seconds,
            visibility_seconds=self._visibility_seconds,
            tell=opened.hints.tell,
        )
        await begun_within(self._open_timeout_seconds, subscription.start(), unavailable=session.UNAVAILABLE, reason_of=repr)
        return subscription

    async def lag(self, topic: str, group: str) -> Lag | None:
        """As :class:`goconductor.ports.figures.MeasuredBus` says, on a connection of its own, since this is rare.

        Raises:
            BusUnavailableError: PostgreSQL is away.
        """
        try:
            connection = await self._set_up("figures").dial()
            try:
                row = await connection.fetchrow(statements.LAG, topic, group, COUNTED_MAX)
            finally:
                await end(connection)
        except session.UNAVAILABLE as error:
            raise BusUnavailableError(f"the bus could not be measured: {error!r}") from error
        return Lag(**row) if row is not None else None

    async def _sender_beside(self, hints: Hints) -> Sender:
        """The sender, once it and the hints have their sessions and no pooler was found between."""
        sender = Sender(self._set_up("sending").dial, hints.along)
        problem = "it does not answer"
        wait_seconds = 0.05
        try:
            async with asyncio.timeout(self._open_timeout_seconds):
                while True:
                    try:
                        one, other = await sender.open(), await hints.open()
                        with self._address.meaning():
                            await refuse_pooler(one, other, session.POOLER)
                    except BusUnavailableError as error:
                        problem = str(error)
                    else:
                        return sender
                    await asyncio.sleep(wait_seconds)
                    wait_seconds = min(2 * wait_seconds, 2.0)
        except BaseException as error:
            await sender.close()
            await hints.close()
            if isinstance(error, TimeoutError):
                raise BusUnavailableError(f"the bus did not open within {self._open_timeout_seconds:g} s: {problem}") from None
            raise

    def _set_up(self, purpose: str) -> Setup:
        return session.set_up(self._address, self._schema, purpose)

    def _take_here(self, topic: str, count: int) -> bool:
        """Wake a subscription of our own; True if nobody else is needed."""
        for subscription in self._subscriptions:
            if topic in subscription.topics and subscription.takes(count):
                subscription.wake()
                return True
        return False

    def _heard(self, topics: frozenset[str]) -> None:
        for subscription in self._subscriptions:
            if not topics or not topics.isdisjoint(subscription.topics):
                subscription.wake()

    async def _housekeep(self, connection: session.Connection) -> None:
        if time.monotonic() >= self._housekeep_at:
            self._housekeep_at = time.monotonic() + HOUSEKEEPING_INTERVAL_SECONDS
            await connection.execute(statements.FORGET, self._retention_seconds)
            while await connection.execute(statements.DROP_OLD, self._retention_seconds) != "DELETE 0":
                pass
