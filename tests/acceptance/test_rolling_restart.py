"""Each service is replaced under load, as in a rolling upgrade: nothing is lost, and nothing has to be recovered."""

from __future__ import annotations

import random
import signal
from collections import Counter
from functools import partial
from itertools import pairwise

import pytest

from goconductor import connect
from goconductor.testing import checkers
from goconductor.testing.checkers import Recorded
from tests.acceptance.bank import MODULES, Bank
from tests.acceptance.chaos import say
from tests.acceptance.load import Load

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TRANSFERS = 20
HOLDS_WORK = """
SELECT count(*) > 2 FROM goconductor.leases JOIN goconductor.participants ON serial = instance WHERE name LIKE $1
"""


async def test_replacing_each_service_under_load_needs_no_recovery(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    old = [await bank.service(module) for module in MODULES]
    for service in old:
        await bank.registered(service)
    async with connect(bank.settings) as conductor:
        load = Load(conductor, random.Random(7))
        for module, service in zip(MODULES, old, strict=True):
            load.release(TRANSFERS)
            successor = await bank.service(module)
            await bank.registered(successor)
            await bank.until_in_hand(HOLDS_WORK, f"{service.name}-%-{service.pid}-%", more=partial(more, load))
            assert await service.end(signal.SIGTERM) == 0, service.words()
        await load.started()
    await bank.all_ended()

    assert await bank.violations(load.answers) == []
    sagas = await checkers.recorded(bank.urls["store"])
    assert len(sagas) == load.released
    recovered = Counter(write.what for write in await bank.leader_writes())
    assert recovered["outcome unknown"] == recovered["declared dead"] == 0
    longest = max(longest_wait_seconds(saga) for saga in sagas)
    with capsys.disabled():
        say(f"\nlongest wait of a saga while services were replaced: {longest:.2f} s")


async def more(load: Load) -> None:
    load.release(TRANSFERS)


def longest_wait_seconds(saga: Recorded) -> float:
    """Between two events, a wait that was asked for (a backoff) aside."""
    return max(after.at - before.at for before, after in pairwise(saga.entries) if after.event != "TimerFired")
