"""The lookout: who only reads, or waits for no standby, would never notice that there is a new primary.

An old primary that nobody stops answers as before: its Patroni hangs or was killed, or its network is cut. A commit hangs there
where it waits for a standby, and dialling anew finds the new one. Reads, leases, messages and callers who wait for a result are
answered, and with an asynchronous standby so is everything else. What is accepted there is lost as soon as somebody stops that
server.

So an address with several servers dials those on which it is not, every few seconds. A standby says that it is one, and that
is all. A primary on a higher timeline ends our sessions on the lower one (:mod:`goconductor.postgres.servers.timelines`).

Meanwhile an old primary knows nothing of what was accepted by the new one. "There is no such saga" would be said to somebody who
has just been told its id. So that something is *absent* is said only after a look that began after the answer. Of what it does
know, an old primary tells the past, which is no lie.

With one server there is nothing to look for: one name for the primary has whoever moves it, and cuts what is on the old one.
"""

from __future__ import annotations

import asyncio
import random

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.postgres.dialling import Address, Connection
from goconductor.postgres.servers.timelines import TIMELINES

LOOK_SECONDS = 3.0
"""Seconds between two looks of a process at a cluster: what an old primary may still do to us, against a connection each time."""


class Lookout:
    """Looks at the other servers of an address.

    Args:
        address: whose.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._looking: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._begun = self._done = 0
        """How many looks there were for those who ask, and the number of the last that came to its end."""

    def open(self) -> None:
        """Look from now on, now and then."""
        if self._looking is None:
            self._looking = create_guarded_task(self._look_often(), name="goconductor-lookout")

    async def close(self) -> None:
        """Look no more."""
        looking, self._looking = self._looking, None
        await end(looking)

    async def confirm_absence(self, connection: Connection) -> None:
        """See that a server, which does not know something, is the primary. All who ask at one time share a look.

        Args:
            connection: to the server that was asked.

        Raises:
            the address's ``unavailable``: it is one no longer, or the connection was lost; ask again.
        """
        if not self._address.has_others:
            return
        begun = self._begun
        async with self._lock:
            if self._done <= begun:
                self._begun = number = self._begun + 1
                await self._address.look(patient=False)
                self._done = number
        if connection.is_closed():
            raise self._address.unavailable(f"PostgreSQL at {self._address.where} has a new primary, which was not asked yet")

    async def _look_often(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311  (so that not all processes look at once)
            if self._address.has_others and TIMELINES.is_due(self._address.cluster, LOOK_SECONDS / 2):
                await self._address.look()
