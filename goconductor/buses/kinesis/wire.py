"""A message as the data of a Kinesis record, and back: one MessagePack document, so that the payload stays as it is."""

from __future__ import annotations

import hashlib
import time

import msgspec

from goconductor.ports.bus import Message

HEADERS_BYTES_MAX = 64 * 1024
"""Of a record, so much is kept for topic, key and headers."""
RECORD_BYTES_MAX = 1 << 20
PAYLOAD_BYTES_MAX = RECORD_BYTES_MAX - HEADERS_BYTES_MAX
PARTITION_KEY_LENGTH_MAX = 256
DELAY_SECONDS_MAX = 3_600.0
"""A copy that claims to be wanted later than this was written by a clock that is wrong."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is in a record's data.

    Attributes:
        topic: where it was sent.
        payload: as it was given.
        key: the message's.
        headers: the message's.
        group: of a copy: who wants it.
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
        """How long it is not wanted yet."""
        return min(max(self.not_before - time.time(), 0.0), DELAY_SECONDS_MAX) if self.not_before else 0.0

    def message(self) -> Message:
        """What was sent."""
        return Message(topic=self.topic, key=self.key, payload=self.payload, headers=self.headers)


def record_of(message: Message) -> Record:
    """A new message."""
    return Record(message.topic, message.payload, message.key, message.headers)


def copy_of(message: Message, *, group: str, deliveries: int, delay_seconds: float) -> Record:
    """The same again for one group, as late as wanted."""
    not_before = time.time() + delay_seconds if delay_seconds > 0 else 0.0
    return Record(message.topic, message.payload, message.key, message.headers, group, deliveries, not_before)


def partition_key(key: str) -> str:
    """The key itself where it can be one."""
    if 0 < len(key) <= PARTITION_KEY_LENGTH_MAX and key.isprintable():
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def headers_bytes(message: Message) -> int:
    """How large everything but the payload is at most; the partition key counts as well."""
    texts = (message.topic, message.key, message.key, *message.headers, *message.headers.values())
    return 256 + sum(len(text.encode()) + 8 for text in texts)


def encode(record: Record) -> bytes:
    """What is written."""
    return msgspec.msgpack.encode(record)


def decode(data: bytes) -> Record | None:
    """What was read; None if it is not ours."""
    try:
        return msgspec.msgpack.decode(data, type=Record)
    except msgspec.MsgspecError:
        return None
