"""What the steps of a compiled definition are parts of, in the words of who wrote it.

Nobody has written the step ``shipping.when``: it evaluates the condition of the group ``shipping``. And a step after a switch
comes, compiled, after the last steps of all its cases. Code that shows steps to people asks here what to call them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from goconductor.saga.growth import split
from goconductor.saga.plan import Plan
from goconductor.saga.writing.groups.forms import WrittenStep, below, of_steps
from goconductor.saga.writing.groups.names import Names
from goconductor.saga.writing.groups.restoring import in_full


class Parts:
    """The groups and switches among the steps of a saga, or of the body of one map or repeat.

    Args:
        steps: as they are written, by full names.

    Attributes:
        groups: by the step that asks a group's condition, the group.
        switches: by its name, the cases of each switch.
    """

    def __init__(self, steps: Sequence[WrittenStep]) -> None:
        self.groups: dict[str, str] = {}
        self.switches: dict[str, tuple[str, ...]] = {}
        self._note(steps, "")
        self._frames: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        """By the first of its ends each group, switch and case, with all its ends."""
        for name, ends in Names(steps, full_names=True).ends.items():
            if ends and ends != (name,):
                self._frames.setdefault(ends[0], []).append((name, ends))

    def _note(self, steps: Iterable[WrittenStep], path: str) -> None:
        for step in steps:
            name = below(path, step.id)
            if step.steps is not None:
                self._note(step.steps, name)
                if step.when is not None:
                    self.groups[f"{name}.when"] = name
            for case in step.switch or ():
                self.switches[name] = (*self.switches.get(name, ()), case.case)
                self._note(case.steps, below(name, case.case))

    def gathered(self, names: Iterable[str], own: str = "") -> list[str]:
        """Return what a step comes after, groups and switches in place of the last steps of each.

        Args:
            names: of the steps that it comes after.
            own: the name of the step; what it stands in is not named.
        """
        present = dict.fromkeys(names)
        frames = (frame for name in present for frame in self._frames.get(name, ()) if not own.startswith(f"{frame[0]}."))
        called: dict[str, str] = {}
        """For the first end of each frame that is named its name, and for the other ends nothing."""
        for name, ends in sorted(frames, key=lambda frame: (-len(frame[1]), len(frame[0]))):
            if all(end in present and end not in called for end in ends):
                called |= dict.fromkeys(ends, "") | {ends[0]: name}
        return [each for name in present if (each := called.get(name, name))]

    def begun(self, names: Collection[str]) -> list[str]:
        """Return steps without those that cannot begin before another one of them: a group begins with its condition."""
        heads = {self.groups.get(name, name) for name in names if name in self.groups or name in self.switches}
        called = dict.fromkeys(self.groups.get(name, name) for name in names)
        return [name for name in called if heads.isdisjoint(_around(name))]

    def without(self, step: str, output: Callable[[str], Any]) -> str | None:
        """Return why a step was skipped, where that was decided by what it stands in, from the outside in.

        Args:
            step: its name.
            output: returns the output of a step.
        """
        path = step.split(".")
        for length in range(1, len(path)):
            name = ".".join(path[:length])
            if name in self.switches and output(name) != path[length]:
                return f"switch {name} {self._taken(output(name))}"
            if (asked := f"{name}.when") in self.groups and asked != step and output(asked) is not True:
                return f"the condition of group {name} {_answer(output(asked))}"
        return None

    def said(self, step: str, output: Callable[[str], Any]) -> str | None:
        """Return what a step has decided that nobody has written as a step; parameters as above."""
        if step in self.groups:
            return f"the condition of group {self.groups[step]} {_answer(output(step))}"
        return self._taken(output(step)) if step in self.switches else None

    @staticmethod
    def _taken(case: Any) -> str:
        return "took none of its cases" if case is None else f"took case {case}"


def _around(name: str) -> Iterator[str]:
    """Yield the full names of what a step, or a part, stands in, from the outside in."""
    path = name.split(".")
    yield from (".".join(path[:length]) for length in range(1, len(path)))


def _answer(answer: Any) -> str:
    return "holds" if answer is True else "does not hold" if answer is False else "has no answer"


class Found(NamedTuple):
    """Where a step stands.

    Attributes:
        parts: what the steps beside it are parts of.
        item: what stands in front of their names, where they have grown; else it is empty.
        name: the step's own among them.
    """

    parts: Parts
    item: str
    name: str


_KNOWN: WeakKeyDictionary[Plan, dict[str, Parts]] = WeakKeyDictionary()


def found(plan: Plan, step: str) -> Found | None:
    """Return where a step stands; None where there are neither groups nor switches beside it.

    Args:
        plan: the compiled definition.
        step: the name of the step, with all its indexes.
    """
    if plan not in _KNOWN:
        _KNOWN[plan] = dict(_by_body(in_full(plan.definition).steps, ""))
    known = _KNOWN[plan]
    grown = split(step) if known else None
    if grown is None:
        return Found(known[""], "", step) if "" in known else None
    body = grown.template[: -len(grown.step) - 1]
    return Found(known[body], grown.item, grown.step) if body in known else None


def begun_first(plan: Plan, names: Collection[str]) -> list[str]:
    """Return steps as people call them, without those that cannot begin before another one of them.

    Args:
        plan: the compiled definition.
        names: of its steps, outside of maps and repeats.
    """
    place = found(plan, next(iter(names), ""))
    return list(names) if place is None else place.parts.begun(names)


def called(plan: Plan, names: Sequence[str], own: str) -> list[str]:
    """Return what a step comes after as people call it: groups and switches in place of the last steps of each.

    Args:
        plan: the compiled definition.
        names: of the steps that it comes after, or of some of them.
        own: its name.
    """
    place = found(plan, own) if names else None
    if place is None:
        return list(names)
    beside = [name.removeprefix(place.item) for name in names if name.startswith(place.item)]
    others = [name for name in names if not name.startswith(place.item)]  # the turn before, or the map itself
    return others + [place.item + name for name in place.parts.gathered(beside, place.name)]


def why(plan: Plan, step: str, output: Callable[[str], Any], *, skipped: bool) -> str | None:
    """Return what a step's group, or switch, has decided; None where there is none, or the step's own condition has.

    Args:
        plan: the compiled definition.
        step: its name.
        output: returns the output of a step.
        skipped: whether the step was skipped; else it has succeeded.
    """
    place = found(plan, step)
    if place is None:
        return None
    asked = place.parts.without if skipped else place.parts.said
    return asked(place.name, lambda name: output(place.item + name))


def _by_body(steps: Sequence[WrittenStep], template: str) -> Iterator[tuple[str, Parts]]:
    """Yield what has groups or switches: the saga by an empty name, the body of each map and repeat by its template."""
    if any(step.steps is not None or step.switch is not None for step in steps):
        yield template, Parts(steps)
    for name, step in every(steps):
        if step.body:
            yield from _by_body(of_steps(step.body), below(template, name))


def every(steps: Iterable[WrittenStep], path: str = "") -> Iterator[tuple[str, WrittenStep]]:
    """Yield steps, groups and switches by their full names, each before what stands in it."""
    for step in steps:
        name = below(path, step.id)
        yield name, step
        yield from every(step.steps or (), name)
        for case in step.switch or ():
            yield from every(case.steps, below(name, case.case))
