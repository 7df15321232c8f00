"""The journals when the network or the process fails at the worst moment: duties 8 and the timeouts, on a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from goconductor.errors import JournalError
from goconductor.journals.asyncpg import AsyncpgJournal
from goconductor.journals.table import TableJournal
from goconductor.ports.journal import EffectKey, Entry, Found
from tests.contracts.journal_leaves import LEAVES, Leaf
from tests.servers.pausing import pause

pytestmark = pytest.mark.postgres

KEY = EffectKey("action", "compensation")
TIMEOUT_SECONDS = 300.0
ROOT = Path(__file__).parents[2]
EFFECTS = "SELECT count(*)::int FROM effects"


@pytest.fixture(params=LEAVES)
def leaf(request: pytest.FixtureRequest) -> Leaf:
    return LEAVES[request.param]


@pytest.fixture
async def onlooker(postgres_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    journal = AsyncpgJournal(postgres_url)
    await journal.create_table()
    await journal.close()
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE effects (effect text)")
    yield connection
    await connection.close()


class CuttingProxy:
    """Passes everything on, until a COMMIT comes by: then it cuts, before the server has seen it or before we see the answer."""

    def __init__(self, url: str, *, server_sees_it: bool) -> None:
        self._server_sees_it = server_sees_it
        parts = urlsplit(url)
        self._upstream = (parts.hostname, parts.port)
        self._parts = parts
        self.armed = False
        self.cuts = 0

    def url(self, port: int) -> str:
        user = self._parts.netloc.rpartition("@")[0]
        return self._parts._replace(netloc=f"{user}@127.0.0.1:{port}", query="sslmode=disable").geturl()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        answers = asyncio.create_task(self._pass(upstream_reader, writer))
        try:
            while data := await reader.read(65536):
                if self.armed and data[:1] == b"Q" and data[5:].startswith(b"COMMIT"):
                    self.armed, self.cuts = False, self.cuts + 1
                    answers.cancel()
                    if self._server_sees_it:
                        await asyncio.wait([answers])
                        upstream_writer.write(data)
                        assert (await upstream_reader.read(65536)).startswith(b"C")  # CommandComplete: it is durable
                    break
                upstream_writer.write(data)
        finally:
            answers.cancel()
            writer.transport.abort()
            upstream_writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def cutting(leaf: Leaf, url: str, *, server_sees_it: bool) -> AsyncIterator[tuple[CuttingProxy, TableJournal[Any]]]:
    proxy = CuttingProxy(url, server_sees_it=server_sees_it)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        async with leaf.journal(proxy.url(server.sockets[0].getsockname()[1])) as journal:
            yield proxy, journal
    finally:
        server.close()
        await server.wait_closed()


async def run_action(leaf: Leaf, journal: TableJournal[Any]) -> Entry:
    async def charge(tx: Any) -> bytes:
        await leaf.execute(tx, "INSERT INTO effects VALUES ('charged')")
        return b'"receipt"'

    return await journal.run_action(KEY, charge, timeout_seconds=TIMEOUT_SECONDS)


async def test_8_a_commit_whose_answer_was_lost_is_found_by_the_same_call(
    leaf: Leaf, postgres_url: str, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with cutting(leaf, postgres_url, server_sees_it=True) as (proxy, journal):
        proxy.armed = True
        with pytest.raises(JournalError, match="may have happened or not"):
            await run_action(leaf, journal)
        assert proxy.cuts == 1
        assert await onlooker.fetchval(EFFECTS) == 1
        assert await run_action(leaf, journal) == Entry(found=Found.SEEN, result=b'"receipt"')
        assert await onlooker.fetchval(EFFECTS) == 1


async def test_8_a_commit_that_never_arrived_did_not_happen_and_the_same_call_runs(
    leaf: Leaf, postgres_url: str, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with cutting(leaf, postgres_url, server_sees_it=False) as (proxy, journal):
        proxy.armed = True
        with pytest.raises(JournalError, match="may have happened or not"):
            await run_action(leaf, journal)
        assert proxy.cuts == 1
        assert (await run_action(leaf, journal)).found is Found.RAN
        assert await onlooker.fetchval(EFFECTS) == 1


async def test_8_a_compensations_commit_whose_answer_was_lost_is_found(
    leaf: Leaf, postgres_url: str, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    async def refund(tx: Any, output: bytes) -> None:
        await leaf.execute(tx, f"INSERT INTO effects VALUES ('refunded {output.decode()}')")

    async with cutting(leaf, postgres_url, server_sees_it=True) as (proxy, journal):
        await run_action(leaf, journal)
        proxy.armed = True
        with pytest.raises(JournalError, match="may have happened or not"):
            await journal.run_compensation(KEY, refund, timeout_seconds=TIMEOUT_SECONDS)
        assert proxy.cuts == 1
        entry = await journal.run_compensation(KEY, refund, timeout_seconds=TIMEOUT_SECONDS)
        assert entry.found is Found.SEEN
        assert await onlooker.fetchval(EFFECTS) == 2


STOPPED = """
import asyncio, sys
from goconductor.errors import JournalError
from goconductor.ports.journal import EffectKey
from tests.contracts.journal_leaves import LEAVES

async def main():
    leaf = LEAVES[sys.argv[1]]

    async def call(tx):
        nonlocal inside
        await leaf.execute(tx, "INSERT INTO effects VALUES ('charged by the stopped one')")
        inside = True
        print("inside", flush=True)
        sys.stdin.readline()
        return b'"too late"'

    inside = False

    async with leaf.journal(sys.argv[2]) as journal:
        while not inside:  # on a busy machine its time may be over before
            try:
                print(await journal.run_action(EffectKey("action", "compensation"), call, timeout_seconds=1.0))
            except JournalError as error:
                said = f"JournalError {error}"
        print(said)

asyncio.run(main())
"""


async def test_a_process_stopped_inside_its_transaction_holds_nobody_up_and_cannot_commit_later(
    leaf: Leaf, postgres_url: str, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    stopped = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STOPPED, next(name for name, each in LEAVES.items() if each is leaf), postgres_url),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert stopped.stdout is not None
        assert await stopped.stdout.readline() == b"inside\n"
        pause(stopped.pid)
        async with leaf.journal(postgres_url) as journal:
            assert (await run_action(leaf, journal)).found is Found.RAN
            os.kill(stopped.pid, signal.SIGCONT)
            answer, _ = await stopped.communicate(b"go on\n")
            assert answer.startswith(b"JournalError")
            assert [row[0] for row in await onlooker.fetch("SELECT effect FROM effects")] == ["charged"]
            assert (await run_action(leaf, journal)).result == b'"receipt"'
    finally:
        if stopped.returncode is None:
            stopped.kill()
            await stopped.wait()
