"""Who follows a choice goes on following, whatever one look comes to."""

from __future__ import annotations

import pytest

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.engine.facts.clock import CORRECTED_SECONDS, keep_time
from goconductor.errors import ConfigurationError
from goconductor.ports.store.leading.choices import BUS, Choice, Report
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.leading.choices import MemoryChoices
from goconductor.switchover.follower import LOOK_SECONDS, Follower
from goconductor.testing.clock import ManualClock


class Odd(MemoryChoices):
    """Choices that fail at looks, in a way that nobody foresaw."""

    failures = 0

    async def current(self, kind: str) -> Choice | None:
        if self.failures:
            self.failures -= 1
            raise ValueError("a row that cannot be read")
        return await super().current(kind)


async def test_a_look_that_fails_unexpectedly_is_logged_and_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    choices = Odd(Data(clock))
    follower = Follower(BUS, ["old", "new"], choices=choices, instance=lambda: 1, clock=clock, strict=True)
    await follower.begin()

    async def arrive(choice: Choice) -> Report:
        return follower.report(choice.chosen, problem="", quiet=True)

    follower.follow(arrive)
    await clock.advance(LOOK_SECONDS)
    choices.failures = 1
    await clock.advance(LOOK_SECONDS)
    assert "following the change of the bus failed, it is tried again" in caplog.text
    assert await choices.choose(Choice(kind=BUS, chosen="new", number=1))
    await clock.advance(LOOK_SECONDS)
    assert follower.choice.chosen == "new"
    await follower.close()


async def test_the_database_s_time_is_read_again_after_any_refusal(caplog: pytest.LogCaptureFixture) -> None:
    clock, asked = ManualClock(), []

    async def database_time() -> float:
        asked.append(clock.now())
        if len(asked) == 1:
            raise ConfigurationError("the password is wrong")
        return clock.now()

    keeping = create_guarded_task(keep_time(clock, database_time), name="time")
    await clock.advance(2 * CORRECTED_SECONDS)
    assert len(asked) == 2
    assert "the password is wrong" in caplog.text
    await end(keeping)
