"""Notes each request that changes something: who asked for what, and how it ended.

A function of `control` that changes something is :func:`noted`. What it notes is written in the transaction of the change
(:mod:`goconductor.ports.store.log.notes`), so neither is there without the other. Three kinds of rows are written beside that:

- ``begun``: a request that makes many others, such as one about many sagas. It is written before the first of them, which have
  rows of their own.
- ``unchanged``: a request that was accepted and found nothing to change, such as one that came twice.
- ``refused``: one that was refused, with the kind of the error; also by a door, before any function was called.

Anybody who reaches a door can cause the last two at will. So they are limited: :data:`PER_SECOND` in each process, after the
first :data:`AT_ONCE`. Requests without a valid key or token are counted apart, or else a stranger could push the refusals of
known users out of the log. The next row that is written says how many were left out. These rows are written once the answer is
known. If the database cannot be reached by then, they are missing, and the log of the process says so.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.audit.origin import origin
from goconductor.errors import ConfigurationError, GoConductorError, StoreError
from goconductor.ports.store import Audit, Note
from goconductor.ports.store.log.notes import Noting, noting, present
from goconductor.redaction import logger_of

P = ParamSpec("P")
R = TypeVar("R")
Given = Mapping[str, Any]
"""The arguments of a call, by name."""

logger = logger_of("goconductor.control")

PER_SECOND = 1.0
"""Rows of requests without a change that one process writes in a second, over a longer time."""
AT_ONCE = 100
"""How many of them it may write at once."""
CHARACTERS_MAX = 255
"""Number of characters of a text that an entry keeps."""
_KEY = re.compile(r"(gck_[0-9a-f]{0,12})\w*")


class Bounded:
    """Counts rows of requests without a change.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._room = float(AT_ONCE)
        self._at = clock()
        self._left_out = 0

    def take(self) -> int | None:
        """Return how many were left out since the last; None where this one is to be left out."""
        now = self._clock()
        self._room = min(AT_ONCE, self._room + (now - self._at) * PER_SECOND)
        self._at = now
        if self._room < 1.0:
            self._left_out += 1
            return None
        self._room -= 1.0
        left_out, self._left_out = self._left_out, 0
        return left_out


class Bounds(msgspec.Struct):
    """What is counted apart.

    Args:
        known: requests without a change, of whoever was let in.
        strangers: those of whoever was not.
    """

    known: Bounded = msgspec.field(default_factory=Bounded)
    strangers: Bounded = msgspec.field(default_factory=Bounded)


_BOUNDS: WeakKeyDictionary[Audit, Bounds] = WeakKeyDictionary()


def noted(
    about: str | Callable[[Given], str],
    *,
    detail: Callable[[Given], str] = lambda _: "",
    parts: bool = False,
    called: str = "",
    unless: Callable[[Given], bool] = lambda _: False,
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Make a decorator for a function whose calls are noted. One that it calls is noted as a part of it, and has no row.

    Args:
        about: what a call is about, from its arguments; a text has their names in braces.
        detail: what is asked, in a few words without data of users.
        parts: whether a call makes many requests, which have rows of their own.
        called: the function's name in the log, below ``goconductor.control``; by default its own.
        unless: whether a call with these arguments changes nothing.
    """

    def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        signature = inspect.signature(function)
        name = called or f"{function.__module__.removeprefix('goconductor.control.')}.{function.__name__}"

        @wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if present() is not None:
                return await function(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            if unless(given):
                return await function(*args, **kwargs)
            if "node" in given:
                check_changes(given["node"].reads_only)
            audit: Audit = given["store"].audit if "store" in given else given["node"].store.audit
            asked = Noting(
                note_of(
                    given["actor"],
                    name,
                    object=about.format(**given) if isinstance(about, str) else about(given),
                    detail=detail(given),
                    request_id=_request_id(given),
                    outcome="begun" if parts else "done",
                )
            )
            if parts:
                await audit.write(asked.note)
                return await function(*args, **kwargs)
            try:
                with noting(asked):
                    answer = await function(*args, **kwargs)
            except Exception as error:
                if not asked.is_written:
                    await _write_bounded(audit, asked.note, "refused", error)
                raise
            if not asked.is_written:
                await _write_bounded(audit, asked.note, "unchanged", None)
            return answer

        return call

    return decorate


def check_changes(reads_only: str) -> None:
    """Refuse a change where this process only reads. What is asked of the store alone, as of secrets, is no part of that.

    Args:
        reads_only: why it does; empty where it does not.

    Raises:
        ConfigurationError: it does.
    """
    if reads_only:
        raise ConfigurationError(f"this server reads only, and changes nothing: {reads_only}")


async def note_refusal(audit: Audit, actor: Actor, function: str | None, error: Exception, *, what: str = "") -> None:
    """Note that a door has refused somebody.

    Args:
        audit: the store's.
        actor: who asked; :data:`~goconductor.control.actor.ANYBODY` where that is not known.
        function: what would have been called; None is not known.
        error: why it was refused.
        what: what was asked of the door, without data of users.
    """
    await _write_bounded(audit, note_of(actor, function or "", detail=what), "refused", error, is_stranger=actor == ANYBODY)


def note_of(
    actor: Actor, function: str, *, object: str = "", detail: str = "", request_id: str = "", outcome: str = "done"
) -> Note:
    """Make the note of a request.

    Args:
        actor: who asks.
        function: what is called.
        object: what it is about.
        detail: what is asked of it.
        request_id: the request's id, if it has one.
        outcome: how it ends, if it changes something.
    """
    where = origin()
    return Note(
        namespace=actor.namespace,
        actor=actor.name,
        roles=" ".join(sorted(actor.roles)),
        means=_told(where.means),
        door=_told(where.door),
        address=_told(where.address),
        function=_told(function),
        object=_told(object),
        detail=_told(detail),
        request_id=_told(request_id),
        outcome=outcome,
    )


def kind_of(error: Exception) -> str:
    """Return the kind of an error as the audit log has it: its class, in words with hyphens; that of a fault of ours is none."""
    if not isinstance(error, GoConductorError):
        return "internal-error"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower().removesuffix("-error")


async def _write_bounded(audit: Audit, note: Note, outcome: str, error: Exception | None, *, is_stranger: bool = False) -> None:
    if isinstance(error, StoreError):
        return  # whether it was done is open, and if it was, its row stands beside it
    if (bounds := _BOUNDS.get(audit)) is None:
        bounds = _BOUNDS[audit] = Bounds()
    bound = bounds.strangers if is_stranger else bounds.known
    if (left_out := bound.take()) is None:
        return
    facts = {name: getattr(note, name) for name in note.__struct_fields__}
    facts |= {"outcome": outcome, "problem": "" if error is None else kind_of(error), "left_out": left_out}
    try:
        await audit.write(Note(**facts))
    except GoConductorError as trouble:
        logger.warning("%s of %a was %s, which the audit log could not be told: %s", note.function, note.actor, outcome, trouble)


def _request_id(given: Given) -> str:
    found = given.get("request_id") or given.get("key") or getattr(given.get("precautions"), "request_id", None)
    return found if isinstance(found, str) else ""


def _told(text: str) -> str:
    """Return what a database can keep and a line can show, without the secret of a key that stands in the wrong place."""
    short = "".join(each if each.isprintable() else "?" for each in text[: 2 * CHARACTERS_MAX])
    return _KEY.sub(r"\1…", short)[:CHARACTERS_MAX]
