"""What goes to or comes from a store at once is bounded in bytes, on both sides of the port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def portions(items: Sequence[T], weights: Iterable[int], bytes_max: int) -> Iterator[Sequence[T]]:
    """Yield items in parts of at most ``bytes_max`` bytes, in their order; a larger item is alone in its part.

    Args:
        items: the items to divide.
        weights: the bytes of each item.
        bytes_max: the greatest number of bytes of a part.
    """
    begins = sum_ = 0
    for index, weight in enumerate(weights):
        if index > begins and sum_ + weight > bytes_max:
            yield items[begins:index]
            begins, sum_ = index, 0
        sum_ += weight
    if begins < len(items):
        yield items[begins:]
