"""Who asks: the first argument of every function that reads or changes something for somebody.

A door makes an actor from what it knows, and nothing else in this room asks a door again. Nothing is refused by it yet.
"""

from __future__ import annotations

import msgspec

from goconductor.control.faults import RequestInvalidError, text_faults

NAME_CHARACTERS_MAX = 255
"""The longest name of an actor, in characters: it is kept in the history of every saga that the actor asks something of."""


class Actor(msgspec.Struct, frozen=True):
    """Somebody who asks.

    Attributes:
        name: as a saga's history shows it; empty where nobody said.
        roles: what the actor may be.
        namespace: in which the actor asks.

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
"""Who asks where nobody said a name."""
