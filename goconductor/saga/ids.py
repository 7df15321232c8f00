"""Names and numbers of a saga: pure functions of their arguments.

A saga's id is a UUIDv7 (RFC 9562, section 5.7). From its highest bit to its lowest:

====  =====================================================================================
bits
====  =====================================================================================
48    milliseconds since 1970: ids made later sort later, so lists page by id
64    chance, with the six bits of version and variant in between
10    the saga's *home*, a number below 1,024
====  =====================================================================================

By its home a log can be divided among several databases, each with a part of the homes: an id alone determines the database of
its saga. With a start key, the home is a hash of namespace, saga name and key. So every process sends a start to the database of
an earlier start with the same key. Without a key, the home is drawn. Ids from before there were homes have random bits there,
which is as good.

The home has the lowest bits, so the order by time is unchanged, and the twelve bits behind the milliseconds stay free for a finer
time. Ten bits can be divided evenly among dozens of databases, and leave 64 random bits to each millisecond.
"""

from __future__ import annotations

import enum
import hashlib
import re
from typing import Final, NamedTuple
from uuid import UUID, SafeUUID

from goconductor.errors import ArgumentError, unfit

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")
"""Names of sagas, participants and steps: letters, digits, ``_`` and ``-``, at most 100; safe in topics, keys and paths."""

INSIDE: Final = ":"
"""Stands between the name of a saga and that of the step whose saga is written inside it."""

HOMES = 1 << 10
"""Number of homes; they are numbered from 0."""
_HOME = HOMES - 1

DEFAULT_NAMESPACE = "default"
"""The namespace of all definitions and start keys: no request can name another one yet."""

CHILDREN_NAMESPACE = "$children"
"""The namespace of the start keys of sub-sagas. It is no name, so no user's key is in it."""


def is_name(text: str) -> bool:
    """Return whether ``text`` can name a saga, a participant or a step."""
    return NAME.fullmatch(text) is not None


SAGA_CHARACTERS_MAX = 255
"""Greatest length of a saga's name, in characters: of one that is written inside others, with those and their steps."""
STEP_CHARACTERS_MAX = 100
"""Greatest length of a step's id, in characters."""


def is_saga_name(text: str) -> bool:
    """Return whether ``text`` can name a saga: one that is registered by itself, or one that is written inside another."""
    saga, *steps = text.split(INSIDE)
    return len(text) <= SAGA_CHARACTERS_MAX and is_name(saga) and all(is_step_id(step) for step in steps)


def is_step_id(text: str) -> bool:
    """Return whether ``text`` can be a step's id: a name, or of a step inside of groups and cases several, ``group.step``."""
    return len(text) <= STEP_CHARACTERS_MAX and all(is_name(part) for part in text.split("."))


def home(namespace: str, saga: str, key: str) -> int:
    """Hash a start key to the home of its saga: the ten lowest bits of a SHA-256, the same in every process and release.

    Args:
        namespace: a name, so that no slash is in it.
        saga: the saga's name, for which the same holds.
        key: the start key, any text that can be stored.
    """
    return int.from_bytes(hashlib.sha256(f"{namespace}/{saga}/{key}".encode()).digest()[-2:], "big") & _HOME


def home_of(saga_id: UUID) -> int:
    """Read a saga's home from its id."""
    return saga_id.int & _HOME


def saga_id(unix_seconds: float, entropy: int, home: int | None = None) -> UUID:
    """Make a saga's id, in the layout described at the top of this module.

    Args:
        unix_seconds: the database's time.
        entropy: 74 random bits.
        home: the value of :func:`home` for its start key. None draws it: it is the ten lowest bits of the entropy.
    """
    if home is not None:
        entropy = entropy & ~_HOME | home
    milliseconds = int(unix_seconds * 1000) & ((1 << 48) - 1)
    value = milliseconds << 80 | 0x7 << 76 | (entropy >> 62 & 0xFFF) << 64 | 0b10 << 62 | entropy & ((1 << 62) - 1)
    return uuid_of(value)


def uuid_of(number: int) -> UUID:
    """Make a UUID of a number. Its constructor, which checks and takes six forms, costs five times as much.

    Args:
        number: 128 bits.
    """
    made = _bare(UUID)
    _set(made, "int", number)
    _set(made, "is_safe", _UNKNOWN)
    return made


_bare, _set, _UNKNOWN = UUID.__new__, object.__setattr__, SafeUUID.unknown
"""A UUID is immutable, so its constructor sets its fields in this way, too."""


def saga_id_of(value: UUID | str) -> UUID:
    """Read a saga's id, which may come as text from a URL or a queue.

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


def task_token(saga: UUID, step: str, direction: str, round: int, attempt: int) -> str:
    """Return what names one attempt of one side of a step to somebody outside, who is to report its outcome."""
    return f"{idempotency_key(saga, step, direction, round)}/{attempt}"


class TaskToken(NamedTuple):
    """What a task token names. An idempotency key is one without an attempt."""

    saga_id: UUID
    step: str
    direction: Direction
    round: int
    attempt: int | None


def read_task_token(token: str) -> TaskToken:
    """Read what a task token names, or the idempotency key of a side of a step.

    Raises:
        ArgumentError: it is neither.
    """
    found = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    if found is None:
        raise ArgumentError(f"{str(token)[:100]!a}, which is no task token: give what context.task_token was in the step")
    saga, step, side, round, attempt = found.groups()
    return TaskToken(saga_id_of(saga), step, Direction(side), int(round), None if attempt is None else int(attempt))


_TOKEN = re.compile(
    r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/([^/\s]{1,255})/(action|compensation)/([0-9]{1,9})(?:/([0-9]{1,9}))?"
)


def child_key(saga: UUID, step: str, round: int, attempt: int, *, undoes: bool = False) -> str:
    """Return the start key of a sub-saga: the same for whoever starts it, and another for each attempt of its step.

    Args:
        saga: the id of the step's saga.
        step: the step.
        round: its round.
        attempt: that of its action, or of its compensation.
        undoes: whether the sub-saga is the compensation.
    """
    return f"{saga}/{step}/{round}/{attempt}{'/undo' if undoes else ''}"


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
    """Neither side runs: the owner is asked to write the keys in its journal and to answer what had happened."""
    SETTLE_UNDO = "settle_undo"
    """The same, asked of the owner of a declared undo that is to be skipped: it writes the compensation's key."""


SETTLEMENTS = frozenset({Direction.SETTLE, Direction.SETTLE_UNDO})
"""The directions in which no code runs. Their attempts are not counted, and they are asked for again until they are answered."""
