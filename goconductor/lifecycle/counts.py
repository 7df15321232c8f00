"""What a fold counts while steps move, so that no event looks at all steps: what is open, waits, is stuck or done, and timers."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Any

from goconductor.lifecycle.answers import Asking
from goconductor.lifecycle.facts.effects import Effect, SetTimer
from goconductor.lifecycle.facts.state import NOT_STARTED, StepState
from goconductor.lifecycle.facts.status import (
    ACTION_STUCK,
    ACTION_WAITING,
    COMPENSATING,
    COMPENSATION_STUCK,
    COMPENSATION_WAITING,
    DONE_ACTIONS,
    NO_COMPENSATION,
    OPEN_ACTIONS,
    OPEN_COMPENSATIONS,
    ActionStatus,
    CompensationStatus,
    PausedWith,
    SagaStatus,
)
from goconductor.lifecycle.pending_work import children_at_work
from goconductor.saga.data.moments import SECONDS_MAX

TURNED_PATIENCE = 0.25
"""Part of its patience for a saga that goes back, or some of it, and waits for actions that it sent. Otherwise one lost message
would delay all its compensations."""


class Counts(Asking):
    """How many steps stand where, and when the sweep has to look at the saga again.

    ``at`` is the time of the event that is being folded. ``touched`` are the steps that it has changed. ``locking`` are the steps
    that wait for locks, each with its round.
    """

    __slots__ = (
        "_timers",
        "at",
        "done",
        "effects",
        "fields",
        "locking",
        "open_actions",
        "open_compensations",
        "paused",
        "phase",
        "rewound",
        "steps",
        "stuck",
        "stuck_compensations",
        "touched",
        "waiting",
        "waiting_compensations",
    )

    at: float
    done: int
    effects: list[Effect]
    fields: dict[str, Any]
    locking: dict[str, int]
    open_actions: int
    open_compensations: int
    paused: bool
    phase: SagaStatus
    rewound: frozenset[str]
    steps: dict[str, StepState]
    stuck: int
    stuck_compensations: int
    touched: set[str]
    waiting: int
    waiting_compensations: int
    _timers: list[tuple[float, str]]

    def _put(self, name: str, before: StepState, after: StepState) -> None:
        if before is not NOT_STARTED:  # which counts for nothing
            self._count(before.action.status, before.compensation.status, -1)
        self._count(after.action.status, after.compensation.status, 1)
        self.steps[name] = after
        self.touched.add(name)
        if after.wishes:
            self.locking[name] = after.round
        elif before.wishes:
            del self.locking[name]

    def _count(self, action: ActionStatus, compensation: CompensationStatus, by: int) -> None:
        if action in OPEN_ACTIONS:
            self.open_actions += by
        elif action in DONE_ACTIONS:
            self.done += by
        elif action is ACTION_STUCK:
            self.stuck += by
        elif action is ACTION_WAITING:
            self.waiting += by
        if compensation is NO_COMPENSATION:
            return
        if compensation in OPEN_COMPENSATIONS:
            self.open_compensations += by
            if compensation is COMPENSATION_WAITING:
                self.waiting_compensations += by
        elif compensation is COMPENSATION_STUCK:
            self.stuck_compensations += by
            self.stuck += by if action is not ACTION_STUCK else 0

    def set_timer(self, timer: SetTimer) -> None:
        """Ask for a timer, also while paused, and remember when it is due."""
        self.effects.append(timer)
        heappush(self._timers, (timer.due_at, timer.step))

    def _wake_at(self, at: float) -> float | None:
        """Return when to look again. It changes rarely: a head whose index entries stay is updated in place (HOT).

        Where nothing is open but waits, or a stuck undo, nobody looks before one of them, or the deadline, is due. Of a paused
        saga only the ends of those are looked for that its steps have started. A saga that turns back always has a time: where
        all that is left of it waits for somebody outside, that is the last one there is.
        """
        state = self.state
        works = self.open_actions or self.open_compensations > self.waiting_compensations
        undoes = self.stuck_compensations > 0 and self.phase is not COMPENSATING
        if self.paused and not self.phase.ended and self.fields.get("paused_with", state.paused_with) is PausedWith.PARENT:
            return at + state.patience_seconds  # it looks whether the saga that it was paused with still is
        held = self.paused and not children_at_work(self.plan, self.steps)
        if self.phase.ended or held or not (works or self.waiting or self.waiting_compensations or undoes):
            return None
        latest = math.inf if not self.locking else at + state.patience_seconds
        if works:
            turned = self.open_actions and (self.phase is COMPENSATING or self.rewound)
            latest = at + state.patience_seconds * (TURNED_PATIENCE if turned else 1.0)
        deadline_at = None if self.paused or self.phase is SagaStatus.TERMINATING else state.deadline_at
        if deadline_at is not None and not self.fields.get("deadline_passed", state.deadline_passed):
            latest = min(latest, deadline_at)
        if self._timers and not self.paused and (next_due := self._next_due()) is not None:
            latest = min(latest, next_due)
        if works and (kept := state.wake_at) is not None and at < kept <= latest:
            return kept
        if latest == math.inf:
            return SECONDS_MAX if self.waiting_compensations else None
        return latest

    def _next_due(self) -> float | None:
        """Return the earliest timer, and drop those that have fired or were superseded."""
        timers = self._timers
        while timers and self.steps.get(timers[0][1], NOT_STARTED).due_at != timers[0][0]:
            heappop(timers)
        return timers[0][0] if timers else None
