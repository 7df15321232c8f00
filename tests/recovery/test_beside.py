"""What the leader does beside its sweep ends with it, and is never silent when it ends before."""

from __future__ import annotations

import asyncio

import pytest

from goconductor.ports.store import Term
from goconductor.recovery.beside import beside
from goconductor.recovery.leadership import LeadTerm
from goconductor.testing.clock import ManualClock


async def test_a_duty_that_fails_is_logged_while_the_leader_leads_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed, over, ended = asyncio.Event(), asyncio.Event(), []

    async def sweep(_: LeadTerm) -> None:
        await over.wait()

    async def fail(_: LeadTerm) -> None:
        failed.set()
        raise ValueError("a row that cannot be read")

    async def watch(_: LeadTerm) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("watch")

    clock = ManualClock()
    term = LeadTerm(Term(epoch=1, holder="leader", ends_at=clock.now() + 60.0), clock, clock.now() + 60.0)
    leading = asyncio.create_task(beside(sweep, fail, watch)(term))
    await failed.wait()
    await asyncio.sleep(0)
    assert "a row that cannot be read" in caplog.text
    assert not ended
    over.set()
    await leading
    assert ended == ["watch"]
