"""Locks as a state knows them: what a step still wishes, and what its saga holds."""

from __future__ import annotations

import msgspec


class Wish(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key that a step must hold before it begins. ``shared``: with others that are shared too."""

    key: str
    shared: bool = False


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key that a saga holds.

    Args:
        number: of this taking; each later taking of the key has a higher one, so the other side can refuse older ones (a fencing
            token: Kleppmann, "How to do distributed locking", 2016).
        shared: with others that are shared too.
    """

    number: int
    shared: bool = False
