"""A message as the data of a Kinesis record, and back: one MessagePack document, so that the payload stays as it is."""

from __future__ import annotations

import hashlib
import time

import msgspec

from goconductor.ports.bus import Message

HEADERS_BYTES_MAX = 64 * 1024
"""Bytes of a record that are kept for topic, key and headers."""
RECORD_BYTES_MAX = 1 << 20
PAYLOAD_BYTES_MAX = RECORD_BYTES_MAX - HEADERS_BYTES_MAX
PARTITION_KEY_LENGTH_MAX = 256
"""Greatest length of a partition key, in characters."""
DELAY_SECONDS_MAX = 3_600.0
"""Greatest delay of a copy, in seconds; a later time was written by a clock that is wrong."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is in a record's data.

    Attributes:
        topic: where it was sent.
        payload: as it was given.
        key: the message's.
        headers: the message's.
        group: the group of a copy.
        deliveries: of a copy: how often it was delivered before.
        not_before: of a copy: seconds of the wall clock; a difference between two clocks makes a delay longer or shorter.
    """

    topic: str
    payload: bytes
    key: str = ""
    headers: dict[str, str] = {}
    group: str = ""
    deliveries: int = 0
    not_before: float = 0.0

    def wait_seconds(self) -> float:
        """Return the seconds until it is due."""
        return min(max(self.not_before - time.time(), 0.0), DELAY_SECONDS_MAX) if self.not_before else 0.0

    def message(self) -> Message:
        """Return the message that was sent."""
        return Message(topic=self.topic, key=self.key, payload=self.payload, headers=self.headers)


def record_of(message: Message) -> Record:
    """Make the record of a new message."""
    return Record(message.topic, message.payload, message.key, message.headers)


def copy_of(message: Message, *, group: str, deliveries: int, delay_seconds: float) -> Record:
    """Make a copy for one group, with a delay."""
    not_before = time.time() + delay_seconds if delay_seconds > 0 else 0.0
    return Record(message.topic, message.payload, message.key, message.headers, group, deliveries, not_before)


def partition_key(key: str) -> str:
    """Return the key itself where it can be a partition key."""
    if 0 < len(key) <= PARTITION_KEY_LENGTH_MAX and key.isprintable():
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def headers_bytes(message: Message) -> int:
    """Return the greatest size of everything but the payload; the partition key counts as well."""
    texts = (message.topic, message.key, message.key, *message.headers, *message.headers.values())
    return 256 + sum(len(text.encode()) + 8 for text in texts)


def encode(record: Record) -> bytes:
    """Return the bytes that are written."""
    return msgspec.msgpack.encode(record)


def decode(data: bytes) -> Record | None:
    """Read bytes; return None if they are not ours."""
    try:
        return msgspec.msgpack.decode(data, type=Record)
    except msgspec.MsgspecError:
        return None
