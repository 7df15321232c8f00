"""Makes leaves by the settings, each found by its name and not open. None is imported here.

**One schema is one installation.** The tables of a bus in PostgreSQL, and the group that elects a leader, are named after the
saga log's schema. So two installations share a database by ``database.schema_name`` alone. A leaf's own option overrides that.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from goconductor import plugins
from goconductor.control.settings.sections import OtherBus, OtherElection
from goconductor.control.settings.settings import Settings
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import ConfigurationError, GoConductorError, PluginNotFoundError
from goconductor.ports.bus import Bus, Message
from goconductor.ports.clock import Clock
from goconductor.ports.election import Election
from goconductor.ports.store import Store, Terms
from goconductor.ports.store.leading.choices import BUS, ELECTION
from goconductor.redaction import logger_of
from goconductor.switchover.bus import SwitchableBus
from goconductor.switchover.election import SwitchableElection
from goconductor.switchover.follower import Follower
from goconductor.system.javascript.steps import JavascriptSteps
from goconductor.system.secrets import Secret

logger = logger_of("goconductor")

_TABLES = {"postgres": "bus"}
"""Ending of the schema of a bus's tables, where it is not the bus's kind."""
_IDENTIFIER_MAX = 63
"""Greatest length of a name in PostgreSQL, in bytes."""


def make_store(settings: Settings, name: str) -> Store:
    """Make the store; ``name`` is the name that the server's administrator sees."""
    kind = plugins.load("store", "postgres")
    made: Store = kind(
        settings.database.url.get_secret_value(),
        schema=settings.database.schema_name,
        name=f"goconductor {name}",
        hot_timeout_seconds=min(max(2.0, settings.participant.lease_seconds / 2), 30.0),
    )
    return made


def make_system(settings: Settings, send: Callable[[Sequence[Message]], Awaitable[None]]) -> StepRegistry:
    """Make the steps of ``system``.

    Args:
        settings: the loaded settings.
        send: sends messages over the bus in use.

    Raises:
        ConfigurationError: a secret or a file cannot be read.
        PluginNotFoundError: their library is not installed.
    """
    system = settings.system
    secrets = {
        name: Secret(
            each.hosts,
            variable=each.variable,
            file=each.file,
            value=None if each.value is None else each.value.get_secret_value(),
            plaintext=each.plaintext,
        )
        for name, each in system.secrets.items()
    }
    bytes_max = settings.limits.payload_bytes_max
    scripts = JavascriptSteps(system.javascript_seconds, system.javascript_bytes_max, bytes_max) if system.javascript else None
    try:
        from goconductor.system.participant import made  # noqa: PLC0415  (needs its extra)

        return made(system.hosts, system.networks, secrets, send, scripts, system.grpc, answer_bytes_max=bytes_max)
    except ImportError as error:
        extra = "system" if error.name == "h11" else "grpc"
        raise PluginNotFoundError(
            f"the steps of system need a library that is not installed ({error.name}): pip install 'goconductor[{extra}]'"
        ) from None


def makes_of_buses(settings: Settings, *, open_timeout_seconds: float | None = None) -> dict[str, Callable[[], Bus]]:
    """Return a factory for each bus in the settings, their own first.

    Args:
        settings: the loaded settings.
        open_timeout_seconds: time limit to open one, unless its options have another; None leaves it to the leaf.
    """
    return {name: partial(_make_bus, settings, bus, open_timeout_seconds) for name, bus in settings.bus.named().items()}


def makes_of_elections(settings: Settings) -> dict[str, Callable[[Terms], Election]]:
    """Return a factory for each election in the settings, their own first."""
    return {name: partial(_make_election, settings, election) for name, election in settings.election.named().items()}


def chosen_bus(settings: Settings, store: Store, instance: Callable[[], int], clock: Clock, *, strict: bool) -> SwitchableBus:
    """Make one bus of all in the settings.

    Args:
        settings: the loaded settings.
        store: keeps the choice.
        instance: answers this process's serial, once it is registered.
        clock: the node's clock.
        strict: whether the process is of no use without the chosen bus.
    """
    makes = makes_of_buses(settings) if strict else _that_can_be_made(makes_of_buses(settings))
    follower = Follower(BUS, list(makes), choices=store.choices, instance=instance, clock=clock, strict=strict)
    return SwitchableBus(makes, follower=follower, clock=clock)


def chosen_election(
    settings: Settings, store: Store, instance: Callable[[], int], clock: Clock, *, unfit: Callable[[], bool]
) -> SwitchableElection:
    """Make one election of all, as :func:`chosen_bus`; ``unfit`` answers whether this process could not do a leader's work."""
    makes = makes_of_elections(settings)
    follower = Follower(ELECTION, list(makes), choices=store.choices, instance=instance, clock=clock, strict=True)
    return SwitchableElection(makes, terms=store.terms, follower=follower, unfit=unfit)


def _that_can_be_made(makes: dict[str, Callable[[], Bus]]) -> dict[str, Callable[[], Bus]]:
    """Return the first, and those others whose library and credentials are here: a client asks the database, and needs no bus."""
    first = next(iter(makes))
    found: dict[str, Callable[[], Bus]] = {}
    for name, make in makes.items():
        try:
            if name != first:
                make()
        except GoConductorError as error:
            logger.info("the bus %r cannot be used here: %s", name, error)
        else:
            found[name] = make
    return found


def _make_bus(settings: Settings, bus: OtherBus, open_timeout_seconds: float | None) -> Bus:
    database_url = settings.database.url.get_secret_value()
    url = bus.url.get_secret_value() if bus.url else database_url
    beside = _beside(settings.database.schema_name, _TABLES.get(bus.kind, bus.kind))
    offered: dict[str, Any] = {"url": url, "database_url": database_url, "schema": beside}
    if open_timeout_seconds is not None:
        offered["open_timeout_seconds"] = open_timeout_seconds
    made: Bus = _made("bus", bus.kind, offered, bus.options)
    return made


def _make_election(settings: Settings, election: OtherElection, terms: Terms) -> Election:
    url = settings.database.url.get_secret_value()
    group = settings.database.schema_name
    made: Election = _made("election", election.kind, {"terms": terms, "url": url, "group": group}, election.options)
    return made


def _beside(schema: str, ending: str) -> str:
    """Return the schema of a bus's tables, beside the log's; PostgreSQL would cut a longer name, and two might become one."""
    name = f"{schema}_{ending}"
    if len(name) <= _IDENTIFIER_MAX:
        return name
    ending = f"_{zlib.crc32(schema.encode()):08x}_{ending}"
    return schema[: _IDENTIFIER_MAX - len(ending)] + ending


def _made(kind: str, name: str, offered: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Make a leaf of its own options and those of the offered arguments that it takes."""
    leaf = plugins.load(kind, name)
    takes = inspect.signature(leaf).parameters
    if unknown := [option for option in options if option not in takes]:
        raise ConfigurationError(f"the {kind} {name!r} has no option {unknown[0]!r}; it has: {', '.join(takes)}")
    return leaf(**{**{key: value for key, value in offered.items() if key in takes}, **options})
