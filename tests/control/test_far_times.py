"""Times after the year 9999, which older versions took: what was stored with them is shown, and obeys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from goconductor import Participant, Saga, SagaStatus
from goconductor.control.models import moment
from goconductor.saga import retry
from goconductor.saga.checking import durations
from goconductor.testing import World


def test_a_time_after_the_year_9999_is_shown_as_its_end() -> None:
    assert moment(0) == datetime(1970, 1, 1, tzinfo=UTC)
    for far in (253_402_300_799.0, 253_402_300_800.0, 1e12, 1e300):
        assert moment(far) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


async def test_a_saga_with_a_far_deadline_is_shown_and_can_be_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "SECONDS_MAX", 1e300)
    monkeypatch.setattr(retry, "SECONDS_MAX", 1e300)
    shop = Participant("shop")

    @shop.step
    async def pack() -> None: ...

    order: Saga[None] = Saga("order", timeout=1e12)
    order.wait("paid", id="paid")
    order.step(pack)
    async with World() as world:
        conductor = await world.conductor(shop)
        handle = conductor.saga((await conductor.start(order, None)).saga_id)
        shown = await handle.view()
        assert shown.deadline_at is not None
        assert shown.deadline_at.year == 9999
        assert (await handle.abort()).status in {SagaStatus.COMPENSATING, SagaStatus.COMPENSATED}
