"""A message as AMQP properties and body, and back.

Headers keep their names where AMQP and RabbitMQ give them no meaning of their own (``CC`` would copy the message, ``x-death`` is
the broker's); the others travel as JSON in one header.
"""

from __future__ import annotations

import json
import re
from typing import Any

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from goconductor.ports.bus import Message

KEY = "goconductor-key"
OTHER_HEADERS = "goconductor-headers"
DELIVERIES = "goconductor-deliveries"

HEADERS_BYTES_MAX = 64 * 1024
"""Bytes of properties, which must fit into one frame: 128 KiB by default; a larger one would end the connection."""

_PLAIN_NAME = re.compile(r"(?!x-|goconductor-)[a-z][a-z0-9_.:-]{0,127}")
_PERSISTENT = 2
"""The delivery mode of a message that is written to disk."""


def properties(message: Message, deliveries: int = 0) -> Basic.Properties:
    """Return everything of a message but its payload.

    Args:
        message: the message.
        deliveries: the number of its earlier deliveries.
    """
    headers: dict[str, Any] = {name: value for name, value in message.headers.items() if _PLAIN_NAME.fullmatch(name)}
    if others := {name: value for name, value in message.headers.items() if name not in headers}:
        headers[OTHER_HEADERS] = json.dumps(others)
    if deliveries:
        headers[DELIVERIES] = deliveries
    headers[KEY] = message.key
    return Basic.Properties(delivery_mode=_PERSISTENT, headers=headers)


def headers_bytes(message: Message) -> int:
    """Return about how large key and headers are on the wire."""
    return sum(len(text.encode()) + 8 for text in (message.key, *message.headers, *message.headers.values()))


def read(topic: str, delivered: DeliveredMessage) -> tuple[Message, int]:
    """Return the message and the number of this delivery; one from another program is read as well as it can be."""
    headers: dict[str, Any] = dict(delivered.header.properties.headers or {})
    broker_count, our_count = headers.pop("x-delivery-count", 0), headers.pop(DELIVERIES, 0)
    key, others = headers.pop(KEY, ""), headers.pop(OTHER_HEADERS, None)
    texts = {name: str(value) for name, value in headers.items() if not name.startswith("x-")} | _read_others(others)
    count = sum(value for value in (broker_count, our_count) if isinstance(value, int) and value > 0)
    return Message(topic=topic, key=str(key), payload=delivered.body, headers=texts), count + 1


def _read_others(text: Any) -> dict[str, str]:
    try:
        others = json.loads(text) if text else {}
    except (ValueError, TypeError):
        others = {}
    return {str(name): str(value) for name, value in others.items()} if isinstance(others, dict) else {}
