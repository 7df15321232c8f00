"""A message as the body of an SQS message, and back: one JSON document, with the payload as text where it is text."""

from __future__ import annotations

import base64
import re

import msgspec

from goconductor.ports.bus import Message

HEADERS_BYTES_MAX = 64 * 1024
"""Bytes of a message, as SQS counts it, that are kept for key and headers."""
MESSAGE_BYTES_MAX = 1 << 20
PAYLOAD_BYTES_MAX = (MESSAGE_BYTES_MAX - HEADERS_BYTES_MAX - 256) // 4 * 3
"""Greatest payload that fits as base64, in bytes."""

_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that SQS accepts in no body."""


class _Body(msgspec.Struct, omit_defaults=True):
    key: str = ""
    headers: dict[str, str] = {}
    text: str | None = None
    base64: str | None = None
    deliveries: int = 0


def body_of(message: Message, deliveries: int = 0) -> str:
    """Return the body of a message.

    Args:
        message: the message.
        deliveries: the number of its earlier deliveries, as another message of the queue.
    """
    body = _Body(key=message.key, headers=message.headers, deliveries=deliveries)
    limit = (len(message.payload) + 2) // 3 * 4
    try:
        body.text = message.payload.decode()
    except UnicodeDecodeError:
        body.text = None
    if body.text is not None:
        written = _encode(body)
        if len(written) <= limit + HEADERS_BYTES_MAX and not _FORBIDDEN.search(text := written.decode()):
            return text
    body.text, body.base64 = None, base64.b64encode(message.payload).decode()
    return _FORBIDDEN.sub(_escaped, _encode(body).decode())


def headers_bytes(message: Message) -> int:
    """Return the greatest size of key and headers in a body."""
    return sum(6 * len(text.encode()) + 8 for text in (message.key, *message.headers, *message.headers.values()))


def read(topic: str, body: str) -> tuple[Message, int]:
    """Return the message, and the number of its earlier deliveries; a foreign body is a payload without key and headers."""
    try:
        read = msgspec.json.decode(body.encode(), type=_Body)
        payload = base64.b64decode(read.base64) if read.base64 is not None else None if read.text is None else read.text.encode()
    except (msgspec.MsgspecError, ValueError):
        payload = None
    if payload is None:
        return Message(topic=topic, key="", payload=body.encode()), 0
    return Message(topic=topic, key=read.key, payload=payload, headers=read.headers), max(read.deliveries, 0)


def _encode(body: _Body) -> bytes:
    return msgspec.json.encode(body)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
