"""The connection that comes back by itself, whatever its driver does."""

import asyncio

import pytest

from goconductor.errors import BusUnavailableError
from goconductor.ports.link import Link


async def test_it_closes_though_its_driver_makes_another_error_of_being_cancelled() -> None:
    connecting = asyncio.Event()
    connections = iter(["the first"])

    async def connect() -> str:
        for connection in connections:
            return connection
        try:
            connecting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise BusUnavailableError("the channel is closed") from None
        raise AssertionError

    async def disconnect(_: str) -> None:
        pass

    link = Link("a broker", connect=connect, disconnect=disconnect)
    await link.open(1.0)
    link.lost("the first", "it was cut")
    await connecting.wait()
    await link.close()
    with pytest.raises(BusUnavailableError, match="closed"):
        await link.get()
