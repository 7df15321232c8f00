"""After a crash of the database the leader walks through all live sagas, and says so also where that fails at first."""

from __future__ import annotations

import pytest

from goconductor.errors import StoreUnavailableError
from goconductor.testing.world import World


async def test_a_loss_whose_acknowledgement_fails_is_acknowledged_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.node()
    await world.sweep()
    acknowledge, failed = world.store.recovery.acknowledge_truncation, list[int]()

    async def fails_once(*, epoch: int) -> None:
        if not failed:
            failed.append(epoch)
            raise StoreUnavailableError("the connection broke")
        await acknowledge(epoch=epoch)

    monkeypatch.setattr(world.store.recovery, "acknowledge_truncation", fails_once)
    world.store.truncate_leases()
    await world.clock.advance(60)
    with pytest.raises(StoreUnavailableError):
        await world.sweep()
    assert await world.store.recovery.leases_truncated()
    await world.sweep()
    assert not await world.store.recovery.leases_truncated()
