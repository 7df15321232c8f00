"""Sub-sagas: a step of kind ``saga`` starts a saga of its own, its *child*, and ends with it.

What a child means to its parent is described in :mod:`goconductor.lifecycle.moves.kinds.child`. Here is how the work is done:
by any process, and without a lease. Each act can be repeated, also by two processes at once:

- A child is *started* under a key that is made of its parent's id, the step, its round and its attempt. The key decides,
  whatever the input is.
- Where the parent does not want it any more, the same start makes a saga that has ended before it began. So the key decides
  between the two as well: either there is a child, which can be asked to end, or there never will be one.
- A child that has to end is asked to turn back, or to terminate where its parent terminates. It refuses a request that comes
  twice.
- The *end* of a child is told to the parent as an outcome of the step's action. The parent's state decides whether it still
  waits for that; the same outcome a second time changes nothing.

The process that commits the parent's decision starts the child. The process that commits the child's end tells the parent. If
it dies in between, the leader's sweep does the same. The sweep finds the parent, which waits. It looks up the key first,
since there is usually a child, and since a paused parent starts nothing new. The sweep also finds the child: a child that has
ended keeps its ``wake_at`` until its end was told, and *rests* from then on. A process that leaves spends some seconds on
what is in flight, and leaves the rest to the sweep: the store may be away.

A child that is *held* is not over: its parent takes its output, and may have it undone until the parent's own end. The
process that commits that end releases the children. If it dies in between, the sweep does so: each look at a held child is a
look at its parent. A parent that was deleted has ended. A parent that is held has not, and releases its children when it is
released.

A saga that *undoes* a step is the attempt of a compensation. It is started in the same way, under a key of its own, and its
end is the compensation's outcome. Where it has completed, the step is undone. Where it was compensated, the attempt has
failed, and the next one starts another saga. Where the compensation is to be skipped, or the parent terminates, the saga is
brought to its end like any child, and that end is the answer of its owner.

A step whose output was refused has had its child. A retry starts no other child: the output of that child is told again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

from goconductor.aio.tasks import Tasks
from goconductor.engine.child_ends import attempt_of, heard, outcome
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.engine.log.append import Appender
from goconductor.engine.log.batch import Batcher
from goconductor.engine.log.folding import Submission
from goconductor.engine.log.reader import Reader
from goconductor.engine.log.start import Started, Starter
from goconductor.errors import GoConductorError, PayloadError, RequestRefusedError, SagaNotFoundError
from goconductor.lifecycle.facts.effects import Settle, Work
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    Event,
    PausedWithParent,
    Released,
    ResumedWithParent,
    ResumeRequested,
    TerminationRequested,
)
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.state import Referable, SagaState
from goconductor.lifecycle.facts.status import PausedWith, SagaStatus
from goconductor.ports.store import Known
from goconductor.redaction import logger_of
from goconductor.saga.ids import CHILDREN_NAMESPACE, Direction, child_key
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.engine")

RELEASED_AT_ONCE = 50
"""Children that are released side by side, so that they share appends."""
LAST_WORDS_SECONDS = 5.0
"""Seconds that a process which leaves gives to what is in flight."""
NOT_WANTED = "the step that was to start it went back before"

_OF_UNDO = (Direction.COMPENSATION, Direction.SETTLE_UNDO)
"""The directions in which a saga that undoes a step is asked for, or asked to end."""

_About: TypeAlias = tuple[UUID, str, Direction]
FindStarted = Callable[[str, str, str], Awaitable[UUID | None]]
"""Returns the saga that was started in a namespace, by its name, under a key; None where none was."""
Rest = Callable[[Sequence[Known]], Awaitable[None]]
"""Takes the ``wake_at`` of sagas that have ended away."""
Fit = Callable[[Plan, Any], Any]
"""Returns an input with the defaults of a definition; raises PayloadError or RequestRefusedError where it does not fit."""


async def child_of(started: FindStarted, plan: Plan, state: SagaState, step: str) -> tuple[UUID, int] | None:
    """Return the last saga that a step has started in its present round, and for which attempt; None where there is none yet.

    Args:
        started: looks up start keys.
        plan: the parent's.
        state: its.
        step: the step.
    """
    now = state.step(step)
    for attempt in range(now.action.attempt, 0, -1):
        found = await started(CHILDREN_NAMESPACE, plan.children[step].name, child_key(state.saga_id, step, now.round, attempt))
        if found is not None:
            return found, attempt
    return None


async def _rested(rest: Rest, told: Sequence[Known]) -> list[None]:
    await rest(told)
    return [None] * len(told)


async def undoing_saga_of(started: FindStarted, plan: Plan, state: SagaState, step: str) -> UUID | None:
    """Return the last saga that was started to undo a step in its present round; None where there is none.

    The arguments are those of :func:`child_of`.
    """
    now = state.step(step)
    for attempt in range(now.compensation.attempt, 0, -1):
        key = child_key(state.saga_id, step, now.round, attempt, undoes=True)
        if (found := await started(CHILDREN_NAMESPACE, plan.undo_sagas[step].name, key)) is not None:
            return found
    return None


def as_given(_: Plan, given: Any) -> Any:
    """Return an input as it is."""
    return given


class Children:
    """Starts the children of sagas, has them end, and tells their parents.

    Args:
        definitions: compiled definitions.
        reader: reads sagas.
        started: looks up start keys.
        rest: lets sagas rest whose end was told.
        starter: starts sagas.
        appender: brings events into the log.
        fit: looks at a child's input.
        output_bytes_max: greatest size of a child's output, in bytes.
    """

    def __init__(
        self,
        *,
        definitions: Definitions,
        reader: Reader,
        started: FindStarted,
        rest: Rest,
        starter: Starter,
        appender: Appender,
        fit: Fit,
        output_bytes_max: int,
    ) -> None:
        self._definitions = definitions
        self._reader = reader
        self._started = started
        self._starter = starter
        self._appender = appender
        self._fit = fit
        self._output_bytes_max = output_bytes_max
        self._looking: dict[_About, int] = {}
        """What is being seen to, and at which place of the parent's log."""
        self._newer: dict[_About, Callable[[], None]] = {}
        """What was asked of the same since, the last one only: a pause and its resumption may come in one moment."""
        self._tasks = Tasks()
        self._closed = False
        self._told: Batcher[Known, None] = Batcher(partial(_rested, rest))

    def see_to(self, plan: Plan, view: View, work: Work, *, again: bool = False) -> None:
        """Begin what a parent asks for. What fails here the sweep finds.

        Args:
            plan: the parent's.
            view: its state, in which this is still asked for.
            work: a run of the step's action, or its settlement.
            again: somebody may have done it before.
        """
        about = view.state.saga_id, work.step, work.direction
        if self._closed:
            return
        if about in self._looking:
            if view.seq > self._looking[about]:
                self._newer[about] = partial(self.see_to, plan, view, work, again=True)
            return
        self._looking[about] = view.seq
        task = self._begin(partial(self._see_to, plan, view.state, work, again=again), view.state.saga_id)
        task.add_done_callback(lambda _: self._seen_to(about))

    def _seen_to(self, about: _About) -> None:
        del self._looking[about]
        if (newer := self._newer.pop(about, None)) is not None:
            newer()

    def has_ended(self, plan: Plan, view: View) -> None:
        """Tell the parent of a saga that has ended or is held, if it has one, and release the children of one that has ended."""
        if self._closed:
            return
        state = view.state
        if state.parent is not None:
            self._begin(partial(self._tell, plan, view, state.parent), state.saga_id)
        if plan.starts_sagas and plan.holds and state.phase.ended:
            self._begin(partial(self._release, plan, state), state.saga_id)

    def look_up(self, view: View) -> None:
        """Resume a saga that was paused with the one whose step has started it, where that one is not paused any more."""
        if not self._closed and view.state.parent is not None:
            self._begin(partial(self._look_up, view.state, view.state.parent), view.state.saga_id)

    async def close(self) -> None:
        """Give some seconds to what is in flight, and end the rest, which can be done again by anybody."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tasks.join(), LAST_WORDS_SECONDS)
        self._closed = True
        await self._tasks.close()
        await self._told.close()

    def _begin(self, what: Callable[[], Awaitable[None]], saga_id: UUID) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await what()
            except GoConductorError as error:
                logger.warning(
                    "saga %s, or what it has started, is seen to later: %s", saga_id, error, extra={"saga_id": str(saga_id)}
                )

        return self._tasks.start(guarded(), name=f"sub-saga of {saga_id}")

    async def _see_to(self, plan: Plan, state: SagaState, work: Work, *, again: bool) -> None:
        step = state.step(work.step)
        undoes = work.direction in _OF_UNDO and work.step in plan.undo_sagas
        if undoes:
            wanted = work.direction is Direction.COMPENSATION
            parent = Parent(state.saga_id, work.step, step.round, step.compensation.attempt, undoes=True)
        else:
            wanted = work.direction is Direction.ACTION
            parent = Parent(state.saga_id, work.step, step.round, step.action.attempt, held=work.step in plan.holds)
        held_back = state.paused and not isinstance(work, Settle)
        found = None
        if again or not wanted or parent.attempt > 1 or state.paused_with:
            found = await self._found(plan, state, parent)
        if found is None:
            if held_back:
                return
            started = await self._start(plan, state, parent, never="" if wanted else NOT_WANTED)
            if not started.existing:
                return  # its end will be told, if it has not been
            found = started.saga_id
        its_plan, view = await self._reader.look(found)
        if view.state.phase.done:
            await self._tell(its_plan, view, parent)
        elif held_back:
            if state.paused_with and not view.state.paused:
                await self._submit(PausedWithParent(reason=f"step {parent.step!r} of saga {parent.saga_id}"), found)
        elif wanted and view.state.paused_with is PausedWith.PARENT:
            await self._submit(ResumedWithParent(), found)
        elif not wanted:
            await self._have_it_end(view.state, parent, terminates=state.phase is SagaStatus.TERMINATING)

    async def _look_up(self, child: SagaState, parent: Parent) -> None:
        above: SagaState | None = None
        with contextlib.suppress(SagaNotFoundError):
            above = (await self._reader.look(parent.saga_id))[1].state
        if above is not None and not above.phase.ended and above.paused_with:
            step = above.step(parent.step)
            if (step.round, attempt_of(step, parent)) == (parent.round, parent.attempt):
                return
        await self._submit(ResumedWithParent(), child.saga_id)

    async def _found(self, plan: Plan, state: SagaState, parent: Parent) -> UUID | None:
        """Return the child of a step's present attempt, else one of an earlier attempt that has completed."""
        if parent.undoes:
            return await self._started(CHILDREN_NAMESPACE, plan.undo_sagas[parent.step].name, parent.key)
        found = await child_of(self._started, plan, state, parent.step)
        if found is None:
            return None
        child, attempt = found
        if attempt < parent.attempt and (await self._reader.look(child))[1].state.phase is not SagaStatus.COMPLETED:
            return None
        return child

    async def _start(self, plan: Plan, state: SagaState, parent: Parent, *, never: str) -> Started:
        """Start a child, or take its key for one that never begins."""
        child = (plan.undo_sagas if parent.undoes else plan.children)[parent.step]
        its_plan = await self._definitions.plan(child.name, child.version)
        priority = state.priority or its_plan.definition.priority  # none is 0, as where a door starts it
        start = partial(self._starter.start_child, its_plan, parent, traceparent=state.traceparent, priority=priority)
        if never:
            return await start(None, never=never)
        try:
            step = state.step(parent.step)
            if parent.undoes:
                given = plan.undo_inputs(parent.step, state.input, Referable(state.steps, undone=parent.step), step.undo_edited)
            else:
                given = plan.inputs(parent.step, state.input, state.referable(), step.edited)
            return await start(self._fit(its_plan, given))
        except (PayloadError, RequestRefusedError) as error:
            return await start(None, never=f"its input was refused: {error}")

    async def _have_it_end(self, child: SagaState, parent: Parent, *, terminates: bool) -> None:
        """Ask a child to turn back, or to terminate. It may refuse, as it does so already, or is past its pivot.

        A request lifts a pause, also of a child that has turned back before.
        """
        where = f"step {parent.step!r} of saga {parent.saga_id}"
        asked: Event = (
            TerminationRequested(reason=f"with {where}", by="goconductor")
            if terminates
            else ResumedWithParent()
            if child.paused_with is PausedWith.PARENT and child.phase is SagaStatus.COMPENSATING
            else ResumeRequested(by="goconductor")
            if child.paused and child.phase is SagaStatus.COMPENSATING
            else AbortRequested(reason=f"{where} goes back, or is not wanted any more", by="goconductor")
        )
        try:
            await self._submit(asked, child.saga_id)
        except RequestRefusedError as error:
            logger.debug("a sub-saga goes on: %s", error)

    async def _tell(self, plan: Plan, child: View, parent: Parent) -> None:
        """Append to the parent's log what the end of a child means, if it waits for that.

        A child that is held is told what has become of its parent.
        """
        view: View | None = None
        with contextlib.suppress(SagaNotFoundError):  # it was terminated by force, and is deleted by now
            _, view = await self._reader.look(parent.saga_id)
        if child.state.phase is SagaStatus.HELD and (said := heard(view, parent)) is not None:
            await self._submit(said, child.state.saga_id)
        elif view is not None:
            means = outcome(plan, child, parent, view.state, output_bytes_max=self._output_bytes_max)
            if means is not None:
                await self._submit(means, parent.saga_id)
        if child.state.phase.ended:
            await self._told.ask(Known(child.state.saga_id, child.seq, child.tag))

    async def _release(self, plan: Plan, state: SagaState) -> None:
        """Release the children of a saga that has ended, some at a time. One that cannot be released now holds up no other.

        Raises:
            GoConductorError: of the first that could not be.
        """
        steps = [name for name, step in state.steps.items() if name in plan.holds and step.action.attempt]
        failed: list[BaseException] = []
        for some in range(0, len(steps), RELEASED_AT_ONCE):
            releases = (self._release_one(plan, state, step) for step in steps[some : some + RELEASED_AT_ONCE])
            failed += [each for each in await asyncio.gather(*releases, return_exceptions=True) if each is not None]
        if failed:
            raise failed[0]

    async def _release_one(self, plan: Plan, state: SagaState, step: str) -> None:
        found = await child_of(self._started, plan, state, step)
        if found is not None and (await self._reader.look(found[0]))[1].state.phase is SagaStatus.HELD:
            await self._submit(Released(), found[0])

    async def _submit(self, event: Event, saga_id: UUID) -> None:
        await self._appender.submit(Submission(saga_id, None, event))
