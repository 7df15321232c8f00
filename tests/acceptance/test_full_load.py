"""500 transfers and 100 payouts over four processes and all that can happen to them, on each bus; I1 to I9 from the databases."""

from __future__ import annotations

import os
import random
import secrets
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from goconductor import connect
from goconductor.saga.retry import Retry
from goconductor.testing import checkers
from goconductor.testing.postgres import PostgresServer
from tests.acceptance import timers
from tests.acceptance.bank import LEASE_SECONDS, MODULES, SERVICES, Bank, opened
from tests.acceptance.chaos import say
from tests.acceptance.load import Load
from tests.acceptance.payouts import WAYS, Payouts, ways
from tests.acceptance.trouble import Trouble

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TRANSFERS = 500
PAYOUTS = 100
KILLS = 20
SEED = int(os.environ.get("GOCONDUCTOR_TEST_SEED", "1"))
WANTED_SECONDS = 3 * LEASE_SECONDS + 8 * Retry().initial_seconds * (1 + Retry().jitter)
"""By when all should have ended after the last trouble, on a machine that is not busy: told, not asserted."""
LATE_SECONDS_MAX = 600.0
"""A timer may have to wait for a new leader, a database that restarts, one life of a lease in which nobody is judged, and for a
machine that is busy. What is asserted is that none is forgotten, and none early."""


@dataclass
class Place:
    """A bank on a PostgreSQL of its own, and how to kill its broker and start it again, if it has one."""

    bank: Bank
    server: PostgresServer
    restart_broker: Callable[[], None] | None = None


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def place(request: pytest.FixtureRequest, postgres_to_break: PostgresServer, tmp_path: Path) -> AsyncIterator[Place]:
    bus: dict[str, str] = {}
    restart_broker: Callable[[], None] | None = None
    if request.param == "kafka":
        kafka = request.getfixturevalue("kafka_to_break")
        bus = {"GOCONDUCTOR_BUS_KIND": "kafka", "GOCONDUCTOR_BUS_URL": kafka.url}

        def restart_broker() -> None:
            kafka.kill()
            kafka.start()

    async with opened(postgres_to_break, f"full_load_{secrets.token_hex(4)}", tmp_path, bus=bus) as bank:
        yield Place(bank, postgres_to_break, restart_broker)


async def test_nothing_is_lost_under_full_load_whatever_happens(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    bank, chance = place.bank, random.Random(SEED)
    for module in ("bank_a", *MODULES):
        await bank.registered(await bank.service(module))
    async with connect(bank.settings) as conductor:
        load, payouts = Load(conductor, chance), Payouts(conductor, random.Random(SEED))
        trouble = Trouble(bank, place.server, place.restart_broker, chance, load)
        kinds = trouble.plan(KILLS)
        for kind in kinds:
            load.release(TRANSFERS // len(kinds))
            payouts.release(PAYOUTS // len(kinds))
            await trouble.bring(kind)
        load.release(TRANSFERS - load.released)
        await load.started()
        await payouts.asked()
    healed_at = time.monotonic()
    await bank.all_ended()
    settled_seconds = time.monotonic() - healed_at

    violations = await bank.violations(load.answers + payouts.answers)
    sagas = await checkers.recorded(bank.urls["store"])
    fired = await timers.fired(bank.urls["store"], sagas)
    violations += timers.timers(fired, LATE_SECONDS_MAX)
    lateness = sorted(timer.late_seconds for timer in fired)
    with capsys.disabled():
        ends = dict(Counter(saga.head.status for saga in sagas))
        say(f"\nseed {SEED}: {ends}, all ended {settled_seconds:.1f} s after the last trouble (wanted: {WANTED_SECONDS:.1f})")
        say(f"payouts: {dict(ways(sagas))}")
        trouble.report(sagas)
        say(f"{len(lateness)} timers: late by p50 {statistics.median(lateness):.2f} s, worst {lateness[-1]:.2f} s; none early")
    assert not violations, "\n".join(violations)
    kinds_of_saga = Counter(saga.head.saga for saga in sagas)
    assert kinds_of_saga == {"transfer": load.released, "payout": payouts.released, "screening": payouts.released}
    assert load.released >= TRANSFERS
    assert ways(sagas).keys() == WAYS
    assert {"completed", "compensated"} == {saga.head.status for saga in sagas}
    assert sum(kill.led for kill in trouble.kills) >= 2
    assert {kill.victim for kill in trouble.kills} == set(SERVICES)
    assert {"term", "declared dead", "outcome unknown"} <= {write.what for write in await bank.leader_writes()}
