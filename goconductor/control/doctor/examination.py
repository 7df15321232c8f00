"""The order in which the doctor looks, and what is left out when something more basic is broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from goconductor.builds import build
from goconductor.control.doctor import database, sagas
from goconductor.control.doctor.build import of_build
from goconductor.control.doctor.bus import of_bus
from goconductor.control.doctor.choices import of_choices
from goconductor.control.doctor.failovers import of_failovers
from goconductor.control.doctor.findings import Check, CheckOutcome, Diagnosis, Finding, error, split_remedy
from goconductor.control.doctor.leading.events import of_events
from goconductor.control.doctor.leading.schedules import of_schedules
from goconductor.control.doctor.leading.webhooks import of_webhooks
from goconductor.control.doctor.limits import of_limits
from goconductor.control.doctor.locks import of_locks
from goconductor.engine.facts.clock import SystemClock
from goconductor.errors import (
    ConfigurationError,
    ElectionError,
    GoConductorError,
    PluginNotFoundError,
    PoolerError,
    StoreUnavailableError,
)
from goconductor.ports.bus import Bus
from goconductor.ports.clock import Clock
from goconductor.ports.election import Election
from goconductor.ports.health import StoreHealth
from goconductor.ports.store import Instance, Store, Terms
from goconductor.ports.store.leading.choices import BUS, ELECTION

LOOK_SECONDS = 15.0
"""Time limit of each part, in seconds."""
OF_HEALTH = ("version", "schema", "rights", "commits", "connections", "clock", "transactions", "vacuum")
OF_STORE = (
    "connection",
    "election",
    "leader",
    "instances",
    "journals",
    "outboxes",
    "limits",
    "choices",
    "leases",
    "locks",
    "failovers",
    "overdue sagas",
    "stuck sagas",
    "dead letters",
    "schedules",
    "events",
    "webhooks",
    "audit log",
    "invariants",
    "steps",
)


@dataclass(frozen=True)
class Patient:
    """What is looked at: leaves that are not open, made when their turn comes, since making one may fail as well.

    Args:
        store: makes the store.
        elections: makes each election that the settings name, with the open store.
        buses: makes each bus that they name, their own first.
        bus_apart: whether that one is elsewhere than the store's database; if not, and that is away, it is not asked.
        clock: the time.
        publishes: whether the leader is to publish events.
        sends: whether it is to send to webhooks.
    """

    store: Callable[[], Store]
    elections: Mapping[str, Callable[[Terms], Election]]
    buses: Mapping[str, Callable[[], Bus]]
    bus_apart: bool = True
    clock: Clock = field(default_factory=SystemClock)
    publishes: bool = False
    sends: bool = False


async def examine(patient: Patient, *, on_check: Callable[[Check], None] = lambda _: None) -> Diagnosis:
    """Check everything.

    Args:
        patient: the store, the bus and the election to check.
        on_check: called with each check as it is made.
    """
    checks = []
    async for check in _all(patient):
        checks.append(check)
        on_check(check)
    return Diagnosis.of(checks)


async def _all(patient: Patient) -> AsyncIterator[Check]:
    yield Check.of("settings", saw="they can be used")
    yield of_build(build())
    store, checks = await _database(patient)
    for check in checks:
        yield check
    away = any(finding.unavailable for check in checks for finding in check.findings)
    if not patient.bus_apart and (away or store is None):
        yield Check.skipped("bus", "it is in the same database, which cannot be used yet")
    else:
        yield await _bus(patient)
    if store is None:
        for name in OF_STORE:
            yield Check.skipped(name, "the database cannot be used")
        return
    try:
        opened = await _opened(store)
        yield opened
        if opened.findings:
            for name in OF_STORE[1:]:
                yield Check.skipped(name, "the store cannot be opened")
        else:
            yield await _election(patient, store)
            async for check in _store(store, patient):
                yield check
    finally:
        await store.close()


async def _database(patient: Patient) -> tuple[Store | None, list[Check]]:
    """Return the store, if it can be used as far as its database shows."""
    try:
        store = patient.store()
        examine_store: Callable[..., Awaitable[StoreHealth]] | None = getattr(store, "examine", None)
        if examine_store is None:
            return store, [Check.skipped(name, "this store has no health") for name in ("database", *OF_HEALTH)]
        async with asyncio.timeout(LOOK_SECONDS):
            health = await examine_store(older_than_seconds=database.PINNED_WARNING_SECONDS)
    except (GoConductorError, TimeoutError) as problem:
        skipped = [Check.skipped(name, "the database cannot be asked") for name in OF_HEALTH]
        return None, [Check.of("database", [_finding_of(problem)]), *skipped]
    usable = health.revision == health.revision_needed and not health.read_only
    return (store if usable else None), [Check.of("database", saw=health.where), *database.of_health(health)]


async def _bus(patient: Patient) -> Check:
    checks = []
    for number, (name, make) in enumerate(patient.buses.items()):
        setting = f"bus.others.{name}" if number else "bus"
        try:
            checks.append(await of_bus(make(), name, setting=setting))
        except GoConductorError as problem:
            checks.append(Check.of("bus", [_finding_of(problem)]))
    findings = [finding for check in checks for finding in check.findings]
    saw = "; ".join(check.saw for check in checks if check.saw)
    if checks and all(check.outcome is CheckOutcome.SKIPPED for check in checks):
        return Check.skipped("bus", saw)
    return Check.of("bus", findings, saw=saw)


async def _opened(store: Store) -> Check:
    """Opening shows what health do not: a pooler, whose sessions are not ours alone."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await store.open()
    except (GoConductorError, TimeoutError) as problem:
        return Check.of("connection", [_finding_of(problem)])
    return Check.of("connection", saw="each session is ours alone, no transaction pooler in between")


async def _election(patient: Patient, store: Store) -> Check:
    """Check whether this process could be a candidate; it does not campaign."""
    findings = []
    for make in patient.elections.values():
        try:
            election = make(store.terms)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await election.open()
            finally:
                await election.close()
        except (GoConductorError, TimeoutError) as problem:
            findings.append(_finding_of(problem))
    return Check.of("election", findings, saw="it can be reached")


async def _store(store: Store, patient: Patient) -> AsyncIterator[Check]:
    now, clock = await store.terms.database_time(), patient.clock
    clock.observe(now)
    living: list[Instance] = []
    named = {BUS: list(patient.buses), ELECTION: list(patient.elections)}

    async def instances() -> list[Check]:
        check, found = await sagas.of_instances(store, clock)
        living.extend(found)
        return [check]

    async def live_sagas() -> list[Check]:
        return [check async for check in sagas.of_live_sagas(store, living)]

    async def journals() -> list[Check]:
        return [sagas.of_journals(living, now)]

    async def outboxes() -> list[Check]:
        return [sagas.of_outboxes(living, now)]

    async def one(check: Awaitable[Check]) -> list[Check]:
        return [await check]

    looks: list[tuple[tuple[str, ...], Callable[[], Awaitable[list[Check]]]]] = [
        (("leader",), lambda: one(sagas.of_leader(store, now))),
        (("instances",), instances),
        (("journals",), journals),
        (("outboxes",), outboxes),
        (("limits",), lambda: one(of_limits(store, living))),
        (("choices",), lambda: one(of_choices(store, named))),
        (("leases",), lambda: one(sagas.of_leases(store, now))),
        (("locks",), lambda: one(of_locks(store, now))),
        (("failovers",), lambda: one(of_failovers(store, now))),
        (("overdue sagas",), lambda: one(sagas.of_overdue(store, now))),
        (("stuck sagas",), lambda: one(sagas.of_stuck(store))),
        (("dead letters",), lambda: one(sagas.of_letters(store))),
        (("schedules",), lambda: one(of_schedules(store, now))),
        (("events",), lambda: one(of_events(store, published=patient.publishes))),
        (("webhooks",), lambda: one(of_webhooks(store, now, sent=patient.sends))),
        (("audit log",), lambda: one(sagas.of_audit(store, now))),
        (("invariants", "steps"), live_sagas),
    ]
    for names, look in looks:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                checks = await look()
        except (GoConductorError, TimeoutError) as problem:
            checks = [Check.of(name, [_finding_of(problem)]) for name in names]
        for check in checks:
            yield check


def _finding_of(problem: GoConductorError | TimeoutError) -> Finding:
    """Return an error as a finding."""
    if isinstance(problem, TimeoutError):
        what = f"the answer did not come within {LOOK_SECONDS:g} s"
        return error(what, "look at the database's load and locks, and run the doctor again", unavailable=True)
    if isinstance(problem, PoolerError):
        return error(
            "a transaction pooler stands between goconductor and PostgreSQL",
            "let database.url name the server itself, or a pool that keeps a session for each client",
        )
    away = isinstance(problem, StoreUnavailableError | ElectionError)
    return error(
        *split_remedy(str(problem), _REMEDIES.get(type(problem), "look at its log, then run the doctor again")), unavailable=away
    )


_REMEDIES: dict[type[GoConductorError], str] = {
    StoreUnavailableError: "start PostgreSQL, or correct database.url and what lies in between: name resolution, firewall",
    ConfigurationError: "correct the setting; `goconductor config explain` shows what it may be",
    PluginNotFoundError: "install it",
    ElectionError: "start its server, or correct election.options",
}
