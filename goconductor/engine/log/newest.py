"""Find the newest state of each saga of a batch before its events are folded into it.

What this process has appended lately is taken as it is. The tail of the log is read where too little is known, where the head had
moved, or where the answer to a commit was lost. In the last case the tail says, by the event's id, whether the commit was won.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from goconductor.engine.facts import log
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.engine.facts.orphans import Orphans
from goconductor.engine.log.folding import Appended, Results, SagaBatch
from goconductor.errors import GoConductorError, SagaNotFoundError, StoreUnavailableError
from goconductor.ports.store import Known, Log, Tail
from goconductor.saga.plan import Plan


class Newest:
    """Brings the sagas of batches up to date.

    Args:
        logs: the sagas' logs.
        definitions: compiled definitions.
        orphans: frees leases that may have been taken though nobody runs under them, before a log is read.
        on_committed: called with a saga of which an event was committed after all. What follows from it nobody has done yet.
    """

    def __init__(
        self, logs: Log, definitions: Definitions, orphans: Orphans, *, on_committed: Callable[[Plan, View], None]
    ) -> None:
        self._log = logs
        self._definitions = definitions
        self._orphans = orphans
        self._on_committed = on_committed

    async def bring_up(self, gathered: Sequence[SagaBatch], results: Results) -> list[tuple[SagaBatch, Plan, View]]:
        """Return the sagas of a batch, each with its definition and newest state; those that have none are left out.

        Args:
            gathered: the batch, by saga.
            results: takes the error of those that are left out, and the result of those that were committed after all.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        brought: list[tuple[SagaBatch, Plan, View]] = []
        unread: list[SagaBatch] = []
        for each in gathered:
            plan, base = each.plan, each.base
            if each.stale or plan is None or base is None or plan.version != base.state.version:
                unread.append(each)
            else:
                brought.append((each, plan, base))
        for each, tail in zip(unread, await self._tails(unread), strict=True):
            try:
                plan, view = await self._newest(each, tail)
            except StoreUnavailableError:
                raise
            except GoConductorError as error:
                for index in each.members:
                    results[index] = error
                continue
            if each.doubtful and _find_committed(each, tail, view, results):
                self._on_committed(plan, view)
            brought.append((each, plan, view))
        return brought

    async def _tails(self, unread: Sequence[SagaBatch]) -> list[Tail]:
        """Read the tails of sagas of which too little is known, whose head had moved, or whose last append is in doubt."""
        for each in unread:
            if each.doubtful:
                # somebody else here may know more by now: an event of ours has to be looked for in all of the log
                each.base = None
        await self._orphans.free()
        known = [each.base.known if each.base is not None else Known(each.saga_id) for each in unread]
        return await self._log.read(known) if known else []

    async def _newest(self, batch: SagaBatch, tail: Tail) -> tuple[Plan, View]:
        """Return a saga's definition and its newest state.

        Raises:
            SagaNotFoundError: there is no such saga.
            GoConductorError: its log cannot be read by this version.
        """
        if tail.head is None:
            raise SagaNotFoundError(f"there is no saga {batch.saga_id}")
        plan = await self._definitions.plan(tail.head.saga, tail.head.version)
        view = log.brought_up(plan, batch.base, batch.saga_id, tail)
        assert view is not None  # noqa: S101  (it has a head)
        return plan, view


def _find_committed(batch: SagaBatch, tail: Tail, view: View, results: Results) -> bool:
    """Give their result to those whose event was committed after all, by its id; return whether there are any."""
    written = {entry.event_id for entry in tail.entries}
    found = [index for index, each in batch.members.items() if each.doubtful and each.event_id in written]
    for index in found:
        results[index] = Appended(view)
    return bool(found)
