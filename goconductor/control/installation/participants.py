"""Participants with their instances, and the leader."""

from __future__ import annotations

from goconductor.control.actor import Actor
from goconductor.control.models import InstanceDetail, LeaderDetail, ParticipantDetail, SweepDetail, moment
from goconductor.engine.node import Node
from goconductor.ports.store import Instance, Presence

DEAD_SECONDS = 3600.0
"""Seconds for which an instance that has left or died is still shown."""


async def participants(actor: Actor, node: Node, *, dead_seconds: float = DEAD_SECONDS) -> list[ParticipantDetail]:
    """Return all participants by name, with the instances that live or have died lately.

    An instance that is not alive and has no time of death has lost its sign of life, and the leader has not yet declared it dead.

    Args:
        actor: the actor of the request.
        node: the engine.
        dead_seconds: seconds for which the dead are shown.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    now = await node.store.terms.database_time()
    by_name: dict[str, list[InstanceDetail]] = {}
    for instance, presence in await node.store.instances.presence(dead_since=now - dead_seconds):
        by_name.setdefault(instance.participant, []).append(_instance(instance, presence, now))
    return [_participant(name, instances) for name, instances in sorted(by_name.items())]


async def leader(actor: Actor, node: Node) -> LeaderDetail:
    """Return the leader, the end of its term, and its last report.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    term = await node.store.terms.current()
    sweep = await node.store.recovery.last_sweep()
    last = None if sweep is None else SweepDetail(at=moment(sweep.at), epoch=sweep.epoch, did=sweep.did)
    if term is None:
        return LeaderDetail(last_sweep=last)
    leads = term.holder and term.ends_at > await node.store.terms.database_time()
    return LeaderDetail(holder=term.holder if leads else None, epoch=term.epoch, ends_at=moment(term.ends_at), last_sweep=last)


def _participant(name: str, instances: list[InstanceDetail]) -> ParticipantDetail:
    living = [instance for instance in instances if instance.alive]
    return ParticipantDetail(
        participant=name,
        alive=len(living),
        leases=sum(instance.leases for instance in instances),
        steps=sorted({step for instance in living for step in instance.steps}),
        instances=instances,
    )


def _instance(instance: Instance, presence: Presence, now: float) -> InstanceDetail:
    heard_at = presence.heard_at if presence.heard_at is not None else instance.dead_at
    if heard_at is None and presence.alive:
        heard_at = now
    return InstanceDetail(
        serial=instance.serial,
        name=instance.name,
        alive=presence.alive,
        started_at=moment(instance.started_at),
        heard_at=None if heard_at is None else moment(heard_at),
        dead_at=None if instance.dead_at is None else moment(instance.dead_at),
        leases=presence.leases,
        lease_ends_at=None if presence.lease_ends_at is None else moment(presence.lease_ends_at),
        steps=sorted(instance.steps),
    )
