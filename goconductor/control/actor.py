"""Who asks: the first argument of every function that reads or changes something for somebody.

A door makes an actor from what it knows, and nothing else in this room asks a door again. Where a door knows who is behind a
request, it says so once (:func:`known_as`), and what the request says of itself is noted beside that, never in place of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from goconductor.control.faults import Fault, RequestInvalidError, text_faults

NAME_CHARACTERS_MAX = 255
"""Greatest length of an actor's name, in characters: the history of every saga that gets a request of the actor keeps it."""

LINE_BREAKERS = {"Cc", "Zl", "Zp"}
"""Unicode categories that a name may not have: control characters and separators of lines. A name stands in lines of the log."""


class Actor(msgspec.Struct, frozen=True):
    """The person or program that makes a request.

    Attributes:
        name: the name in a saga's history; empty where none was given.
        roles: the roles of the actor.
        namespace: the namespace of the request.

    Raises:
        RequestInvalidError: the name cannot be kept.
    """

    name: str = ""
    roles: frozenset[str] = frozenset()
    namespace: str = "default"

    def __post_init__(self) -> None:
        """Check the name."""
        found = text_faults("by", self.name, NAME_CHARACTERS_MAX)
        if not found and any(unicodedata.category(each) in LINE_BREAKERS for each in self.name):
            found = [Fault("by", "has a control character or a line break; give a name of one line")]
        if found:
            raise RequestInvalidError("the request", found)


ANYBODY = Actor()
"""The actor of a request without a name."""

_KNOWN: ContextVar[Actor | None] = ContextVar("known actor", default=None)


@contextmanager
def known_as(actor: Actor) -> Iterator[None]:
    """Enter a context in which somebody is known to be behind all that is asked: of a door, for one request.

    Args:
        actor: who it is.
    """
    before = _KNOWN.get()
    _KNOWN.set(actor)
    try:
        yield
    finally:
        _KNOWN.set(before)  # and not `reset`: a stream that its client has left is closed in another context


def asked_by(by: str = "") -> Actor:
    """Return the actor of a request.

    Args:
        by: who asks, as the request says; empty if it says nothing. Of somebody who is known it is noted as a claim.

    Raises:
        RequestInvalidError: the name cannot be kept.
    """
    known = _KNOWN.get()
    if known is None:
        return Actor(by)
    if by in ("", known.name):
        return known
    return Actor(f"{known.name} on behalf of {by}", known.roles, known.namespace)
