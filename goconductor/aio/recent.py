"""Bounded caches: what was put in last stays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping of so many entries at most. The one that was put or used longest ago goes first.

    Args:
        count_max: how many entries are kept.
    """

    __slots__ = ("_count_max", "_kept")

    def __init__(self, *, count_max: int) -> None:
        self._count_max = count_max
        self._kept: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        """How many entries are kept."""
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        """Whether an entry is kept; this is no use of it."""
        return key in self._kept

    def put(self, key: K, value: V) -> None:
        """Keep an entry, as the newest, in place of an older one of that key."""
        kept = self._kept
        kept[key] = value
        kept.move_to_end(key)
        if len(kept) > self._count_max:
            kept.popitem(last=False)

    def use(self, key: K) -> V | None:
        """Return an entry and count it as the newest; None if it is not kept."""
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def pop(self, key: K) -> V | None:
        """Take an entry out; None if it is not kept."""
        return self._kept.pop(key, None)

    def items(self) -> ItemsView[K, V]:
        """Return all entries, the oldest first; this is no use of them."""
        return self._kept.items()


class RecentByWeight(Generic[K, V]):
    """A mapping of so many entries at most, which together weigh no more than so much, such as bytes.

    The one that was put in longest ago goes first. The newest is always kept, whatever it weighs.

    Args:
        count_max: how many entries are kept.
        weight_max: what all of them weigh at most.

    Attributes:
        weight: what all entries weigh now.
    """

    __slots__ = ("_count_max", "_kept", "_weight_max", "weight")

    def __init__(self, *, count_max: int, weight_max: int) -> None:
        self._count_max = count_max
        self._weight_max = weight_max
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        """How many entries are kept."""
        return len(self._kept)

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep an entry, as the newest, in place of an older one of that key."""
        kept = self._kept
        older = kept.pop(key, None)
        kept[key] = (value, weight)
        self.weight += weight if older is None else weight - older[1]
        while (self.weight > self._weight_max or len(kept) > self._count_max) and len(kept) > 1:
            self.weight -= kept.popitem(last=False)[1][1]

    def get(self, key: K) -> V | None:
        """Return an entry; None if it is not kept."""
        found = self._kept.get(key)
        return None if found is None else found[0]

    def pop(self, key: K) -> V | None:
        """Take an entry out; None if it is not kept."""
        found = self._kept.pop(key, None)
        if found is None:
            return None
        self.weight -= found[1]
        return found[0]
