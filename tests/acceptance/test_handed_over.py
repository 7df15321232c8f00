"""What nobody has in hand any more goes on at once, and not only when the sweep looks at every saga."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import pytest

from goconductor import CompensatedError, connect
from goconductor.engine.facts.log import View
from goconductor.engine.intake import _wanted_attempt
from goconductor.engine.log.takeover import REASON
from goconductor.lifecycle.facts.events import OutcomeUnknown, SagaStarted
from goconductor.lifecycle.replay import replay
from goconductor.messages.envelope import Baton, RunStep
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan as plan_of
from goconductor.testing import checkers
from tests.acceptance.bank import MODULES, Bank
from tests.acceptance.sagas import Transfer, transfer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


async def test_a_step_whose_saga_turned_back_before_it_began_is_unknown_at_once(bank: Bank) -> None:
    """Its message comes too late to run it, and in time to say so: the saga must not wait for the sweep's patience."""
    seldom = {"GOCONDUCTOR_RECOVERY_SWEEP_INTERVAL_SECONDS": "3600"}  # as a service may start more slowly than it has patience
    await bank.registered(await bank.service("bank_b", **seldom))
    async with connect(bank.settings) as conductor:
        handle = await conductor.start(transfer, Transfer("payer 0", "payee 0", 301), key="too much")
        await bank.until("SELECT EXISTS (SELECT FROM goconductor.sagas WHERE status = 'compensating')")
        await bank.service("bank_a", **seldom)
        with pytest.raises(CompensatedError, match="payee 0 cannot take -301"):
            await handle.result(timeout_seconds=300)

    (saga,) = await checkers.recorded(bank.urls["store"])
    unknown = [event for event in saga.events if isinstance(event, OutcomeUnknown)]
    assert [(event.step, event.reason) for event in unknown] == [("debit", "it was to go back before it began")]
    assert await bank.violations([("too much", handle.saga_id)]) == []


def test_an_old_message_that_got_the_lease_runs_the_attempt_that_is_due() -> None:
    """Else the newer message, which finds the lease held, would be dropped, and the older one as no longer due."""
    plan, saga_id = plan_of(transfer.definition), UUID(int=1)
    started = SagaStarted(at=1.0, input={"payer": "payer 0", "payee": "payee 1", "amount": 1})
    state = replay(plan, saga_id, [started, OutcomeUnknown("reserve", 1, at=2.0)])
    old = RunStep(
        saga_id=saga_id, saga="transfer", version=plan.version, step="reserve", target="bank-b.reserve",
        direction=Direction.ACTION, attempt=1, round=0, baton=Baton(1, 1),
    )  # fmt: skip
    assert _wanted_attempt(View(state, 2, 2), old) == 2


async def test_a_leader_that_dies_after_declaring_another_dead_has_its_takeover_done_by_the_next(bank: Bank) -> None:
    """The declaration and the taking over are two transactions; the test plays the leader that died in between."""
    services = [await bank.service(module) for module in MODULES]
    for service in services:
        await bank.registered(service)
    async with connect(bank.settings) as conductor:
        vault = await asyncpg.connect(bank.urls["bank-a"])
        async with vault.transaction():
            await vault.execute("LOCK TABLE accounts IN SHARE MODE")  # so that steps are in the middle until all are killed
            handles = [
                await conductor.start(transfer, Transfer(f"payer {n % 10}", "payee 1", 1), key=f"transfer {n}") for n in range(20)
            ]
            await bank.until("SELECT count(*) > 5 FROM goconductor.leases")
            for service in services:
                await service.end()
        await vault.close()
        # an hour: who tells of an unknown outcome before can only have taken over from the dead
        held = await bank.store.execute("UPDATE goconductor.leases SET expires_at = clock_timestamp() + interval '1 hour'")
        await bank.store.execute("UPDATE goconductor.participants SET dead_at = clock_timestamp() WHERE participant <> 'client'")
        for service in services:
            await service.start()
        await bank.all_ended()
    assert held != "UPDATE 0"
    reasons = {
        event.reason
        for saga in await checkers.recorded(bank.urls["store"])
        for event in saga.events
        if isinstance(event, OutcomeUnknown)
    }
    assert reasons <= {"its instance died", "its lease ran out", REASON}
    assert reasons
    assert len(handles) == await bank.store.fetchval("SELECT count(*) FROM goconductor.sagas WHERE status = 'completed'")
