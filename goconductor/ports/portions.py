"""What goes to or comes from a store at once is bounded in bytes, on both sides of the port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def portions(items: Sequence[T], weights: Iterable[int], bytes_max: int) -> Iterator[Sequence[T]]:
    """Items in parts of at most so many bytes, in their order; one that is larger is alone.

    Args:
        items: what is to be parted.
        weights: the bytes of each.
        bytes_max: how many bytes a part may have.
    """
    begins = sum_ = 0
    for index, weight in enumerate(weights):
        if index > begins and sum_ + weight > bytes_max:
            yield items[begins:index]
            begins, sum_ = index, 0
        sum_ += weight
    if begins < len(items):
        yield items[begins:]
