"""After a failover: repeats what this process brought into the log, and notes what it knows to be missing.

A standby that lagged behind and was promoted has lost commits that were acknowledged. Nobody can bring them back, but a process
that knows of one can report it. A process remembers the place of its latest appends, also of sagas that have ended, and compares
them when the log has gone back. Messages that it receives carry such places as well: a state that the log does not have, or has
differently. What is known to be missing is kept in the log for people, and counted. It is never complete: nobody knows of an
append whose process died, or that is too long ago.

Definitions are stored again, since running sagas need their version, and nobody remembers a lost one once this process ends.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import UUID

from goconductor.aio.recent import Recent
from goconductor.aio.tasks import create_guarded_task, end
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.errors import GoConductorError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.clock import Clock
from goconductor.ports.store import Failovers, Loss
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

REMEMBERED_MAX = 10_000
"""Sagas whose last acknowledged place is remembered: some seconds of a busy process, about as far as a standby lags behind."""
AT_ONCE = 1_000
"""Number of missed sagas that are noted in the store at a time."""
AGAIN_SECONDS = 1.0
"""Seconds between two attempts to note them."""
SHOWN_MAX = 5
"""Number of sagas that a log line names."""


class Rewinding:
    """What one process knows of the log beyond the log.

    Args:
        store: the log.
        definitions: those at hand.
        clock: for the pauses.
        known_by: this process's name.
        counts: where what is missing is counted.
    """

    def __init__(
        self, failovers: Failovers, definitions: Definitions, clock: Clock, *, known_by: str, counts: Counter[str]
    ) -> None:
        self._failovers = failovers
        self._definitions = definitions
        self._clock = clock
        self._known_by = known_by
        self._counts = counts
        self._places: Recent[int, tuple[int, int, SagaStatus, float]] = Recent(count_max=REMEMBERED_MAX)
        """By the saga's id as a number, whose hash costs nothing."""
        self._missed: list[Loss] = []
        self._noting: asyncio.Task[None] | None = None

    def acknowledged(self, view: View) -> None:
        """Remember a view that the log has acknowledged as durable."""
        state = view.state
        self._places.put(state.saga_id.int, (view.seq, view.tag, state.phase, state.at))

    def missed(self, view: View) -> None:
        """Note a state that a message carries, while the log has another one there, or none."""
        self._missed.append(self._loss(view.state.saga_id, view.seq, view.tag, view.state.phase, view.state.at))
        if self._noting is None or self._noting.done():
            self._noting = create_guarded_task(self._note_missed(), name="noting what is missing")

    def rewound(self) -> None:
        """Compare and repeat in the background until it is done, because the log may have gone back."""
        ours = [self._loss(UUID(int=number), *place) for number, place in self._places.items()]
        self._missed += ours
        if self._noting is not None:
            self._noting.cancel()
        self._noting = create_guarded_task(self._repeat_all(), name="repeating what the log lost")

    async def close(self) -> None:
        """Stop; what is not noted by then is not."""
        await end(self._noting)

    def _loss(self, saga_id: UUID, seq: int, tag: int, status: SagaStatus, at: float) -> Loss:
        return Loss(saga_id=saga_id, seq=seq, tag=tag, status=status.value, at=at, known_by=self._known_by)

    async def _repeat_all(self) -> None:
        await self._until_done(self._definitions.put_again)
        await self._note_missed()

    async def _note_missed(self) -> None:
        while self._missed:
            await self._until_done(self._note_some)

    async def _note_some(self) -> None:
        some = self._missed[:AT_ONCE]
        lost = await self._failovers.lost(some)
        new = await self._failovers.note(lost) if lost else 0
        del self._missed[: len(some)]
        if new:
            self._counts["commits_missing"] += new
            shown = "; ".join(f"saga {one.saga_id} was {one.status}" for one in lost[:SHOWN_MAX])
            logger.error(
                "a failover lost %d acknowledged commits that this process knows of (%s%s); `goconductor doctor` has all",
                *(new, shown, "; …" if len(lost) > SHOWN_MAX else ""),
            )

    async def _until_done(self, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await do()
            except GoConductorError as error:
                logger.debug("cannot repeat what the log may have lost, trying again: %s", error)
                await self._clock.sleep(AGAIN_SECONDS)
            else:
                return
