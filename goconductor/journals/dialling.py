"""Connections that a journal makes itself, from a URL.

**asyncpg** counts one time limit for all hosts of a URL, and sends libpq's parameters to the server as settings. So the same
dialling as everywhere serves here (:mod:`goconductor.postgres.dialling`): each host with its own time, and a primary, or none.

**psycopg** goes from host to host by itself (3.3), each with ``connect_timeout``. Without one that is 130 seconds, longer than
a step may take: the limit of the step would come first, in each attempt anew. And any server will do for it, a standby as well.
So both get a default where neither the conninfo nor the environment has them. It looks up a name with several addresses itself,
and goes from one to the next as from host to host.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from goconductor.errors import JournalError
from goconductor.journals.wires import Wire
from goconductor.postgres.dialling import Address, Connection
from goconductor.postgres.servers.addresses import each_address
from goconductor.postgres.url import Server

HOST_SECONDS = 5.0
"""Seconds for each host, where the URL has no ``connect_timeout``."""
_LEAST_SECONDS = 2
"""Seconds; psycopg takes no less."""


class UrlDialler:
    """Dials for a library that uses asyncpg.

    Args:
        url: a PostgreSQL URL, perhaps with several hosts.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._address: Address | None = None

    def distrust(self, wire: Wire) -> None:
        """Distrust the server of a connection on which a commit hangs: other servers are tried first."""
        connection = getattr(wire.connection, "_con", wire.connection)  # what a pool of asyncpg gives stands for it
        if connection is not None:
            self.read().distrust(connection)

    def read(self) -> Address:
        """Return the address in the URL.

        Raises:
            ConfigurationError: the URL cannot be read; the error does not quote it.
        """
        if self._address is None:
            name = dict(parse_qsl(self._url.partition("?")[2])).get("application_name")
            url = f"{self._url}/" if self._url.endswith("://") else self._url  # all from the environment
            self._address = Address(
                url, application_name=name or "goconductor journal", setting="the journal's url", unavailable=JournalError
            )
        return self._address

    async def dial(self, *_: Any, **__: Any) -> Connection:
        """Return a new connection. The arguments that asyncpg's pool gives to ``connect`` are ignored: the URL has them.

        Raises:
            JournalError: no host can be reached, or takes writes.
            ConfigurationError: the URL cannot be read, or the server refuses user, password or database.
        """
        # durable commits are asked for in each transaction: a pool resets what its sessions have
        return await self.read().dial(timeout_seconds=HOST_SECONDS, command_timeout_seconds=None, durable=False)


async def options_of_psycopg(conninfo: Mapping[str, Any], timeout_seconds: float | None) -> dict[str, str]:
    """Return the options that psycopg gets beside a conninfo.

    Args:
        conninfo: its parts.
        timeout_seconds: time limit for all hosts together.
    """
    if "service" in conninfo or "PGSERVICE" in os.environ:  # its content is not known here
        return {}
    place = str(conninfo.get("hostaddr") or conninfo.get("host") or os.environ.get("PGHOST", ""))
    hosts = [Server(host or None, None) for host in place.split(",")]
    count = len(await each_address(hosts, timeout_seconds=_LEAST_SECONDS))
    each = min(HOST_SECONDS, (timeout_seconds or HOST_SECONDS * count) / count)
    wanted = {"connect_timeout": ("PGCONNECT_TIMEOUT", str(max(_LEAST_SECONDS, int(each))))}
    if count > 1:
        wanted["target_session_attrs"] = "PGTARGETSESSIONATTRS", "read-write"
    return {name: value for name, (variable, value) in wanted.items() if name not in conninfo and variable not in os.environ}
