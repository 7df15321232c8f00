"""Whether a saga may go on by another version of its definition: it may where its whole past would have been the same.

A saga is *migrated* by one event, and from then on its head names the new version. The events before it stay as they are, and
who reads the log folds all of it by the version that the head names. So there never are two plans in one replay, and a replay
needs no other definition than that one. This is sound where three things hold, and each is tried before the event is appended:

1. What has begun is the same step in both versions: the same code, inputs, policies and undo, the same part around the pivot, and
   the same steps before it (:mod:`goconductor.saga.comparing`). The log does not show all of this: a step that was sent looks the
   same whatever its code is. A key that one version has used would otherwise run the code of another.
2. After *each* event of the log both versions give the same state: the same statuses, attempts, rounds and outputs of all steps,
   the same timers, signals and answers, the same phase. Only what counts the steps still to come may differ.
3. The log's head is still the one that was read. The append is guarded by it as any other is, so nothing happens in between.

By 2 the state from which the saga goes on is the one on which everybody has acted until now: what the old version owed (messages,
timers, leases) the new one owes, and nothing else. No step of the new version would have had its turn already. By 2 for each
event, and not only for the last, also a state that somebody has folded by the old version, up to any place in the log, can be
carried on by the new one (:func:`goconductor.lifecycle.replay.under`): a message on its way, a process that was stopped. Such a
process cannot append by the old version, as the event has moved the head. Code that does not know the event cannot read the log,
and leaves the saga to others; the state names the feature, so that messages do as well.

The proof is about all versions that the saga has had. The new one gives the states of the present one, and that one gave, when
it was proven, the states of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from goconductor.errors import GoConductorError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import apply, first
from goconductor.lifecycle.facts.events import Event, SagaStarted
from goconductor.lifecycle.facts.state import NOT_STARTED, SagaState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.lifecycle.fold import Fold
from goconductor.saga.comparing import compare
from goconductor.saga.plan import Plan

_MAY_DIFFER = frozenset({"version", "remaining", "steps", "unkept"})
_FACTS = tuple(name for name in SagaState.__struct_fields__ if name not in _MAY_DIFFER)


def refusals(old: Plan, new: Plan, saga_id: UUID, log: Sequence[Event]) -> list[str]:
    """Return why a saga cannot go on by another version, a clause each; nothing where it can.

    Args:
        old: the version by which it runs, compiled.
        new: the other one.
        saga_id: its id.
        log: all of its events.
    """
    started = log[0] if log else None
    if not isinstance(started, SagaStarted):
        return ["its log is not there"]
    compared = compare(old, new)
    if compared.stays:
        return [compared.stays]
    before = first(old, saga_id, started, Log(old, log) if old.asks else None)
    try:
        after = first(new, saga_id, started, Log(new, log) if new.asks else None)
        found = _difference(before, after, started)
        for event in log[1:]:
            apply(before, event)
            if found is None:
                apply(after, event)
                found = _difference(before, after, event)
    except GoConductorError as error:  # by the old version there is none: it has written this log
        found = f"under the new version its history could not have happened: {error}"
    state = before.state
    if state.phase.ended:
        return ["it has ended"]
    if state.phase is SagaStatus.TERMINATING:
        return ["it is terminating, and nothing of it begins any more"]
    if state.parent is not None:
        return [f"it is the saga of step {state.parent.step!r} of another one, whose definition names its version"]
    reasons = [_held(old, new, name) for name in compared.holding if state.step(name) != NOT_STARTED]
    return reasons or ([] if found is None else [found])


def _difference(before: Fold, after: Fold, event: Event) -> str | None:
    """Say in what two states differ after the same event; None where they are the same."""
    after.effects.clear()
    before.effects.clear()
    if before.steps != after.steps:
        names = [name for name in {**before.steps, **after.steps} if before.step(name) != after.step(name)]
        return "; ".join(_otherwise(before, after, name) for name in names[:3])
    after.steps.update(before.steps)  # equal, and from now on the same objects, which are compared at once
    differing = [name for name in _FACTS if getattr(before.state, name) != getattr(after.state, name)]
    if (before.state.unkept or {}) != (after.state.unkept or {}):
        differing.append("unkept")
    if differing:
        return f"after {type(event).__name__} it would differ in {', '.join(differing)}"
    return None


def _otherwise(before: Fold, after: Fold, name: str) -> str:
    was, would = before.step(name).action.status, after.step(name).action.status
    if was is ActionStatus.PENDING:
        return f"step {name!r} would have had its turn already, and be {would}"
    return f"step {name!r} would be {would}, and is {was}" if was is not would else f"step {name!r} would stand otherwise"


def _held(old: Plan, new: Plan, name: str) -> str:
    return f"step {name!r} has begun, and {', '.join(_of_step(old, new, name)) or 'is another one in the new version'}"


def _of_step(old: Plan, new: Plan, name: str) -> Iterator[str]:
    """Say what is otherwise with a step that has begun."""
    if name not in new.steps:
        yield "is not there any more"
        return
    if old.roles[name] is not new.roles[name]:
        yield f"would be {new.roles[name]} and was {old.roles[name]}"
    if {*old.predecessors[name]} != {*new.predecessors[name]}:
        yield "would come after other steps"
