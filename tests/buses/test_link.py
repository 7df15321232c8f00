"""The connection that comes back by itself, whatever its driver does."""

import asyncio

import pytest

from goconductor.buses.shared.link import Link
from goconductor.buses.shared.patience import Patience
from goconductor.errors import BusUnavailableError


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


async def test_a_wait_between_tries_ends_by_itself_or_when_somebody_stops() -> None:
    patience = Patience(0.001, 3_600.0)
    await patience.wait()
    patience.succeeded()
    await patience.wait()
    patient = Patience(3_600.0)
    waiting = asyncio.create_task(patient.wait())
    await asyncio.sleep(0)
    patient.succeeded()
    await asyncio.sleep(0)
    assert not waiting.done()
    patient.stop()
    await waiting
    await patient.wait()


async def test_who_is_let_in_only_to_be_shut_out_waits_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    names = (f"{number}" for number in range(100))
    asleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await asleep(0)

    async def connect() -> str:
        return next(names)

    async def disconnect(_: str) -> None:
        pass

    monkeypatch.setattr(asyncio, "sleep", note)
    link = Link("a broker", connect=connect, disconnect=disconnect)
    await link.open(1.0)
    while len(waits) < 4:
        link.lost(await link.get(), "it was cut at once")
        await link.get()
    await link.close()
    assert waits == [0.1, 0.2, 0.4, 0.8]


async def test_who_waits_for_a_connection_waits_no_longer_than_it_is_wanted() -> None:
    async def connect() -> str:
        if not answers.is_set():
            raise BusUnavailableError("nobody answers")
        return "a connection"

    async def disconnect(_: str) -> None: ...

    answers, stopped = asyncio.Event(), asyncio.Event()
    answers.set()
    link = Link("a broker", connect=connect, disconnect=disconnect)
    await link.open(60.0)
    assert await link.get_unless(stopped) == "a connection"
    answers.clear()
    link.lost("a connection", "it went")
    waiting = [asyncio.create_task(link.get_unless(each)) for each in (stopped, asyncio.Event())]
    stopped.set()
    assert await waiting[0] is None
    await link.close()
    assert await waiting[1] is None


async def test_who_has_stopped_is_given_no_connection_though_there_is_one() -> None:
    async def connect() -> str:
        return "it"

    async def disconnect(_: str) -> None:
        pass

    link = Link("a broker", connect=connect, disconnect=disconnect)
    await link.open(1.0)
    stopped = asyncio.Event()
    assert await link.get_unless(stopped) == "it"
    stopped.set()
    assert await link.get_unless(stopped) is None
    await link.close()
