"""What a process does while it leads, or would: it campaigns, and has the leader's duties at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.control.sagas.starting import start_fire
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.errors import PluginNotFoundError
from goconductor.leaves import chosen_election, makes_of_buses
from goconductor.observe.leader import LeaderMetrics
from goconductor.observe.metrics import Metrics
from goconductor.recovery.beside import beside
from goconductor.recovery.chaining import Chaining
from goconductor.recovery.feed.cloud_events import Wish
from goconductor.recovery.feed.following import Following
from goconductor.recovery.feed.publishing import Publishing
from goconductor.recovery.leadership import Leadership
from goconductor.recovery.retention import Retaining
from goconductor.recovery.scheduling import Scheduling
from goconductor.recovery.sweep import Sweeper
from goconductor.recovery.vacuum_watch import VacuumWatch
from goconductor.switchover.bus import SwitchableBus
from goconductor.webhooks.queueing import Queueing

if TYPE_CHECKING:
    from goconductor.webhooks.sending import Sending


@asynccontextmanager
async def recovering(settings: Settings, node: Node, metrics: Metrics, wanted: Callable[[], bool]) -> AsyncIterator[None]:
    """Enter a context in which this process takes part in the election, and leads when it is elected.

    Args:
        settings: the loaded settings.
        node: the engine of this process, open.
        metrics: gets what the leader measures.
        wanted: answers whether anybody measures.
    """
    recovery = settings.recovery
    bus = node.bus
    unfit = (lambda: bus.left_behind) if isinstance(bus, SwitchableBus) else bool
    election = chosen_election(settings, node.store, lambda: node.instance.serial, node.clock, unfit=unfit)
    sweeper = Sweeper(
        node,
        interval_seconds=recovery.sweep_interval_seconds,
        lease_seconds=settings.participant.lease_seconds,
        batch=recovery.batch,
    )
    publishing, sending = _publishing(settings, node), _sending(settings, node)
    queueing = None if sending is None else Queueing(node, on_queued=sending.wake)
    leader_metrics = metrics.leader = LeaderMetrics(
        node,
        wanted=wanted,
        waiting=sweeper.resent.waiting,
        unpublished=lambda: None if publishing is None else publishing.lag,
        webhooks=lambda: None if sending is None else sending.queues,
    )
    following = [each for each in (publishing, queueing) if each is not None]
    leadership = Leadership(
        election,
        candidate=node.name,
        lead=election.while_chosen(
            beside(
                sweeper.lead,
                Retaining(node, **settings.retention.model_dump(), told=partial(_reached, following)).keep,
                VacuumWatch(node).watch,
                Chaining(node).keep,
                Scheduling(node, partial(start_fire, node), sagas_days=settings.retention.sagas_days).fire,
                *([] if publishing is None else [publishing.publish]),
                *([] if queueing is None else [queueing.follow]),
                *([] if sending is None else [sending.send]),
            )
        ),
        clock=node.clock,
        term_seconds=recovery.term_seconds,
        on_change=leader_metrics.on_term,
    )
    await leadership.open()
    running = create_guarded_task(leadership.run(), name="leadership")
    try:
        yield
    finally:
        await end(running)
        await leader_metrics.close()
        await election.close()


def _publishing(settings: Settings, node: Node) -> Publishing | None:
    events = settings.events
    if events.topic is None:
        return None
    bus = None if events.bus is None else makes_of_buses(settings)[events.bus]
    return Publishing(node, events.topic, Wish(events.types, bodies=events.bodies), bus=bus)


def _sending(settings: Settings, node: Node) -> Sending | None:
    webhooks = settings.webhooks
    if not webhooks.enabled:
        return None
    try:
        from goconductor.webhooks.posting import Posting  # noqa: PLC0415  (needs the extra 'system')
        from goconductor.webhooks.sending import Pace, Sending  # noqa: PLC0415
    except ImportError as error:
        problem = f"webhooks need a library that is not installed ({error.name}): pip install 'goconductor[system]'"
        raise PluginNotFoundError(problem) from None
    posting = Posting(webhooks.rules, timeout_seconds=webhooks.timeout_seconds)
    return Sending(node, posting.post, Pace(webhooks.concurrency, webhooks.pauses_seconds, webhooks.kept_days))


async def _reached(following: Sequence[Following]) -> float | None:
    """Return a moment before which all who follow the events have had them; None where nobody does."""
    reached = [await each.reached() for each in following]
    return min((each for each in reached if each is not None), default=None)
