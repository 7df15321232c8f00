"""The views of sagas that a process keeps, so that it need not read them again: the latest, so many and of so many bytes.

By their number alone they could be bounded only for small sagas: ten thousand with outputs of a hundred kilobytes are a gigabyte.
"""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from goconductor.participant.log import View

SAGA_BYTES, STEP_BYTES = 500, 200
"""What a view and each of its steps take in memory beside their values, about."""


class Views:
    """Views by their saga. The newest is always kept, however large it is: without it each event of a wide saga would fold all.

    Args:
        count_max: so many at most.
        bytes_max: of so many bytes, about; values count as JSON, of which Python makes a few times as much.
    """

    def __init__(self, *, count_max: int, bytes_max: int) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._kept: OrderedDict[int, tuple[View, int]] = OrderedDict()
        """Each with its bytes, by the saga's id as a number, whose hash costs nothing; that of a UUID is worked out in Python."""
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, saga_id: UUID) -> View | None:
        """The view that was kept last."""
        found = self._kept.get(saga_id.int)
        return None if found is None else found[0]

    def keep(self, view: View) -> None:
        """Keep this one in place of an older one."""
        kept, number = self._kept, view.state.saga_id.int
        size = view.bytes + SAGA_BYTES + STEP_BYTES * len(view.state.steps)
        older = kept.pop(number, None)
        kept[number] = (view, size)
        self.bytes += size if older is None else size - older[1]
        while (self.bytes > self._bytes_max or len(kept) > self._count_max) and len(kept) > 1:
            self.bytes -= kept.popitem(last=False)[1][1]

    def drop(self, saga_id: UUID) -> None:
        """Forget it, if it is there."""
        older = self._kept.pop(saga_id.int, None)
        if older is not None:
            self.bytes -= older[1]
