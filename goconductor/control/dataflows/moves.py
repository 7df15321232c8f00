"""What a run does next, as its saga stands. Pure: the same for all who run a dataflow at once.

Each move is an append on top of the state that was seen. Where somebody else was quicker it is refused, and the run looks again.
So two runs of one dataflow do nothing twice; the second joins the first.

In this order:

1. The data of this run are given. A wait takes its value by a signal. One that has had another value is given the new one
   *ahead*: the saga keeps it. Then the wait is restarted, with all that has come of it, and takes what is kept in the append with
   which it begins again. So other runs never find the datum missing, and a run that is killed in between loses nothing. A value
   that is too large to be kept is given after the restart.
2. Builders that had failed when this run began are restarted; so are those that lost a transient of this run, as another
   process took them.
3. What runs is waited for.
4. Once nothing runs, the waits before builders with optionals are ended, each with what is there now. One at a time, as each
   may lead to what the next one takes.
5. A builder that was given other optionals than there are now is restarted. So is one whose wait was ended by hand, by a signal
   that has not what it takes.
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
from goconductor.lifecycle.facts.state import SagaState, StepState
from goconductor.lifecycle.facts.status import OPEN_ACTIONS, OPEN_COMPENSATIONS, ActionStatus
from goconductor.lifecycle.moves.signals import UNTAKEN_BYTES_MAX, UNTAKEN_MAX
from goconductor.lifecycle.pending_work import is_backward
from goconductor.saga.data.values import digest, encode

NOTHING: Mapping[str, Any] = MappingProxyType({})
ENVELOPE_BYTES = 2_048
"""What a signal has beside its value, at most."""
LOST_MAX = 3
"""How often a run lets a builder be tried again that another process took."""


class Give(NamedTuple):
    """End a wait by a signal; or, ahead of its restart, let the saga keep the signal."""

    step: str
    value: Any
    ahead: bool = False


class Restart(NamedTuple):
    """Restart the saga from a step. Where that is refused, the signal that was given ahead is dropped: here is its id."""

    step: str
    reason: str
    ahead: str | None = None


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
        self._ahead: dict[str, str] = {}
        """Datum → id of the signal that the saga keeps."""
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

    def kept(self, datum: str, signal: str) -> None:
        """Take note that the saga keeps a value of this run, by a signal of this id."""
        self._ahead[datum] = signal

    def is_closed(self, state: SagaState) -> bool:
        """Return whether no data can be given any more."""
        return state.status.ended or is_backward(state) or state.step(CLOSE).action.status is ActionStatus.SUCCEEDED

    def _drop_given(self, state: SagaState) -> None:
        kept = {each.id for each in state.signals}
        for datum, value in [*self.left.items()]:
            ahead = self._ahead.get(datum)
            if _has(state.step(datum), value) if ahead is None else ahead not in kept:
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
                    return self._renew(state, datum, value)
                case _:
                    return Rest.WAIT
        return None

    def _renew(self, state: SagaState, datum: str, value: Any) -> Move:
        """Return how a datum that is there gets a new value."""
        kept = [each for each in state.signals if each.name == datum]
        if datum not in self._ahead and kept and _same(kept[-1].payload, value):
            self._ahead[datum] = kept[-1].id  # of another run, or of one that was killed
        ahead = self._ahead.get(datum)
        if ahead is None and _can_be_kept(state, value):
            return Give(datum, value, ahead=True)
        return Restart(datum, f"datum {datum!r} has a new value", ahead)

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
            if by_hand := self._ended_by_hand(state, datum):
                return Restart(by_hand, f"wait {by_hand!r} was ended without the data that its builder takes")
        if closed:
            waiting = [name for name, step in state.steps.items() if step.action.status is ActionStatus.WAITING]
            ours = next((name for name in waiting if name not in self.graph.made), None)
            if ours is not None:
                return Give(ours, None)
            return Rest.OVER if waiting else Rest.WAIT  # a builder that was handed out ends by a report
        if self._close and state.step(self.graph.target).output is not None:
            return Give(CLOSE, True)
        return Rest.OVER

    def _there(self, state: SagaState, datum: str, suffix: str) -> dict[str, Any]:
        made = self.graph.made[datum]
        return {each: state.step(each).output for each in (made.optionals if suffix == OPTIONALS else made.access)}

    def _changed(self, state: SagaState, datum: str, given: Any) -> str | None:
        """Return an optional that has another value than its builder was given. One that is gone since changes nothing."""
        now = self._there(state, datum, OPTIONALS)
        had = given if isinstance(given, dict) else {}
        return next((name for name, value in now.items() if value is not None and not _same(value, had.get(name))), None)

    def _ended_by_hand(self, state: SagaState, datum: str) -> str | None:
        """Return a wait before a builder that somebody has ended by a signal without the data that the builder takes."""
        made = self.graph.made[datum]
        for gate, taken in ((f"{datum}{OPTIONALS}", made.optionals), (f"{datum}{ACCESS}", made.access)):
            step = state.step(gate)
            whole = isinstance(step.output, dict) and step.output.keys() >= {*taken}
            if step.action.status is ActionStatus.SUCCEEDED and not whole:
                return gate
        return None


def _can_be_kept(state: SagaState, value: Any) -> bool:
    size = len(encode(value)) + ENVELOPE_BYTES + sum(each.size for each in state.signals)
    return len(state.signals) < UNTAKEN_MAX and size <= UNTAKEN_BYTES_MAX


def is_lost(step: StepState) -> bool:
    """Return whether a builder was not called, as a transient that it takes was lost."""
    failure = step.action.failure
    return _gave_up(step) and failure is not None and failure.type == TransientLostError.__name__


def is_at_work(step: StepState) -> bool:
    """Return whether something goes on in a step."""
    return step.action.status in OPEN_ACTIONS or step.compensation.status in OPEN_COMPENSATIONS


def is_waiting(step: StepState) -> bool:
    """Return whether a step waits; a builder does that only where it was handed out to somebody outside."""
    return step.action.status is ActionStatus.WAITING


def _gave_up(step: StepState) -> bool:
    return step.action.status is ActionStatus.GIVEN_UP


def _has(step: StepState, value: Any) -> bool:
    return step.action.status is ActionStatus.SUCCEEDED and _same(step.output, value)


def _same(one: Any, other: Any) -> bool:
    return digest(one) == digest(other)
