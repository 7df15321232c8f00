"""A state that events are folded into. Here alone a step's status is written, and each move is checked against the table.

A decision works on a fold of its own. A replay takes a whole log into one fold, in place: a log of n events over n steps costs
n and not n². Therefore a fold counts what everybody asks for as it changes: open, stuck and done steps, predecessors still to
come, the next timer. It never looks at all steps for one event.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify
from typing import Any

import msgspec

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.counts import Counts
from goconductor.lifecycle.facts.effects import SeeToLocks, Work
from goconductor.lifecycle.facts.events import StepEvent
from goconductor.lifecycle.facts.rewind import Rewind, Way
from goconductor.lifecycle.facts.signal import Signal
from goconductor.lifecycle.facts.state import BEGUN, NOT_COMPENSATED, NOT_STARTED, SENT_ONCE, SagaState, Side, StepState
from goconductor.lifecycle.facts.status import (
    ACTION_GROWN,
    ACTION_SUCCEEDED,
    COMPENSATING,
    DONE_ACTIONS,
    MAY_HAVE_RUN,
    PENDING,
    ActionStatus,
    CompensationStatus,
    PausedWith,
    status_of,
)
from goconductor.lifecycle.facts.transitions import ACTION_MOVES, COMPENSATION_MOVES, no_move
from goconductor.lifecycle.grown import body_of, last_steps, lost_around, size, with_items
from goconductor.saga.definition import StepRole
from goconductor.saga.growth import outermost
from goconductor.saga.plan import Plan

_replace = msgspec.structs.replace
_NONE = frozenset[str]()


class Fold(Counts):
    """The parts of a :class:`SagaState` that events change, and the effects that they ask for.

    ``status`` is the saga's as people see it, after the last event. ``unclosed`` has for each step how many of its successors
    must still be compensated; :mod:`turning` keeps it. ``log`` has the answers of conditions that are in the log, ``unkept``
    those that are not. ``at`` is the time of the event that is being folded, ``begun`` the steps that have begun to wait for a
    signal by it, ``grown`` the maps that it has grown, ``joins`` those of which a lost item has ended. ``awaiting`` are the steps
    that wait for a signal, by its name, once one has come (:mod:`wait`). ``won`` are the places of items that have succeeded, by
    map, where that was asked. ``given`` is the place of the first item that was given no slot, by map, where that was asked.
    ``size`` counts all steps, those that have grown included. ``rewound`` are the steps that a rewind takes back.
    """

    __slots__ = (
        "_awaited",
        "_seen_to",
        "awaiting",
        "begun",
        "given",
        "grown",
        "input",
        "joins",
        "locks",
        "reason",
        "remaining",
        "size",
        "status",
        "unclosed",
        "won",
    )

    def __init__(self, plan: Plan, state: SagaState, log: Log | None = None) -> None:
        self.plan = plan
        self.state = state
        self.steps = dict(state.steps)
        self.phase = state.phase
        self.paused = state.paused
        self.remaining = state.remaining
        self.rewound = frozenset(state.rewind.steps) if state.rewind is not None else _NONE
        self.reason = state.reason
        self.input = state.input
        self.at = state.at
        self.awaiting: dict[str, list[tuple[float, tuple[int, ...], str]]] | None = None
        self.begun: list[str] = []
        self.grown: list[str] = []
        self.joins: list[str] = []
        self.given: dict[str, int] = {}
        self.won: dict[str, set[int]] = {}
        self.effects = []
        self.fields = {}
        self.touched = set()
        self.unclosed: dict[str, int] | None = None
        self.log = log
        self.unkept = dict(state.unkept or ()) if plan.asks else None
        self.open_actions = self.open_compensations = self.waiting = self.stuck = self.stuck_compensations = self.done = 0
        self.waiting_compensations = 0
        self._awaited: dict[str, int] = {}
        self.locks = state.locks
        self.locking = {}
        self._timers = []
        for name, step in self.steps.items():
            action, compensation = step.action, step.compensation
            if action.status is ACTION_SUCCEEDED and compensation is NOT_COMPENSATED:  # most are
                self.done += 1
                continue
            self._count(action.status, compensation.status, 1)
            if step.wishes:
                self.locking[name] = step.round
            if action.due_at is not None:
                self._timers.append((action.due_at, name))
            elif compensation.due_at is not None:
                self._timers.append((compensation.due_at, name))
        self.size = len(plan.order) if plan.data is None else size(plan, self.steps)
        if self._timers:
            heapify(self._timers)
        self._seen_to = (self.locking.copy(), self.paused) if plan.locks else None
        waits = self.waiting > 0 and not (self.open_actions or self.open_compensations)
        self.status = status_of(self.phase, paused=self.paused, stuck=self.stuck > 0, waits=waits)

    def branch(self) -> Fold:
        """Return a fold of the same state that goes on by itself.

        What was counted is copied and not counted anew, which is most of what a fold costs of a saga with thousands of steps.
        """
        other = Fold(self.plan, _replace(self.state, steps={}), self.log)  # copy.copy cannot make one that is compiled
        other.state, other.size, other.status, other._seen_to = self.state, self.size, self.status, self._seen_to
        other.phase, other.paused, other.remaining, other.rewound = self.phase, self.paused, self.remaining, self.rewound
        other.reason, other.input, other.at, other.locks = self.reason, self.input, self.at, self.locks
        other.open_actions, other.open_compensations, other.done = self.open_actions, self.open_compensations, self.done
        other.waiting, other.waiting_compensations = self.waiting, self.waiting_compensations
        other.stuck, other.stuck_compensations = self.stuck, self.stuck_compensations
        other.steps = dict(self.steps)
        other.locking = self.locking.copy()
        other.unkept = None if self.unkept is None else dict(self.unkept)
        other.given, other.won = dict(self.given), {map: set(places) for map, places in self.won.items()}
        other.begun, other.grown, other.joins = [*self.begun], [*self.grown], [*self.joins]
        other.effects, other.fields, other.touched = [], {}, set()
        other.unclosed = None  # it is looked at anew, as each fold does that goes back
        other.awaiting = None if self.awaiting is None else {name: [*turns] for name, turns in self.awaiting.items()}
        other._awaited = dict(self._awaited)
        other._timers = [*self._timers]
        return other

    @property
    def backward(self) -> bool:
        """Whether the saga is on its way back."""
        return self.phase is COMPENSATING

    def goes_back(self, name: str) -> bool:
        """Return whether a step is on its way back: with the whole saga, in a rewind, or with an item that is lost."""
        if self.phase is COMPENSATING or (self.rewound and self.rewinds(name)):  # without a rewind no call: it is asked often
            return True
        return self.plan.loses and self.is_lost(name)

    def rewinds(self, name: str) -> bool:
        """Return whether a step goes back in a rewind: it is named there, or the map around it is."""
        return outermost(name) in self.rewound

    def is_lost(self, name: str) -> bool:
        """Return whether a step is in an item that is lost."""
        return lost_around(self.steps, name) is not None

    def step(self, name: str) -> StepState:
        """Return where a step stands."""
        return self.steps.get(name, NOT_STARTED)

    def role(self, name: str) -> StepRole:
        """Return what may happen to a step."""
        return self.plan.roles[name]

    def tolerates(self, name: str) -> bool:
        """Return whether the saga goes on where this step fails for good. On the way back each failure is one."""
        return name in self.plan.tolerated and not self.goes_back(name)

    def needs_compensation(self, name: str) -> bool:
        """Return whether a step may have had an effect that must not stay, now that the saga goes back."""
        may_have_run = self.step(name).action.status in MAY_HAVE_RUN
        return may_have_run and self.role(name) is StepRole.COMPENSATABLE and name in self.plan.undoable

    def has_its_turn(self, name: str) -> bool:
        """Return whether a step was not begun yet and all its predecessors are done; of a grown map, whether its items are."""
        steps = self.steps
        status = steps.get(name, NOT_STARTED).action.status
        if (status is not PENDING and status is not ACTION_GROWN) or (self.rewound and self.rewinds(name)):
            return False
        awaited = self._awaited.get(name)
        if awaited is None:
            awaited = 0
            if status is ACTION_GROWN:
                if not self._last_item_is_done(name):
                    return False  # most often, and nothing has to be counted
                befores: Sequence[str] = last_steps(self.plan, steps, name)
            else:
                befores = self.plan.predecessors[name]
                if befores:
                    if steps.get(befores[-1], NOT_STARTED).action.status not in DONE_ACTIONS:
                        return False  # so it is most often where there are many
                    befores = befores[:-1]
            for before in befores:
                if steps.get(before, NOT_STARTED).action.status not in DONE_ACTIONS:
                    awaited += 1
            self._awaited[name] = awaited
        return awaited == 0 and not (self.plan.loses and (self.is_lost(name) or self.step(name).undoing))

    def awaits(self, name: str) -> int:
        """Return how many of its last steps a map that has grown awaits."""
        if name not in self._awaited:
            undone = (self.step(each).action.status not in DONE_ACTIONS for each in last_steps(self.plan, self.steps, name))
            self._awaited[name] = sum(undone)
        return self._awaited[name]

    def _last_item_is_done(self, name: str) -> bool:
        last = (self.step(name).length or 0) - 1
        names = (f"{name}[{last}].{each}" for each in body_of(self.plan, name).last)
        return last < 0 or all(self.step(each).action.status in DONE_ACTIONS for each in names)

    def set_action(self, name: str, cause: type[Any], action: Side[ActionStatus], **changes: Any) -> StepState:
        """Move a step's action, and return the step.

        Args:
            name: the step.
            cause: the event's class, or :class:`Advance`.
            action: where it stands then.
            changes: other fields of the step.

        Raises:
            UnexpectedEventError: its present status cannot see this cause.
            InvariantError: the table does not know this move.
        """
        step, status = self.steps.get(name, NOT_STARTED), action.status
        before = step.action.status
        if status not in ACTION_MOVES[cause].get(before, ()):
            raise no_move(ACTION_MOVES[cause], "action", name, cause, before, status)
        if step.wishes:
            changes.setdefault("wishes", ())
        begins = action is SENT_ONCE and step is NOT_STARTED and not changes
        moved = BEGUN if begins else _replace(step, action=action, **changes)
        self._put(name, step, moved)
        if status in DONE_ACTIONS:
            for after in self.plan.successors[name] if before not in DONE_ACTIONS else ():
                if after in self._awaited:
                    self._awaited[after] -= 1
        elif status is ACTION_GROWN:
            self._awaited.pop(name, None)  # from here on it awaits its items
        return moved

    def set_compensation(self, name: str, cause: type[Any], compensation: Side[CompensationStatus], **changes: Any) -> StepState:
        """Move a step's compensation, and return the step; arguments and errors as of :meth:`set_action`."""
        step, status = self.steps.get(name, NOT_STARTED), compensation.status
        before = step.compensation.status
        if status not in COMPENSATION_MOVES[cause].get(before, ()):
            raise no_move(COMPENSATION_MOVES[cause], "compensation", name, cause, before, status)
        moved = _replace(step, compensation=compensation, **changes)
        self._put(name, step, moved)
        return moved

    def set_rewind(self, rewind: Rewind | None) -> None:
        """Let a rewind begin, become larger, or end."""
        self.fields["rewind"] = rewind
        self.rewound = frozenset(rewind.steps) if rewind is not None else _NONE
        self.unclosed = None
        self._awaited.clear()

    def ungrow(self, map: str) -> None:
        """Let a map be one step again: forget the steps that it has grown, whose items are undone."""
        for name in with_items(self.plan, self.steps, [map]):
            if name != map and (step := self.steps.pop(name, None)) is not None:
                self._count(step.action.status, step.compensation.status, -1)
                self.touched.discard(name)
        self.note(map, length=None, lost=frozenset(), undoing=frozenset())
        self.size = size(self.plan, self.steps)
        self.won.clear()

    def note(self, name: str, **changes: Any) -> None:
        """Change fields of a step that say nothing about where its sides stand."""
        self.steps[name] = _replace(self.step(name), **changes)
        self.touched.add(name)

    def ask(self, work: Work) -> None:
        """Ask for work, unless the saga is paused; what was not asked for stays pending, and is asked for on resume."""
        if not self.paused:
            self.effects.append(work)

    @property
    def ways(self) -> dict[str, Way]:
        """The savepoints that have given up a way."""
        found: dict[str, Way] = self.fields.get("ways", self.state.ways)
        return found

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The signals that no step has taken, in the order of the log."""
        kept: tuple[Signal, ...] = self.fields.get("signals", self.state.signals)
        return kept

    def expect(self, event: StepEvent, attempt: int) -> None:
        """Failures, unknowns and timers count only for the attempt that they name.

        Raises:
            UnexpectedEventError: the event is of another attempt.
        """
        if event.attempt != attempt:
            raise UnexpectedEventError(
                f"{type(event).__name__} of step {event.step!r} names attempt {event.attempt}, it is at {attempt}"
            )

    def finish(self) -> None:
        """Make the state after the event, and set when the sweep must look again."""
        at = self.at
        if self.state.paused_with and not self.paused:
            self.fields["paused_with"] = PausedWith.ITSELF
        if self._seen_to is not None:
            self._see_to_locks()
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
            wake_at=self._wake_at(at),
            **self.fields,
        )
        waits = self.waiting > 0 and not (self.open_actions or self.open_compensations)
        self.status = status_of(self.phase, paused=self.paused, stuck=self.stuck > 0, waits=waits)
        self.fields = {}

    def _see_to_locks(self) -> None:
        """Have the saga's locks seen to where what it wishes has changed, whether it may take it, or whether it has ended."""
        if self.locks is not self.state.locks:
            self.fields["locks"] = self.locks
        now = self.locking, self.paused
        if now != self._seen_to or self.phase.ended:
            self.effects.append(SeeToLocks())
            self._seen_to = self.locking.copy(), self.paused
