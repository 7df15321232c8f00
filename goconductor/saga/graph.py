"""The graph of steps: which come before which, by what they name, refer to and stand in for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from goconductor.saga.data.keys import KeyTemplate
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Step


def chain(steps: Mapping[str, Step], step: str, reader: str | None = None) -> tuple[str, ...]:
    """Return the same as :meth:`Plan.chain`, of a definition that need not be sound."""
    found = [step]
    while (fallback := steps[found[-1]].fallback) is not None and fallback in steps and fallback not in (reader, *found):
        found.append(fallback)
    return tuple(found)


def with_fallbacks(steps: Mapping[str, Step], before: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return the steps before each step, where some have a fallback.

    A fallback comes after the step that it stands in for. Who comes after that step comes after its fallback as well.

    Args:
        steps: all steps, by their ids.
        before: the steps that each one names or refers to.
    """
    found = {name: tuple(named) for name, named in before.items()}
    for step in steps.values():
        if step.fallback in found:
            found[step.fallback] = tuple(dict.fromkeys((*found[step.fallback], step.id)))
    return {
        name: tuple(dict.fromkeys(each for one in named for each in chain(steps, one, reader=name)))
        for name, named in found.items()
    }


def predecessors(step: Step) -> tuple[str, ...]:
    """Return the steps before this one: those it names and those whose output it uses, in a stable order.

    A version does not depend on the order of the inputs in its document, so that order must not show here. It decides which of
    several steps begins first, and a step that cannot begin may hinder the next.
    """
    named = dict.fromkeys(step.after)
    refs = [binding.ref for _, binding in sorted(step.inputs.items())]
    if step.delay is not None:
        refs.append(step.delay.until)
    if step.map is not None:
        refs.append(step.map.over)
    refs += [str(each) for lock in step.locks for each in KeyTemplate.parse(lock.key).references]
    for ref in refs:
        if ref is not None and (owner := Reference.parse(ref).step) is not None:
            named[owner] = None
    if step.map is not None or step.repeat is not None:  # what its steps use of the outside must be there when it begins
        inside = {each.id for each in step.body}
        named |= dict.fromkeys(owner for each in step.body for owner in predecessors(each) if owner not in inside)
    return tuple(named)


def followers(before: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the steps after each step.

    Args:
        before: the steps before each step.
    """
    found: dict[str, list[str]] = {step: [] for step in before}
    for step, earlier in before.items():
        for name in earlier:
            found.setdefault(name, []).append(step)
    return found


def reachable(edges: Mapping[str, Iterable[str]], start: str) -> frozenset[str]:
    """Return all that can be reached from ``start`` along ``edges``, itself left out unless it lies on a cycle."""
    seen: set[str] = set()
    open_ends = [start]
    while open_ends:
        for step in edges.get(open_ends.pop(), ()):
            if step not in seen:
                seen.add(step)
                open_ends.append(step)
    return frozenset(seen)
