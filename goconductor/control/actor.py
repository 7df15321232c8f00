"""Who asks: the first argument of every function that reads or changes something for somebody.

A door makes an actor from what it knows, and nothing else in this room asks a door again. Nothing is refused by it yet.
"""

from __future__ import annotations

import unicodedata

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
