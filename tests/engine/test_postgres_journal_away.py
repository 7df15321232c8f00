"""A journal whose database cannot be reached: one line of the log, and a word wherever somebody looks at what waits for it."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from goconductor import Participant, Saga, Settings, connect
from goconductor.cli import rendering
from goconductor.control.actor import ANYBODY
from goconductor.control.doctor import CheckOutcome
from goconductor.control.doctor.sagas import of_journals
from goconductor.control.doors.conductor import engine
from goconductor.control.models import StepStatus
from goconductor.control.sagas import queries
from goconductor.control.sagas.story import saga_story
from goconductor.engine.running import journals
from goconductor.journals.asyncpg import AsyncpgJournal
from goconductor.stores.postgres import migrate
from tests.doors.relay import relay

pytestmark = pytest.mark.postgres

SAGAS = 3


async def test_it_is_logged_once_and_shown_for_as_long_as_it_lasts(
    postgres_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "REMINDER_SECONDS", (3600.0, 3600.0))
    caplog.set_level(logging.INFO, "goconductor")
    await migrate(postgres_url)
    parts, place = urlsplit(postgres_url), socket.socket()
    place.bind(("127.0.0.1", 0))  # ours from now on, and nobody listens
    port = place.getsockname()[1]
    away = urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"))
    direct = AsyncpgJournal(postgres_url)
    await direct.create_table()
    await direct.close()
    shop, journal = Participant("shop"), AsyncpgJournal(away)

    @shop.step(transaction=journal)
    async def sell(tx: Any) -> None:
        await tx.execute("SELECT 1")

    saga: Saga[Any] = Saga("sale")
    saga.step("shop.sell", id="sold")
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    async with asyncio.timeout(300), shop.running(settings) as conductor, connect(settings) as client:
        node = engine(client)
        handles = [await conductor.start(saga, None) for _ in range(SAGAS)]
        for handle in handles:
            while True:
                (step,) = (await queries.saga_status(ANYBODY, node, handle.saga_id)).steps
                if step.status is StepStatus.WAITING and "journal" in (step.reason or ""):
                    break
        where = f"waits for its journal: the effect journal could not connect: PostgreSQL at 127.0.0.1:{port}"
        assert step.reason is not None
        assert step.reason.startswith(where)
        story = await saga_story(ANYBODY, node, handles[0].saga_id)
        (waits,) = story.waits
        assert waits.startswith(f"sold {where}")
        assert [line.plain for line in rendering.story(story)][-1] == f"now: {waits}"
        (finding,) = of_journals(await node.store.instances.registered(), await node.store.terms.database_time()).findings
        assert finding.what.startswith("1 living instance of 'shop' cannot use the journal of sell: ")
        assert finding.remedy.startswith("start PostgreSQL, or correct the journal's url")
        assert engine(conductor).counts["step_errors"] >= SAGAS
        about = [record for record in caplog.records if "journal" in record.getMessage()]
        assert len([record for record in about if record.levelno == logging.WARNING]) == 1
        assert [record for record in caplog.records if record.exc_info] == []

        async with await asyncio.start_server(partial(relay, parts.hostname or "", parts.port or 5432), sock=place):
            for handle in handles:
                await handle.result(timeout_seconds=300)
            while (
                of_journals(await node.store.instances.registered(), await node.store.terms.database_time()).outcome
                is not CheckOutcome.SOUND
            ):
                pass
            assert "the journal of the steps sell is back" in caplog.text
            await journal.close()
