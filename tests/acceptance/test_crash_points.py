"""One saga whose only process dies in the middle of a step, at each point, going forward and back: it ends, with one effect."""

from __future__ import annotations

import signal

import asyncpg
import pytest

from goconductor import CompensatedError, connect
from goconductor.lifecycle.facts.events import OutcomeUnknown
from goconductor.saga.ids import Direction
from goconductor.testing import checkers
from tests.acceptance import witness
from tests.acceptance.bank import Bank
from tests.acceptance.sagas import Withdrawal, withdrawal

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.mark.parametrize("direction", [Direction.ACTION, Direction.COMPENSATION])
@pytest.mark.parametrize("point", ["before the effect", "before the commit", "before the report"])
async def test_a_step_whose_process_dies_has_one_effect(bank: Bank, point: str, direction: Direction) -> None:
    back = direction is Direction.COMPENSATION
    crashed = bank.folder / "crashed"
    service = await bank.service("crashing", CRASH_AT=f"{point} {direction}", CRASHED=str(crashed))
    await bank.registered(service)
    async with connect(bank.settings) as conductor:
        handle = await conductor.start(withdrawal, Withdrawal(10, approved=not back), key="once")
        assert await service.ended() == -signal.SIGKILL
        assert crashed.exists()
        await service.start()
        if back:
            with pytest.raises(CompensatedError, match="not approved"):
                await handle.result(timeout_seconds=300)
        else:
            await handle.result(timeout_seconds=300)

    (record,) = await checkers.recorded(bank.urls["store"])
    lost = [event for event in record.events if isinstance(event, OutcomeUnknown)]
    assert [(event.step, event.direction, event.attempt) for event in lost] == [("debit", direction, 1)], record.story()
    database = await asyncpg.connect(bank.urls["bank-a"])
    amounts = [row["amount"] for row in await database.fetch("SELECT amount FROM movements ORDER BY movement_id")]
    await database.close()
    assert amounts == ([-10, 10] if back else [-10])
    assert [*checkers.legal_history(record), *checkers.compensation_order(record), *checkers.ended(record)] == []
    assert [*witness.leader_writes(await bank.leader_writes())] == []
