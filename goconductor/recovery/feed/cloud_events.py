"""Events of the log as CloudEvents 1.0, in structured JSON mode (CloudEvents specification 1.0.2; its extensions Partitioning
and Sequence).

Each event of the log is one CloudEvent ``goconductor.event.NAME``, with the name that it has in the saga's history. Where a saga
has another status by it, a second one ``goconductor.saga.STATUS`` follows. Both are named by what never changes, so that a
receiver knows a repetition by ``source`` and ``id``, and by ``sequence`` what is older than what it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import msgspec

from goconductor.lifecycle.facts.events import EVENTS
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages.envelope import Envelope
from goconductor.messages.topics import PREFIX
from goconductor.ports.bus import Message
from goconductor.recovery.feed.telling import Told

CONTENT_TYPE = "application/cloudevents+json"
OF_LOG, OF_STATUS = "event", "saga"
KNOWN_TYPES = (*(f"{OF_LOG}.{name}" for name in EVENTS), *(f"{OF_STATUS}.{status.value}" for status in SagaStatus))
"""All types, without the prefix that they share."""


class CloudEvent(Envelope, kw_only=True, omit_defaults=True):
    """The attributes of a message, with the place of its event in the saga's log, whose texts are ordered as its numbers."""

    sequence: str


class EventData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of a CloudEvent.

    Args:
        saga_id: the saga.
        saga: its name.
        version: of its definition.
        labels: those of the saga.
        seq: the event's place in the saga's log.
        event: its name.
        status: the saga's status after it; empty where this version cannot read the saga.
        before: the status before; only where it was another one.
        step: the step that it is about, if it is about one.
        round: of that step.
        attempt: of that step.
        participant: who wrote it.
        body: what else is known of it, inputs and outputs among it, if that was wished for.
        body_left_out: whether it was too large for the bus.
    """

    saga_id: str
    saga: str
    version: str
    labels: dict[str, str] = {}
    seq: int
    event: str
    status: str = ""
    before: str = ""
    step: str = ""
    round: int = 0
    attempt: int = 0
    participant: str = ""
    body: msgspec.Raw | None = None
    body_left_out: bool = False


class Wish:
    """Which events are wished for, and how.

    Args:
        types: patterns of types without their prefix, such as ``saga.completed`` and ``event.*``; none wishes for all.
        bodies: whether their bodies are told, with inputs and outputs.
    """

    def __init__(self, types: Sequence[str] = (), *, bodies: bool = False) -> None:
        self._types = types
        self.bodies = bodies

    def takes(self, kind: str) -> bool:
        """Return whether events of a type are wished for."""
        return not self._types or any(fnmatchcase(kind, pattern) for pattern in self._types)


def types_of(told: Told) -> Iterator[str]:
    """Yield the types of the CloudEvents that an event makes, without their prefix."""
    yield f"{OF_LOG}.{told.entry.entry.event}"
    if told.status and told.status != told.before:
        yield f"{OF_STATUS}.{told.status}"


def messages(told: Told, topic: str, wish: Wish, *, small: bool = False) -> list[Message]:
    """Return the messages that tell of an event.

    Args:
        told: the event.
        topic: where they go.
        wish: which are wished for.
        small: whether a body is left out, as it is too large.
    """
    key, headers = str(told.entry.saga_id), {"content-type": CONTENT_TYPE}
    return [
        Message(topic=topic, key=key, payload=encoded(told, kind, wish, small=small), headers=headers)
        for kind in types_of(told)
        if wish.takes(kind)
    ]


def message_name(told: Told, kind: str) -> str:
    """Return the id of one CloudEvent, which never changes.

    Args:
        told: the event.
        kind: its type, without the prefix.
    """
    name = f"{told.entry.saga_id}.{told.entry.entry.event_id}"
    return name if kind.startswith(OF_LOG) else f"{name}.{told.status}"


def encoded(told: Told, kind: str, wish: Wish, *, small: bool = False) -> bytes:
    """Return one CloudEvent as bytes.

    Args:
        told: the event.
        kind: its type, without the prefix.
        wish: whether its body is told.
        small: whether the body is left out, as it is too large.
    """
    entry, saga_id = told.entry.entry, str(told.entry.saga_id)
    data = EventData(
        saga_id=saga_id,
        saga=told.entry.saga,
        version=told.entry.version,
        labels=told.entry.labels,
        seq=entry.seq,
        event=entry.event,
        status=told.status,
        before=told.before if told.before != told.status else "",
        step=entry.step,
        round=entry.round,
        attempt=entry.attempt,
        participant=entry.participant,
        body=msgspec.Raw(entry.data) if wish.bodies and not small else None,
        body_left_out=wish.bodies and small,
    )
    return msgspec.json.encode(
        CloudEvent(
            specversion="1.0",
            id=message_name(told, kind),
            source=f"/{PREFIX}/sagas/{told.entry.saga}",
            type=f"{PREFIX}.{kind}",
            subject=saga_id,
            time=datetime.fromtimestamp(entry.at, UTC).isoformat().replace("+00:00", "Z"),
            partitionkey=saga_id,
            correlationid=saga_id,
            sequence=f"{entry.seq:020d}",
            data=msgspec.Raw(msgspec.json.encode(data)),
        )
    )
