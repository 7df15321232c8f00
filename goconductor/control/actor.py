"""Who asks: the first argument of every function that reads or changes something for somebody.

A door makes an actor from what it knows, and nothing else in this room asks a door again. Nothing is refused by it yet.
"""

from __future__ import annotations

import msgspec

from goconductor.control.faults import RequestInvalidError, text_faults

NAME_CHARACTERS_MAX = 255
"""Greatest length of an actor's name, in characters: the history of every saga that gets a request of the actor keeps it."""


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
        if found := text_faults("by", self.name, NAME_CHARACTERS_MAX):
            raise RequestInvalidError("the request", found)


ANYBODY = Actor()
"""The actor of a request without a name."""
