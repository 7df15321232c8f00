"""Makes nodes by the settings, not open: of a service's steps, of ``system``, and of the participants of workers; and introduces
them in the log.
"""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import version

from goconductor.control.sagas.starting import fitted
from goconductor.control.settings.sections import HealthSettings, MetricsSettings
from goconductor.control.settings.settings import Settings
from goconductor.engine.facts.clock import SystemClock
from goconductor.engine.facts.registration import answered
from goconductor.engine.node import Node
from goconductor.engine.observer import Observer
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import ConfigurationError
from goconductor.gateway.gateway import Gateway, is_of_workers
from goconductor.leaves import chosen_bus, make_store, make_system
from goconductor.redaction import logger_of
from goconductor.system.checking import SYSTEM

logger = logger_of("goconductor")

STEPS_SHOWN = 20
"""Steps of a participant that its first line names."""


def make_node(
    settings: Settings,
    registry: StepRegistry | None,
    name: str,
    observer: Observer,
    *,
    recovers: bool,
    concurrency: int | None = None,
) -> Node:
    """Make a node.

    Args:
        settings: the loaded settings.
        registry: its steps; None makes one without.
        name: what it is called where it has no steps.
        observer: is told what its engine does.
        recovers: whether it is of no use without the chosen bus.
        concurrency: how many steps may run at once; None leaves it to the registry.
    """
    participant, limits = settings.participant, settings.limits
    steps = registry or StepRegistry(name)
    store, clock = make_store(settings, name), SystemClock()
    node = Node(
        store=store,
        bus=chosen_bus(settings, store, lambda: node.instance.serial, clock, strict=recovers),
        clock=clock,
        registry=steps,
        lease_seconds=participant.lease_seconds,
        concurrency=concurrency,
        threads=participant.threads,
        drain_seconds=participant.drain_seconds,
        prefetch=participant.prefetch,
        payload_bytes_max=limits.payload_bytes_max,
        baton_bytes_max=limits.baton_bytes_max,
        observer=observer,
        fit=fitted,
    )
    node.definitions.strict = settings.definitions.strict
    node.audits_starts = settings.audit.starts
    return node


def make_system_node(settings: Settings, observer: Observer) -> Node:
    """Make the node of the steps of ``system``.

    Raises:
        ConfigurationError, PluginNotFoundError: as :func:`goconductor.leaves.make_system`.
    """
    steps = make_system(settings, lambda messages: node.bus.send(messages))  # noqa: PLW0108  (the node is made of them)
    node = make_node(settings, steps, SYSTEM, observer, recovers=True, concurrency=settings.system.concurrency)
    return node


async def check_name(node: Node) -> None:
    """Refuse a participant whose steps are in code where workers run those of the same name. Waits while the store is away.

    Args:
        node: the participant's, open.

    Raises:
        ConfigurationError: there are such workers.
    """
    name = node.registry.name
    if not node.registry.steps:
        return
    ask = partial(node.store.instances.registered, name)
    if any(map(is_of_workers, await answered(ask, node.clock, before=f"participant {name!r} was ready"))):
        raise ConfigurationError(
            f"the steps of participant {name!r} are run by remote workers; give it another name, or stop the workers"
        )


def make_gateway(settings: Settings, node: Node) -> Gateway | None:
    """Make the gateway of a server, if the settings want one.

    Args:
        settings: the loaded settings.
        node: the server's own, open; the gateway asks its store who is there, and checks what is registered with it.
    """
    if not settings.gateway.enabled:
        return None

    def make(registry: StepRegistry) -> Node:
        return make_node(settings, registry, registry.name, node.observer, recovers=True)

    gateway = Gateway(make, node.store.instances.registered, settings.gateway)
    node.definitions.checks.append(gateway.check)
    return gateway


def introduce(settings: Settings, node: Node) -> None:
    """Log what a process serves, as it has opened: one record, whose ``extra`` has each part by itself, for logs in JSON.

    Args:
        settings: the loaded settings.
        node: its engine, open.
    """
    steps, database = sorted(node.registry.steps), settings.database
    serves: dict[str, object] = {
        "version": version("goconductor"),
        "pid": os.getpid(),
        "participant": node.registry.name if steps else None,
        "steps": steps,
        "instance": node.instance.serial,
        "database": database.where,
        "schema": database.schema_name,
        "bus": list(settings.bus.named()),
        "election": list(settings.election.named()),
        "metrics": _address(settings.metrics),
        "health": _address(settings.health),
    }
    more = f" and {len(steps) - STEPS_SHOWN} more" if len(steps) > STEPS_SHOWN else ""
    who = f"participant {node.registry.name!r} runs {', '.join(steps[:STEPS_SHOWN])}{more}" if steps else "runs no steps"
    doors = "".join(f"; {door} on {serves[door]}" for door in ("metrics", "health") if serves[door])
    logger.info(
        "goconductor %s, process %d: %s, as instance %d; saga log at %s, schema %s; bus %s, election %s%s",
        *(serves["version"], serves["pid"], who, serves["instance"], serves["database"], serves["schema"]),
        *(" or ".join(settings.bus.named()), " or ".join(settings.election.named()), doors),
        extra={"serves": serves},
    )


def _address(door: MetricsSettings | HealthSettings) -> str | None:
    """Return where a door listens; none where it does not, or takes a free port, which it says itself."""
    host = f"[{door.host}]" if ":" in door.host else door.host
    return f"http://{host}:{door.port}" if door.port else None
