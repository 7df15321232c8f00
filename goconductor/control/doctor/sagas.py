"""Checks of the log, the instances and the leader. Each check reads a bounded number of sagas."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from goconductor.control.doctor.findings import Check, Finding, error, split_remedy, warning
from goconductor.control.wording import spell, together
from goconductor.engine.facts import log
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import UnreadableLogError
from goconductor.engine.running.journals import believed, troubles
from goconductor.errors import DefinitionError, GoConductorError, RequestRefusedError, StoreError
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, Settle
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.pending_work import pending_work
from goconductor.ports.clock import Clock
from goconductor.ports.store import Head, Instance, Known, Store, Sweep, Tail, Wanted
from goconductor.ports.store.leading.choices import OUTBOX
from goconductor.saga.plan import Plan

SAGAS_MAX = 200
"""Live sagas that are folded and checked against the invariants: the oldest."""
LISTED_MAX = 100
"""Number of rows that are read for a check."""
SEARCH_SECONDS = 8.0
"""Seconds for the search of stuck sagas: there is no index of them, and there may be millions of others."""
SHOWN_MAX = 5
"""Number of names that a finding lists."""
OVERDUE_WARNING_SECONDS = 10.0
"""Seconds behind its time from which a due saga is a warning."""
OVERDUE_ERROR_SECONDS = 120.0
"""Seconds behind its time from which it is an error."""
AGAIN_SECONDS = 0.6
"""Seconds before the instances are read a second time."""
UNCHAINED_ERROR_SECONDS = 120.0
"""Seconds after which a row of the audit log without a place in its chain is a finding."""
SWEEP_ERROR_SECONDS = 60.0
"""Seconds without a report of the leader's sweep, which comes every few seconds, after which it is an error."""


class Folded(NamedTuple):
    """A live saga, folded, with its head as it was in the same look."""

    plan: Plan
    state: SagaState
    head: Head


async def of_letters(store: Store) -> Check:
    """Dead letters that wait for somebody."""
    letters = await store.dead_letters.newest(limit=LISTED_MAX)
    findings = []
    if letters:
        reasons = together(list(dict.fromkeys(letter.reason[:80] for letter in letters))[:3])
        findings.append(
            warning(
                f"{_count(len(letters))} dead letters wait, the newest: {reasons}",
                "look at them with `goconductor dead-letters list`; redrive what can be read by now, drop the rest",
            )
        )
    return Check.of("dead letters", findings, saw="none")


async def of_leader(store: Store, now: float) -> Check:
    """Check whether a process leads, and sweeps."""
    term, sweep = await store.terms.current(), await store.recovery.last_sweep()
    findings: list[Finding] = []
    remedy = "run at least one participant or `goconductor serve`; without a leader nothing is recovered"
    if term is None or not term.epoch:
        findings.append(error("nobody has ever led", remedy))
    elif term.ends_at < now:
        findings.append(error(f"nobody leads: the term of {term.holder} ended {spell(now - term.ends_at)} ago", remedy))
    elif sweep is not None and sweep.epoch == term.epoch and now - sweep.at > SWEEP_ERROR_SECONDS:
        findings.append(
            error(
                f"{term.holder} leads, but its last sweep was {spell(now - sweep.at)} ago",
                f"look at the log of {term.holder}, and restart it: another one takes over at once",
            )
        )
    saw = f"{term.holder} leads in epoch {term.epoch}, {_swept(sweep, now)}" if term and not findings else ""
    return Check.of("leader", findings, saw=saw)


def _swept(sweep: Sweep | None, now: float) -> str:
    return (
        "its first sweep is not noted yet" if sweep is None else f"its last sweep was noted {spell(max(0.0, now - sweep.at))} ago"
    )


async def of_audit(store: Store, now: float) -> Check:
    """Check whether the leader chains the audit log."""
    oldest, head = await store.audit.unplaced(limit=1), await store.audit.head()
    late = now - oldest[0].at if oldest else 0.0
    findings = []
    if late > UNCHAINED_ERROR_SECONDS:
        findings.append(
            error(
                f"a row of the audit log has not been chained for {spell(late)}",
                "see that somebody leads, by `goconductor leader`, that the leader is of this version, and its log",
            )
        )
    return Check.of("audit log", findings, saw=f"{head.seq} rows are chained" if head else "nothing is chained yet")


async def of_instances(store: Store, clock: Clock) -> tuple[Check, list[Instance]]:
    """Check whether dead instances were noticed; return the living ones as well."""
    instances = [each for each in await store.instances.registered() if each.dead_at is None]
    missing = {each.serial: each for each in await store.instances.missing()}
    if missing:
        await clock.sleep(AGAIN_SECONDS)  # asked twice, as the leader does; it buries in the meantime
        again = {each.serial for each in await store.instances.missing()}
        missing = {serial: each for serial, each in missing.items() if serial in again}
    living = [each for each in instances if each.serial not in missing]
    findings = []
    if missing:
        names = together([each.name for each in missing.values()][:SHOWN_MAX])
        findings.append(
            error(
                f"{_count(len(missing))} instances are dead and nobody has noticed: {names}",
                "see that a leader sweeps (the check 'leader'); it takes over what they held within a second",
            )
        )
    kinds = sorted({each.participant for each in living})
    return Check.of("instances", findings, saw=f"{len(living)} living: {together(kinds) if kinds else 'none'}"), living


def of_journals(living: list[Instance], now: float) -> Check:
    """Check whether living instances can use the journals of their steps."""
    steps: dict[tuple[str, str], dict[str, set[int]]] = {}
    names = {each.serial: each.participant for each in living}
    for (serial, step), problem in troubles(living, now).items():
        steps.setdefault((names[serial], problem), {}).setdefault(step, set()).add(serial)
    findings = []
    for (participant, problem), found in steps.items():
        what, remedy = split_remedy(problem, "look at the database of that service")
        count = len(set[int]().union(*found.values()))
        who = f"{count} living instance{'s' if count > 1 else ''} of {participant!a}"
        findings.append(error(f"{who} cannot use the journal of {together(sorted(found)[:SHOWN_MAX])}: {what}", remedy))
    return Check.of("journals", findings, saw="no process reports one that cannot be used")


def of_outboxes(living: list[Instance], now: float) -> Check:
    """Check what living instances report of the outboxes that they read."""
    problems: dict[tuple[str, str], str] = {}
    count = 0
    for instance, report in believed(living, OUTBOX, now):
        count += 1
        if report.problem:
            problems[instance.participant, report.names[0]] = report.problem
    remedy = "see outbox.kept(), mend what the reasons name, and call outbox.retry()"
    findings = []
    for (participant, where), problem in sorted(problems.items()):
        what, cure = split_remedy(problem, remedy)
        findings.append(error(f"the outbox {where} of {participant!a}: {what}", cure))
    return Check.of("outboxes", findings, saw=f"{_count(count)} are read, and none has a row that cannot be started")


async def of_leases(store: Store, now: float) -> Check:
    """Check the leases: what runs and where, and whether a crash of the database has emptied them without a leader's notice."""
    findings = []
    if await store.recovery.leases_truncated():
        findings.append(
            warning(
                "the lease table was emptied by a crash of the database, and no leader has acknowledged it",
                "see that a leader sweeps; for one lease's life it judges nobody, then goes on by itself",
            )
        )
    held = {
        instance.name: presence.leases for instance, presence in await store.instances.presence(dead_since=now) if presence.leases
    }
    most = sorted(held.items(), key=lambda pair: -pair[1])[:SHOWN_MAX]
    by = f", most of {together([f'{name} ({count})' for name, count in most])}" if most else ""
    return Check.of("leases", findings, saw=f"{sum(held.values())} steps run under them{by}; none were lost in a crash")


async def of_overdue(store: Store, now: float) -> Check:
    """Check whether sagas wait longer for a look than they should."""
    due = await store.recovery.due(LISTED_MAX)
    findings: list[Finding] = []
    oldest = due[0] if due else None
    if oldest is not None and oldest.wake_at is not None and (late := now - oldest.wake_at) > OVERDUE_WARNING_SECONDS:
        found = error if late > OVERDUE_ERROR_SECONDS else warning
        findings.append(
            found(
                f"{_count(len(due))} sagas should have been looked at, the oldest, {oldest.saga_id}, {spell(late)} ago",
                "see that a leader sweeps, and its log; raise recovery.batch if it cannot keep up",
            )
        )
    return Check.of("overdue sagas", findings, saw=f"{_count(len(due))} due, none for long")


async def of_stuck(store: Store) -> Check:
    """Look for sagas that wait for an operator."""
    page = await store.sagas.heads(Wanted(statuses=("stuck",)), limit=LISTED_MAX, seconds=SEARCH_SECONDS)
    findings = []
    if page.heads:
        ids = together([str(head.saga_id) for head in page.heads[:SHOWN_MAX]])
        findings.append(
            warning(
                f"{_count(len(page.heads))} sagas are stuck, the newest: {ids}",
                "list them with `goconductor saga list --status stuck`, look with `saga story`, then retry, skip or declare",
            )
        )
    return Check.of("stuck sagas", findings, saw="none")


async def of_live_sagas(store: Store, living: list[Instance]) -> AsyncIterator[Check]:
    """Folds live sagas; checks the invariants, and whether an instance could run what they wait for."""
    folded: list[Folded] = []
    unreadable: list[Finding] = []
    definitions = Definitions(store.definitions)
    heads = await store.recovery.live(SAGAS_MAX)
    for tail in await store.log.read([Known(head.saga_id) for head in heads]):
        try:
            if tail.head is not None:
                folded.append(await _fold(definitions, tail))
        except (UnreadableLogError, DefinitionError, RequestRefusedError) as problem:
            unreadable.append(
                warning(f"saga {_id(tail)} cannot be read by this version: {problem}", "let a newer instance go on with it")
            )
        except GoConductorError as problem:
            unreadable.append(
                error(
                    f"the log of saga {_id(tail)} is damaged: {problem}",
                    "keep `goconductor saga story`'s output, report it, and terminate the saga with a reason",
                )
            )
    findings = [*unreadable, *(found for each in folded for found in _unsound(each))]
    yield Check.of("invariants", findings, saw=f"{len(folded)} live sagas are as they should be")
    offered = {(each.participant, step) for each in living for step in each.steps}
    yield Check.of("steps", _unserved(folded, offered), saw=f"somebody lives for all that {len(folded)} live sagas wait for")


async def _fold(definitions: Definitions, tail: Tail) -> Folded:
    head = tail.head
    assert head is not None  # noqa: S101  (was asked)
    plan = await definitions.plan(head.saga, head.version)
    view = log.brought_up(plan, None, head.saga_id, tail)
    assert view is not None  # noqa: S101  (it has a head)
    last = tail.entries[-1].seq if tail.entries else 0
    if last != head.seq:
        raise StoreError(f"its head is at seq {head.seq}, its log ends at {last}")
    return Folded(plan, view.state, head)


def _unsound(folded: Folded) -> Iterator[Finding]:
    plan, state, head = folded
    wrong = list(violations(plan, state))
    if state.status != head.status:
        wrong.append(f"its head has {head.status}, its log {state.status}")
    for problem in wrong:
        yield error(
            f"saga {head.saga_id} ({plan.name}): {problem}",
            "this is a bug of goconductor: report it with `goconductor saga story --json`, and pause the saga until then",
        )


def _unserved(folded: list[Folded], offered: set[tuple[str, str]]) -> Iterator[Finding]:
    waiting: dict[tuple[str, str], list[str]] = {}
    for plan, state, head in folded:
        for work in pending_work(state.steps):
            if isinstance(work, RunAction | RunCompensation | Settle) and not state.paused:
                owner = plan.owners_of[work.direction].get(work.step)  # none of a saga that a step has started
                if owner is not None and owner not in offered:
                    waiting.setdefault(owner, []).append(str(head.saga_id))
    for (participant, step), sagas in sorted(waiting.items()):
        yield error(
            f"no living instance of {participant!a} offers step {step!a}, and {_count(len(sagas))} sagas wait for it, "
            f"such as {sagas[0]}",
            f"start an instance of {participant!a} that has this step",
        )


def _id(tail: Tail) -> str:
    return str(tail.head.saga_id) if tail.head is not None else "?"


def _count(number: int) -> str:
    return f"{number} or more" if number >= LISTED_MAX else str(number)
