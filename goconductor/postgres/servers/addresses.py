"""The addresses behind a host's name, each of which is a server of its own when it is dialled.

A name may stand for several servers, as that of a headless Service of Kubernetes. The driver (asyncpg 0.32) tries their
addresses within one time, and keeps the first that takes the connection, were it a standby. So a name is looked up here, and each
address is dialled by itself.

The driver has no parameter for an address beside a name, as libpq has (``hostaddr``). But the name is needed: TLS compares it
with the certificate, and the password file has it. So the driver is given the name, and a loop that connects to the address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from goconductor.postgres.url import Server


async def each_address(servers: Sequence[Server], *, timeout_seconds: float) -> list[Server]:
    """Return the servers, with one entry for each address where a name has several.

    Args:
        servers: hosts of a URL.
        timeout_seconds: time limit. A name that cannot be looked up by then stays as it is, and so does one that is not known:
            dialling it says what is wrong.
    """
    found = await asyncio.gather(*(_addresses(server, timeout_seconds) for server in servers))
    return [each for addresses in found for each in addresses]


async def _addresses(server: Server, timeout_seconds: float) -> Sequence[Server]:
    if server.host is None or server.host.startswith("/"):  # a socket's folder
        return [server]
    with suppress(ValueError):
        ip_address(server.host)
        return [server]
    try:
        async with asyncio.timeout(timeout_seconds):
            found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # OSError is also TimeoutError
        return [server]
    addresses = dict.fromkeys(str(place[0]) for _, _, _, _, place in found)
    return [server._replace(address=address) for address in addresses] if len(addresses) > 1 else [server]


class LoopTo:
    """An event loop that connects to one address, whatever host it is given, and else is the loop that it was made of.

    It equals that loop, because asyncio looks up the present task by it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self._loop, self._address = loop, address

    async def create_connection(self, factory: Callable[[], Any], host: str, port: int, **options: Any) -> Any:
        """Connect to the address; TLS still asks for the host."""
        if options.get("ssl"):
            options.setdefault("server_hostname", host)
        return await self._loop.create_connection(factory, self._address, port, **options)

    def __getattr__(self, name: str) -> Any:
        """Return what the loop has."""
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:
        """Return whether the other is the same loop."""
        return self._loop is (other._loop if isinstance(other, LoopTo) else other)

    def __hash__(self) -> int:
        """Return the loop's."""
        return hash(self._loop)
