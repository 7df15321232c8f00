"""Parcels of many senders travel in batches, and each again until it has arrived."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from goconductor.buses.shared.parcels import Parcel, Parcels
from goconductor.errors import BusUnavailableError

Attempt = Callable[[str, Sequence["Named"]], Awaitable[None]]


@dataclass(slots=True, eq=False, kw_only=True)
class Named(Parcel):
    name: str


def parcels_of(attempt: Attempt, *, at_once: int = 1, send_timeout_seconds: float = 60.0) -> Parcels[str, Named]:
    return Parcels(
        attempt,
        pause_seconds=lambda _: 0.0,
        batch_max=3,
        batch_bytes_max=10,
        at_once=at_once,
        send_timeout_seconds=send_timeout_seconds,
        trouble=lambda: "nobody is there",
    )


async def send(parcels: Parcels[str, Named], *sizes: int, to: str = "a") -> list[bool]:
    async def address() -> list[tuple[str, Named]]:
        return [(to, Named(size=size, name=f"{place}")) for place, size in enumerate(sizes)]

    return [parcel.arrived.result() for _, parcel in await parcels.send(len(sizes), address)]


async def test_a_batch_is_bounded_in_number_and_bytes_and_one_that_is_larger_goes_alone() -> None:
    batches: list[list[int]] = []

    async def attempt(_: str, batch: Sequence[Named]) -> None:
        batches.append([parcel.size for parcel in batch])
        for parcel in batch:
            parcel.settle(taken=True)

    assert await send(parcels_of(attempt), 1, 1, 1, 1, 9, 11, 2) == [True] * 7
    assert batches == [[1, 1, 1], [1, 9], [11], [2]]


async def test_what_has_not_arrived_is_sent_again_before_what_waits() -> None:
    batches: list[list[str]] = []

    async def attempt(_: str, batch: Sequence[Named]) -> None:
        batches.append([parcel.name for parcel in batch])
        for parcel in batch:
            if parcel.tries or parcel.name != "1":
                parcel.settle(taken=parcel.name != "2")

    assert await send(parcels_of(attempt), 1, 1, 1, 1) == [True, True, False, True]
    assert batches == [["0", "1", "2"], ["1", "3"]]


async def test_an_attempt_that_fails_as_nobody_expected_is_logged_and_made_again(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    async def attempt(_: str, batch: Sequence[Named]) -> None:
        tries.append(batch[0].tries)
        if len(tries) == 1:
            raise ZeroDivisionError
        batch[0].settle(taken=True)

    assert await send(parcels_of(attempt), 1) == [True]
    assert tries == [0, 1]
    assert "sending to a failed" in caplog.text


async def test_places_do_not_wait_for_one_another_and_several_batches_travel_at_once() -> None:
    under_way: list[str] = []
    all_there = asyncio.Event()

    async def attempt(place: str, batch: Sequence[Named]) -> None:
        under_way.append(place)
        if sorted(under_way) == ["a", "a", "b"]:
            all_there.set()
        await all_there.wait()
        for parcel in batch:
            parcel.settle(taken=True)

    parcels = parcels_of(attempt, at_once=2)
    await asyncio.gather(send(parcels, 1, 1, 1, 1), send(parcels, 1, to="b"))


async def test_what_has_not_arrived_in_time_is_said_with_the_reason_and_not_sent_any_more() -> None:
    began = asyncio.Event()

    async def attempt(_: str, batch: Sequence[Named]) -> None:
        began.set()
        await asyncio.Event().wait()

    parcels = parcels_of(attempt, send_timeout_seconds=0.05)
    with pytest.raises(BusUnavailableError, match=r"4 messages were not confirmed within 0\.05 s: nobody is there"):
        await send(parcels, 1, 1, 1, 1)
    assert began.is_set()
    await parcels.close()
