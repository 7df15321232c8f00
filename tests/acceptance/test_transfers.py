"""100 transfers and 40 payouts over three processes while these are killed at random, the leader among them."""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from goconductor import connect
from goconductor.saga.retry import Retry
from goconductor.testing import checkers
from tests.acceptance.bank import LEASE_SECONDS, MODULES, SERVICES, Bank
from tests.acceptance.chaos import Chaos, say
from tests.acceptance.load import Load
from tests.acceptance.payouts import WAYS, Payouts, ways

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TRANSFERS = 100
PAYOUTS = 40
KILLS = 8
WANTED_SECONDS = 3 * LEASE_SECONDS + 2 * Retry().initial_seconds * (1 + Retry().jitter)
"""By when all should have ended after the last restart, on a machine that is not busy: told, not asserted."""
SEED = int(os.environ.get("GOCONDUCTOR_TEST_SEED", "20"))


async def test_nothing_is_lost_while_participants_and_leaders_are_killed(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)
    for module in MODULES:
        await bank.registered(await bank.service(module))
    async with connect(bank.settings) as conductor:
        load, payouts = Load(conductor, chance), Payouts(conductor, random.Random(SEED))
        chaos = Chaos(bank, chance, load)
        victims = chaos.plan(KILLS)
        for victim in victims:
            load.release(TRANSFERS // KILLS)
            payouts.release(PAYOUTS // KILLS)
            await chaos.kill(victim)
        load.release(TRANSFERS - TRANSFERS // KILLS * KILLS)
        await load.started()
        await payouts.asked()
    healed_at = time.monotonic()
    await bank.all_ended()
    settled_seconds = time.monotonic() - healed_at
    violations = await bank.violations(load.answers + payouts.answers)
    sagas = await checkers.recorded(bank.urls["store"])
    ends = dict(Counter(saga.head.status for saga in sagas))
    with capsys.disabled():
        say(f"\nseed {SEED}: {ends}, all ended {settled_seconds:.1f} s after the last restart (wanted: {WANTED_SECONDS:.1f})")
        say(f"payouts: {dict(ways(sagas))}")
        chaos.report(sagas)
    assert not violations, "\n".join(violations)
    kinds = Counter(saga.head.saga for saga in sagas)
    assert kinds == {"transfer": load.released, "payout": payouts.released, "screening": payouts.released}
    assert load.released >= TRANSFERS
    assert {"completed", "compensated"} == {saga.head.status for saga in sagas}
    assert ways(sagas).keys() == WAYS
    assert sum(kill.led for kill in chaos.kills) >= 2
    assert {kill.victim for kill in chaos.kills} == set(SERVICES)
    seen = {write.what for write in await bank.leader_writes()}
    assert {"term", "declared dead", "outcome unknown"} <= seen  # else the witness was blind, and epochs were not checked
