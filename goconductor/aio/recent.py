"""Bounded caches: what was put in last stays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping with a bounded number of entries. The entry that was put or used longest ago goes first.

    Args:
        count_max: greatest number of entries.
    """

    __slots__ = ("_count_max", "_kept")

    def __init__(self, *, count_max: int) -> None:
        self._count_max = count_max
        self._kept: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        """Return whether an entry is kept; this does not count as a use of it."""
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
    """A mapping with a bounded number of entries and a bounded weight, such as bytes.

    The entry that was put in longest ago goes first. The newest is always kept, whatever its weight.

    Args:
        count_max: greatest number of entries.
        weight_max: greatest weight of all entries.

    Attributes:
        weight: the present weight of all entries.
    """

    __slots__ = ("_count_max", "_kept", "_weight_max", "weight")

    def __init__(self, *, count_max: int, weight_max: int) -> None:
        self._count_max = count_max
        self._weight_max = weight_max
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        """Return the number of entries."""
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

    def clear(self) -> None:
        """Take all entries out."""
        self._kept.clear()
        self.weight = 0
