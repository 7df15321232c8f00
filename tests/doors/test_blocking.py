"""The client for code that blocks: one for all threads of a process, and none for its forked children."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import asyncpg
import pytest

from goconductor import (
    CompensatedError,
    FlowChangedError,
    Participant,
    PayloadError,
    RefusedError,
    RefusedNowError,
    Saga,
    SagaAlreadyStartedError,
    Settings,
    StepExistsError,
)
from goconductor.app import migrate
from goconductor.blocking import BlockingConductor, BlockingFlow, connect
from goconductor.errors import StoreUnavailableError

pytestmark = pytest.mark.postgres


@dataclass
class Order:
    sku: str
    cents: int


shop = Participant("shop")


@shop.step
async def charge(sku: str, cents: int) -> str:
    if cents > 10_000:
        raise RefusedError("card declined")
    return f"paid: {sku}"


order = Saga("order", input=Order)
order.returns(order.step(charge, inputs={"sku": order.input.sku, "cents": order.input.cents}, pivot=True).output)


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    settings = Settings.model_validate({"database": {"url": postgres_url}})
    asyncio.run(migrate(settings))
    return settings


@pytest.fixture
def sagas(settings: Settings) -> Iterator[BlockingConductor]:
    with connect(settings) as client:
        yield client


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[None]:
    async with shop.running(settings):
        yield


def test_many_threads_start_sagas_and_get_their_results(settings: Settings, sagas: BlockingConductor) -> None:
    def buy(number: int) -> object:
        return sagas.start(order, Order(f"tea {number}", 400), key=f"order-{number}").result(timeout_seconds=300)

    def buy_all() -> list[object]:
        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(buy, range(40)))

    async def main() -> list[object]:
        async with serving(settings):
            return await asyncio.to_thread(buy_all)

    assert asyncio.run(main()) == [f"paid: tea {number}" for number in range(40)]


def test_a_compensated_saga_says_why(settings: Settings, sagas: BlockingConductor) -> None:
    async def main() -> None:
        async with serving(settings):
            bought = await asyncio.to_thread(sagas.start, order, Order("piano", 900_000))
            await asyncio.to_thread(lambda: bought.result(timeout_seconds=300))

    with pytest.raises(CompensatedError, match="card declined"):
        asyncio.run(main())


def test_the_same_key_finds_the_same_saga_and_refuses_other_input(sagas: BlockingConductor) -> None:
    first = sagas.start(order, Order("tea", 400), key="order-1", labels={"team": "checkout"})
    again = sagas.start(order, Order("tea", 400), key="order-1")
    assert (again.saga_id, again.existing, first.existing) == (first.saga_id, True, False)
    with pytest.raises(SagaAlreadyStartedError):
        sagas.start(order, Order("coffee", 400), key="order-1")
    with pytest.raises(PayloadError):
        sagas.start(order, cast("Order", {"sku": 3}), key="order-2")


def test_a_flow_is_edited_and_executed(settings: Settings, sagas: BlockingConductor) -> None:
    def bought() -> object:
        flow = BlockingFlow(sagas, "basket")
        made = flow.create_step(charge, inputs={"sku": flow.input.sku, "cents": flow.input.cents}, by="ann")
        assert flow.create_step(charge, inputs={"sku": flow.input.sku, "cents": flow.input.cents}) == made
        with pytest.raises(StepExistsError):
            flow.create_step("shop.charge", inputs={"sku": flow.output("other").sku})
        assert flow.change(priority=3, made_of=made.version).priority == 3
        with pytest.raises(FlowChangedError):
            flow.delete_step("charge", made_of=made.version)
        execution = flow.execute({"sku": "tea", "cents": 400}, key="one")
        assert flow.result(execution, wait_seconds=300) == {"charge": "paid: tea"}
        assert flow.status(execution).status == "success"
        return flow.execute({"sku": "tea", "cents": 500}, sync=True, wait_seconds=300)

    async def main() -> object:
        async with serving(settings):
            return await asyncio.to_thread(bought)

    assert asyncio.run(main()) == {"charge": "paid: tea"}


def test_a_saga_is_found_shown_and_asked_for_as_in_asynchronous_code(sagas: BlockingConductor) -> None:
    bought = sagas.start(order, Order("tea", 400), key="order-1")
    found = sagas.find(order, key="order-1")
    assert (found.saga_id, [each.saga_id for each in sagas.sagas(saga=order).sagas]) == (bought.saga_id, [bought.saga_id])
    assert found.pause(reason="stocktaking", by="ann").status == "paused"
    assert [entry.event for entry in found.history().entries] == ["SagaStarted", "PauseRequested"]
    with pytest.raises(RefusedNowError, match="allowed now: resume"):
        found.pause()


def test_a_saga_goes_on_when_the_wait_for_it_is_over(sagas: BlockingConductor) -> None:
    bought = sagas.start(order, Order("tea", 400))
    with pytest.raises(TimeoutError):
        bought.result(timeout_seconds=0.05)
    assert sagas.saga(bought.saga_id).view().status == "queued"


def test_it_opens_with_its_first_use_and_tells_what_is_wrong_then(settings: Settings) -> None:
    nowhere = settings.model_validate({"database": {"url": "postgresql://nobody@127.0.0.1:1/none"}})
    lost = connect(nowhere, open_timeout_seconds=0.2)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="tries again"):
            lost.start(order, Order("tea", 400))
    client = connect(settings)
    assert not client.start(order, Order("tea", 400)).existing
    client.close()


def test_a_closed_client_refuses_and_tells_who_still_waits(settings: Settings) -> None:
    client = connect(settings)
    bought = client.start(order, Order("tea", 400))
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(bought.result)
        while not client._waiting:
            threading.Event().wait(0.01)
        client.close()
        with pytest.raises(RuntimeError, match="closed by another thread"):
            waiting.result(timeout=300)
    with pytest.raises(RuntimeError, match="is closed; make a new one"):
        bought.view()
    client.close()


def test_a_thread_that_runs_an_event_loop_is_sent_to_the_asynchronous_client(sagas: BlockingConductor) -> None:
    async def main() -> None:
        sagas.start(order, Order("tea", 400))

    with pytest.raises(RuntimeError, match=r"use goconductor.connect\(\) there"):
        asyncio.run(main())


FORKING = """
import os, sys
from goconductor.blocking import connect
sagas, unused = connect(), connect()
saga_id = sagas.start("order", {"sku": "tea", "cents": 400}, key="fork").saga_id
if (child := os.fork()) == 0:
    try:
        sagas.saga(saga_id).view()
    except RuntimeError as error:
        print("refused:", "before the fork" in str(error), flush=True)
    print("its own:", unused.saga(saga_id).view().status, flush=True)
    sagas.close()
    unused.close()
    os._exit(0)
os.waitpid(child, 0)
print("parent:", sagas.saga(saga_id).view().status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_client_open_at_a_fork_is_refused_in_the_child_and_none_holds_up_the_end(
    settings: Settings, sagas: BlockingConductor
) -> None:
    sagas.start(order, Order("tea", 400), key="fork")
    environment = {**os.environ, "GOCONDUCTOR_DATABASE_URL": settings.database.url.get_secret_value()}
    command = [sys.executable, "-W", "error", "-c", FORKING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    lines = ["refused: True", "its own: queued", "parent: queued"]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, lines, "")


ENDING = """
from goconductor.blocking import connect
sagas = connect()
print(sagas.start("order", {"sku": "tea", "cents": 400}, key="end").saga_id)
"""


def test_a_client_that_is_open_at_the_interpreters_end_leaves_as_one_that_was_closed(
    settings: Settings, sagas: BlockingConductor
) -> None:
    sagas.start(order, Order("tea", 400), key="end")
    url = settings.database.url.get_secret_value()
    command = [sys.executable, "-W", "error", "-c", ENDING]
    environment = {**os.environ, "GOCONDUCTOR_DATABASE_URL": url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")

    async def leavers() -> list[object]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch("SELECT dead_at IS NULL FROM goconductor.participants ORDER BY serial")
            return [alive for (alive,) in rows]
        finally:
            await connection.close()

    assert asyncio.run(leavers()) == [True, False]  # ours is open still
