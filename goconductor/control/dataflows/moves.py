"""What a run does next, as its saga stands. Pure: the same for all who run a dataflow at once.

Each move is an append on top of the state that was seen. Where somebody else was quicker it is refused, and the run looks again.
So two runs of one dataflow do nothing twice; the second joins the first.

In this order:

1. The data of this run are given. A wait takes its value by a signal. One that has had another value is restarted before, with
   all that has come of it.
2. Builders that had failed when this run began are restarted; so are those that lost a transient of this run, as another
   process took them.
3. What runs is waited for.
4. Once nothing runs, the waits before builders with optionals are ended, each with what is there now. One at a time, as each
   may lead to what the next one takes.
5. A builder that was given other optionals than there are now is restarted.
6. Closed, where that is wanted and the target is there: all that still waits ends without a value.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from goconductor.dataflow.shape import ACCESS, CLOSE, OPTIONALS, Graph
from goconductor.dataflow.transients import TransientLostError
from goconductor.lifecycle.facts.state import OPEN_ACTIONS, OPEN_COMPENSATIONS, ActionStatus, SagaState, StepState
from goconductor.lifecycle.pending_work import is_backward
from goconductor.saga.data.values import digest

NOTHING: Mapping[str, Any] = MappingProxyType({})
LOST_MAX = 3
"""How often a run lets a builder be tried again that another process took."""


class Give(NamedTuple):
    """End a wait by a signal."""

    step: str
    value: Any


class Restart(NamedTuple):
    """Restart the saga from a step."""

    step: str
    reason: str


class Rest(enum.Enum):
    """Nothing is to be done by a run."""

    WAIT = enum.auto()
    """until something has happened."""
    OVER = enum.auto()
    """any more."""


Move: TypeAlias = Give | Restart | Rest


class Run:
    """What one run has to do.

    Args:
        graph: the dataflow.
        data: what it gives.
        close: whether the dataflow is closed, once its target is there.
        first: the saga as the run found it.
        tokens: what stands for the transients among the data.
    """

    def __init__(
        self, graph: Graph, data: Mapping[str, Any], *, close: bool, first: SagaState, tokens: Mapping[str, Any] = NOTHING
    ) -> None:
        self.graph = graph
        self.left = dict(data)
        """What was not given yet. What was given once is not given again, whoever gives another value later."""
        self._close = close
        self._tokens = tokens
        self._lost: Counter[str] = Counter()
        failed = {datum: first.step(datum) for datum in graph.made if _gave_up(first.step(datum))}
        self._failed = {datum: step.round for datum, step in failed.items() if not is_lost(step)}

    def next(self, state: SagaState) -> Move:
        """Return what is to be done now."""
        if state.status.ended or is_backward(state) or state.paused:
            self._drop_given(state)
            return Rest.OVER
        if state.rewind is not None:
            return Rest.WAIT
        return self._give(state) or self._again(state) or self._settled(state)

    def given(self, datum: str) -> None:
        """Take note that a value of this run was taken."""
        self.left.pop(datum, None)

    def is_closed(self, state: SagaState) -> bool:
        """Return whether no data can be given any more."""
        return state.status.ended or is_backward(state) or state.step(CLOSE).action.status is ActionStatus.SUCCEEDED

    def _drop_given(self, state: SagaState) -> None:
        for datum in [each for each, value in self.left.items() if _has(state.step(each), value)]:
            self.given(datum)

    def _give(self, state: SagaState) -> Move | None:
        self._drop_given(state)
        if self.is_closed(state):
            return None
        for datum, value in self.left.items():
            match state.step(datum).action.status:
                case ActionStatus.WAITING:
                    return Give(datum, value)
                case ActionStatus.SUCCEEDED:
                    return Restart(datum, f"datum {datum!r} has a new value")
                case _:
                    return Rest.WAIT
        return None

    def _again(self, state: SagaState) -> Move | None:
        for datum, round in self._failed.items():
            step = state.step(datum)
            if step.round == round and _gave_up(step) and not self.is_closed(state):
                return Restart(datum, f"builder {self.graph.made[datum].run!r} is tried again")
        for datum, made in self.graph.made.items() if self._tokens else ():
            ours = all(_has(state.step(each), self._tokens.get(each)) for each in made.consumes if each in self.graph.transients)
            if ours and is_lost(state.step(datum)) and self._lost[datum] < LOST_MAX:
                self._lost[datum] += 1
                return Restart(datum, f"builder {made.run!r} was taken by a process that has not its transients")
        return None

    def _settled(self, state: SagaState) -> Move:
        if any(is_at_work(step) for step in state.steps.values()):
            return Rest.WAIT
        closed = self.is_closed(state)
        for datum in self.graph.made if not closed else ():
            for suffix in (OPTIONALS, ACCESS):
                if state.step(f"{datum}{suffix}").action.status is ActionStatus.WAITING:
                    return Give(f"{datum}{suffix}", self._there(state, datum, suffix))
        for datum in self.graph.made if not closed else ():
            gate = state.step(f"{datum}{OPTIONALS}")
            if gate.action.status is ActionStatus.SUCCEEDED and (changed := self._changed(state, datum, gate.output)):
                return Restart(f"{datum}{OPTIONALS}", f"optional datum {changed!r} has a new value")
        if closed:
            waits = next((name for name, step in state.steps.items() if step.action.status is ActionStatus.WAITING), None)
            return Rest.WAIT if waits is None else Give(waits, None)
        if self._close and state.step(self.graph.target).output is not None:
            return Give(CLOSE, True)
        return Rest.OVER

    def _there(self, state: SagaState, datum: str, suffix: str) -> dict[str, Any]:
        made = self.graph.made[datum]
        return {each: state.step(each).output for each in (made.optionals if suffix == OPTIONALS else made.access)}

    def _changed(self, state: SagaState, datum: str, given: Any) -> str | None:
        """Return an optional that has another value than its builder was given. One that is gone since changes nothing."""
        now = self._there(state, datum, OPTIONALS)
        return next((name for name, value in now.items() if value is not None and not _same(value, given.get(name))), None)


def is_lost(step: StepState) -> bool:
    """Return whether a builder was not called, as a transient that it takes was lost."""
    failure = step.action.failure
    return _gave_up(step) and failure is not None and failure.type == TransientLostError.__name__


def is_at_work(step: StepState) -> bool:
    """Return whether something goes on in a step."""
    return step.action.status in OPEN_ACTIONS or step.compensation.status in OPEN_COMPENSATIONS


def _gave_up(step: StepState) -> bool:
    return step.action.status is ActionStatus.GIVEN_UP


def _has(step: StepState, value: Any) -> bool:
    return step.action.status is ActionStatus.SUCCEEDED and _same(step.output, value)


def _same(one: Any, other: Any) -> bool:
    return digest(one) == digest(other)
