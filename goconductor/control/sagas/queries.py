"""What people ask about sagas. One function per request; they read, and change nothing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from goconductor.control.actor import Actor
from goconductor.control.models import (
    History,
    HistoryEntry,
    ParentDetail,
    SagaDetail,
    SagaPage,
    SagaSummary,
    SignalDetail,
    moment,
)
from goconductor.control.sagas import filters
from goconductor.control.sagas.attended import side_of, unattended
from goconductor.control.sagas.children import started_by
from goconductor.control.sagas.restarts import restarted_as, restarted_from
from goconductor.control.sagas.steps import Surroundings, describe
from goconductor.control.wording import in_use
from goconductor.engine.facts.log import View, brought_up
from goconductor.engine.node import Node
from goconductor.engine.running.journals import troubles
from goconductor.engine.steps.limits import limits_of
from goconductor.errors import PayloadError, SagaNotFoundError
from goconductor.lifecycle.facts.signal import Signal
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.grown import in_order
from goconductor.lifecycle.pending_work import wishes_of
from goconductor.lifecycle.requests.allowed import of_saga, of_steps
from goconductor.lifecycle.requests.catalogue import Request
from goconductor.ports.store import Head, Instance, Known, LeaseKey, LogEntry, Page, PermitUse
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.saga.plan import Plan


async def saga_status(actor: Actor, node: Node, saga_id: UUID, known: View | None = None) -> SagaDetail:
    """Return a saga with its steps.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga_id: the saga's id.
        known: what the caller has just seen of it, so that less of its log has to be read.

    Raises:
        SagaNotFoundError: there is no such saga.
        StoreUnavailableError: the database cannot be reached.
    """
    (tail,) = await node.store.log.read([Known(saga_id) if known is None else known.known])
    if tail.head is None:
        raise _not_found(saga_id)
    head, plan = tail.head, await node.definitions.plan(tail.head.saga, tail.head.version)
    view = brought_up(plan, known, saga_id, tail)
    assert view is not None  # noqa: S101  (it has a head)
    state = view.state
    around = await surroundings(node, plan, state)
    around = msgspec.structs.replace(around, started=await started_by(node, plan, state))
    output, problem = _output(plan, state)
    by_step = of_steps(plan, state, unattended(plan, state, around))
    accepted = {*of_saga(plan, state), *itertools.chain.from_iterable(by_step.values())}
    successor = await restarted_as(node, head) if Request.RESTART_AS_NEW in accepted else None
    if successor is not None:
        accepted.remove(Request.RESTART_AS_NEW)
    return SagaDetail(
        saga_id=saga_id,
        saga=head.saga,
        version=head.version,
        status=state.status,
        revision=f"{view.seq}-{view.tag:x}",
        allowed=[request for request in Request if request in accepted],
        late_effects=state.late_effects,
        left_standing=state.left_standing,
        rewinding=[] if state.rewind is None else list(state.rewind.steps),
        deadline_at=None if state.deadline_at is None else moment(state.deadline_at),
        reason=problem or state.reason or (state.pause_reason if state.paused else "") or None,
        started_at=moment(head.started_at),
        updated_at=moment(head.updated_at),
        labels=head.labels,
        parent=None if state.parent is None else ParentDetail(**msgspec.structs.asdict(state.parent)),
        restarted_from=restarted_from(head),
        restarted_as=successor,
        signals=[_signal(signal) for signal in state.signals],
        input=state.input,
        output=output,
        steps=[describe(plan, state, step, around, by_step.get(step, ())) for step in in_order(plan, state.steps)],
    )


async def list_sagas(
    actor: Actor,
    node: Node,
    *,
    saga: str | None = None,
    status: str | Sequence[str] | None = None,
    started_after: datetime | None = None,
    started_before: datetime | None = None,
    updated_after: datetime | None = None,
    updated_before: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    error: str | None = None,
    key: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
    seconds: float = 1.0,
) -> SagaPage:
    """Return sagas, newest first. A search stops after a while; the page then has how far it came, and a cursor to go on.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga: only those of this definition.
        status: only those of this status, or of one of these.
        started_after: only those that started then or later.
        started_before: only those that started earlier.
        updated_after: only those with an event then or later.
        updated_before: only those without an event since.
        labels: only those with all of these.
        error: only those whose history has this text, in any case, in a failure or a reason.
        key: only the one that this start key of the definition has started; with ``saga``, and no other filter.
        cursor: the cursor of the page before, with the same filters.
        limit: greatest number of sagas in the page.
        seconds: approximate time limit of the search.

    Raises:
        RequestInvalidError: a filter or the cursor makes no sense.
        StoreUnavailableError: the database cannot be reached.
    """
    wish = filters.wanted(
        saga=saga,
        status=status,
        started_after=started_after,
        started_before=started_before,
        updated_after=updated_after,
        updated_before=updated_before,
        labels=labels,
        error=error,
    )
    if key is not None:
        filters.check_key(wish, key)
    before = None if cursor is None else filters.read_cursor(wish, cursor)
    if key is None:
        page = await node.store.sagas.heads(wish, before=before, limit=limit, seconds=seconds)
    else:
        page = Page(heads=await _heads_of_key(node, saga or "", key))
    rows = [
        SagaSummary(
            saga_id=head.saga_id,
            saga=head.saga,
            version=head.version,
            status=head.status,
            started_at=moment(head.started_at),
            updated_at=moment(head.updated_at),
            labels=head.labels,
            restarted_from=restarted_from(head),
        )
        for head in page.heads
    ]
    unfinished = page.cursor is not None and len(rows) < limit
    return SagaPage(
        sagas=rows,
        cursor=None if page.cursor is None else filters.cursor_of(wish, page.cursor),
        searched_until=moment((page.cursor.int >> 80) / 1000) if unfinished and page.cursor is not None else None,
    )


async def saga_of_key(actor: Actor, node: Node, saga: str, key: str) -> UUID:
    """Return the saga that a start key has started.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga: the name of its definition.
        key: the key that was given at the start.

    Raises:
        RequestInvalidError: the key is not valid.
        SagaNotFoundError: the key has started no saga.
        StoreUnavailableError: the database cannot be reached.
    """
    filters.check_key(filters.wanted(saga=saga), key)
    heads = await _heads_of_key(node, saga, key)
    if not heads:
        raise SagaNotFoundError(
            f"no saga {saga!a} was started with the key {key!a}; list the sagas, or check which database you are connected to"
        )
    return heads[0].saga_id


async def _heads_of_key(node: Node, saga: str, key: str) -> list[Head]:
    saga_id = await node.store.sagas.started(DEFAULT_NAMESPACE, saga, key)
    head = None if saga_id is None else await node.store.sagas.head(saga_id)
    return [] if head is None else [head]


async def history(actor: Actor, node: Node, saga_id: UUID, *, after: int = 0, limit: int = 1000) -> History:
    """Return the events of a saga, oldest first.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga_id: the saga's id.
        after: only events with a higher seq.
        limit: greatest number of events in the answer.

    Raises:
        SagaNotFoundError: there is no such saga.
        StoreUnavailableError: the database cannot be reached.
    """
    stored = await node.store.sagas.history(saga_id, after=after, limit=limit + 1)
    if not stored and await node.store.sagas.head(saga_id) is None:
        raise _not_found(saga_id)
    entries = [entry_of(stored_entry) for stored_entry in stored[:limit]]
    return History(saga_id=saga_id, entries=entries, after=entries[-1].seq if len(stored) > limit else None)


def entry_of(entry: LogEntry) -> HistoryEntry:
    """Return an event in the form that people see."""
    return HistoryEntry(
        seq=entry.seq,
        at=moment(entry.at),
        event=entry.event,
        step=entry.step or None,
        round=entry.round,
        attempt=entry.attempt if entry.step else None,
        participant=entry.participant,
        data=msgspec.json.decode(entry.data),
    )


LOCKS_LOOKED_AT = 1_000
"""Rows of locks that are read to say who is in a step's way."""


async def surroundings(node: Node, plan: Plan, state: SagaState) -> Surroundings:
    """Return the leases, and the instances that could run what is due; read only for steps that should have one."""
    due = {name: side for name, step in state.steps.items() if (side := side_of(step)) is not None}
    waits = any(wishes_of(state).values()) and not state.status.ended
    locks = await node.store.locks.rows(saga_id=state.saga_id, limit=LOCKS_LOOKED_AT) if waits else []
    if not due or state.status.ended:
        return Surroundings(now=node.clock.now(), locks=locks)
    now = node.clock.now()
    leases = {lease.key: lease for lease in await node.store.recovery.leases([state.saga_id]) if lease.expires_at > now}
    instances: list[Instance] = []
    for participant in sorted({plan.owners_of[side][step][0] for step, side in due.items() if step in plan.owners_of[side]}):
        instances += await node.store.instances.registered(participant)
    leased = {key.step for key in leases}
    gone = {each.serial for each in await node.store.instances.missing()} if any(step not in leased for step in due) else set()
    living = [each for each in instances if each.dead_at is None and each.serial not in gone]
    journals = troubles(living, now)
    return Surroundings(
        now=now,
        leases=leases,
        names={each.serial: each.name for each in instances},
        offered={(each.participant, step) for each in living for step in each.steps},
        living={each.participant for each in living},
        journals=journals,
        blocked=_blocked(living, journals),
        permits=await _permits(node, state, living),
        locks=locks,
    )


async def _permits(node: Node, state: SagaState, living: list[Instance]) -> dict[LeaseKey, str]:
    """Return which work waits for a permit, in words; nothing is read where no step is limited."""
    limits = limits_of(living)
    waiting = await node.store.permits.waiting_of(state.saga_id) if limits else {}
    if not waiting:
        return {}
    uses = {use.step: use for use in await node.store.permits.usage()}
    return {
        key: f"waits for a permit of {step} ({in_use(limits.get(step, ()), uses.get(step, PermitUse(step=step)))})"
        for key, step in waiting.items()
    }


def _blocked(living: list[Instance], journals: dict[tuple[int, str], str]) -> dict[tuple[str, str], str]:
    """Return the steps whose journal no instance that offers them can use, and why."""
    able = {(each.participant, step) for each in living for step in each.steps if (each.serial, step) not in journals}
    offered = {(each.participant, step): each.serial for each in living for step in each.steps}
    return {step: journals[serial, step[1]] for step, serial in offered.items() if step not in able}


def _signal(kept: Signal) -> SignalDetail:
    return SignalDetail(
        id=kept.id,
        name=kept.name,
        payload=kept.payload,
        approves=kept.approves or None,
        by=kept.by,
        reason=kept.reason,
        at=moment(kept.at),
        why=kept.why,
    )


def _not_found(saga_id: UUID) -> SagaNotFoundError:
    return SagaNotFoundError(f"there is no saga {saga_id}; list the sagas, or check which database you are connected to")


def _output(plan: Plan, state: SagaState) -> tuple[Any, str]:
    if state.status not in (SagaStatus.COMPLETED, SagaStatus.HELD):
        return None, ""
    try:
        return plan.output(state.input, state.referable()), ""
    except PayloadError as error:
        return None, f"it completed, but its output cannot be shown: {error}"
