"""The bus object: sends, subscriptions and hints of one process."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from goconductor.aio import tasks
from goconductor.aio.backoff import Backoff
from goconductor.aio.tasks import create_guarded_task
from goconductor.buses.postgres import session, statements
from goconductor.buses.postgres.hints import Hints
from goconductor.buses.postgres.sending import Sender
from goconductor.buses.postgres.taking import PostgresSubscription
from goconductor.buses.shared.frame import BusFrame, Reading, begun_within
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import Message
from goconductor.ports.bus_metrics import COUNTED_MAX, Lag
from goconductor.ports.health import BusHealth
from goconductor.postgres.lookout import Lookout
from goconductor.postgres.pool import Pool
from goconductor.postgres.rights import examine_tables
from goconductor.postgres.setup import Setup, end
from goconductor.redaction import logger_of

HOUSEKEEPING_INTERVAL_SECONDS = 3600.0
"""Seconds between two rounds that delete what nobody reads any more."""

REST_SECONDS = 60.0
"""Seconds after its last use until a session for sending or for hints is closed."""

logger = logger_of(__name__)


@dataclass(frozen=True, slots=True)
class _Opened:
    """What the bus itself has; each subscription has a session of its own."""

    pools: Sequence[Pool]
    sender: Sender
    hints: Hints
    lookout: Lookout
    housekeeping: asyncio.Task[None]


class PostgresBus(BusFrame[_Opened, PostgresSubscription]):
    """A bus on PostgreSQL; the package's docstring describes how it works and what it does not promise.

    It holds one connection for each subscription. One for sending and one for hints are made when they are needed, and closed a
    minute after that.

    Args:
        url: the database's DSN; it may be another database than the saga log's.
        schema: the schema of its tables; created when missing.
        poll_interval_seconds: greatest wait between two looks of an idle subscription.
        visibility_seconds: seconds after which a message in hand may come to another process as well, as when this one is stopped
            or cut off (those of a dead one are taken back within a second or two).
        payload_bytes_max: greatest size of a payload, in bytes; larger ones are refused.
        open_timeout_seconds: time limit of ``open`` and ``subscribe``.
        hints_per_second_max: greatest number of notifications a second; ten times as many while all processes together send fewer
            than a thousand.
        retention_seconds: seconds after which messages that nobody takes, and groups that do not read, are dropped.

    Raises:
        ConfigurationError: the schema's name is not a plain identifier, a number makes no sense, or the url cannot be used.
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

    async def _open(self) -> _Opened:
        """Connect, and create the schema when it is missing.

        Raises:
            BusUnavailableError: PostgreSQL could not be reached within ``open_timeout_seconds``.
            ConfigurationError: it refuses us, which trying again would not help.
            PoolerError: a transaction pooler stands in between.
        """
        await self._reach()
        sending, hinting = pools = [
            Pool(self._set_up(purpose), f"bus, {purpose}", keep=0, rest_seconds=REST_SECONDS) for purpose in ("sending", "hints")
        ]
        hints = Hints(hinting.share(1), channel=self._schema, per_second_max=self._hints_per_second_max, on_news=self._on_news)
        sender = Sender(sending.share(1), hints.along)
        for pool in pools:
            await pool.open(at_once=False)
        hints.start()
        lookout = Lookout(self._address)
        lookout.open()
        return _Opened(pools, sender, hints, lookout, create_guarded_task(self._housekeep(), name="housekeeping of the bus"))

    async def examine(self) -> BusHealth:
        """Examine the bus's tables, as :class:`goconductor.ports.health.ExaminableBus` defines it.

        Raises:
            ConfigurationError: the database refuses us.
            BusUnavailableError: it cannot be reached.
        """
        return await examine_tables(self._address, self._schema, statements.NEEDS)

    async def _close(self, opened: _Opened) -> None:
        await opened.sender.close()
        await opened.hints.close()
        await opened.lookout.close()
        await tasks.end(opened.housekeeping)
        for pool in opened.pools:
            await pool.close()

    async def _send(self, opened: _Opened, messages: Sequence[Message]) -> None:
        counts = Counter(message.topic for message in messages)
        here = frozenset(topic for subscription in self._subscriptions for topic in subscription.topics)
        sent = await opened.sender.send(messages, counts.keys() - here)
        unnotified = {topic: count for topic, count in counts.items() if topic not in sent.notified}
        opened.hints.notify([t for t, count in unnotified.items() if not self._take_here(t, count) or sent.queues[t] > 1])

    async def _take(self, opened: _Opened, reading: Reading) -> PostgresSubscription:
        setup = self._set_up("taking")

        async def prepare(connection: session.Connection) -> None:
            await setup.prepare(connection)
            await opened.hints.listen(connection)

        subscription = PostgresSubscription(
            replace(setup, prepare=prepare).dial,
            reading,
            poll_interval_seconds=self._poll_interval_seconds,
            visibility_seconds=self._visibility_seconds,
            notify=opened.hints.notify,
        )
        await begun_within(self._open_timeout_seconds, subscription.start(), unavailable=session.UNAVAILABLE, reason_of=repr)
        return subscription

    async def lag(self, topic: str, group: str) -> Lag | None:
        """Return the lag as :class:`goconductor.ports.MeasuredBus` defines it, over a connection of its own, as this is
        rare.

        Raises:
            BusUnavailableError: PostgreSQL is away.
        """
        try:
            connection = await self._set_up("metrics").dial()
            try:
                row = await connection.fetchrow(statements.LAG, topic, group, COUNTED_MAX)
            finally:
                await end(connection)
        except session.UNAVAILABLE as error:
            raise BusUnavailableError(f"the bus could not be measured: {error!r}") from error
        return Lag(**row) if row is not None else None

    async def _reach(self) -> None:
        """Wait until the server is there, with our tables in it, and see that no pooler is in between."""
        setup = self._set_up("opening")
        problem = "it does not answer"
        waits = Backoff(0.05, 2.0)
        try:
            async with asyncio.timeout(self._open_timeout_seconds):
                while True:
                    try:
                        connection = await setup.dial()
                        try:
                            await setup.refuse_pooler(connection, session.POOLER)
                        finally:
                            await end(connection)
                    except BusUnavailableError as error:
                        problem = str(error)
                    else:
                        return
                    await asyncio.sleep(waits.next())
        except TimeoutError:
            raise BusUnavailableError(f"the bus did not open within {self._open_timeout_seconds:g} s: {problem}") from None

    def _set_up(self, purpose: str) -> Setup:
        return session.set_up(self._address, self._schema, purpose)

    def _take_here(self, topic: str, count: int) -> bool:
        """Wake a subscription of our own; True if nobody else is needed."""
        for subscription in self._subscriptions:
            if topic in subscription.topics and subscription.takes(count):
                subscription.wake()
                return True
        return False

    def _on_news(self, topics: frozenset[str]) -> None:
        for subscription in self._subscriptions:
            if not topics or not topics.isdisjoint(subscription.topics):
                subscription.wake()

    async def _housekeep(self) -> None:
        """Forget now and then what nobody wants, over a connection that is made for it."""
        while True:
            try:
                connection = await self._set_up("housekeeping").dial()
                try:
                    await connection.execute(statements.FORGET, self._retention_seconds)
                    while await connection.execute(statements.DROP_OLD, self._retention_seconds) != "DELETE 0":
                        pass
                finally:
                    await end(connection)
            except session.UNAVAILABLE as error:
                logger.warning("the bus could not drop what is old, and tries it again in an hour: %r", error)
            await asyncio.sleep(HOUSEKEEPING_INTERVAL_SECONDS)
