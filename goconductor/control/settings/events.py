"""Whether events are told to the outside, and how."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from goconductor.control.settings.sections import BusSettings, Name, Section, listed
from goconductor.errors import nearest
from goconductor.messages.topics import PREFIX
from goconductor.ports.bus import TOPIC
from goconductor.recovery.feed.cloud_events import KNOWN_TYPES


def _topic(topic: str | None) -> str | None:
    if topic is not None and not TOPIC.fullmatch(topic):
        raise ValueError("should be up to 249 letters, digits, '.', '_' and '-'")
    if topic is not None and topic.lower().startswith(PREFIX):
        raise ValueError(f"is goconductor's own, as all that begin with {PREFIX!r}; choose another")
    return topic


def _types(types: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in types:
        if not any(fnmatchcase(kind, pattern) for kind in KNOWN_TYPES):
            raise ValueError(f"{pattern[:100]!a} fits no type of event; {nearest(pattern, KNOWN_TYPES)}")
    return types


class EventSettings(Section):
    """Whether the events of all sagas are told to the outside."""

    topic: Annotated[str, AfterValidator(_topic)] | None = None
    """The topic on which the leader publishes the events of all sagas as CloudEvents. Without it, nothing is published. Run
    ``goconductor migrate`` once with it: that builds an index on the log, which costs some 70 bytes of write-ahead log for each
    event."""
    watch: bool = False
    """Build that index also without a topic, so that a server can stream the events of all sagas: ``GET /v1/events``,
    ``WatchAll``, ``goconductor events tail``."""
    bus: Name | None = None
    """The bus over which they are sent: one of ``bus.others``. Without it, the bus in use."""
    types: Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(_types)] = ()
    """The types that are published, without ``goconductor.``, such as ``saga.completed``, ``event.ActionFailed``, ``saga.*``.
    By default all are. In a variable, separate them by commas."""
    bodies: bool = False
    """Publish inputs, outputs and the texts of failures, too. Everybody who reads the topic can read them."""


def over_known_bus(events: EventSettings, bus: BusSettings | None) -> EventSettings:
    """Refuse a bus that the settings do not name.

    Args:
        events: what is to be sent over it.
        bus: the buses; None where their own section is refused.

    Raises:
        ValueError: there is none of that name.
    """
    if bus is not None and events.bus is not None and events.bus not in (named := bus.named()):
        raise ValueError(f"'bus' {events.bus!r} is no bus of bus.others; {nearest(events.bus, named)}")
    return events
