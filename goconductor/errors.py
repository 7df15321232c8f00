"""Everything goconductor raises, in one tree.

::

    GoConductorError
    ├── ArgumentError              an argument of another type than is taken; a TypeError as well
    ├── DefinitionError            .problems: all of them, each with its remedy
    ├── PayloadError               a value that cannot be kept or sent; .path names the place
    │   └── PayloadTooLargeError
    ├── ConditionError             a condition that does not compile, or cannot be evaluated on this data; .source
    ├── MessageError               what came over the bus is not ours, or not readable; .reason
    ├── ConfigurationError         a setting is wrong or missing
    │   ├── SecretError                a secret cannot be had; names it, and never its value
    │   └── RightsError                a role of the database lacks a right; names table, right and GRANT
    ├── PluginNotFoundError        names what is installed under that group
    ├── RequestRefusedError        the saga's state does not allow this now
    │   ├── SagaNotFoundError
    │   ├── SagaChangedError           it has moved on since it was looked at
    │   └── SagaAlreadyStartedError    same idempotency key, other data
    ├── UnexpectedEventError       the lifecycle cannot see this event now
    ├── InvariantError             a bug of ours: a state that must not exist
    ├── SagaFailedError            what ``result()`` raises when a saga did not complete
    │   ├── CompensatedError
    │   ├── StuckError
    │   └── TerminatedError
    ├── StoreError
    │   ├── ConflictError          someone else committed first: load again
    │   ├── FencedError            our term is over: stop at once
    │   ├── SchemaError            the database is not migrated, or newer than this code
    │   ├── PoolerError            a transaction pooler stands in between
    │   ├── CursorLostError        a place in the order of all events that is none, or none any more
    │   └── StoreUnavailableError  retry with backoff
    ├── BusError
    │   └── BusUnavailableError
    ├── ElectionError
    ├── JournalError
    │   └── JournalUnavailableError  it cannot be reached or used now; the step waits
    ├── OutboxError                a start cannot be written into an outbox
    │   └── OutboxUnavailableError   its database cannot be reached now
    └── StepError                  raised by the authors of steps
        ├── TemporaryError         try again, perhaps after ``delay_seconds``
        └── PermanentError         trying again would not help
            └── RefusedError       the business says no

The docstring of a class is its default message, with the remedy.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

HIDDEN = "**********"

_PASSWORD = re.compile(r"(?<=://)([^\s/:@\"'\\]*):[^\s\"'\\]*(?=@)")


_SECRETS: list[str] = []
_SECRET_CHARACTERS_MIN = 6
"""Least length of a secret that is hidden in texts: a shorter one may be a part of any word."""


def hide(secret: str) -> None:
    """Let :func:`without_passwords` hide a secret in all texts from now on, also as JSON, Python and URLs write it."""
    escaped = (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret))
    forms = {secret, quote(secret, safe=""), *(each[1:-1] for each in escaped)}
    known = {*_SECRETS, *(form for form in forms if len(form) >= _SECRET_CHARACTERS_MIN)}
    _SECRETS[:] = sorted(known, key=len, reverse=True)  # one may be a part of another


def without_passwords(text: str) -> str:
    """Return a text with the passwords of all its urls hidden: a driver's error may quote the url that it was given."""
    for secret in _SECRETS:
        text = text.replace(secret, HIDDEN)
    return _PASSWORD.sub(rf"\1:{HIDDEN}", text) if "://" in text else text


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like a name, if any does."""
    return next(iter(difflib.get_close_matches(name, [*known], 1, cutoff=0.6)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean …?``, or what there is."""
    names = sorted(known)
    found = meant(name, names)
    return f"did you mean {found}?" if found else f"there are: {', '.join(names) or 'none'}"


class GoConductorError(Exception):
    """Something in goconductor went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it cross to another process unchanged, whatever its constructor takes, such as from a pool of workers."""
        return _as_it_was, (type(self), self.args, vars(self))


def _as_it_was(kind: type[GoConductorError], args: tuple[Any, ...], about: dict[str, Any]) -> GoConductorError:
    error = kind.__new__(kind, *args)
    vars(error).update(about)
    return error


class ArgumentError(GoConductorError, TypeError):
    """An argument is of another type than this takes; give what the message asks for."""


def unfit(argument: str, value: object, wanted: str) -> ArgumentError:
    """Return the error for an argument of a wrong type. It names the type and not the value, which may be a secret.

    Args:
        argument: its name.
        value: what was given.
        wanted: what to give.
    """
    if value is None:
        return ArgumentError(f"{argument} is None; give {wanted}")
    kind = f"the class {value.__qualname__}" if isinstance(value, type) else f"of type {type(value).__qualname__}"
    return ArgumentError(f"{argument} is {kind}; give {wanted}")


def check_type(argument: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Refuse an argument of a wrong type. A bool is taken for a number nowhere.

    Args:
        argument: its name.
        value: what was given.
        kinds: the types that are taken.
        wanted: what to give, for the message.

    Raises:
        ArgumentError: it is of none of them.
    """
    taken = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, taken) or (isinstance(value, bool) and bool not in taken):
        raise unfit(argument, value, wanted)


def check_seconds(argument: str, value: object) -> None:
    """Refuse what is no time in seconds; what is not a number would never be over.

    Args:
        argument: its name.
        value: what was given.

    Raises:
        ArgumentError: it is none.
    """
    check_type(argument, value, (int, float), "seconds as a number")
    check_is_number(argument, value)


def check_is_number(argument: str, value: object) -> None:
    """Refuse the float that is not a number.

    Args:
        argument: its name.
        value: what was given.

    Raises:
        ArgumentError: it is that.
    """
    if isinstance(value, float) and math.isnan(value):
        raise ArgumentError(f"{argument} is nan, which is not a number; give a number")


class DefinitionError(GoConductorError):
    """A saga's definition cannot run; ``problems`` lists every fault with its remedy.

    Args:
        name: the saga's name, as far as it is known.
        problems: one sentence each, naming the step and the remedy.
        cannot: what cannot be done with it.
    """

    def __init__(self, name: str, problems: Sequence[str], *, cannot: str = "run") -> None:
        self.name = name
        self.problems = tuple(problems)
        lines = [f"Saga {name!r} cannot {cannot}:", *(f"  {i}. {p}" for i, p in enumerate(problems, 1))]
        super().__init__("\n".join(lines))


class PayloadError(GoConductorError):
    """A value cannot be kept or sent.

    Args:
        path: where in the value, as a JSONPath such as ``$.items[3].price``.
        problem: what is wrong there, and the remedy.
    """

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


class PayloadTooLargeError(PayloadError):
    """A value is larger than is kept or sent; keep it elsewhere and send a reference to it."""


class ConditionError(GoConductorError):
    """A condition does not compile, or cannot be evaluated on this data.

    Args:
        source: the condition's text.
        problem: what is wrong, where, and the remedy.
    """

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        self.problem = problem
        shown = source if len(source) <= 200 else f"{source[:200]}…"
        super().__init__(f"condition {shown!a}: {problem}")


class MessageError(GoConductorError):
    """A message is not one of ours, or cannot be read; it is kept as a dead letter with the reason.

    Args:
        message: the reason, one sentence.
        newer: True if the message was written by a newer version, which an upgraded instance could read.
        target: the step that it is about, as ``participant.step``, where only the features of its saga are in the way.
        features: what its saga uses, there.
    """

    def __init__(
        self, message: str | None = None, *, newer: bool = False, target: str = "", features: tuple[str, ...] = ()
    ) -> None:
        self.newer = newer
        self.target = target
        self.features = features
        super().__init__(message)


class ConfigurationError(GoConductorError):
    """A setting is missing or wrong; see the settings' reference for its name, type and unit."""


class SecretError(ConfigurationError):
    """A secret cannot be had; the text names it and the remedy, and never its value."""


class RightsError(ConfigurationError):
    """The database's role lacks a right; `goconductor doctor` names each that is missing, and the GRANT that gives it."""


class PluginNotFoundError(GoConductorError):
    """No plugin of that name is installed; install the extra that brings it, or use one that is listed."""


class RequestRefusedError(GoConductorError):
    """The saga's state does not allow this request now; look at its status for what is allowed."""


class SagaNotFoundError(RequestRefusedError):
    """There is no saga with this id; list the sagas, or check which database you are connected to."""


class SagaChangedError(RequestRefusedError):
    """The saga has moved on since you looked at it; look again, and repeat the request if it is still what you want."""


class SagaAlreadyStartedError(RequestRefusedError):
    """This key has already started a saga with other input; use a new key, or send the same input again."""


class UnexpectedEventError(GoConductorError):
    """The saga cannot see this event in its present state: it is late, repeated, or a bug of the caller."""


class InvariantError(GoConductorError):
    """A saga reached a state that must not exist: this is a bug in goconductor, please report it with the saga's log."""


class SagaFailedError(GoConductorError):
    """The saga did not complete; its history says why.

    Args:
        message: one sentence.
        saga_id: the saga's id.
        reason: the failure that turned it, if one is known.
    """

    def __init__(self, message: str | None = None, *, saga_id: Any = None, reason: str | None = None) -> None:
        self.saga_id = saga_id
        self.reason = reason
        super().__init__(message)


class CompensatedError(SagaFailedError):
    """The saga failed and was compensated: what it had done is undone."""


class StuckError(SagaFailedError):
    """The saga is stuck and waits for an operator to retry, skip or settle a step."""


class TerminatedError(SagaFailedError):
    """The saga was terminated by an operator, without compensation."""


class StoreError(GoConductorError):
    """The saga store could not do this."""


class ConflictError(StoreError):
    """Someone else appended to this saga first; read the tail of its log and decide again."""


class FencedError(StoreError):
    """This leader's term is over and its write was refused; stop leading at once."""


class SchemaError(StoreError):
    """The database's schema does not fit this version; run `goconductor migrate`, or upgrade goconductor."""


class PoolerError(StoreError):
    """A transaction pooler stands between goconductor and PostgreSQL: connect directly, or use session pooling."""


class CursorLostError(StoreError):
    """There is no such place in the order of all events.

    Args:
        cursor: the place that was asked for.
    """

    def __init__(self, cursor: str) -> None:
        super().__init__(
            f"{cursor[:100]!a} is no place among the events here, or none any more since the database failed over; begin without "
            "a cursor, and look at the sagas that you follow"
        )
        self.cursor = cursor


class StoreUnavailableError(StoreError):
    """The saga store cannot be reached now; it is tried again with backoff."""


class BusError(GoConductorError):
    """The bus could not do this."""


class BusUnavailableError(BusError):
    """The bus cannot be reached now; what was not sent is sent again by the sweep."""


class ElectionError(GoConductorError):
    """The election could not be held; check that its server is up and the credentials are right."""


class JournalError(GoConductorError):
    """The effect journal in the service's database cannot be used; check that its table exists (`journal.create_table()`)."""


class JournalUnavailableError(JournalError):
    """The effect journal cannot be used now; its steps wait, and are tried again until it can."""


class OutboxError(GoConductorError):
    """The start cannot be written into the outbox; check that its table exists (`outbox.create_table()`)."""


class OutboxUnavailableError(OutboxError):
    """The outbox's database cannot be reached now; it is tried again."""


class StepError(GoConductorError):
    """Raised by a step to say how its failure is to be taken."""


class TemporaryError(StepError):
    """The step failed for now; it is tried again by its retry policy.

    Args:
        message: what happened.
        delay_seconds: wait at least this long before the next attempt; None leaves it to the policy.
    """

    def __init__(self, message: str | None = None, *, delay_seconds: float | None = None) -> None:
        self.delay_seconds = delay_seconds
        super().__init__(message)


class PermanentError(StepError):
    """The step failed for good; it is not tried again."""


class RefusedError(PermanentError):
    """The business says no (a card declined, no stock): a permanent failure that is nobody's fault."""
