"""A message as NATS headers and data, and back.

Headers keep their names where NATS can carry them as they are; the others travel as JSON in one header.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from goconductor.ports.bus import Message

MESSAGE_ID = "Nats-Msg-Id"
KEY = "Goconductor-Key"
OTHER_HEADERS = "Goconductor-Headers"

HEADERS_BYTES_MAX = 64 * 1024
"""Bytes of a message, as the server counts it, that are kept for headers."""

_PLAIN_NAME = re.compile(r"(?!(?i:nats-|goconductor-))[a-zA-Z][a-zA-Z0-9_.-]{0,127}")
_PLAIN_VALUE = re.compile(r"[!-~]([ -~]{0,1022}[!-~])?")


def headers_of(message: Message, message_id: str) -> dict[str, str]:
    """Return everything of a message but its payload."""
    headers = {
        name: value
        for name, value in message.headers.items()
        if _PLAIN_NAME.fullmatch(name) and _PLAIN_VALUE.fullmatch(value) and name != "Status"
    }
    if others := {name: value for name, value in message.headers.items() if name not in headers}:
        headers[OTHER_HEADERS] = json.dumps(others)
    headers[KEY] = json.dumps(message.key)
    headers[MESSAGE_ID] = message_id
    return headers


def headers_bytes(message: Message) -> int:
    """Return the greatest size of key and headers when encoded."""
    return 256 + sum(6 * len(text.encode()) + 8 for text in (message.key, *message.headers, *message.headers.values()))


def read(topic: str, data: bytes, headers: Mapping[str, str] | None) -> Message:
    """Read a message; one from another program is read as well as it can be."""
    texts = {name: value for name, value in (headers or {}).items() if not name.lower().startswith("nats-")}
    key = _read_json(texts.pop(KEY, '""'))
    others = _read_json(texts.pop(OTHER_HEADERS, "{}"))
    if isinstance(others, dict):
        texts |= {str(name): str(value) for name, value in others.items()}
    return Message(topic=topic, key=key if isinstance(key, str) else "", payload=data, headers=texts)


def _read_json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
