"""A server of HTTP on loopback that answers what a test says, byte by byte if need be, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network

from goconductor.system.guard import Guard

LOOPBACK = "127.0.0.1"


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answering = Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int = 200, body: bytes | str = b"", *headers: str, kind: str = "application/json") -> bytes:
    """Write an answer of HTTP/1.1."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} so", f"Content-Length: {len(data)}", f"Content-Type: {kind}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


@dataclass
class Server:
    """What a test holds in its hands.

    Attributes:
        port: where it listens.
        answers: the next answers; the last one is repeated. A function writes by itself.
        asked: all requests.
    """

    port: int
    answers: list[bytes | Answering] = field(default_factory=lambda: [answer(200, "{}")])
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def guard(self) -> Guard:
        """The guard of settings that allow this server."""
        return Guard([f"localhost:{self.port}"], [ip_network("127.0.0.0/8"), ip_network("::1/128")])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append(Asked(method, target, headers, body))
            given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(given, bytes):
                writer.write(given)
                await writer.drain()
            else:
                await given(self.asked[-1], reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve on a free port of loopback."""
    made = Server(0)
    listening = await asyncio.start_server(made.serve, LOOPBACK, 0, ssl=tls)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made
