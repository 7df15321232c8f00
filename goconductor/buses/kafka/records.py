"""Between messages and Kafka's records. What we need to know of a copy stands in headers of our own, which nobody else sees."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple, cast

from confluent_kafka import Message as KafkaMessage

from goconductor.ports.bus import Message

DELIVERIES = "goconductor-deliveries"
GROUP = "goconductor-group"
NOT_BEFORE = "goconductor-not-before"
"""Header with milliseconds of the wall clock: a difference between two machines' clocks only changes the delay."""
OURS = {DELIVERIES, GROUP, NOT_BEFORE}

DELAY_SECONDS_MAX = 3600.0
"""Greatest delay of a copy, in seconds; a later time was written by a clock that is wrong."""

ANY_PARTITION = -1


class Record(NamedTuple):
    """What is written."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes | None]]
    partition: int = ANY_PARTITION


class Arrived(NamedTuple):
    """What was read, as a message and as it was."""

    message: Message
    deliveries: int
    group: str
    wait_seconds: float
    record: Record
    offset: int


def to_record(message: Message) -> Record:
    """Make the record of a new message."""
    headers = [(_escaped(name), value.encode()) for name, value in message.headers.items()]
    return Record(message.topic, message.key.encode(), message.payload, headers)


def read(received: KafkaMessage) -> Arrived:
    """Read a record of any program: a key or header that is no text gets replacements, so that a receiver can show it."""
    headers: dict[str, str] = {}
    ours: dict[str, str] = {}
    raw = cast("list[tuple[str, bytes | None]]", received.headers() or [])
    for name, value in raw:
        text = (value or b"").decode(errors="replace")
        (ours if name in OURS else headers)[_unescaped(name)] = text
    key, value = received.key(), received.value()
    topic, partition, offset = received.topic(), received.partition(), received.offset()
    assert topic is not None and partition is not None and offset is not None  # noqa: S101, PT018  (it is no error)
    payload = value or b""
    return Arrived(
        message=Message(topic=topic, key=(key or b"").decode(errors="replace"), payload=payload, headers=headers),
        deliveries=_number(ours.get(DELIVERIES)),
        group=ours.get(GROUP, ""),
        wait_seconds=_wait_seconds(ours.get(NOT_BEFORE)),
        record=Record(topic, key, payload, raw, partition),
        offset=offset,
    )


def copy(arrived: Arrived, *, group: str, deliveries: int, delay_seconds: float, partition: int) -> Record:
    """Make a copy for one group, with a delay."""
    headers = [(name, value) for name, value in arrived.record.headers if name not in OURS]
    headers += [(DELIVERIES, str(deliveries).encode()), (GROUP, group.encode())]
    if delay_seconds > 0:
        headers.append((NOT_BEFORE, str(round((time.time() + delay_seconds) * 1000)).encode()))
    return arrived.record._replace(headers=headers, partition=partition)


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _wait_seconds(text: str | None) -> float:
    if text is None or not text.isascii() or not text.isdigit():
        return 0.0
    return min(max(int(text[:16]) / 1000 - time.time(), 0.0), DELAY_SECONDS_MAX)


def _escaped(name: str) -> str:
    """Escape a header's name, which the client ends at a NUL."""
    return name.replace("%", "%25").replace("\x00", "%00")


def _unescaped(name: str) -> str:
    return name.replace("%00", "\x00").replace("%25", "%")
