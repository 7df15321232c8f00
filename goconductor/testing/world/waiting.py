"""What a saga of a test waits for, in words, and whether it can come."""

from __future__ import annotations

from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.pending_work import is_of_child, pending_work
from goconductor.saga.plan import Plan


def waits_in_vain(plan: Plan, state: SagaState, offered: set[tuple[str, str]]) -> str | None:
    """Return why nothing can happen to a saga any more; None if something can.

    Args:
        plan: its compiled definition.
        state: its state.
        offered: participant and name of each step that a node here has.
    """
    if state.paused:
        return f"it is paused ({state.pause_reason or 'no reason was given'}); resume it"
    works = list(pending_work(state.steps))
    missing = [
        work
        for work in works
        if not isinstance(work, SetTimer)
        and not is_of_child(plan, work)
        and plan.owners_of[work.direction][work.step] not in offered
    ]
    if not works or len(missing) < len(works):
        return None
    return "; ".join(
        f"step {work.step!r} runs {plan.code[work.direction][work.step]!r}, and no node of this world has it: open one whose "
        f"participant is {plan.owners_of[work.direction][work.step][0]!r}, or correct the name"
        for work in missing
    )


def waits_for(plan: Plan, state: SagaState, leased: set[str]) -> str:
    """Return what a saga waits for, step by step.

    Args:
        plan: its compiled definition.
        state: its state.
        leased: the steps whose code runs now.
    """
    found = []
    for work in pending_work(state.steps):
        failure = state.step(work.step).failure
        after = f" after {failure}" if failure is not None else ""
        owner = plan.owners_of[work.direction].get(work.step, ("",))[0]
        if work.step in plan.children and not owner:
            what = "waits for the end of a saga that it has started"
        elif isinstance(work, SetTimer) and not owner:
            what = "waits for its time"
        elif isinstance(work, SetTimer):
            what = "is to be tried again"
        elif work.step in leased:
            what = f"is run by {owner!r} and has not returned"
        else:
            what = f"is to be run by {owner!r}"
        found.append(f"step {work.step!r} {what}{after}")
    return "; ".join(found) or "nothing"
