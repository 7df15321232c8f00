"""Waits for the end of sagas: it is noticed by our own append, by a message, or by a look now and then."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import NamedTuple, Protocol
from uuid import UUID

from goconductor.engine.facts import log
from goconductor.engine.facts.log import View
from goconductor.engine.facts.views import Views
from goconductor.engine.work.deadlines import Deadlines
from goconductor.errors import SagaNotFoundError, StoreUnavailableError, check_seconds
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, SetTimer, Settle
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.pending_work import is_without_end, pending_work, wishes_of
from goconductor.messages.envelope import SagaEnded
from goconductor.ports.clock import Clock
from goconductor.saga.plan import Plan

RECENT_MAX, RECENT_BYTES_MAX = 1_000, 8 * 1024 * 1024
ASK_SECONDS = 1.0
"""Seconds that the question which instances live may take, after a wait that timed out."""
POLL_SECONDS = 1.0
"""Seconds between two looks of a waiter at the head, in case that the message about the end was lost."""


class Look(Protocol):
    """Reads a saga's present state. Of what ``known`` holds and the log agrees with, nothing has to be read."""

    def __call__(self, saga_id: UUID, known: View | None) -> Awaitable[View]: ...


class _Notice(NamedTuple):
    """Notice of an end: the state that it names, if any, and whether it is our own append, which nobody has to look up."""

    view: View | None
    is_ours: bool


class _Waiter:
    """One who waits for a saga: the notice of its end, and what was seen and heard of it so far.

    Attributes:
        seen: the state at the last look.
        carried: a state that a message brought, until a look has used it.
        trouble: what hindered the last look.
    """

    __slots__ = ("carried", "notice", "saga_id", "seen", "trouble")

    def __init__(self, saga_id: UUID, notice: asyncio.Future[_Notice]) -> None:
        self.saga_id = saga_id
        self.notice = notice
        self.seen: View | None = None
        self.carried: View | None = None
        self.trouble = ""


class Endings:
    """The ends of sagas that this process notices.

    Args:
        look: reads a saga's present state, with what a message has of it.
        here: answers the newest view of a saga that this process appends to itself; its end is then noticed without a look.
        plan_of: finds the definition of a version, if it is at hand.
        clock: the clock of the waits.
        unoffered: finds the steps that a saga waits for and that no living instance offers, and what they run.
    """

    def __init__(
        self,
        look: Look,
        here: Callable[[UUID], View | None],
        plan_of: Callable[[str], Plan | None],
        clock: Clock,
        unoffered: Callable[[SagaState], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._unoffered = unoffered
        self._look = look
        self._here = here
        self._plan_of = plan_of
        self._clock = clock
        self._deadlines = Deadlines()
        self._waiters: dict[int, list[_Waiter]] = {}
        """By the saga's id as a number: the hash of a UUID is computed in Python."""
        self._recent = Views(count_max=RECENT_MAX, bytes_max=RECENT_BYTES_MAX)

    def on_end(self, view: View) -> None:
        """Note an end that this process has appended. One that is held may be undone yet, and by any process."""
        if view.state.phase.ended:
            self._recent.keep(view)
        self._wake(view.state.saga_id, _Notice(view, is_ours=True))

    def forget(self) -> None:
        """Forget the ends that are kept, as the log may have gone back: who asks from now on is told what it has."""
        self._recent.clear()

    def on_message(self, message: SagaEnded, size: int) -> None:
        """Note a message of ``size`` bytes that a saga has ended. The log decides whether it has."""
        if message.saga_id.int not in self._waiters:
            return
        state = message.baton.state
        plan = None if state is None else self._plan_of(state.version)
        view = None if plan is None else log.carried(plan, message.baton, size)
        self._wake(message.saga_id, _Notice(view, is_ours=False))

    async def wait(self, saga_id: UUID, timeout_seconds: float) -> SagaState:
        """Wait for the end of a saga, as :meth:`goconductor.engine.node.Node.wait_for_end`."""
        check_seconds("timeout_seconds", timeout_seconds)
        if (ended := self._recent.get(saga_id)) is not None:
            return ended.state
        loop = asyncio.get_running_loop()
        waiter = _Waiter(saga_id, loop.create_future())
        waiters = self._waiters.setdefault(saga_id.int, [])
        waiters.append(waiter)
        try:
            return await self._end(waiter, loop.time() + timeout_seconds)
        except TimeoutError:
            raise TimeoutError(await self._why(waiter, timeout_seconds)) from None
        finally:
            waiters.remove(waiter)
            if not waiters:
                self._waiters.pop(saga_id.int, None)

    async def _end(self, waiter: _Waiter, until: float) -> SagaState:
        """Return the state of a saga that has ended or is stuck.

        Looks alternate with waits for a notice. Where the saga goes on in this process, however slowly, there is no look: a
        thousand waiters that look would slow it more.

        Args:
            waiter: the one who waits.
            until: when it gives up, by the event loop's clock.

        Raises:
            TimeoutError: nothing of that has happened until then.
        """
        loop = asyncio.get_running_loop()
        place = self._place(waiter.saga_id)
        look = place == 0
        while (left := until - loop.time()) > 0:
            if look:
                await self._see(waiter, left)
                if waiter.trouble:  # the store is waited for like the saga itself
                    await self._clock.sleep(min(POLL_SECONDS, left))
                    continue
                if waiter.seen is not None and _is_over(waiter.seen.state):
                    return waiter.seen.state
            if waiter.notice.done():
                await self._clock.sleep(min(POLL_SECONDS, left))
                continue
            with suppress(TimeoutError), self._deadlines.within(min(POLL_SECONDS, left), once=left < POLL_SECONDS):
                await waiter.notice
            if waiter.notice.cancelled():
                waiter.notice = loop.create_future()
            else:
                told = waiter.notice.result()
                if told.view is not None and told.is_ours:
                    return told.view.state
                waiter.carried = told.view
            before, place = place, self._place(waiter.saga_id)
            look = waiter.notice.done() or place <= before
        raise TimeoutError

    async def _see(self, waiter: _Waiter, seconds: float) -> None:
        """Look at the saga; if the store cannot be reached, that is the waiter's trouble.

        Raises:
            TimeoutError: there is no answer in this time.
        """
        known, waiter.carried = _newest(waiter.carried, waiter.seen, self._here(waiter.saga_id)), None
        waiter.trouble = "no answer in time"
        try:
            async with asyncio.timeout(seconds):
                waiter.seen = await self._look(waiter.saga_id, known)
        except StoreUnavailableError as error:
            waiter.trouble = str(error)
        else:
            waiter.trouble = ""

    async def _why(self, waiter: _Waiter, timeout_seconds: float) -> str:
        view = _newest(waiter.seen, self._here(waiter.saga_id))
        state = None if view is None else view.state
        unoffered = {} if state is None or waiter.trouble else await self._nobody_offers(state)
        return _why(waiter.saga_id, timeout_seconds, state, waiter.trouble, unoffered)

    async def _nobody_offers(self, state: SagaState) -> Mapping[str, str]:
        with suppress(StoreUnavailableError, SagaNotFoundError, TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                return await self._unoffered(state)
        return {}

    def _place(self, saga_id: UUID) -> int:
        """Return how far this process has brought it; 0 if it has not, or if it waits for an operator, which nobody reports."""
        view = self._here(saga_id)
        return 0 if view is None or view.state.stuck_steps else view.seq

    def _wake(self, saga_id: UUID, notice: _Notice) -> None:
        for waiter in self._waiters.get(saga_id.int, ()):
            if not waiter.notice.done():
                waiter.notice.set_result(notice)


def _is_over(state: SagaState) -> bool:
    """Return whether nothing of a saga is waited for: it has ended, is held, or waits for an operator."""
    return state.phase.done or bool(state.stuck_steps)


def _newest(*views: View | None) -> View | None:
    return max((view for view in views if view is not None), key=attrgetter("seq"), default=None)


def _why(saga_id: UUID, timeout_seconds: float, state: SagaState | None, trouble: str, unoffered: Mapping[str, str]) -> str:
    """Return what a saga waits for, in words."""
    text = f"saga {saga_id} has not ended within {timeout_seconds:g} s, and goes on all the same"
    if trouble:
        return f"{text}; its log cannot be read now: {trouble}"
    if state is None:
        return text
    waits = [_wait(state, each) + _nobody(unoffered.get(each.step)) for each in pending_work(state.steps)]
    waits += [f"word from outside for step {name!r}" for name, step in state.steps.items() if is_without_end(step)]
    waits += [f"lock {wishes[0].key!r} for step {name!r}" for name, wishes in wishes_of(state).items() if wishes]
    more = f" and {len(waits) - 3} more" if len(waits) > 3 else ""
    return f"{text}; it is {state.status}" + (f" and waits for {', '.join(waits[:3])}{more}" if waits else "")


def _nobody(target: str | None) -> str:
    if target is None:
        return ""
    return f", which no living instance offers: start one of participant {target.partition('.')[0]!r} that has {target!r}"


def _wait(state: SagaState, owes: RunAction | RunCompensation | Settle | SetTimer) -> str:
    step = state.step(owes.step)
    match owes:
        case RunAction():
            what = f"step {owes.step!r}, attempt {owes.attempt}"
        case RunCompensation():
            what = f"the compensation of step {owes.step!r}, attempt {owes.attempt}"
        case Settle():
            what = f"word whether step {owes.step!r} happened"
        case SetTimer() if step.action.status is ActionStatus.WAITING or step.compensation.status is CompensationStatus.WAITING:
            what = f"the time of step {owes.step!r}"
        case SetTimer():
            what = f"another attempt at step {owes.step!r}"
    return f"{what} (the last one failed: {step.failure})" if step.failure is not None else what


def count_end(counts: Counter[str], plan: Plan, state: SagaState) -> None:
    """Count the end of a saga, and what it went on without or left."""
    counts[f"sagas_{state.phase}"] += 1
    if plan.tolerated or state.phase is SagaStatus.COMPENSATED:
        counts["steps_given_up"] += sum(step.action.status is ActionStatus.GIVEN_UP for step in state.steps.values())
        counts["effects_left"] += len(state.left_standing)
