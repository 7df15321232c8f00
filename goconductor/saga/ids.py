"""Names and numbers of a saga: pure functions of what they are given."""

from __future__ import annotations

import enum
import re
from uuid import UUID

from goconductor.errors import ArgumentError, unfit

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")
"""Names of sagas, participants and steps: letters, digits, ``_`` and ``-``, at most 100; safe in topics, keys and paths."""


def is_name(text: str) -> bool:
    """Return whether ``text`` can name a saga, a participant or a step."""
    return NAME.fullmatch(text) is not None


def saga_id(unix_seconds: float, entropy: int) -> UUID:
    """Make a saga's id, a UUIDv7 (RFC 9562, section 5.7): ids made later sort later, so lists page by id.

    Args:
        unix_seconds: the database's time.
        entropy: 74 random bits.
    """
    milliseconds = int(unix_seconds * 1000) & ((1 << 48) - 1)
    value = milliseconds << 80 | 0x7 << 76 | (entropy >> 62 & 0xFFF) << 64 | 0b10 << 62 | entropy & ((1 << 62) - 1)
    return UUID(int=value)


def saga_id_of(value: UUID | str) -> UUID:
    """Read a saga's id, which may come as text, from a URL or a queue say.

    Raises:
        ArgumentError: it is no UUID.
    """
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str):
        raise unfit("saga_id", value, "the saga's id: a UUID, or its text")
    try:
        return UUID(value)
    except ValueError:
        raise ArgumentError(f"saga_id {value[:100]!a} is no UUID; give the saga's id, as its start has answered it") from None


def idempotency_key(saga: UUID, step: str, direction: str, round: int) -> str:
    """Return the key of one effect: the same on every retry, another in another round (a restart, a loop)."""
    return f"{saga}/{step}/{direction}/{round}"


def split_target(target: str) -> tuple[str, str]:
    """Split a target: ``payments.charge`` → ``("payments", "charge")``.

    Raises:
        ValueError: it is not ``participant.step``.
    """
    participant, dot, step = target.partition(".")
    if not dot or not is_name(participant) or not is_name(step):
        raise ValueError(f"{target!r} is not of the form 'participant.step'")
    return participant, step


class Direction(enum.StrEnum):
    """Which side of a step a lease, a message or a key is about."""

    ACTION = "action"
    COMPENSATION = "compensation"
    SETTLE = "settle"
    """Neither runs: the owner is asked to write the keys in its journal and to answer what had happened."""
