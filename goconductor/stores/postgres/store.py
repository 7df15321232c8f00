"""The store leaf on PostgreSQL, put together from its parts."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from functools import partial

from goconductor.ports.health import StoreHealth
from goconductor.ports.store import BATCHES_AT_ONCE
from goconductor.postgres.direct import refuse_pooler
from goconductor.postgres.lookout import Lookout
from goconductor.postgres.opening import wait_for
from goconductor.postgres.pool import Pool
from goconductor.postgres.session import Session
from goconductor.postgres.setup import Limits
from goconductor.stores.postgres.database.dial import Address
from goconductor.stores.postgres.database.health import examine
from goconductor.stores.postgres.database.revisions import check_schema, migrate
from goconductor.stores.postgres.database.setup import set_up
from goconductor.stores.postgres.database.timelines import TimelineTable
from goconductor.stores.postgres.leading.audit import AuditTable
from goconductor.stores.postgres.leading.choices import ChoiceTable
from goconductor.stores.postgres.leading.feed import LogFeed
from goconductor.stores.postgres.leading.instances import SignsOfLife
from goconductor.stores.postgres.leading.metrics import PostgresMetrics
from goconductor.stores.postgres.leading.recovery import PostgresRecovery
from goconductor.stores.postgres.leading.retention import RetentionWalk
from goconductor.stores.postgres.leading.schedules import ScheduleTable
from goconductor.stores.postgres.leading.terms import TermTable
from goconductor.stores.postgres.leading.webhooks import WebhookTables
from goconductor.stores.postgres.log.appends import PostgresLog
from goconductor.stores.postgres.log.callers import Callers
from goconductor.stores.postgres.log.leases import PostgresLeases
from goconductor.stores.postgres.log.locks import LockTable
from goconductor.stores.postgres.log.permits import PostgresPermits
from goconductor.stores.postgres.log.starts import PostgresStarts
from goconductor.stores.postgres.log.tails import TailReader
from goconductor.stores.postgres.reading.dead_letters import DeadLetterTable
from goconductor.stores.postgres.reading.definitions import DefinitionTable
from goconductor.stores.postgres.reading.keys import KeyTable
from goconductor.stores.postgres.reading.sagas import SagaTable
from goconductor.stores.postgres.reading.secrets import SecretTable

QUICK_CONNECTIONS = 2
"""Number of short calls at once on the sessions that append."""
KEY_LOCK_SECONDS = 0.25
"""Seconds that a batch of starts waits for a key that somebody's open transaction holds. Then the others go on without it."""
UNPRINTABLE = re.compile(r"[^ -~]")


class PostgresStore:
    """The saga store in a PostgreSQL database, 15 or newer. It serves all ports of :mod:`goconductor.ports.store`.

    It holds one connection for acquiring, one for appending, and, from its first use, one for all else. More are made when they
    are needed, and closed a minute after that. Their application name is ``name`` and eight random letters: the server tells
    by it whether this instance still has a connection.

    Args:
        url: ``postgresql://user:password@host:port/database``, with libpq's parameters.
        schema: where our tables are.
        name: what the server's administrator sees us as.
        connections: how many connections serve recovery and doors together, at most.
        connect_timeout_seconds: bounds one attempt to connect.
        statement_timeout_seconds: the server ends a statement that takes longer.
        hot_timeout_seconds: the same for all that running sagas wait for: a connection that is half gone holds them up for about
            that time.
        lock_timeout_seconds: the server ends a statement that waits longer for a lock, a hot one after a fifth of its limit.
        idle_in_transaction_seconds: the server ends a session of ours that stops inside a transaction for longer.
        application_name: what the server calls all connections, in place of one made from ``name``.

    Raises:
        ConfigurationError: the url or the schema's name cannot be.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "goconductor",
        name: str = "goconductor",
        connections: int = 4,
        connect_timeout_seconds: float = 5.0,
        statement_timeout_seconds: float = 30.0,
        hot_timeout_seconds: float = 5.0,
        lock_timeout_seconds: float = 10.0,
        idle_in_transaction_seconds: float = 10.0,
        application_name: str = "",
    ) -> None:
        instance_name = application_name or f"{UNPRINTABLE.sub('?', name)[:50]} {secrets.token_hex(4)}"
        address = self._address = Address(url, schema=schema, application_name=instance_name)
        self._again = partial(
            PostgresStore,
            url,
            schema=schema,
            connections=connections,
            connect_timeout_seconds=connect_timeout_seconds,
            statement_timeout_seconds=statement_timeout_seconds,
            hot_timeout_seconds=hot_timeout_seconds,
            lock_timeout_seconds=lock_timeout_seconds,
            idle_in_transaction_seconds=idle_in_transaction_seconds,
            application_name=instance_name,
        )
        setup = set_up(
            address,
            Limits(statement_timeout_seconds, min(lock_timeout_seconds, statement_timeout_seconds), idle_in_transaction_seconds),
            connect_timeout_seconds=connect_timeout_seconds,
        )
        # what waits for a lock is ended well before the statement's own limit, whose error tells less
        limits = Limits(hot_timeout_seconds, min(lock_timeout_seconds, hot_timeout_seconds / 5), idle_in_transaction_seconds)
        hot = replace(setup, limits=limits)
        starting = replace(setup, limits=limits._replace(lock_seconds=min(lock_timeout_seconds, KEY_LOCK_SECONDS)))
        appending, starts, reading = Pool(hot, "append"), Pool(starting, "start", keep=0), Pool(setup, "read")
        self._pools = (appending, starts, reading)
        self._quick = appending.share(QUICK_CONNECTIONS, is_patient=True)
        self._others = reading.share(connections, is_patient=True)
        self.failovers = TimelineTable(self._others, address)
        self.instances = SignsOfLife(
            partial(Session, replace(hot, durable=False), "acquire"), self._others, address, self.failovers
        )
        self._for_acquire = self.instances.session
        self._for_append = appending.share(BATCHES_AT_ONCE)
        self._for_start = starts.share(BATCHES_AT_ONCE + 1)  # one more for those whose keys are held
        self._lookout = lookout = Lookout(address)
        tails = TailReader(address, lookout)
        self.leases = PostgresLeases(self._for_acquire, address, tails)
        self.permits = PostgresPermits(self._for_acquire, self._others, address)
        self.log = PostgresLog(self._for_append, self._quick, address, tails)
        self.starts = PostgresStarts(self._for_start, address, Callers(self._others, address))
        self.definitions = DefinitionTable(self._others, address, lookout)
        self.dead_letters = DeadLetterTable(self._others, address)
        self.keys = KeyTable(self._others, address)
        self.secrets = SecretTable(self._others, address)
        self.sagas = SagaTable(self._others, address, lookout)
        self.terms = TermTable(self._quick, address)
        self.recovery = PostgresRecovery(self._others, address)
        self.retention = RetentionWalk(self._others, address)
        self.locks = LockTable(self._others, address, max(1, connections // 2))
        self.schedules = ScheduleTable(self._others, address)
        self.feed = LogFeed(self._others, address, self.failovers)
        self.webhooks = WebhookTables(self._others, address)
        self.audit = AuditTable(self._others, address)
        self.choices = ChoiceTable(self._others, address)
        self.metrics = PostgresMetrics(self._others, address)
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the database cannot be used just now; empty if it can."""
        return self._trouble

    async def open(self) -> None:
        """Connect, and see that the schema fits and that no transaction pooler stands in between.

        Raises:
            ConfigurationError: wrong credentials, no such database, or one that is not in UTF-8.
            PoolerError: a transaction pooler stands in between.
            SchemaError: the schema is missing, older or newer.
        """
        try:
            await wait_for(self._open, self._address, self._is_in_trouble)
        except BaseException:
            await self.close()
            raise

    def _is_in_trouble(self, trouble: str) -> None:
        self._trouble = trouble

    async def _open(self) -> None:
        appending, *others = self._pools
        await appending.open()
        await check_schema(self._for_append, self._address)
        await self._for_acquire.open()
        async with self._for_append.use() as one, self._for_acquire.use() as other:
            await refuse_pooler(one, other)
        for pool in others:
            await pool.open(at_once=False)
        self._lookout.open()

    async def close(self) -> None:
        """End all connections; who is still registered then looks dead to the others."""
        for each in (self._lookout, self._for_acquire, *self._pools):
            await each.close()

    def beside(self) -> PostgresStore:
        """Make another store on the same database. Its connections bear the same name, by which an instance counts as alive."""
        return self._again()

    async def migrate(self, *, feed: bool = False) -> None:
        """Make the schema, or bring it to this code's version; see :func:`goconductor.stores.postgres.migrate`."""
        await migrate(self._address.url, schema=self._address.schema, feed=feed)

    async def examine(self, *, older_than_seconds: float) -> StoreHealth:
        """Look at the database on a connection of its own, which needs no open store."""
        return await examine(self._address, older_than_seconds=older_than_seconds)
