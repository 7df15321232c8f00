"""One entry that PostgreSQL refuses, or keeps waiting, is no other entry's fault: the rest of its batch gets through, at once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from goconductor import Participant, Saga, Settings, StepContext
from goconductor.app import migrate as migrated
from goconductor.engine.log import start as starting
from goconductor.errors import StoreUnavailableError
from goconductor.ports.store import Append, Known, Outcome, Start, Verdict
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.log import starts
from goconductor.stores.postgres.log.sifting import STATEMENT_BYTES_MAX, pieces
from goconductor.testing.contracts.store import material
from goconductor.testing.contracts.store.material import begin, event, eventually

pytestmark = pytest.mark.postgres

WON, HELD_UP, REJECTED = Verdict.WON, Verdict.HELD_UP, Verdict.REJECTED
MEGABYTE = b'{"output":"%s"}' % (b"x" * 1_000_000)


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url, hot_timeout_seconds=300.0, lock_timeout_seconds=1.0)
    await store.open()
    yield store
    await store.close()


def verdicts(outcomes: list[Outcome]) -> list[Verdict]:
    return [outcome.verdict for outcome in outcomes]


def keyed(count: int) -> list[Start]:
    return [material.Saga().start(key=f"k{number}", input_hash=b"x") for number in range(count)]


HOLD_KEY = """
    INSERT INTO goconductor.start_keys (namespace, saga, key, saga_id, input_hash)
    VALUES ('default', 'order', 'k3', gen_random_uuid(), 'x')
"""


async def test_an_error_that_nobody_thought_of_meets_its_entry_alone(store: PostgresStore, hand: Any) -> None:
    """A trigger of the user's own says no, by an SQLSTATE of its own."""
    await hand.execute("""
        CREATE FUNCTION goconductor.say_no() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'not on our watch' USING ERRCODE = 'ZZ001'; END $$;
        CREATE TRIGGER say_no BEFORE INSERT ON goconductor.saga_log FOR EACH ROW WHEN (NEW.participant = 'forbidden')
            EXECUTE FUNCTION goconductor.say_no()
    """)
    forbidden = event(participant="forbidden")
    starts = keyed(9)
    starts[4] = material.Saga().start(key="k4", entries=[forbidden])
    outcomes = await store.starts.start(starts)
    assert verdicts(outcomes) == [WON] * 4 + [REJECTED] + [WON] * 4
    assert outcomes[4].problem == "not on our watch"
    sagas = [await begin(store) for _ in range(9)]
    outcomes = await store.log.append([saga.append(forbidden if number == 7 else event()) for number, saga in enumerate(sagas)])
    assert verdicts(outcomes) == [WON] * 7 + [REJECTED, WON]


async def test_a_key_that_is_too_large_for_an_index_meets_its_start_alone(store: PostgresStore) -> None:
    starts = keyed(5)
    starts[1] = material.Saga().start(key=secrets.token_hex(5_000))
    outcomes = await store.starts.start(starts)
    assert verdicts(outcomes) == [WON, REJECTED, WON, WON, WON]
    assert "index row" in outcomes[1].problem


async def test_an_error_about_the_server_is_nobodys_entry(store: PostgresStore, hand: Any) -> None:
    saga = await begin(store)
    await hand.execute("ALTER TABLE goconductor.saga_log RENAME TO gone")
    with pytest.raises(Exception, match="goconductor migrate"):
        await store.log.append([saga.append()])
    await hand.execute("ALTER TABLE goconductor.gone RENAME TO saga_log")
    assert verdicts(await store.log.append([saga.append()])) == [WON]


async def test_a_key_that_an_open_transaction_holds_keeps_nobody_else(store: PostgresStore, hand: Any) -> None:
    """The others are there while that transaction is still open; afterwards its key is had or lost, as it ended."""
    starts = keyed(40)
    async with hand.transaction():
        await hand.execute(HOLD_KEY)
        assert verdicts(await store.starts.start(starts)) == [WON] * 3 + [HELD_UP] + [WON] * 36
        assert verdicts(await store.starts.start([starts[3]])) == [HELD_UP]
    assert verdicts(await store.starts.start([starts[3]])) == [Verdict.ALREADY_STARTED]


async def test_a_row_that_an_open_transaction_holds_keeps_nobody_else(store: PostgresStore, hand: Any) -> None:
    sagas = [await begin(store) for _ in range(20)]
    transaction = hand.transaction()
    await transaction.start()
    await hand.execute("SELECT FROM goconductor.sagas WHERE saga_id = $1 FOR UPDATE", sagas[5].saga_id)
    appends = [saga.append() for saga in sagas]
    assert verdicts(await store.log.append(appends)) == [WON] * 5 + [HELD_UP] + [WON] * 14
    await transaction.rollback()
    assert verdicts(await store.log.append([appends[5]])) == [WON]
    [tail] = await store.log.read([Known(sagas[5].saga_id)])
    assert len(tail.entries) == 2


async def test_behind_the_lock_of_a_table_a_start_waits_and_then_begins(
    store: PostgresStore, hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "TABLES_SECONDS", 300.0)
    blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'goconductor.sagas'::regclass"

    async def is_blocked() -> bool:
        return bool(await hand.fetchval(blocked))

    async with hand.transaction():
        await hand.execute("LOCK TABLE goconductor.sagas IN ACCESS EXCLUSIVE MODE")
        started = asyncio.create_task(store.starts.start(keyed(3)))
        await eventually(is_blocked)
    assert verdicts(await started) == [WON] * 3


async def test_outputs_of_many_megabytes_go_as_several_statements(store: PostgresStore) -> None:
    sagas = [material.Saga() for _ in range(12)]
    starts = [saga.start(entries=[event("SagaStarted", data=MEGABYTE)]) for saga in sagas]
    assert verdicts(await store.starts.start(starts)) == [WON] * 12
    appends = [
        material.Saga(saga.saga_id, 1, start.new_tag).append(event(data=MEGABYTE))
        for saga, start in zip(sagas, starts, strict=True)
    ]
    assert verdicts(await store.log.append(appends)) == [WON] * 12
    assert [len(entry.data) for entry in await store.sagas.history(sagas[7].saga_id)] == [len(MEGABYTE)] * 2


def sized(*sizes: int) -> list[Append]:
    return [material.Saga().append(*(event(data=b"x" * part) for part in (size // 2, size - size // 2))) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        ([], []),
        ([10] * 500, [500]),
        ([STATEMENT_BYTES_MAX + 1], [1]),
        ([10, STATEMENT_BYTES_MAX + 1, 10, 10], [1, 1, 2]),
        ([STATEMENT_BYTES_MAX // 4] * 10, [4, 4, 2]),
    ],
)
def test_a_batch_is_parted_by_its_bytes_in_its_order(sizes: list[int], lengths: list[int]) -> None:
    batch = sized(*sizes)
    found = list(pieces(batch))
    assert [len(piece) for piece in found] == lengths
    assert [each for piece in found for each in piece] == batch


@asynccontextmanager
async def running(url: str) -> AsyncIterator[tuple[Any, Callable[[], Saga[Any]]]]:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})
    await migrated(settings)
    shop = Participant("shop")

    @shop.step
    async def pack(context: StepContext) -> str:
        return f"packed in attempt {context.attempt}"

    def saga() -> Saga[Any]:
        made: Saga[Any] = Saga("order")
        made.returns(made.step(pack).output)
        return made

    async with shop.running(settings) as conductor:
        yield conductor, saga


@pytest.mark.parametrize("commits", [True, False], ids=["and is had then", "and is free then"])
async def test_who_starts_under_a_held_key_waits_alone(postgres_url: str, hand: Any, commits: bool) -> None:
    async with running(postgres_url) as (conductor, saga):
        order = saga()
        transaction = hand.transaction()
        await transaction.start()
        first = await conductor.start(order, "tea", key="k", transaction=hand)
        waiting = asyncio.create_task(conductor.start(order, "tea", key="k"))
        others = await asyncio.gather(*(conductor.start(order, "tea", key=f"k{number}") for number in range(20)))
        assert [await other.result() for other in others] == ["packed in attempt 1"] * 20
        assert not waiting.done()
        await (transaction.commit() if commits else transaction.rollback())
        handle = await waiting
        assert (handle.existing, handle.saga_id == first.saga_id) == (commits, commits)
        assert await handle.result() == "packed in attempt 1"


async def test_who_waits_for_a_held_key_too_long_is_told_for_what(
    postgres_url: str, hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "HELD_UP_SECONDS", 0.2)
    async with running(postgres_url) as (conductor, saga), hand.transaction():
        await conductor.start(saga(), "tea", key="k", transaction=hand)
        with pytest.raises(StoreUnavailableError, match="key 'k' of saga 'order' is held by a transaction that has not ended"):
            await conductor.start(saga(), "tea", key="k")
