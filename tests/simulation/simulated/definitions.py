"""Random definitions. A new construct is one function more in ``CONSTRUCTS``, which changes a draft."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Binding, Definition, Delay, Undo
from goconductor.saga.definition import Step as DefinedStep
from goconductor.saga.retry import Retry
from tests.simulation.simulated.services import CODE, PARTICIPANTS

STEPS_MAX = 6


class Draft:
    """A definition on its way.

    Args:
        chance: decides everything.

    Attributes:
        steps: the fields of each step, in an order in which each comes after those that it depends on.
        fields: the fields of the definition itself.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.steps: list[dict[str, Any]] = []
        self.fields: dict[str, Any] = {}

    def add(self, after: list[str], **fields: Any) -> None:
        """Add a step that runs code of some participant, unless the fields say otherwise."""
        run = f"{self.chance.choice(PARTICIPANTS)}.{self.chance.choice(CODE)}"
        kind = {} if "delay" in fields or "value" in fields else {"run": run}
        self.steps.append({"id": f"s{len(self.steps)}", "after": tuple(after), **kind, **fields})

    def some(self, *, with_code: bool = True) -> list[dict[str, Any]]:
        """Some of the steps, perhaps none; only of those with code, unless that does not matter."""
        chosen = [step for step in self.steps if self.chance.random() < 0.4]
        return [step for step in chosen if "run" in step or not with_code]

    def before(self, step: dict[str, Any]) -> list[str]:
        """The steps directly before one."""
        return [*step["after"]]

    def ends(self) -> list[str]:
        """The steps after which none comes yet."""
        followed = {name for step in self.steps for name in step["after"]}
        return [step["id"] for step in self.steps if step["id"] not in followed]

    def from_the_pivot(self) -> set[str]:
        """The pivot, and all that comes after it."""
        found = {step["id"] for step in self.steps if step.get("pivot")}
        for step in self.steps:  # each comes after those that it depends on
            if found & {*step["after"]}:
                found.add(step["id"])
        return found

    def definition(self, name: str) -> Definition:
        """Make the definition."""
        made = Definition(name=name, steps=tuple(DefinedStep(**step) for step in self.steps), **self.fields)
        check(made)
        return made


def chain(draft: Draft) -> None:
    """One step after all that are there."""
    draft.add(draft.ends())


def branches(draft: Draft) -> None:
    """Two or three steps side by side."""
    before = draft.ends()
    for _ in range(draft.chance.randint(2, 3)):
        draft.add(before)


def tangle(draft: Draft) -> None:
    """One step after some of those that are there."""
    draft.add([step["id"] for step in draft.some(with_code=False)])


def delay(draft: Draft) -> None:
    """Let time pass after all that are there, or beside them."""
    seconds = draft.chance.choice([0.2, 3.0, 20.0])
    draft.add(draft.chance.choice([[], draft.ends()]), delay=Delay(seconds=seconds))


def value(draft: Draft) -> None:
    """Work something out of the input and of what was before."""
    before = draft.ends()
    asked = ["{'n': input.n + 1, 'of': ['x']}", *(f"[steps.{name}.output, steps.{name}.skipped]" for name in before)]
    draft.add(before, value=draft.chance.choice([*asked, "input.missing"] if draft.chance.random() < 0.1 else asked))


def condition(draft: Draft) -> None:
    """Some steps are skipped, by the input or by what was skipped before."""
    for step in draft.some(with_code=False):
        asked = [f"input.n > {draft.chance.randrange(10)}"]
        asked += [f"!steps.{name}.skipped" for name in draft.before(step)]
        step["when"] = draft.chance.choice(asked)


def reference(draft: Draft) -> None:
    """Some steps are given an output, or a part of the input."""
    for step in draft.some():
        refs = ["$.input.n", *(f"$.steps.{name}.output" for name in draft.before(step))]
        step["inputs"] = {"value": Binding(ref=draft.chance.choice(refs))}


def retries(draft: Draft) -> None:
    """Some steps are tried again as the definition says."""
    for step in draft.some():
        attempts = draft.chance.choice([1, 2, 5])
        step["retry"] = Retry(attempts_max=attempts, initial_seconds=draft.chance.choice([0.0, 0.1, 4.0]), max_seconds=9.0)


def compensation_retries(draft: Draft) -> None:
    """Some compensations are given up soon."""
    for step in draft.some():
        step["compensation_retry"] = Retry(attempts_max=draft.chance.choice([1, 3]), initial_seconds=0.1)


def timeouts(draft: Draft) -> None:
    """Some attempts may take only so long."""
    for step in draft.some():
        step["timeout_seconds"] = draft.chance.choice([0.4, 2.0, 12.0])


def losses(draft: Draft) -> None:
    """Some steps are given up after few lost outcomes."""
    for step in draft.some():
        step["unknowns_max"] = draft.chance.choice([1, 2])


def undos(draft: Draft) -> None:
    """Some steps are undone as the definition says: by code of any participant, or by nothing."""
    for step in draft.some():
        refs = ["$.input.n", f"$.steps.{step['id']}.output", *(f"$.steps.{name}.output" for name in draft.before(step))]
        undo = Undo(
            run=f"{draft.chance.choice(PARTICIPANTS)}.{draft.chance.choice(CODE)}",
            inputs={"value": Binding(ref=draft.chance.choice(refs))},
        )
        step["undo"] = draft.chance.choice([undo, undo, "none"])


def deadline(draft: Draft) -> None:
    """The saga has a time limit."""
    draft.fields["timeout_seconds"] = draft.chance.choice([1.0, 6.0, 30.0])


SHAPES: tuple[Callable[[Draft], None], ...] = (chain, chain, branches, tangle, delay, value)
CONSTRUCTS: tuple[Callable[[Draft], None], ...] = (
    *(condition, reference, retries, compensation_retries, timeouts, losses),
    deadline,
    undos,
)


def random_definition(name: str, chance: random.Random) -> Definition:
    """Make a definition.

    Args:
        name: its name.
        chance: decides everything.
    """
    draft = Draft(chance)
    size = chance.randint(1, STEPS_MAX)
    while len(draft.steps) < size:
        chance.choice(SHAPES)(draft)
    if chance.random() < 0.5:  # a pivot, and steps behind it
        draft.add(draft.ends(), pivot=True)
        for _ in range(chance.randrange(3)):
            draft.add([chance.choice([step["id"] for step in draft.steps if step.get("pivot")]), *draft.ends()][-2:])
    for construct in CONSTRUCTS:
        if chance.random() < 0.5:
            construct(draft)
    behind = draft.from_the_pivot()
    for step in draft.steps:
        if step.get("pivot"):
            step.pop("when", None)
        if step["id"] in behind:
            step.pop("undo", None)
    return draft.definition(name)
