"""How often and when a step is tried again.

Waits grow by a factor and are spread by jitter (Brooker, *Exponential Backoff and Jitter*, AWS 2015). The jitter is computed from
the saga's id and the attempt instead of being drawn, so that a replay of the log gives the same answer.

A policy may choose which errors are tried again, by the names of their types. Only the process that caught an error knows the
types that it derives from. So that process asks the policy (:meth:`Retry.covers`), and the failure that it reports says whether
another attempt can help (:attr:`goconductor.lifecycle.facts.state.Failure.retryable`). Nobody else looks at the names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from types import NoneType

import msgspec

from goconductor.errors import check_type

SECONDS_MAX = 36_525 * 86_400.0
"""The longest that anything of a saga may last, in seconds: a hundred years."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")

ERROR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
"""The name of an error's type, without its module: as a failure shows it."""
ERROR_NAMES_MAX = 50
"""Greatest number of names in ``on`` or ``not_on``."""


def seconds(duration: float | str) -> float:
    """Convert a duration to seconds.

    Args:
        duration: seconds, or a number with a unit: ``"250ms"``, ``"10s"``, ``"5m"``, ``"2h"``, ``"1d"``.

    Raises:
        ValueError: it is neither, or not above zero, or longer than a hundred years.
    """
    if isinstance(duration, str):
        match = _DURATION.fullmatch(duration)
        if match is None:
            raise ValueError(f"{duration!r} is not a duration; write seconds as a number, or '250ms', '10s', '5m', '2h', '1d'")
        value = float(match[1]) * _UNITS[match[2]]
    else:
        value = float(duration) if isinstance(duration, int | float) and not isinstance(duration, bool) else float("nan")
    if not 0 < value < float("inf"):
        raise ValueError(
            f"a duration must be a number of seconds above zero and finite, or a string like '10s', not {duration!r}"
        )
    if value > SECONDS_MAX:
        raise ValueError(f"a duration must be at most {SECONDS_MAX:.0f} seconds, a hundred years, not {duration!r}")
    return value


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a failed step is tried again.

    Args:
        attempts_max: how often it is tried in all; None means without limit.
        initial_seconds: the wait before the second attempt.
        factor: by how much each further wait grows.
        max_seconds: no wait is longer, jitter aside.
        jitter: each wait is lengthened by a part of itself between 0 and this.
        on: names of the error types that are tried again, the types that derive from them included; empty means all.
        not_on: names of the error types that are not, the types that derive from them included; they count before ``on``.

    Raises:
        ArgumentError: a value is of a wrong type.
        ValueError: a value is out of range.
    """

    attempts_max: int | None = 3
    initial_seconds: float = 0.5
    factor: float = 2.0
    max_seconds: float = 60.0
    jitter: float = 0.2
    on: tuple[str, ...] = ()
    not_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.attempts_max is not True:
            check_type("retry.attempts_max", self.attempts_max, (int, NoneType), "a whole number, or None for no limit")
        for name in ("initial_seconds", "factor", "max_seconds", "jitter"):
            check_type(f"retry.{name}", getattr(self, name), (int, float), "a number")
        if self.attempts_max is not None and (self.attempts_max is True or self.attempts_max < 1):
            raise ValueError("retry.attempts_max must be at least 1, or null for no limit")
        if not 0 <= self.initial_seconds <= self.max_seconds < float("inf"):
            raise ValueError("retry.initial_seconds must lie between 0 and retry.max_seconds")
        if not 1 <= self.factor <= 100:
            raise ValueError("retry.factor must lie between 1 and 100")
        if not 0 <= self.jitter <= 1:
            raise ValueError("retry.jitter must lie between 0 and 1")
        if self.on or self.not_on:
            self._check_names()

    def _check_names(self) -> None:
        for field in ("on", "not_on"):
            names = getattr(self, field)
            check_type(f"retry.{field}", names, tuple, "a tuple of names of error types, such as ('ConnectionError',)")
            for name in names:
                check_type(
                    f"a name in retry.{field}", name, str, "the name of an error type as a text, such as 'ConnectionError'"
                )
                if not ERROR_NAME.fullmatch(name):
                    shown = f"{name[:100]!a} in retry.{field} is no name of an error type"
                    raise ValueError(f"{shown}; write it without its module, such as 'ConnectionError'")
            if len(names) > ERROR_NAMES_MAX:
                raise ValueError(
                    f"retry.{field} has {len(names)} names, at most {ERROR_NAMES_MAX} are allowed; name what they derive from"
                )
        if both := sorted({*self.on} & {*self.not_on}):
            raise ValueError(f"{both[0]!r} stands in retry.on and in retry.not_on; keep one of them")

    @property
    def chooses(self) -> bool:
        """Whether it tries some errors again and others not."""
        return bool(self.on or self.not_on)

    def covers(self, errors: Iterable[Collection[str]]) -> bool:
        """Return whether all of these errors are ones that may be tried again.

        Args:
            errors: of each the names of its type and of those that this derives from.
        """
        wanted, unwanted = {*self.on}, {*self.not_on}
        return all((not wanted or not wanted.isdisjoint(names)) and unwanted.isdisjoint(names) for names in errors)

    def counts_only(self) -> Retry:
        """Return the policy without its names, as an event carries it: they were asked where the error was caught."""
        return msgspec.structs.replace(self, on=(), not_on=()) if self.chooses else self

    def allows(self, attempt: int) -> bool:
        """Return whether another attempt may follow attempt number ``attempt`` (counted from 1)."""
        return self.attempts_max is None or attempt < self.attempts_max

    def wait_seconds(self, attempt: int, key: str) -> float:
        """Return the wait after attempt number ``attempt``, at most :data:`SECONDS_MAX`.

        Args:
            attempt: which attempt has just failed, from 1.
            key: what the jitter is computed from: the effect's idempotency key.
        """
        exponent = min(attempt - 1, 64)
        wait = min(self.initial_seconds * self.factor**exponent, self.max_seconds, SECONDS_MAX)
        digest = hashlib.blake2b(f"{key}/{attempt}".encode(), digest_size=8).digest()
        return float(wait * (1 + self.jitter * int.from_bytes(digest) / 2**64))


# What follows is read again in each replay of a log that leaves it open. So none of these values ever changes, nor does a default
# of the classes above: another one needs another name, and a field of an event or a definition that asks for it.

ACTION_RETRY = Retry()
RETRIABLE_RETRY = Retry(attempts_max=None)
COMPENSATION_RETRY = Retry(attempts_max=10)
LOST_RETRY = Retry(attempts_max=None)
"""Waits between attempts after lost outcomes."""


class Patience(msgspec.Struct, frozen=True):
    """How many outcomes of a step may be lost, one after the other, before it is given up on.

    A step that kills its process must not be run for ever. But the process may have been killed by something else, three times
    in three seconds where a bad release is rolled back; so giving up also needs a least time since the first loss.

    Args:
        losses_max: the number of lost outcomes at which to give up.
        seconds_min: seconds after the first one before which not to give up.
    """

    losses_max: int
    seconds_min: float = 30.0

    def is_over(self, losses: int, seconds: float) -> bool:
        """Return whether to give up.

        Args:
            losses: how many there were.
            seconds: since the first.
        """
        return losses >= self.losses_max and seconds >= self.seconds_min


ACTION_PATIENCE = Patience(losses_max=3)
"""Lost outcomes of an action after which the saga turns back, or a pivot is settled."""
LAST_PATIENCE = Patience(losses_max=10)
"""Lost outcomes after which the saga is stuck and an operator has to come."""


def patience(losses_max: int | None, otherwise: Patience) -> Patience:
    """Return the definition's own limit, which has no least time; else the other one."""
    return otherwise if losses_max is None else Patience(losses_max, 0.0)
