"""What follows from an event, as clauses for people: who turns back, what is asked to run, what waits.

Nothing of it is stored: it is what :func:`~goconductor.lifecycle.decide.decide` makes of the event, and the difference that the
event makes to the state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goconductor.control.wording import awaited, named, spell, together, undone_by
from goconductor.lifecycle.facts.effects import Decision, EndSaga, RunAction, RunCompensation, SetTimer, Settle
from goconductor.lifecycle.facts.events import ActionHandedOut, CompensationHandedOut, Event
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import MAY_HAVE_RUN, ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.grown import in_order
from goconductor.lifecycle.pending_work import is_backward, is_of_child
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan


def consequences(plan: Plan, before: SagaState | None, decided: Decision, at: float) -> Iterator[str]:
    """Yield what follows from an event, each as a clause that can stand after "so".

    Args:
        plan: the saga's compiled definition.
        before: the saga before the event; None before its start.
        decided: what was decided on the event.
        at: the event's time, in seconds since 1970.
    """
    after = decided.state
    names = _changed(plan, before, after)
    if before is not None and is_backward(after) and not is_backward(before):
        yield "the saga turns back"
        everything = in_order(plan, after.steps)
        if nothing := [name for name in everything if name not in plan.undoable and _may_stand(plan, after, name)]:
            yield f"{together(nothing)} {'has' if len(nothing) == 1 else 'have'} nothing to undo"
    if unsent := [
        n for n in names if n in plan.undoes and _newly(before, after, n, ActionStatus.PREVENTED) and _settled(before, n)
    ]:
        yield f"{together(unsent)} {'has' if len(unsent) == 1 else 'have'} nothing to undo"
    yield from _rewind(plan, before, after)
    if after.phase is SagaStatus.TERMINATING and (before is None or before.phase is not after.phase):
        yield "nothing of it begins any more"
    if skipped := [name for name in names if _newly(before, after, name, ActionStatus.SKIPPED)]:
        yield f"{together(skipped)} {'is' if len(skipped) == 1 else 'are'} skipped"
    if values := [name for name in names if name in plan.values and _newly(before, after, name, ActionStatus.SUCCEEDED)]:
        yield f"{together(values)} {'is' if len(values) == 1 else 'are'} worked out"
    if given_up := [name for name in names if _newly(before, after, name, ActionStatus.GIVEN_UP)]:
        standing = [name for name in given_up if name in after.left_standing]
        left = f" ({together(standing)}: effects left standing)" if standing else ""
        yield f"{together(given_up)} {'is' if len(given_up) == 1 else 'are'} given up, and the saga goes on without{left}"
    for name in names:
        yield from _grown(plan, before, after, name)
        yield from _lost(before, after, name)
        yield from _asked(plan, before, after, name)
        if after.step(name).stuck and not (before is not None and before.step(name).stuck):
            yield f"{name} is stuck: an operator must decide"
    yield from _begun(plan, [effect for effect in decided.effects if isinstance(effect, RunAction)])
    for effect in decided.effects:
        match effect:
            case RunCompensation():
                again = f" (attempt {effect.attempt})" if effect.attempt > 1 else ""
                undo = plan.undoes.get(effect.step)
                yield f"{effect.step} is to be {'compensated' if undo is None else f'undone by {undone_by(undo)}'}{again}"
            case Settle():
                yield _settles(plan, effect)
            case SetTimer() if _is_told(plan, decided.event, effect):
                pass
            case SetTimer() if effect.step not in plan.sent:
                seconds = spell(max(0.0, effect.due_at - at))
                what = awaited(plan.steps[effect.step])
                yield f"{effect.step} waits {seconds}" if what is None else f"{effect.step} waits for {what}, at most {seconds}"
            case SetTimer():
                what = "its compensation" if effect.direction is Direction.COMPENSATION else "it"
                yield f"{what} is tried again in {spell(max(0.0, effect.due_at - at))} (attempt {effect.attempt})"
            case EndSaga():
                left = f", effects left standing: {together(after.left_standing)}" if after.left_standing else ""
                yield f"the saga is {effect.status}{left}"
            case RunAction():  # pragma: no branch
                pass


def _is_told(plan: Plan, event: Event, timer: SetTimer) -> bool:
    """Return whether the rest of the story says what a timer is for."""
    asked = timer.direction is Direction.COMPENSATION and timer.step in plan.undo_waits
    return asked or isinstance(event, ActionHandedOut | CompensationHandedOut)


def _asked(plan: Plan, before: SagaState | None, after: SagaState, name: str) -> Iterator[str]:
    """Yield what the undo of a step begins to wait for, where nobody runs it."""
    side, earlier = after.step(name).compensation, 0 if before is None else before.step(name).compensation.attempt
    if earlier != side.attempt and side.status is CompensationStatus.WAITING and name in plan.undo_waits:
        yield f"the undo of {name} waits for {named(plan.undo_waits[name])}"


def _begun(plan: Plan, actions: Sequence[RunAction]) -> Iterator[str]:
    """Yield which actions are asked to run, and which sagas steps start."""
    asked = [each.step if each.attempt == 1 else f"{each.step} (attempt {each.attempt})" for each in actions]
    called = [name for name, each in zip(asked, actions, strict=True) if each.step not in plan.children]
    if called:
        yield f"{together(called)} {'is' if len(called) == 1 else 'are'} asked to run"
    for name, each in zip(asked, actions, strict=True):
        if each.step in plan.children:
            yield f"{name} starts a saga {plan.children[each.step].name!r}"


def _settles(plan: Plan, effect: Settle) -> str:
    if is_of_child(plan, effect):
        undoes = effect.direction is Direction.SETTLE_UNDO
        child, whose = (plan.undo_sagas, "that undoes") if undoes else (plan.children, "of")
        return f"the saga {child[effect.step].name!r} {whose} {effect.step} is asked to end, and not to begin where it has not"
    owner, _ = plan.owners_of[effect.direction][effect.step]
    return f"{owner} is asked to write {effect.step}'s keys and to answer what had happened"


def _changed(plan: Plan, before: SagaState | None, after: SagaState) -> list[str]:
    """Return the steps that an event has changed, in their order. A saga may have thousands, of which each event changes few."""
    known = {} if before is None else before.steps
    changed = {name for name, step in after.steps.items() if step is not known.get(name)}
    return [*changed] if len(changed) < 2 else [name for name in in_order(plan, after.steps) if name in changed]


def _grown(plan: Plan, before: SagaState | None, after: SagaState, name: str) -> Iterator[str]:
    """Say that a map has grown, or which turn of a repeat begins."""
    length = after.step(name).length
    if length is None or after.step(name).action.status is not ActionStatus.GROWN:
        return
    if name in plan.untils:
        if before is None or length != before.step(name).length:
            yield f"turn {length:,} of {name} begins"
    elif _newly(before, after, name, ActionStatus.GROWN):
        yield f"{name} grows to {length:,} items"


def _lost(before: SagaState | None, after: SagaState, name: str) -> Iterator[str]:
    """Say which items of a map go back as a whole."""
    if lost := after.step(name).lost - (before.step(name).lost if before is not None else frozenset()):
        items = together([f"{name}[{place}]" for place in sorted(lost)])
        yield f"{items} {'is' if len(lost) == 1 else 'are'} undone as a whole"


def _may_stand(plan: Plan, state: SagaState, name: str) -> bool:
    return name in plan.sent and state.step(name).action.status in MAY_HAVE_RUN


def _settled(before: SagaState | None, name: str) -> bool:
    """Return whether the action was settled for its declared undo."""
    return before is not None and before.step(name).compensation.status is CompensationStatus.SETTLING


def _rewind(plan: Plan, before: SagaState | None, after: SagaState) -> Iterator[str]:
    """Yield which steps go back to begin again, and which begin again; of a savepoint also the way that is taken."""
    for name, way in after.ways.items():
        if before is None or before.ways.get(name) != way:
            yield f"savepoint {name} takes way {plan.savepoints[name][way.number]!r}"
    if after.rewind is not None and (before is None or before.rewind != after.rewind):
        yield f"{together(after.rewind.steps)} {'goes' if len(after.rewind.steps) == 1 else 'go'} back"
    anew = [name for name, step in after.steps.items() if before is not None and step.round != before.step(name).round]
    if anew:
        yield f"{together(anew)} {'begins' if len(anew) == 1 else 'begin'} again in round {after.step(anew[0]).round}"


def _newly(before: SagaState | None, after: SagaState, name: str, status: ActionStatus) -> bool:
    return after.step(name).action.status is status and (before is None or before.step(name).action.status is not status)
