import asyncio
from collections.abc import AsyncIterator

import pytest

from goconductor.testing.faults import CuttableProxy
from goconductor.testing.loopback import LOOPBACK

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[CuttableProxy]:
    """Before a server that says everything again."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, 0)
    async with CuttableProxy(LOOPBACK, server.sockets[0].getsockname()[1]) as made:
        yield made
    server.close()
    await server.wait_closed()


async def connect(proxy: CuttableProxy) -> Ends:
    return await asyncio.open_connection(LOOPBACK, proxy.port)


async def ask(ends: Ends, line: bytes) -> bytes:
    reader, writer = ends
    writer.write(line)
    async with asyncio.timeout(300):
        return await reader.readline()


async def ended(ends: Ends) -> bool:
    try:
        return await ask(ends, b"are you there?\n") == b""
    except OSError:
        return True
    finally:
        ends[1].close()


async def test_it_passes_on_both_ways(proxy: CuttableProxy) -> None:
    ends = await connect(proxy)
    assert await ask(ends, b"hello\n") == b"hello\n"
    ends[1].close()


async def test_a_cut_ends_what_is_open_and_what_is_new_until_it_is_healed(proxy: CuttableProxy) -> None:
    ends = await connect(proxy)
    assert await ask(ends, b"hello\n") == b"hello\n"
    proxy.cut()
    assert await ended(ends)
    assert await ended(await connect(proxy))
    proxy.heal()
    again = await connect(proxy)
    assert await ask(again, b"hello\n") == b"hello\n"
    again[1].close()


async def test_what_is_held_arrives_when_it_is_healed(proxy: CuttableProxy) -> None:
    ends = await connect(proxy)
    assert await ask(ends, b"hello\n") == b"hello\n"
    proxy.hold()
    asking = asyncio.create_task(ask(ends, b"wait\n"))
    await asyncio.wait({asking}, timeout=0.2)
    assert not asking.done()
    proxy.heal()
    assert await asking == b"wait\n"
    ends[1].close()
