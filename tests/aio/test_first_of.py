"""The first that ends counts; the others have ended as well when it is known."""

from __future__ import annotations

import asyncio

import pytest

from goconductor.aio.first_of import first_of


class Waiting:
    """One that waits for ever, and notes how it ended."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = asyncio.Event()
        self.has_ended = False
        self._error = error

    async def run(self) -> str:
        try:
            self.begun.set()
            await asyncio.Event().wait()
            return "never"
        finally:
            await asyncio.sleep(0)
            self.has_ended = True
            if self._error is not None:
                raise self._error


async def answer(text: str) -> str:
    return text


async def fail() -> str:
    raise ValueError("no")


async def test_the_first_result_is_returned_when_the_others_have_ended() -> None:
    other = Waiting()
    assert await first_of(other.run(), answer("yes")) == "yes"
    assert other.has_ended


async def test_of_two_in_the_same_turn_the_one_that_stands_first_counts() -> None:
    assert await first_of(answer("one"), answer("two")) == "one"


async def test_what_the_first_raised_is_raised_when_the_others_have_ended(caplog: pytest.LogCaptureFixture) -> None:
    other = Waiting()
    with pytest.raises(ValueError, match="no"):
        await first_of(fail(), other.run())
    assert other.has_ended
    assert not caplog.records


async def test_what_another_one_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    other = Waiting(OSError("the disk is full"))
    assert await first_of(other.run(), answer("yes")) == "yes"
    assert await first_of(answer("yes"), fail()) == "yes"
    assert [str(record.exc_info and record.exc_info[1]) for record in caplog.records] == ["the disk is full", "no"]


async def test_a_cancellation_ends_all() -> None:
    both = Waiting(), Waiting()
    task = asyncio.create_task(first_of(*(each.run() for each in both)))
    for each in both:
        await each.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(each.has_ended for each in both)
