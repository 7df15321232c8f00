"""A state being changed. The one place where a step's status is written, and where each move is held against the table.

A decision works on a draft of its own; a replay folds a whole log in one draft, in place, so that a log of n events over n
steps costs n and not n². Therefore a draft counts what everybody asks for (open, stuck and done steps, predecessors still to
come, the next timer) as it changes, and never looks at all steps for one event.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

import msgspec

from goconductor.errors import ConditionError, InvariantError, UnexpectedEventError
from goconductor.lifecycle.answers import NOT_KEPT, Log
from goconductor.lifecycle.effects import Effect, Work
from goconductor.lifecycle.events import Event, OutcomeUnknown, StepEvent
from goconductor.lifecycle.state import (
    NOT_STARTED,
    ActionStatus,
    Answer,
    CompensationStatus,
    SagaState,
    SagaStatus,
    StepState,
    status_of,
)
from goconductor.lifecycle.transitions import ACTION_MOVES, COMPENSATION_MOVES
from goconductor.saga.conditions import Condition
from goconductor.saga.definition import StepKind
from goconductor.saga.graph import Plan

TURNED_PATIENCE = 0.25
"""The part of its patience that a saga has once it has turned back and waits for actions it had sent: one lost message would
hold up all its compensations."""

OPEN_ACTIONS = frozenset({ActionStatus.SENT, ActionStatus.BACKOFF, ActionStatus.SETTLING})
OPEN_COMPENSATIONS = frozenset({CompensationStatus.SENT, CompensationStatus.BACKOFF, CompensationStatus.FENCING})
MAY_HAVE_RUN = frozenset({ActionStatus.SUCCEEDED, ActionStatus.FAILED, ActionStatus.UNKNOWN})
DONE_ACTIONS = frozenset({ActionStatus.SUCCEEDED, ActionStatus.SKIPPED})
CLOSED_COMPENSATIONS = frozenset({CompensationStatus.DONE, CompensationStatus.SKIPPED})
ACTION_STUCK, COMPENSATION_STUCK, NO_COMPENSATION = ActionStatus.STUCK, CompensationStatus.STUCK, CompensationStatus.NONE
"""By names of their own where each event passes: a member of an enumeration is looked up ten times as slowly as a global."""

_replace = msgspec.structs.replace


class Draft:
    """The parts of a :class:`SagaState` that events change, and the effects they ask for.

    ``unclosed`` says of each step how many of its successors must still be compensated; :mod:`backward` keeps it. ``log`` has the
    answers of conditions that the log holds, ``unkept`` those that it does not.
    """

    __slots__ = (
        "_awaited",
        "_timers",
        "done",
        "effects",
        "fields",
        "input",
        "log",
        "open_actions",
        "open_compensations",
        "paused",
        "phase",
        "plan",
        "reason",
        "remaining",
        "state",
        "steps",
        "stuck",
        "touched",
        "unclosed",
        "unkept",
    )

    def __init__(self, plan: Plan, state: SagaState, log: Log | None = None) -> None:
        self.plan = plan
        self.state = state
        self.steps = dict(state.steps)
        self.phase = state.phase
        self.paused = state.paused
        self.remaining = state.remaining
        self.reason = state.reason
        self.input = state.input
        self.effects: list[Effect] = []
        self.fields: dict[str, Any] = {}
        self.touched: set[str] = set()
        self.unclosed: dict[str, int] | None = None
        self.log = log
        self.unkept = dict(state.unkept or ()) if plan.conditions else None
        self.open_actions = self.open_compensations = self.stuck = self.done = 0
        self._awaited: dict[str, int] = {}
        self._timers: list[tuple[float, str]] = []
        for name, step in self.steps.items():
            self._count(step, 1)
            if step.due_at is not None:
                self._timers.append((step.due_at, name))
        heapify(self._timers)

    @property
    def status(self) -> SagaStatus:
        """The saga's status, as people see it."""
        return status_of(self.phase, paused=self.paused, stuck=self.stuck > 0)

    @property
    def backward(self) -> bool:
        """Whether the saga is on its way back."""
        return self.phase is SagaStatus.COMPENSATING

    def step(self, name: str) -> StepState:
        """Where a step stands."""
        return self.steps.get(name, NOT_STARTED)

    def kind(self, name: str) -> StepKind:
        """What may happen to a step."""
        return self.plan.kinds[name]

    def needs_compensation(self, name: str) -> bool:
        """Whether a step may have had an effect that must not stay, now that the saga goes back."""
        return self.step(name).action in MAY_HAVE_RUN and self.kind(name) is StepKind.COMPENSATABLE

    def has_its_turn(self, name: str) -> bool:
        """Whether a step was not begun yet and all its predecessors are done."""
        if self.step(name).action is not ActionStatus.PENDING:
            return False
        if name not in self._awaited:
            steps = self.steps
            self._awaited[name] = sum(
                steps.get(before, NOT_STARTED).action not in DONE_ACTIONS for before in self.plan.predecessors[name]
            )
        return self._awaited[name] == 0

    def set_action(self, name: str, cause: type[Any], status: ActionStatus, **changes: Any) -> None:
        """Move a step's action.

        Raises:
            UnexpectedEventError: its present status cannot see this cause.
            InvariantError: the table does not know this move.
        """
        step = self.step(name)
        allowed = ACTION_MOVES[cause].get(step.action)
        if allowed is None:
            raise UnexpectedEventError(f"the action of step {name!r} is {step.action}; it cannot see {cause.__name__}")
        if status not in allowed:
            raise InvariantError(f"{cause.__name__} moved the action of step {name!r} from {step.action} to {status}")
        self._put(name, step, _replace(step, action=status, **changes))
        if status in DONE_ACTIONS:
            for after in self.plan.successors[name]:
                if after in self._awaited:
                    self._awaited[after] -= 1

    def set_compensation(self, name: str, cause: type[Any], status: CompensationStatus, **changes: Any) -> None:
        """Move a step's compensation; raises as :meth:`set_action`."""
        step = self.step(name)
        allowed = COMPENSATION_MOVES[cause].get(step.compensation)
        if allowed is None:
            raise UnexpectedEventError(
                f"the compensation of step {name!r} is {step.compensation}; it cannot see {cause.__name__}"
            )
        if status not in allowed:
            raise InvariantError(f"{cause.__name__} moved the compensation of step {name!r} from {step.compensation} to {status}")
        self._put(name, step, _replace(step, compensation=status, **changes))

    def note_span(self, name: str, span: str) -> None:
        """Remember under which span a step's action ran."""
        self.steps[name] = _replace(self.step(name), span=span)
        self.touched.add(name)

    def _put(self, name: str, before: StepState, after: StepState) -> None:
        if before is not NOT_STARTED:  # which counts for nothing
            self._count(before, -1)
        self._count(after, 1)
        self.steps[name] = after
        self.touched.add(name)
        if after.due_at is not None:
            heappush(self._timers, (after.due_at, name))

    def _count(self, step: StepState, by: int) -> None:
        action, compensation = step.action, step.compensation
        if action in OPEN_ACTIONS:
            self.open_actions += by
        elif action in DONE_ACTIONS:
            self.done += by
        elif action is ACTION_STUCK:
            self.stuck += by
        if compensation is NO_COMPENSATION:
            return
        if compensation in OPEN_COMPENSATIONS:
            self.open_compensations += by
        elif compensation is COMPENSATION_STUCK and action is not ACTION_STUCK:
            self.stuck += by

    def learn(self, event: Event) -> None:
        """Take the answers that an event of the log carries."""
        if event.answers and self.unkept is not None:
            self.log = self.log or Log(self.plan)
            self.log.learn(event)
            for step in event.answers:
                self.unkept.pop(step, None)

    def answer(self, step: str, condition: Condition, seen: Callable[[], dict[str, object]]) -> Answer:
        """What a step's condition answers: what the log says, else the condition itself.

        Of a log that does not say it, the best guess is what the version answered that wrote it; so a replay asks as that did.

        Args:
            step: whose turn has come.
            condition: its condition.
            seen: gives what the condition is asked about.
        """
        if self.log is not None and (kept := self.log.kept.get(step)) is not None:
            return kept
        answer = self.log.follows(step) if self.log is not None else None
        if answer is None or answer == NOT_KEPT:
            try:
                holds = condition.holds(seen(), any_order=self.log is not None)
                answer = answer or holds
            except ConditionError as error:
                answer = str(error)
        if self.unkept is not None:  # pragma: no branch
            self.unkept[step] = answer
        return answer

    def keep(self, event: Event) -> Event:
        """The event that was folded last, with all answers that no event holds; it is about to be kept."""
        if not self.unkept:
            return event
        answers, self.unkept = self.unkept, {}
        self.state = _replace(self.state, unkept=self.unkept)
        return _replace(event, answers=answers)

    def ask(self, work: Work) -> None:
        """Ask for work, unless the saga is paused; what was not asked is owed and asked for on resume."""
        if not self.paused:
            self.effects.append(work)

    def expect(self, event: StepEvent, attempt: int) -> None:
        """Failures, unknowns and timers count only for the attempt that they name.

        Raises:
            UnexpectedEventError: the event is of another attempt.
        """
        if event.attempt != attempt:
            raise UnexpectedEventError(
                f"{type(event).__name__} of step {event.step!r} names attempt {event.attempt}, it is at {attempt}"
            )

    def time_of(self, event: Event) -> float:
        """When it happened; a saga's time never falls."""
        return max(event.at, self.state.at)

    def losses(self, event: OutcomeUnknown) -> tuple[int, float]:
        """How many outcomes of the step's present side were lost by now, this one included, and when the first was told."""
        step = self.step(event.step)
        return step.unknowns + 1, self.time_of(event) if step.lost_at is None else step.lost_at

    def finish(self, event: Event) -> None:
        """Take the event's time; say by when somebody must look again."""
        at = self.time_of(event)
        self.state = _replace(
            self.state,
            steps=self.steps,
            phase=self.phase,
            paused=self.paused,
            remaining=self.remaining,
            reason=self.reason,
            input=self.input,
            unkept=self.unkept,
            at=at,
            **self.fields,
        )
        wake_at = self._wake_at(at)
        if wake_at != self.state.wake_at:
            self.state = _replace(self.state, wake_at=wake_at)
        self.fields = {}

    def _wake_at(self, at: float) -> float | None:
        """Set coarsely and changed rarely: a head whose index entries do not change is updated in place (HOT)."""
        state = self.state
        if state.phase.ended or state.paused or not (self.open_actions or self.open_compensations):
            return None
        latest = at + state.patience_seconds * (TURNED_PATIENCE if self.backward and self.open_actions else 1.0)
        if state.deadline_at is not None and not state.deadline_passed:
            latest = min(latest, state.deadline_at)
        next_due = self._next_due()
        if next_due is not None:
            latest = min(latest, next_due)
        kept = state.wake_at
        return kept if kept is not None and at < kept <= latest else latest

    def _next_due(self) -> float | None:
        """The earliest timer; those that have fired or were overtaken are dropped on the way."""
        timers = self._timers
        while timers and self.steps[timers[0][1]].due_at != timers[0][0]:
            heappop(timers)
        return timers[0][0] if timers else None
