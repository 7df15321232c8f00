"""What is wrong with steps that may fail (``allow_fail``, ``fallback``), each fault with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from goconductor.errors import ConditionError
from goconductor.saga.checking.constructs.waits import asked_of
from goconductor.saga.checking.fault import Fault, path_between
from goconductor.saga.definition import Definition, Step
from goconductor.saga.graph import reachable, with_fallbacks


def edges(definition: Definition, named: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Return the steps before each step, those that a fallback adds included.

    Args:
        definition: it need not be sound.
        named: the steps that each one names or refers to.
    """
    steps = {step.id: step for step in definition.steps}
    if not any(step.fallback is not None for step in definition.steps):
        return {name: {*before} for name, before in named.items()}
    return {name: {*before} for name, before in with_fallbacks(steps, named).items()}


def problems(definition: Definition, before: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with steps that may fail, and with conditions on their failure.

    Args:
        definition: whose references and order were looked at.
        before: the steps before each step.
    """
    tolerated = {step.id: step for step in definition.steps if step.tolerated}
    if tolerated:
        yield from _of_fallbacks(definition)
        yield from _around_pivot(definition, tolerated, before)
    for step in definition.steps:
        for what, name, field in sorted(_failures_asked(step)):
            if name in before and name not in tolerated:
                yield Fault(
                    f"{what} asks for steps.{name}.{field}, but the saga turns back where that step "
                    f"fails; give step {name!r} allow_fail or a fallback.",
                    f"{name} fails",
                    "the saga turns back",
                    "nobody asks",
                )


def _of_fallbacks(definition: Definition) -> Iterator[str]:
    steps = {step.id: step for step in definition.steps}
    first: dict[str, str] = {}
    for step in definition.steps:
        fallback = step.fallback
        if fallback is None:
            continue
        if step.allow_fail:
            yield Fault(
                f"step {step.id!r} has both allow_fail and a fallback; keep the fallback, and give that step allow_fail "
                "where it may fail as well.",
                f"{step.id} fails",
                f"{fallback} fails as well",
                "the saga could go on, or turn back",
            )
        if fallback not in steps:
            yield f"step {step.id!r} falls back on {fallback!r}, which is not a step of this saga; add it or correct the name."
        elif fallback == step.id:
            yield Fault(
                f"step {step.id!r} falls back on itself; name another step.", f"{step.id} fails", f"{step.id} waits for itself"
            )
        elif first.setdefault(fallback, step.id) != step.id:
            yield Fault(
                f"steps {first[fallback]!r} and {step.id!r} both fall back on {fallback!r}; give each a fallback of its own.",
                f"{first[fallback]} fails",
                f"{step.id} fails",
                f"{fallback} can stand for one of them only",
            )
        elif steps[fallback].pivot:
            yield Fault(
                f"step {step.id!r} falls back on the pivot {fallback!r}, which must always run; "
                "let both come before a step that is the pivot.",
                f"{step.id} succeeds",
                f"{fallback} is skipped",
                "no step of the saga is its point of no return",
            )


def _around_pivot(definition: Definition, tolerated: Mapping[str, Step], before: Mapping[str, set[str]]) -> Iterator[str]:
    pivot = next((step for step in definition.steps if step.pivot), None)
    if pivot is None:
        return
    what = {name: "allow_fail" if step.allow_fail else "a fallback" for name, step in tolerated.items()}
    if pivot.id in tolerated:
        yield Fault(
            f"pivot {pivot.id!r} has {what[pivot.id]}; where it fails the saga must turn back: remove that, "
            "or make a later step the pivot.",
            f"{pivot.id} fails",
            "the saga goes on",
            "a later step fails, and nothing is undone",
        )
    for name in tolerated:
        if name != pivot.id and pivot.id in reachable(before, name):
            yield Fault(
                f"step {name!r} comes after the pivot {pivot.id!r} but has {what[name]}; there a step is tried until it "
                "succeeds: remove that, or move the step before the pivot.",
                *path_between(before, pivot.id, name)[:-1],
                f"{name} fails",
                "it is tried again",
            )


def _failures_asked(step: Step) -> set[tuple[str, str, str]]:
    """Return the steps whose failure an expression asks for: what asks, which step, and what it asks."""
    found: set[tuple[str, str, str]] = set()
    for what, compiled, of_signal in asked_of(step):
        with suppress(ConditionError):  # is reported with the expression
            named = () if of_signal else compiled().named
            found |= {(what, p[1], p[2]) for p in named if p[0] == "steps" and p[2:3] in (("failed",), ("failure",))}
    return found
