"""A journal with a URL of two servers, whose commits hang on the first: an old primary that waits for a standby which left it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest

from goconductor.errors import JournalError
from goconductor.ports.journal import EffectKey, Entry, Found
from tests.contracts.journal_leaves import LEAVES
from tests.servers.fixtures.primaries import Primaries

pytestmark = pytest.mark.postgres

KEY = EffectKey("action", "compensation")
NAMES = ("asyncpg", "sqlalchemy-connection")


@asynccontextmanager
async def journals(url: str) -> AsyncIterator[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(LEAVES[name].journal(url, table=f"by_{name[:3]}")) for name in NAMES}


async def test_after_a_commit_that_hangs_another_host_is_asked_first(primaries: Primaries) -> None:
    for server in (primaries.old, primaries.new):
        async with journals(server.url()) as made:
            for journal in made.values():
                await journal.create_table()
    primaries.old.query("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
    primaries.old.query("SELECT pg_reload_conf()")
    while primaries.old.query("SHOW synchronous_standby_names") != "gone":
        pass

    async def run(name: str, journal: Any, seconds: float) -> Entry:
        async def call(tx: Any) -> bytes:
            return str(await LEAVES[name].execute(tx, "SHOW port")).encode()

        return cast("Entry", await journal.run_action(KEY, call, timeout_seconds=seconds))

    async with journals(primaries.url) as made:
        for name, journal in made.items():
            said = ""
            while "a commit took longer" not in said:  # on a busy machine it may not even come to the commit
                with pytest.raises(JournalError) as told:
                    await run(name, journal, 2.0)
                said = str(told.value)
        for name, journal in made.items():
            entry = await run(name, journal, 300.0)
            assert (entry.found, entry.result) == (Found.RAN, str(primaries.new.port).encode())
