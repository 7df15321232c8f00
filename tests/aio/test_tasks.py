"""Background tasks are held, end when they are told to, and log what nobody expected."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextvars import Context, ContextVar

import pytest

from goconductor.aio.tasks import Tasks, create_guarded_task, end

TRACE: ContextVar[str] = ContextVar("TRACE", default="none")


async def fail() -> None:
    raise ValueError("the disk is full")


def unexpected(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    return [(record.name, record.getMessage(), str(record.exc_info and record.exc_info[1])) for record in caplog.records]


async def test_an_unexpected_error_is_logged_with_the_task_s_name_while_the_task_is_still_held(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = create_guarded_task(fail(), name="looking")
    await asyncio.wait([task])
    assert unexpected(caplog) == [("goconductor.aio", "the task 'looking' ended by an unexpected error", "the disk is full")]


async def test_an_error_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    task = create_guarded_task(fail(), name="looking")
    await end(task)
    task = create_guarded_task(fail(), name="looking")
    await asyncio.wait([task])
    await end(task)
    del task
    gc.collect()
    assert len(caplog.records) == 1  # the first was cancelled before it began


async def test_a_cancelled_task_and_one_that_returns_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "goconductor")
    waiting = create_guarded_task(asyncio.Event().wait(), name="waiting")
    returned = create_guarded_task(asyncio.sleep(0, "done"), name="returning")
    assert await returned == "done"
    await end(waiting, None)
    assert waiting.cancelled()
    assert not unexpected(caplog)


async def test_a_task_runs_in_the_context_that_it_is_given() -> None:
    TRACE.set("of the caller")

    async def read() -> str:
        return TRACE.get()

    assert await create_guarded_task(read(), name="reading") == "of the caller"
    assert await Tasks().start(read(), name="reading", context=Context()) == "none"


async def test_ending_waits_for_what_a_task_does_while_it_is_cancelled() -> None:
    begun, left = asyncio.Event(), []

    async def tidy() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            left.append("tidied")

    task = create_guarded_task(tidy(), name="tidying")
    await begun.wait()
    await end(task)
    assert left == ["tidied"]


async def test_a_set_holds_its_tasks_until_they_have_ended(caplog: pytest.LogCaptureFixture) -> None:
    tasks, go = Tasks(), asyncio.Event()
    tasks.start(go.wait(), name="waiting")
    tasks.start(fail(), name="failing")
    assert len(tasks) == len([*tasks]) == 2
    go.set()
    await tasks.join()
    assert len(tasks) == 0
    assert [message for _, message, _ in unexpected(caplog)] == ["the task 'failing' ended by an unexpected error"]


async def test_a_set_closes_with_those_that_its_tasks_start_while_they_end() -> None:
    tasks, begun, later = Tasks(), asyncio.Event(), []

    async def wait() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            later.append(tasks.start(asyncio.Event().wait(), name="later"))

    tasks.start(wait(), name="waiting")
    await begun.wait()
    await tasks.close()
    assert len(tasks) == 0
    assert later[0].cancelled()


async def test_a_set_joins_those_that_its_tasks_start() -> None:
    tasks, done = Tasks(), []

    async def note(text: str) -> None:
        await asyncio.sleep(0)
        done.append(text)
        if text == "first":
            tasks.start(note("second"), name="second")

    tasks.start(note("first"), name="first")
    await tasks.join()
    assert done == ["first", "second"]
