"""Faults for tests: a network that breaks when the test asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from goconductor.testing.loopback import LOOPBACK

CHUNK_BYTES = 64 * 1024


class CuttableProxy:
    """A TCP proxy on a loopback port, between a client and its server. The client is given ``port`` instead of the server's.

    ``cut`` ends all connections, and every new one at once, as a crashed host does. ``hold`` lets them stand and passes
    nothing on, as a network does that lost its route. ``heal`` ends either.

    Args:
        host: the server's host.
        port: the server's port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._goal = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._is_cut = False
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self.port = 0
        self.accepted = 0
        """Connections that came so far, also while it was cut or held."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for passing in self._passing:
            passing.cancel()
        if self._passing:
            await asyncio.wait(self._passing)
        if self._server is not None:
            await self._server.wait_closed()

    def cut(self) -> None:
        """End all connections; new ones end at once."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def hold(self) -> None:
        """Let connections stand, and pass nothing on."""
        self._flowing.clear()

    def heal(self) -> None:
        """Pass everything on again, what was held back first."""
        self._is_cut = False
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = asyncio.current_task()
        assert passing is not None  # noqa: S101  (for the type checker)
        self._passing.add(passing)
        self._writers.add(writer)
        self.accepted += 1
        goal: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            if self._is_cut:
                return
            goal_reader, goal = await asyncio.open_connection(*self._goal)
            self._writers.add(goal)
            pumps = [asyncio.create_task(self._pump(reader, goal)), asyncio.create_task(self._pump(goal_reader, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.wait(pumps)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, goal):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()
            self._passing.discard(passing)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
