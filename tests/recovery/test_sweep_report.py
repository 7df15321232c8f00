"""The leader says what it did, now and then, and only while it leads."""

from __future__ import annotations

import pytest

from goconductor.errors import FencedError
from goconductor.recovery.sweep_report import REPORT_SECONDS, SweepReport
from goconductor.testing.world import World


async def test_what_was_done_since_it_was_last_said_is_added_up() -> None:
    async with World() as world:
        node = await world.node()
        node.counts["sweep_resent"] = 100  # of a term before this one
        term = await world.store.terms.raise_epoch("me", 1e9)
        assert term is not None
        report = SweepReport(node)
        await report.swept(2, epoch=term.epoch)
        first = await world.store.recovery.last_sweep()
        assert first is not None
        assert first.did == {"rounds": 1, "sagas": 2, "sent_again": 0, "declared_unknown": 0}
        node.counts["sweep_resent"] += 3
        node.counts["sweep_unknown"] += 1
        await report.swept(4, epoch=term.epoch)
        assert await world.store.recovery.last_sweep() == first
        await world.clock.advance(REPORT_SECONDS)
        await report.swept(1, epoch=term.epoch)
        second = await world.store.recovery.last_sweep()
        assert second is not None
        assert second.did == {"rounds": 2, "sagas": 5, "sent_again": 3, "declared_unknown": 1}


async def test_who_leads_no_more_is_told_so() -> None:
    async with World() as world:
        node = await world.node()
        old, _ = await world.store.terms.raise_epoch("me", 1e9), await world.store.terms.raise_epoch("another", 1e9)
        assert old is not None
        with pytest.raises(FencedError):
            await SweepReport(node).swept(1, epoch=old.epoch)
