"""The doctor looks at events: whether somebody publishes them, and in time."""

from __future__ import annotations

import pytest

from goconductor import Saga
from goconductor.control.doctor.leading.events import LATE_SECONDS, of_events
from goconductor.errors import ConfigurationError
from goconductor.ports.store import FeedPosition
from goconductor.recovery.feed.publishing import NAME
from goconductor.testing.world import World


async def test_events_that_nobody_wants_are_not_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lacks_the_index() -> None:
        raise ConfigurationError("the index is not there; run `goconductor migrate`")

    monkeypatch.setattr(world.store.feed, "check", lacks_the_index)
    assert (await of_events(world.store, published=False)).saw == "not published"
    with pytest.raises(ConfigurationError):  # which the examination makes a finding of
        await of_events(world.store, published=True)


async def test_events_that_are_not_published_in_time_are_found(world: World) -> None:
    term = await world.store.terms.raise_epoch("shop-1", 3600)
    assert term is not None
    (nobody,) = (await of_events(world.store, published=True)).findings
    assert nobody.what == "nobody has published events yet"
    await world.node()
    await world.store.feed.keep(NAME, FeedPosition(cursor=await world.store.feed.end(), reached_at=0.0), epoch=term.epoch)
    assert (await of_events(world.store, published=True)).saw == "all are published"
    saga: Saga[object] = Saga("later")
    saga.delay("1h", id="hour")
    await world.start(saga)
    await world.clock.advance(LATE_SECONDS)
    waiting = await of_events(world.store, published=True)
    assert (waiting.findings, waiting.saw) == ([], "1 to be published, the oldest 60 s old")
    await world.clock.advance(1.0)
    (late,) = (await of_events(world.store, published=True)).findings
    assert late.what == "an event is not published that happened 61 s ago"
    assert "pg_stat_activity" in late.remedy
