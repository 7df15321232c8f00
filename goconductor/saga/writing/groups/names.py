"""What the names in a written definition mean: looked up from the inside out, as variables are in a program.

The steps of a saga share their names, and those in the body of a map or repeat have names of their own. A name in a body means
the nearest step: first in the groups and cases around it in the body, then in the body itself, then in the same way around the
map. A compiled definition looks its names up like that as well (:mod:`goconductor.saga.items`), but by full names only. So the
full name of what is meant around the map must not be that of a step in the body.
"""

from __future__ import annotations

from collections.abc import Sequence

from goconductor.saga.writing.groups.forms import WrittenStep, below


class Names:
    """The names of the steps of a saga, or of the body of one map or repeat.

    Args:
        steps: as they are written.
        full_names: whether references, ``after`` and ``fallback`` give full names, so that nothing is looked up in groups.
        around: the names around the map or repeat; None of the saga itself.
        path: the full name of the group or case there that holds it; empty where none does.

    Attributes:
        ends: for each full name the steps after which it is over.
        outputs: for each full name the step whose output is its own.
        twice: the full names that are written twice.
        sequences: the full names of cases, and of groups that are compiled to more than one step.
        outer: as ``around``.
    """

    def __init__(self, steps: Sequence[WrittenStep], *, full_names: bool, around: Names | None = None, path: str = "") -> None:
        self.ends: dict[str, tuple[str, ...]] = {}
        self.twice: list[str] = []
        self.sequences: set[str] = set()
        self.outputs: dict[str, str] = {}
        self.full_names, self.outer, self.path = full_names, around, path
        self._know(steps, "")

    def inside(self, steps: Sequence[WrittenStep], path: str) -> Names:
        """Return the names in the body of a map or repeat.

        Args:
            steps: of the body.
            path: the full name of what holds the map or repeat here.
        """
        return Names(steps, full_names=self.full_names, around=self, path=path)

    def _know(self, steps: Sequence[WrittenStep], path: str) -> None:
        for step in steps:
            name = below(path, step.id)
            if name in self.ends and (path or step.steps is not None or step.switch is not None):
                self.twice.append(name)
            self.ends[name], self.outputs[name] = (name,), name
            if step.switch is not None:
                ends: list[str] = [] if step.switch and step.switch[-1].when is None else [name]
                for case in step.switch:
                    branch = below(name, case.case)
                    self._know(case.steps, branch)
                    self._stand_for(branch, case.steps)
                    self.sequences.add(branch)
                    ends += self.ends.get(branch, ())
                self.ends[name] = tuple(ends)
            elif step.steps is not None:
                self._know(step.steps, name)
                self._stand_for(name, step.steps)
                if (
                    len(step.steps) > 1
                    or step.when is not None
                    or any(below(name, each.id) in self.sequences for each in step.steps)
                ):
                    self.sequences.add(name)

    def _stand_for(self, name: str, steps: Sequence[WrittenStep]) -> None:
        if steps:
            last = below(name, steps[-1].id)
            self.ends[name], self.outputs[name] = self.ends[last], self.outputs[last]

    def ends_of(self, name: str, path: str) -> tuple[str, ...]:
        """Return the steps after which it is over what ``after`` calls so; the name itself where nothing is called so.

        Args:
            name: as it is written.
            path: the full name of what holds the step that names it.
        """
        names, full = self._found(name, "" if self.full_names else path)
        return names.ends.get(full, (full,))

    def fallback(self, name: str, path: str) -> tuple[str, bool]:
        """Return the step that a fallback names, and whether it names steps of which only the last would stand in for another.

        Where nothing is called so, it is the name itself. Parameters as above.
        """
        names, full = self._found(name, "" if self.full_names else path)
        return names.outputs.get(full, name), full in names.sequences

    def output(self, name: str, path: str, *, of_text: bool) -> tuple[str, bool]:
        """Return the step whose output a name means, and whether another step that is nearer has that step's full name.

        Args:
            name: as it is written.
            path: the full name of what holds the step that names it.
            of_text: whether a condition names it, in which names are always looked up.
        """
        names, full = self._found(name, path if of_text or not self.full_names else "", of_text=of_text)
        step = names.outputs.get(full, full)
        nearer: Names | None = self
        while nearer is not None and nearer is not names:
            if step in nearer.ends:
                return step, True
            nearer = nearer.outer
        return step, False

    def _found(self, name: str, path: str, *, of_text: bool = False) -> tuple[Names, str]:
        """Return where a name is known, and the full name there; here, and the name itself, where nobody knows it."""
        names: Names | None = self
        while names is not None:
            while path:
                if (full := f"{path}.{name}") in names.ends:
                    return names, full
                path = path.rpartition(".")[0]
            if name in names.ends:
                return names, name
            path = names.path if of_text or not names.full_names else ""
            names = names.outer
        return self, name
