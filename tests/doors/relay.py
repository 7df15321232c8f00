"""A port that appears later, and leads to a server."""

from __future__ import annotations

import asyncio


async def relay(host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, passed on to the real server."""
    there, back = await asyncio.open_connection(host, port)

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    await asyncio.gather(pass_on(reader, back), pass_on(there, writer), return_exceptions=True)
