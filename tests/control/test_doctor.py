"""The doctor looks at a living system in memory, and at one that was hurt on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest

from goconductor import PermanentError, Saga
from goconductor.buses.memory import MemoryBus
from goconductor.control.doctor import Check, CheckOutcome, Diagnosis, Patient, examine
from goconductor.control.doctor.bus import TOPIC, of_bus
from goconductor.elections.alone import AloneElection
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import BusUnavailableError, ConfigurationError, ElectionError, PoolerError, StoreUnavailableError
from goconductor.ports.bus import Message
from goconductor.ports.health import StoreHealth
from goconductor.ports.store import DeadLetter, Loss, Timeline
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.control.test_doctor_database import SOUND

CHECKS = [
    "settings",
    "build",
    "database",
    "version",
    "schema",
    "rights",
    "commits",
    "connections",
    "clock",
    "transactions",
    "vacuum",
    "bus",
    "connection",
    "election",
]
CHECKS += ["leader", "instances", "journals", "outboxes", "limits", "choices", "leases", "locks", "failovers", "overdue sagas"]
CHECKS += ["stuck sagas", "dead letters", "schedules", "events", "webhooks", "audit log", "invariants", "steps"]


class Clinic:
    """A world with one participant, and what the doctor is shown of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.health: StoreHealth | Exception = SOUND
        self.opening: Exception | None = None
        self.bus: Callable[[], Any] = world.bus
        self.election: Callable[[Any], Any] = AloneElection
        self.bus_apart = True

    async def start(self, run: str) -> UUID:
        saga: Saga[Any] = Saga(run.rpartition(".")[2])
        saga.step(run)
        return await self.world.start(saga)

    async def lead(self) -> None:
        await self.world.store.terms.raise_epoch("shop-1", 3600)

    async def diagnose(self) -> Diagnosis:
        clock = self.world.clock
        patient = Patient(lambda: cast("Any", Shown(self)), {"alone": self.election}, {"memory": self.bus}, self.bus_apart, clock)
        looking = asyncio.create_task(examine(patient))
        while not looking.done():
            await clock.advance(0.1)
        return await looking

    async def findings(self) -> dict[str, list[str]]:
        """What is wrong, by check."""
        return {
            check.name: [finding.what for finding in check.findings] for check in (await self.diagnose()).checks if check.findings
        }


class Shown:
    """The world's store, with health; the doctor may open and close it without harm to the others."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic

    async def examine(self, *, older_than_seconds: float) -> StoreHealth:
        if isinstance(self._clinic.health, Exception):
            raise self._clinic.health
        return self._clinic.health

    async def open(self) -> None:
        if self._clinic.opening is not None:
            raise self._clinic.opening

    async def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clinic.world.store, name)


@pytest.fixture
async def clinic() -> AsyncIterator[Clinic]:
    shop = StepRegistry("shop")
    done = asyncio.Event()

    @shop.step
    async def pack() -> None:
        await done.wait()

    @shop.step
    async def charge() -> None:
        raise PermanentError("no")

    @charge.compensation
    async def refund() -> None:
        raise PermanentError("the account is closed")

    async with World() as world:
        await world.node()
        await world.node(shop)
        yield Clinic(world)
        done.set()


async def test_a_healthy_system_is_looked_at_from_all_sides_and_nothing_is_found(clinic: Clinic) -> None:
    await clinic.lead()
    await clinic.start("shop.pack")
    diagnosis = await clinic.diagnose()
    assert diagnosis.healthy
    assert not diagnosis.unavailable
    assert [check.name for check in diagnosis.checks] == CHECKS
    assert [check.name for check in diagnosis.checks if check.outcome is not CheckOutcome.SOUND or not check.saw] == []
    saw = {check.name: check.saw for check in diagnosis.checks}
    assert saw["leader"] == "shop-1 leads in epoch 1, its first sweep is not noted yet"
    assert saw["instances"] == "2 living: client and shop"
    assert saw["invariants"] == "1 live sagas are as they should be"


async def test_nobody_leads(clinic: Clinic) -> None:
    assert await clinic.findings() == {"leader": ["nobody has ever led"]}
    await clinic.world.store.terms.raise_epoch("shop-1", 5)
    await clinic.world.clock.advance(65)
    assert (await clinic.findings())["leader"] == ["nobody leads: the term of shop-1 ended 1 min ago"]


async def test_a_leader_that_does_not_sweep(clinic: Clinic) -> None:
    await clinic.lead()
    await clinic.world.store.recovery.note_sweep({"rounds": 1}, epoch=1)
    await clinic.world.clock.advance(30)
    assert by_name(await clinic.diagnose(), "leader").saw.endswith("its last sweep was noted 30.0 s ago")
    await clinic.world.clock.advance(90)
    assert (await clinic.findings())["leader"] == ["shop-1 leads, but its last sweep was 2 min ago"]


async def test_a_stuck_saga_and_a_dead_letter_are_warnings(clinic: Clinic) -> None:
    await clinic.lead()
    saga_id = await clinic.start("shop.charge")
    await clinic.world.end_of(saga_id)
    await clinic.world.store.dead_letters.put(DeadLetter(topic="t", payload=b"x", reason="it is not ours"))
    diagnosis = await clinic.diagnose()
    assert diagnosis.healthy
    assert await clinic.findings() == {
        "stuck sagas": [f"1 sagas are stuck, the newest: {saga_id}"],
        "dead letters": ["1 dead letters wait, the newest: it is not ours"],
    }
    assert "goconductor saga list --status stuck" in by_name(diagnosis, "stuck sagas").findings[0].remedy


async def test_a_dead_instance_that_nobody_has_noticed_and_the_steps_that_wait_for_it(clinic: Clinic) -> None:
    await clinic.lead()
    saga_id = await clinic.start("shop.pack")
    _, shop = clinic.world.nodes
    await clinic.world.clock.advance(2)
    clinic.world.kill(shop)
    assert await clinic.findings() == {
        "instances": [f"1 instances are dead and nobody has noticed: {shop.name}"],
        "steps": [f"no living instance of 'shop' offers step 'pack', and 1 sagas wait for it, such as {saga_id}"],
    }


async def test_a_step_that_nobody_offers(clinic: Clinic) -> None:
    await clinic.lead()
    saga_id = await clinic.start("mill.grind")
    diagnosis = await clinic.diagnose()
    (finding,) = by_name(diagnosis, "steps").findings
    assert finding.what == f"no living instance of 'mill' offers step 'grind', and 1 sagas wait for it, such as {saga_id}"
    assert finding.remedy == "start an instance of 'mill' that has this step"
    assert not diagnosis.healthy


@pytest.mark.parametrize(("late", "severity"), [(45, "warning"), (600, "error")])
async def test_a_saga_that_nobody_looks_at(clinic: Clinic, late: float, severity: str) -> None:
    saga_id = await clinic.start("shop.pack")
    await clinic.world.clock.advance(late)
    await clinic.lead()
    (finding,) = by_name(await clinic.diagnose(), "overdue sagas").findings
    assert (finding.severity, finding.what.startswith(f"1 sagas should have been looked at, the oldest, {saga_id}, ")) == (
        severity,
        True,
    )


async def test_what_runs_under_leases_is_told_by_instance(clinic: Clinic) -> None:
    await clinic.lead()
    for _ in range(3):
        await clinic.start("shop.pack")
    await settle()
    (check,) = [check for check in (await clinic.diagnose()).checks if check.name == "leases"]
    assert check.saw.startswith("3 steps run under them, most of shop-")
    assert check.saw.endswith(" (3); none were lost in a crash")


async def test_leases_that_a_crash_emptied(clinic: Clinic) -> None:
    await clinic.lead()
    clinic.world.store.data.truncated = True
    assert list(await clinic.findings()) == ["leases"]


async def test_commits_that_a_failover_took(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    await clinic.lead()
    now = clinic.world.clock.now()
    saga_id = await clinic.start("shop.pack")
    loss = Loss(saga_id=saga_id, seq=2, tag=4711, status="completed", at=now, known_by="shop-1")
    assert await clinic.world.store.failovers.note([loss]) == 1

    async def timelines() -> list[Timeline]:
        return [Timeline(number=3, seen_at=1.0), Timeline(number=4, seen_at=now - 60, replayed_until=now - 90)]

    monkeypatch.setattr(clinic.world.store.failovers, "timelines", timelines)
    found = (await clinic.findings())["failovers"]
    assert "a failover lost 1 acknowledged commits" in found[0]
    assert str(saga_id) in found[0]
    assert "timeline 4 followed 3" in found[1]


async def test_a_saga_whose_head_and_log_differ_is_found(clinic: Clinic) -> None:
    await clinic.lead()
    heads, logs = clinic.world.store.data.heads, clinic.world.store.data.logs
    wrong, torn, newer, damaged = [await clinic.start("shop.pack") for _ in range(4)]
    heads[wrong] = msgspec.structs.replace(heads[wrong], status="compensating")
    heads[torn] = msgspec.structs.replace(heads[torn], seq=7)
    logs[newer].append(msgspec.structs.replace(logs[newer][0], event="StepTeleported", seq=2))
    heads[newer] = msgspec.structs.replace(heads[newer], seq=2)
    logs[damaged].append(msgspec.structs.replace(logs[damaged][0], seq=2))
    heads[damaged] = msgspec.structs.replace(heads[damaged], seq=2)
    diagnosis = await clinic.diagnose()
    told = {
        finding.what.split()[4 if finding.what.startswith("the log") else 1]: finding
        for finding in by_name(diagnosis, "invariants").findings
    }
    assert {UUID(saga.rstrip(":")) for saga in told} == {wrong, torn, newer, damaged}
    assert told[str(wrong)].what.endswith("its head has compensating, its log queued")
    assert f"saga {newer} cannot be read by this version" in told[str(newer)].what
    assert told[str(newer)].severity == "warning"
    assert "its head is at seq 7, its log ends at 1" in told[str(torn)].what
    assert "is damaged" in told[str(damaged)].what
    assert not diagnosis.healthy


async def test_a_database_that_is_away_leaves_the_rest_unlooked_at(clinic: Clinic) -> None:
    clinic.health = StoreUnavailableError("PostgreSQL at db/x cannot be reached or broke off: refused")
    diagnosis = await clinic.diagnose()
    assert diagnosis.unavailable
    assert [check.name for check in diagnosis.checks] == CHECKS
    assert {check.name for check in diagnosis.checks if check.outcome is CheckOutcome.SKIPPED} == {*CHECKS} - {
        "settings",
        "build",
        "database",
        "bus",
    }
    (finding,) = by_name(diagnosis, "database").findings
    assert finding.remedy.startswith("start PostgreSQL")
    assert by_name(diagnosis, "bus").outcome is CheckOutcome.SOUND
    clinic.bus_apart = False
    assert by_name(await clinic.diagnose(), "bus").outcome is CheckOutcome.SKIPPED


async def test_a_schema_that_is_missing_leaves_the_store_unlooked_at(clinic: Clinic) -> None:
    clinic.health = msgspec.structs.replace(SOUND, revision=None)
    diagnosis = await clinic.diagnose()
    assert (diagnosis.healthy, diagnosis.unavailable) == (False, False)
    assert by_name(diagnosis, "schema").outcome is CheckOutcome.ERROR
    assert by_name(diagnosis, "leader").outcome is CheckOutcome.SKIPPED


async def test_a_pooler_in_between_is_found_when_the_store_is_opened(clinic: Clinic) -> None:
    clinic.opening = PoolerError()
    diagnosis = await clinic.diagnose()
    (finding,) = by_name(diagnosis, "connection").findings
    assert "transaction pooler" in finding.what
    assert by_name(diagnosis, "leader").outcome is CheckOutcome.SKIPPED


class ClosedElection(AloneElection):
    async def open(self) -> None:
        raise ElectionError("nobody answers at etcd:2379")


async def test_an_election_whose_server_is_away(clinic: Clinic) -> None:
    clinic.election = ClosedElection
    diagnosis = await clinic.diagnose()
    (finding,) = by_name(diagnosis, "election").findings
    assert (finding.what, finding.remedy) == ("nobody answers at etcd:2379", "start its server, or correct election.options")
    assert diagnosis.unavailable


async def test_a_look_that_fails_is_a_finding_and_the_others_go_on(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> Any:
        raise StoreUnavailableError("the connection broke; try again")

    monkeypatch.setattr(clinic.world.store.terms, "current", broken)
    diagnosis = await clinic.diagnose()
    assert by_name(diagnosis, "leader").findings[0].remedy == "try again"
    assert by_name(diagnosis, "steps").outcome is CheckOutcome.SOUND
    assert diagnosis.unavailable


async def test_a_database_that_hangs_is_given_up_on(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs() -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("goconductor.control.doctor.examination.LOOK_SECONDS", 0.05)
    monkeypatch.setattr(clinic.world.store.terms, "current", hangs)
    diagnosis = await clinic.diagnose()
    (finding,) = by_name(diagnosis, "leader").findings
    assert (finding.what, finding.unavailable) == ("the answer did not come within 0.05 s", True)
    assert by_name(diagnosis, "steps").outcome is CheckOutcome.SOUND


async def test_a_store_without_health_is_looked_at_all_the_same(clinic: Clinic) -> None:
    await clinic.lead()
    store = clinic.world.store
    diagnosis = await examine(
        Patient(lambda: store, {"alone": AloneElection}, {"memory": clinic.world.bus}, clock=clinic.world.clock)
    )
    skipped = [check.name for check in diagnosis.checks if check.outcome is CheckOutcome.SKIPPED]
    assert skipped == ["database", "version", "schema", "rights", "commits", "connections", "clock", "transactions", "vacuum"]
    assert diagnosis.healthy


class DeafBus(MemoryBus):
    """Takes everything, delivers nothing."""

    async def send(self, messages: Sequence[Message]) -> None:
        pass


class ClosedBus(MemoryBus):
    async def open(self) -> None:
        raise BusUnavailableError("nobody answers at bus:9092")


class WrongBus(MemoryBus):
    async def open(self) -> None:
        raise ConfigurationError("the password is wrong")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (DeafBus, "the bus 'memory' did not carry a message: it was sent, and did not come back within 0.2 s"),
        (ClosedBus, "the bus 'memory' cannot be reached: nobody answers at bus:9092"),
        (WrongBus, "the bus 'memory' cannot be used: the password is wrong"),
    ],
)
async def test_a_bus_that_carries_nothing(clinic: Clinic, kind: type[MemoryBus], what: str) -> None:
    check = await of_bus(kind(clinic.world.broker), "memory", timeout_seconds=0.2)
    assert [finding.what for finding in check.findings] == [what]
    assert check.findings[0].unavailable


async def test_a_bus_that_cannot_be_made_is_a_finding(clinic: Clinic) -> None:
    def unmade() -> Any:
        raise ConfigurationError("the bus 'memory' has no option 'x'; it has: clock")

    clinic.bus = unmade
    (finding,) = by_name(await clinic.diagnose(), "bus").findings
    assert (finding.what, finding.remedy) == ("the bus 'memory' has no option 'x'", "it has: clock")


async def test_two_doctors_at_once_and_old_letters_do_not_disturb_each_other(clinic: Clinic) -> None:
    bus = clinic.world.bus()
    await bus.open()
    leftovers = (b"not ours", msgspec.json.encode({"doctor": "gone", "sent_at": 0.0}))
    await bus.send([Message(topic=TOPIC, key="k", payload=payload) for payload in leftovers])
    await bus.close()
    checks = await asyncio.gather(*(of_bus(MemoryBus(clinic.world.broker), "memory") for _ in range(2)))
    assert [check.outcome for check in checks] == [CheckOutcome.SOUND, CheckOutcome.SOUND]


def by_name(diagnosis: Diagnosis, name: str) -> Check:
    (found,) = [check for check in diagnosis.checks if check.name == name]
    return found
