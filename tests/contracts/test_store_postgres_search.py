"""A search over many ranges: whatever their size and the time it has, it passes over nothing and shows nothing twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from uuid import UUID

import pytest

from goconductor.ports.store import Wanted
from goconductor.saga.ids import saga_id
from goconductor.stores.postgres import PostgresStore
from goconductor.stores.postgres.reading import sagas as table
from goconductor.testing.contracts.store.material import Saga, event

pytestmark = pytest.mark.postgres

SAGAS = 60
FAILED = event("ActionFailed", data=b'{"failure":{"type":"ConnectionError","message":"refused"}}')


async def begun(store: PostgresStore, numbers: range) -> list[UUID]:
    """Sagas of which each third has a label, each fifth is stuck, and each seventh has failed."""
    now = await store.terms.database_time()
    starts = [
        Saga(saga_id(now + number / 1000, random.getrandbits(74))).start(
            labels={"third": str(number % 3)},
            status="stuck" if number % 5 == 0 else "running",
            entries=[event("SagaStarted"), *([FAILED] if number % 7 == 0 else [])],
        )
        for number in numbers
    ]
    await store.starts.start(starts)
    return [start.saga_id for start in starts]


CASES: dict[str, tuple[Wanted, Callable[[int], bool]]] = {
    "label": (Wanted(labels={"third": "1"}), lambda n: n % 3 == 1),
    "status": (Wanted(statuses=("stuck",)), lambda n: n % 5 == 0),
    "error": (Wanted(error="refused", error_events=("ActionFailed",)), lambda n: n % 7 == 0),
    "all of them": (
        Wanted(labels={"third": "0"}, statuses=("stuck",), error="refused", error_events=("ActionFailed",)),
        lambda n: n % 105 == 0,
    ),
    "nothing": (Wanted(saga="none"), lambda _: False),
    "everything of a saga": (Wanted(saga="order"), lambda _: True),
    "everything": (Wanted(), lambda _: True),
}


@pytest.mark.parametrize(("seconds", "limit", "first"), [(0.0, 4, 1), (0.0, 100, 7), (60.0, 1, 3), (60.0, 5, 2), (60.0, 100, 60)])
async def test_all_pages_together_show_what_is_wanted_newest_first(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, seconds: float, limit: int, first: int
) -> None:
    monkeypatch.setattr(table, "FIRST_RANGE", first)
    monkeypatch.setattr(table, "SMALLEST_RANGE", 1)
    monkeypatch.setattr(table, "LARGEST_RANGE", 9)
    sagas = await begun(store, range(SAGAS))
    for name, (wanted, fits) in CASES.items():
        seen: list[UUID] = []
        before, pages = None, 0
        while pages <= 2 * SAGAS:
            page = await store.sagas.heads(wanted, before=before, limit=limit, seconds=seconds)
            pages += 1
            assert len(page.heads) <= limit
            if seconds and page.cursor is not None:
                assert len(page.heads) == limit
            seen += [head.saga_id for head in page.heads]
            if pages == 1:
                newer = await begun(store, range(100_000 + len(sagas), 100_010 + len(sagas)))
            before = page.cursor
            if before is None:
                break
        assert before is None
        assert seen == sorted((saga for number, saga in enumerate(sagas) if fits(number)), reverse=True), name
        await forget(store, newer)  # for who was on the way down they changed nothing


async def forget(store: PostgresStore, sagas: list[UUID]) -> None:
    async with store._others.use() as connection:
        await connection.execute("DELETE FROM goconductor.sagas WHERE saga_id = ANY ($1)", sagas)
