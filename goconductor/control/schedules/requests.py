"""Schedules: make, change, look at, fire by hand. All doors come here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Raw
from msgspec.structs import replace
from pydantic import ValidationError

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import moment
from goconductor.control.sagas.starting import check_names, fitted, key_faults, plan_of, start_fire
from goconductor.control.schedules.documents import FireDetail, ScheduleDetail, ScheduleList, ScheduleSummary, ScheduleWanted
from goconductor.engine.node import Node
from goconductor.engine.work.granted import random_number
from goconductor.errors import RequestRefusedError
from goconductor.ports.store import ScheduleRow
from goconductor.recovery.retention import DAY_SECONDS
from goconductor.redaction import logger_of
from goconductor.saga.data import values
from goconductor.saga.ids import is_name
from goconductor.saga.types.complaints import unfit
from goconductor.saga.types.encoding import to_json_value
from goconductor.schedules.fire_times import FireTimesError, reach_seconds
from goconductor.schedules.schedule import CATCH_UP_MAX, LABEL, Fire, Kept, Progress, Schedule, key_by_hand, read

logger = logger_of("goconductor.control")

NEXT_FIRES = 5
"""Number of coming fires that are shown."""
PAGE_MAX = 200
"""Greatest number of schedules on a page."""
TRIES = 20
"""Greatest number of times that a change is tried, while others change the same schedule."""


class ScheduleNotFoundError(RequestRefusedError):
    """There is no such schedule; list the schedules, or check its name."""


class ScheduleExistsError(RequestRefusedError):
    """There is a schedule of this name; replace it, or choose another name."""


@noted("schedule {name}")
async def create(actor: Actor, node: Node, name: str, wanted: ScheduleWanted, *, sagas_days: float = 0.0) -> ScheduleDetail:
    """Make a schedule. Its first fire is the first time after now.

    Args:
        actor: the actor of the request; kept with the schedule.
        node: the engine.
        name: its name: up to 100 letters, digits, ``_`` and ``-``.
        wanted: what it is to be.
        sagas_days: days for which sagas and their start keys are kept; 0 is for ever.

    Raises:
        RequestInvalidError: it cannot be so; names every place.
        DefinitionNotFoundError: no definition has this name.
        InputRefusedError: the input does not fit the definition's schema.
        PayloadError: the input cannot be kept.
        ScheduleExistsError: there is one of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    if not is_name(name):
        raise RequestInvalidError(
            "the schedule",
            [Fault("name", f"is {name[:100]!a}; use up to 100 letters, digits, '_' and '-', no sign at either end")],
        )
    now = await node.store.terms.database_time()
    schedule, next_at = await _schedule(actor, node, wanted, now, sagas_days)
    kept = Kept(schedule=schedule, progress=Progress(next_at=next_at))
    if not await node.store.schedules.create(_row(actor, name, kept, now)):
        raise ScheduleExistsError(f"there is a schedule {name!r}; replace it, or choose another name")
    logger.info("schedule %r was made (by %s)", name, actor.name or "somebody")
    return await _detail(node, name, kept, now)


@noted("schedule {name}")
async def replace_schedule(
    actor: Actor, node: Node, name: str, wanted: ScheduleWanted, *, sagas_days: float = 0.0
) -> ScheduleDetail:
    """Replace a schedule. What it was to fire before now and has not is left out; its counts and last fires stay.

    Args and errors as of :func:`create`.

    Raises:
        ScheduleNotFoundError: there is none of this name.
    """
    now = await node.store.terms.database_time()
    schedule, next_at = await _schedule(actor, node, wanted, now, sagas_days)

    def changed(kept: Kept) -> Kept:
        return Kept(schedule=schedule, progress=replace(kept.progress, next_at=next_at, waiting_at=None))

    return await _changed(actor, node, name, changed, "replaced", now)


@noted("schedule {name}")
async def pause(actor: Actor, node: Node, name: str) -> ScheduleDetail:
    """Fire nothing from now on. A fire that waits for the end of the saga before is left out.

    Raises:
        ScheduleNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    now = await node.store.terms.database_time()

    def changed(kept: Kept) -> Kept:
        return Kept(schedule=_by(actor, kept, now, paused=True), progress=replace(kept.progress, waiting_at=None))

    return await _changed(actor, node, name, changed, "paused", now)


@noted("schedule {name}")
async def resume(actor: Actor, node: Node, name: str) -> ScheduleDetail:
    """Fire again, from the first time after now: what passed meanwhile is not caught up. One that is not paused stays as it is.

    Raises:
        ScheduleNotFoundError: there is none of this name.
        RequestInvalidError: its zone is not known here any more, or its expression never fires again.
        StoreUnavailableError: the database cannot be reached.
    """
    now = await node.store.terms.database_time()

    def changed(kept: Kept) -> Kept:
        if not kept.schedule.paused:
            return kept
        with_fires = _by(actor, kept, now, paused=False)
        return Kept(schedule=with_fires, progress=replace(kept.progress, next_at=_next(with_fires, now)))

    return await _changed(actor, node, name, changed, "resumed", now)


@noted("schedule {name}")
async def delete(actor: Actor, node: Node, name: str) -> None:
    """Delete a schedule. The sagas that it has started go on.

    Raises:
        ScheduleNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    for _ in range(TRIES):
        row = await _found(actor, node, name)
        if await node.store.schedules.delete(row.namespace, name, tag=row.tag):
            logger.info("schedule %r was deleted (by %s)", name, actor.name or "somebody")
            return
    raise _busy(name)


@noted("schedule {name}")
async def fire(actor: Actor, node: Node, name: str, *, request_id: str | None = None) -> ScheduleDetail:
    """Start its saga now, whatever its overlap, its pause and its times say. The next fire counts it as the one before.

    The answer names the saga. Once it is started that is the answer, also where the schedule is deleted meanwhile.

    Args:
        actor: the actor of the request; noted with the fire.
        node: the engine.
        name: the schedule's name.
        request_id: 1 to 255 printable ASCII characters. Asked again with the same id, the saga that it has started is found.

    Raises:
        RequestInvalidError: the request's id cannot be one.
        ScheduleNotFoundError: there is none of this name.
        DefinitionNotFoundError, InputRefusedError, PayloadError: its saga cannot be started any more.
        StoreUnavailableError: the database cannot be reached; the saga may have been started: look before you fire again, or
            repeat it with its ``request_id``.
    """
    if request_id is not None and (faults := key_faults("request_id", request_id)):
        raise RequestInvalidError("the request", faults)
    row = await _found(actor, node, name)
    found = read(row.body)
    schedule = found.schedule
    now = await node.store.terms.database_time()
    saga_id = await start_fire(
        node,
        schedule.saga,
        values.decode(bytes(schedule.input)),
        key=key_by_hand(name, f"{random_number():x}" if request_id is None else request_id),
        labels=schedule.labels | {LABEL: name},
    )

    def changed(kept: Kept) -> Kept:
        if any(fire.saga_id == saga_id for fire in kept.progress.fires):
            return kept  # the request came again
        return replace(kept, progress=kept.progress.noted(Fire(at=now, saga_id=saga_id, by=actor.name or "somebody")))

    try:
        detail = await _changed(actor, node, name, changed, "fired by hand", now)
    except RequestRefusedError as error:  # deleted meanwhile, or busy: whoever is told so would fire again
        logger.warning("schedule %r has started saga %s, which is not noted with it: %s", name, saga_id, error)
        detail = await _detail(node, name, changed(found), now)
    return detail.model_copy(update={"saga_id": saga_id})


async def schedule_detail(actor: Actor, node: Node, name: str) -> ScheduleDetail:
    """Return one schedule: its next fires, its last ones, and what became of them.

    Raises:
        ScheduleNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    row = await _found(actor, node, name)
    return await _detail(node, name, read(row.body), await node.store.terms.database_time())


async def list_schedules(actor: Actor, node: Node, *, after: str = "", limit: int = 50) -> ScheduleList:
    """Return schedules in the order of their names.

    Args:
        actor: the actor of the request.
        node: the engine.
        after: only names behind this one, from the page before.
        limit: greatest number of schedules in the page, up to 200.

    Raises:
        RequestInvalidError: there is no such page.
        StoreUnavailableError: the database cannot be reached.
    """
    if not 1 <= limit <= PAGE_MAX:
        raise RequestInvalidError("the request", [Fault("limit", f"is {limit}; give 1 to {PAGE_MAX}")])
    if after and not is_name(after):
        raise RequestInvalidError("the request", [Fault("after", "is no name of a schedule; give that of the page before")])
    rows = await node.store.schedules.page(actor.namespace, after=after, limit=limit + 1)
    shown = {row.name: read(row.body) for row in rows[:limit]}
    fires = await _shown(node, [fire for kept in shown.values() for fire in kept.progress.fires[-1:]])
    found = [_summary(name, kept, fires.pop(0) if kept.progress.fires else None) for name, kept in shown.items()]
    return ScheduleList(schedules=found, after=found[-1].name if len(rows) > limit else None)


def wanted_of(facts: Mapping[str, Any]) -> ScheduleWanted:
    """Make the document of a request from arguments in Python or of a command.

    Raises:
        RequestInvalidError: an argument is of a wrong type.
        PayloadError: the input cannot be kept.
    """
    try:
        return ScheduleWanted(**{**facts, "input": to_json_value(facts.get("input"))})
    except ValidationError as error:
        found = [Fault(".".join(map(str, each["loc"])), unfit(each)) for each in error.errors(include_url=False)]
        raise RequestInvalidError("the schedule", found) from None


async def _schedule(actor: Actor, node: Node, wanted: ScheduleWanted, now: float, sagas_days: float) -> tuple[Schedule, float]:
    """Check everything that can be checked now. Return the schedule and its first fire."""
    found = []
    if (wanted.cron is None) is (wanted.every_seconds is None):
        found.append(Fault("cron", "or every_seconds is wanted, one of the two"))
    elif wanted.cron is not None and wanted.time_zone is None:
        found.append(Fault("time_zone", "is missing; give the zone in which the expression is meant, such as 'Europe/Berlin'"))
    elif wanted.cron is None and wanted.time_zone is not None:
        found.append(Fault("time_zone", "is for cron; leave it out, an interval is counted in UTC"))
    if not 0 <= wanted.catch_up <= CATCH_UP_MAX:
        found.append(Fault("catch_up", f"is {wanted.catch_up}; give 0 to {CATCH_UP_MAX}"))
    if found:
        raise RequestInvalidError("the schedule", found)
    check_names(None, wanted.labels)
    values.check_value(wanted.input)
    schedule = Schedule(
        saga=wanted.saga,
        input=Raw(values.written(wanted.input, bytes_max=node.payload_bytes_max)),
        cron=wanted.cron,
        time_zone="UTC" if wanted.time_zone is None else wanted.time_zone,
        every_seconds=wanted.every_seconds,
        overlap=wanted.overlap,
        catch_up=wanted.catch_up,
        paused=wanted.paused,
        labels=wanted.labels,
        changed_at=now,
        changed_by=actor.name,
    )
    next_at = _next(schedule, now)
    kept_seconds = sagas_days * DAY_SECONDS
    reach = reach_seconds(schedule.fire_times, now, schedule.catch_up, kept_seconds) if sagas_days else 0.0
    if sagas_days and reach >= kept_seconds:
        problem = (
            f"reaches at least {reach / DAY_SECONDS:.1f} days back, and retention keeps the keys by which a fire is not started "
            f"twice for {sagas_days:g} days only; catch up fewer, or raise retention.sagas_days"
        )
        raise RequestInvalidError("the schedule", [Fault("catch_up", problem)])
    fitted(await plan_of(node, wanted.saga), wanted.input)
    return schedule, next_at


def _next(schedule: Schedule, now: float) -> float:
    try:
        return schedule.fire_times.after(now)
    except FireTimesError as error:
        raise RequestInvalidError("the schedule", [Fault(error.field, error.problem)]) from None


def _by(actor: Actor, kept: Kept, now: float, *, paused: bool) -> Schedule:
    return replace(kept.schedule, paused=paused, changed_at=now, changed_by=actor.name)


def _row(actor: Actor, name: str, kept: Kept, now: float) -> ScheduleRow:
    return ScheduleRow(namespace=actor.namespace, name=name, tag=random_number(), look_at=kept.look_at(now), body=kept.written())


async def _found(actor: Actor, node: Node, name: str) -> ScheduleRow:
    row = await node.store.schedules.get(actor.namespace, name) if is_name(name) else None
    if row is None:
        raise ScheduleNotFoundError(f"there is no schedule {name[:100]!a}; list the schedules, or check its name")
    return row


async def _changed(actor: Actor, node: Node, name: str, change: Callable[[Kept], Kept], what: str, now: float) -> ScheduleDetail:
    """Change a schedule as it is now; where somebody else was first, change what that one has made of it."""
    for _ in range(TRIES):
        row = await _found(actor, node, name)
        kept = change(read(row.body))
        if await node.store.schedules.replace(_row(actor, name, kept, now), tag=row.tag):
            logger.info("schedule %r was %s (by %s)", name, what, actor.name or "somebody")
            return await _detail(node, name, kept, now)
    raise _busy(name)


def _busy(name: str) -> RequestRefusedError:
    return RequestRefusedError(f"schedule {name!r} is being changed again and again; try again, or pause it first")


def _summary(name: str, kept: Kept, last: FireDetail | None) -> ScheduleSummary:
    schedule, progress = kept.schedule, kept.progress
    return ScheduleSummary(
        name=name,
        saga=schedule.saga,
        fires=_words(schedule),
        overlap=schedule.overlap,
        paused=schedule.paused,
        next_at=None if schedule.paused else moment(progress.next_at),
        last=last,
    )


def _words(schedule: Schedule) -> str:
    try:
        return schedule.fire_times.describe()
    except FireTimesError as error:
        return str(error)


async def _detail(node: Node, name: str, kept: Kept, now: float) -> ScheduleDetail:
    schedule, progress = kept.schedule, kept.progress
    fires = await _shown(node, progress.fires[::-1])
    summary = _summary(name, kept, fires[0] if fires else None)
    return ScheduleDetail(
        **dict(summary),
        input=values.decode(bytes(schedule.input)),
        cron=schedule.cron,
        time_zone=schedule.time_zone if schedule.cron is not None else None,
        every_seconds=schedule.every_seconds,
        catch_up=schedule.catch_up,
        labels=schedule.labels,
        changed_at=moment(schedule.changed_at),
        changed_by=schedule.changed_by,
        next_fires=[] if schedule.paused else [moment(at) for at in _next_fires(kept)],
        waiting_at=None if progress.waiting_at is None else moment(progress.waiting_at),
        started=progress.started,
        skipped=progress.skipped,
        missed=progress.missed,
        refused=progress.refused,
        last_fires=fires,
    )


def _next_fires(kept: Kept) -> list[float]:
    found = [kept.progress.next_at]
    try:
        while len(found) < NEXT_FIRES:
            found.append(kept.schedule.fire_times.after(found[-1]))
    except FireTimesError:
        pass  # its words say so
    return found


async def _shown(node: Node, fires: Sequence[Fire]) -> list[FireDetail]:
    """Return fires with what became of their sagas, which is read at once for all."""
    statuses = await node.store.sagas.statuses([fire.saga_id for fire in fires if fire.saga_id is not None])

    def status(fire: Fire) -> str:
        return "refused" if fire.saga_id is None else statuses.get(fire.saga_id, "gone")

    return [
        FireDetail(at=moment(fire.at), saga_id=fire.saga_id, status=status(fire), problem=fire.problem, by=fire.by)
        for fire in fires
    ]
