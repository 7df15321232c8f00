"""The doctor looks at locks: at the longest wait, and at waits for a saga that is over."""

from __future__ import annotations

from uuid import UUID

from goconductor.control.doctor.findings import CheckOutcome
from goconductor.control.doctor.locks import WAIT_WARNING_SECONDS, of_locks, wrong
from goconductor.ports.store import LockRow
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.bank import Bank, go, one

NOW = 10_000.0
ONE, OTHER, THIRD = (UUID(int=number) for number in range(3))


def row(saga: UUID, *, held: bool = False, since: float = NOW - 300, status: str = "waiting", late: bool = False) -> LockRow:
    return LockRow(key="a:1", saga_id=saga, shared=False, held=held, number=1, since=since, status=status, late=late)


def findings(*rows: LockRow) -> list[str]:
    return [finding.what for finding in wrong(rows, NOW)]


async def test_locks_are_counted_and_a_long_wait_is_told_with_who_holds_it(world: World) -> None:
    bank = Bank()
    node = await world.node(bank.steps)
    assert (await of_locks(world.store, world.clock.now())).saw == "none are held"
    first, second = [await world.start(one(bank), {"a": "7"}) for _ in range(2)]
    await settle()
    sound = await of_locks(world.store, world.clock.now())
    assert (sound.outcome, sound.saw.partition(", the first")[0]) == (CheckOutcome.SOUND, "1 held, 1 waited for")
    later = world.clock.now() + WAIT_WARNING_SECONDS + 1
    (finding,) = (await of_locks(world.store, later)).findings
    assert finding.what.startswith(f"saga {second} has waited for lock 'account:7' for ")
    assert f"saga {first} holds it" in finding.what
    await go(node, first)
    assert (await of_locks(world.store, later)).findings == []
    await go(node, second)


def test_who_waits_for_a_saga_that_is_over_should_have_looked_again() -> None:
    assert findings(row(ONE, held=True), row(OTHER)) == []
    for over in ("completed", "compensated", ""):
        (told,) = findings(row(ONE, held=True, status=over), row(OTHER))
        assert told.startswith(f"saga {OTHER} has waited for lock 'a:1'")
        assert told.endswith("and no saga holds it any more")
    assert findings(row(OTHER)) != []
    assert findings(row(ONE, held=True, status="completed"), row(OTHER, since=NOW - 60)) == []  # it looks again within a minute
    assert findings(row(ONE, held=True, status="terminated", late=True), row(OTHER)) == []  # a step of it may still act
    assert findings(row(ONE, held=True, status="completed")) == []  # nobody waits


def test_the_longest_wait_is_that_of_a_saga_that_would_take_the_lock() -> None:
    old = NOW - WAIT_WARNING_SECONDS - 1
    assert len(findings(row(ONE, held=True), row(OTHER, since=old), row(THIRD, since=old + 1))) == 1
    assert findings(row(ONE, held=True), row(OTHER, since=old, status="completed"), row(THIRD)) == []
