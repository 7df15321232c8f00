"""The order of all events of a store in memory: that in which they were written, as nothing commits late here."""

from __future__ import annotations

from goconductor.errors import CursorLostError
from goconductor.ports.bus_metrics import COUNTED_MAX
from goconductor.ports.store import FeedEntry, FeedLag, FeedPage, FeedPosition
from goconductor.stores.memory.data import Data


class MemoryFeed:
    """The events as they were written, numbered."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def check(self) -> None:
        """Nothing is needed."""

    async def beginning(self) -> str:
        return "0"

    async def end(self) -> str:
        return str(len(self._data.written))

    async def read(self, after: str, *, limit: int) -> FeedPage:
        number = self._number(after)
        found: list[FeedEntry] = []
        for number, (saga_id, entry) in enumerate(self._data.written[number : number + limit], number + 1):  # noqa: B020
            if (head := self._data.heads.get(saga_id)) is not None:
                found.append(
                    FeedEntry(
                        cursor=str(number),
                        saga_id=saga_id,
                        saga=head.saga,
                        version=head.version,
                        labels=head.labels,
                        entry=entry,
                    )
                )
        return FeedPage(entries=found, cursor=str(number), full=number < len(self._data.written))

    async def lag(self, after: str) -> FeedLag:
        left = [entry for saga_id, entry in self._data.written[self._number(after) :] if saga_id in self._data.heads]
        seconds = max(0.0, self._data.now() - left[0].at) if left else 0.0
        return FeedLag(entries=min(len(left), COUNTED_MAX), seconds=seconds)

    async def position(self, name: str) -> FeedPosition | None:
        return self._data.feeds.get(name)

    async def keep(self, name: str, position: FeedPosition, *, epoch: int) -> None:
        self._data.fence(epoch)
        self._data.feeds[name] = position

    async def begin(self, name: str, position: FeedPosition) -> None:
        self._data.feeds.setdefault(name, position)

    def _number(self, cursor: str) -> int:
        if not (cursor.isascii() and cursor.isdecimal()) or int(cursor[:20]) > len(self._data.written):
            raise CursorLostError(cursor)
        return int(cursor)
