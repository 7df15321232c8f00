"""What a process does while it leads, or would: it campaigns, and has the leader's duties at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.control.sagas.starting import start_fire
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.leaves import chosen_election, makes_of_buses
from goconductor.observe.leader import LeaderMetrics
from goconductor.observe.metrics import Metrics
from goconductor.recovery.beside import beside
from goconductor.recovery.chaining import Chaining
from goconductor.recovery.feed.cloud_events import Wish
from goconductor.recovery.feed.publishing import Publishing
from goconductor.recovery.leadership import Leadership
from goconductor.recovery.retention import Retaining
from goconductor.recovery.scheduling import Scheduling
from goconductor.recovery.sweep import Sweeper
from goconductor.recovery.vacuum_watch import VacuumWatch
from goconductor.switchover.bus import SwitchableBus


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
    publishing = _publishing(settings, node)
    leader_metrics = metrics.leader = LeaderMetrics(
        node, wanted=wanted, waiting=sweeper.resent.waiting, unpublished=lambda: None if publishing is None else publishing.lag
    )
    told = None if publishing is None else publishing.reached
    leadership = Leadership(
        election,
        candidate=node.name,
        lead=election.while_chosen(
            beside(
                sweeper.lead,
                Retaining(node, **settings.retention.model_dump(), told=told).keep,
                VacuumWatch(node).watch,
                Chaining(node).keep,
                Scheduling(node, partial(start_fire, node), sagas_days=settings.retention.sagas_days).fire,
                *([] if publishing is None else [publishing.publish]),
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
