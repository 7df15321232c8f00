"""A journal with a URL of two servers, whose commits hang on the first: an old primary that waits for a standby which left it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import asyncpg
import pytest

from goconductor.errors import JournalError
from goconductor.ports.journal import EffectKey, Entry, Found
from goconductor.testing.postgres import PostgresServer
from tests.contracts.journal_leaves import LEAVES
from tests.servers.fixtures.primaries import Primaries

pytestmark = pytest.mark.postgres

KEY = EffectKey("action", "compensation")
NAMES = ("asyncpg", "sqlalchemy-connection")


@asynccontextmanager
async def journals(url: str) -> AsyncIterator[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(LEAVES[name].journal(url, table=f"by_{name[:3]}")) for name in NAMES}


async def lose_standby(server: PostgresServer) -> None:
    """Return when commits wait for a standby that is not there. A session that shows the setting does not tell that they do."""
    another, onlooker = await asyncpg.connect(server.url()), await asyncpg.connect(server.url())
    await another.execute("CREATE TABLE tries (number int)")
    await onlooker.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
    await onlooker.execute("SELECT pg_reload_conf()")

    async def commit() -> None:
        while True:
            await another.execute("INSERT INTO tries VALUES (1)")

    trying = asyncio.create_task(commit())
    while not await onlooker.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"):
        pass
    trying.cancel()
    await asyncio.wait([trying])
    another.terminate()
    await onlooker.close()


async def test_after_a_commit_that_hangs_another_host_is_asked_first(primaries: Primaries) -> None:
    for server in (primaries.old, primaries.new):
        async with journals(server.url()) as made:
            for journal in made.values():
                await journal.create_table()

    async def run(name: str, journal: Any, seconds: float) -> Entry:
        async def call(tx: Any) -> bytes:
            return str(await LEAVES[name].execute(tx, "SHOW port")).encode()

        return cast("Entry", await journal.run_action(KEY, call, timeout_seconds=seconds))

    async with journals(primaries.url) as made:
        for journal in made.values():
            await journal.create_table()  # by a connection that is kept, so that the time is for the commit alone
        await lose_standby(primaries.old)
        for name, journal in made.items():
            with pytest.raises(JournalError, match="a commit took longer"):
                await run(name, journal, 6.0)
        for name, journal in made.items():
            entry = await run(name, journal, 300.0)
            assert (entry.found, entry.result) == (Found.RAN, str(primaries.new.port).encode())
