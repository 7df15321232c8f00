"""The answers of conditions, as the log keeps them.

A condition is evaluated once, by the process that decides that its step has its turn. The answer is kept in the event of that
decision, in the same append; a replay reads it there. It must not be evaluated again: maps have a random order in each process,
and another release of the expression library may answer otherwise. Then a step that was skipped would run after its successor.

A step has its turn once in a round, so an answer is known by its step, and by its round where that is not the first
(:func:`asked_as`). A wait may ask again when an operator lets it wait again;
its questions are known by the number of its attempt as well. No question is asked twice under one key. That gives two freedoms,
which logs of older versions need, as their events have no answers:

* Any later event may carry an answer. What a replay had to ask is kept in the state (``SagaState.unkept``), and the next event of
  the saga carries it, whatever that event is about.
* A replay looks for all answers of a log before it folds the first event.

While an answer is not kept, two processes may differ. The first to append settles it: the head's seq and tag let one of them win.
The other reads *the whole log* again and not only its tail, since its own state may rest on the answer that lost
(``engine/facts/log.py``). Before that append both may begin the step that they believe in. So a replay asks last of all. It
prefers, in this order:

* what the log keeps;
* what follows from the log's other events: a step with an outcome was wanted, and a step without one whose successor has one was
  not;
* what the reader's own state, or a message's, holds;
* the condition itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec

from goconductor.errors import ConditionError
from goconductor.lifecycle.facts.events import STEP_REQUESTS, Event, StepEvent
from goconductor.lifecycle.facts.state import Answer, SagaState, StepState
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.grown import lost_around
from goconductor.saga.expressions.conditions import Condition
from goconductor.saga.plan import Plan

Answers: TypeAlias = Mapping[str, Answer]

CONDITION_ERROR = ConditionError.__name__
_replace = msgspec.structs.replace

NOT_KEPT = "it could not be evaluated; the reason was not kept"


class Log:
    """Hold what a log knows of the conditions of its saga.

    Args:
        plan: the saga's compiled definition.
        events: the log, or as much of it as is to be folded.
        otherwise: what counts for a condition that the log does not answer.
    """

    __slots__ = ("_events", "_followed", "_otherwise", "_plan", "kept")

    def __init__(self, plan: Plan, events: Iterable[Event] = (), otherwise: Answers | None = None) -> None:
        self._plan = plan
        self._events = tuple(events)
        self._otherwise = otherwise or {}
        self._followed: Answers | None = None
        self.kept: dict[str, Answer] = {}
        for event in self._events:
            self.learn(event)

    def learn(self, event: Event) -> None:
        """Take the answers that an event carries. The first counts."""
        if event.answers:
            for key, answer in event.answers.items():
                self.kept.setdefault(key, answer)

    @property
    def keeps_nothing(self) -> bool:
        """Whether these are events of a version that kept no answers, as far as they show it."""
        return bool(self._events) and not self.kept

    def follows(self, key: str) -> Answer | None:
        """Return an answer that the log does not hold, but that follows from it without asking."""
        if self._followed is None:
            self._followed = {**self._otherwise, **_followed(self._plan, self._events)}
        return self._followed.get(key)


def _followed(plan: Plan, events: Iterable[Event]) -> dict[str, Answer]:
    """Return what the events of steps show about conditions."""
    first: dict[str, type[StepEvent]] = {}
    for event in events:
        if isinstance(event, StepEvent) and not event.round:  # the answers of later rounds were kept from the beginning
            first.setdefault(event.step, type(event))
    done: set[str] = set()
    waiting = [*first]
    while waiting:
        for before in plan.predecessors.get(waiting.pop(), ()):
            if before not in done:
                done.add(before)
                waiting.append(before)
    found: dict[str, Answer] = {}
    for step in plan.conditions if plan.data is None else [each for each in {*first, *done} if each in plan.conditions]:
        if step in first:  # a step that an operator meets first has given up without an attempt
            found[step] = NOT_KEPT if first[step] in STEP_REQUESTS else True
        elif step in done:
            found[step] = False
    return found


def asked_as(step: str, round: int) -> str:
    """Return the key of the answer of a step's condition in a round."""
    return f"{step}/{round}" if round else step


def asked(plan: Plan, state: SagaState) -> dict[str, Answer]:
    """Return what conditions have answered, as a state shows it."""
    steps = state.steps
    return {
        asked_as(name, step.round): _asked(step)
        for name, step in steps.items()
        if name in plan.conditions
        and step.action.status is not ActionStatus.PENDING
        and not (plan.loses and lost_around(steps, name))  # what never began there was never asked
    }


def _asked(step: StepState) -> Answer:
    failure = step.action.failure
    if failure is not None and failure.type == CONDITION_ERROR:
        return failure.message
    return step.action.attempt > 0


class Asking:
    """What a fold does about answers: it takes them from the log, asks where that has none, and keeps what it had to ask.

    ``log`` has the answers that are in the log, ``unkept`` those that are not.
    """

    __slots__ = ("log", "plan", "state", "unkept")

    plan: Plan
    state: SagaState
    log: Log | None
    unkept: dict[str, Answer] | None

    def learn(self, event: Event) -> None:
        """Take the answers that an event of the log carries."""
        if event.answers and self.unkept is not None:
            self.log = self.log or Log(self.plan)
            self.log.learn(event)
            for step in event.answers:
                self.unkept.pop(step, None)

    def answer(self, key: str, condition: Condition, seen: Callable[[], dict[str, object]]) -> Answer:
        """Return what a step's condition answers: as the log has it, else by asking the condition.

        Where the log has no answer, the best guess is what the version answered that wrote it: of a log without any answer an
        old one, which let conditions walk over maps.

        Args:
            key: the step, and its round where that is not the first (:func:`asked_as`); of a wait as of :meth:`answered`.
            condition: its condition.
            seen: gives what the condition is asked about.
        """

        def ask() -> Answer:
            answer = self.log.follows(key) if self.log is not None else None
            if answer is None or answer == NOT_KEPT:
                try:
                    holds = condition.holds(seen(), any_order=self.log is not None and self.log.keeps_nothing)
                    answer = answer or holds
                except ConditionError as error:
                    answer = str(error)
            return answer

        return self.answered(key, ask)

    def answered(self, key: str, ask: Callable[[], Answer]) -> Answer:
        """Return an answer as the log has it; else ask, and keep the answer with the next event.

        Args:
            key: the step; of a wait the step, its round, its attempt and, about a signal, that one's id, with slashes in between.
            ask: gives the answer.
        """
        if self.log is not None and (kept := self.log.kept.get(key)) is not None:
            return kept
        answer = ask()
        if self.unkept is not None:  # pragma: no branch
            self.unkept[key] = answer
        return answer

    def keep(self, event: Event) -> Event:
        """Return the event that was folded last, with all answers that no event holds; it is about to be kept."""
        if not self.unkept:
            return event
        answers, self.unkept = self.unkept, {}
        self.state = _replace(self.state, unkept=self.unkept)
        return _replace(event, answers=answers)
