"""Random definitions. A new construct is one function more in ``SHAPES`` or ``CONSTRUCTS``, which changes a draft."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec.structs import asdict

from goconductor.saga.checking.validate import check
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Definition, Delay, Map, Repeat, Savepoint, Undo, Wait, every_step
from goconductor.saga.definition import Step as DefinedStep
from goconductor.saga.retry import Retry
from goconductor.saga.writing.groups.compiling import compiled
from goconductor.saga.writing.groups.forms import WrittenDefinition
from tests.simulation.simulated.grouping import grouped
from tests.simulation.simulated.repeats import repeats
from tests.simulation.simulated.services import CODE, PARTICIPANTS

STEPS_MAX = 6

OVER = {"$.input.lines": "$.item", "$.input.none": "$.index", "$.input.nested": "$.item"}
"""Lists of a saga's input, and what a step in a map over one may be given."""


def random_input(chance: random.Random) -> dict[str, Any]:
    """Make a saga's input: a number, and lists of up to three items."""
    lines = [chance.randrange(10) for _ in range(chance.choice([1, 2, 2, 3]))]
    return {"n": chance.randrange(10), "lines": lines, "none": [], "nested": [lines, [7], []]}


class Draft:
    """A definition on its way.

    Args:
        chance: decides everything.

    Attributes:
        steps: the fields of each step, in an order in which each comes after those that it depends on.
        inside: the same for the steps in each map, or repeat, by its id.
        of_maps: what a map says beside its list and its steps, by its id.
        fields: the fields of the definition itself.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.steps: list[dict[str, Any]] = []
        self.inside: dict[str, list[dict[str, Any]]] = {}
        self.of_maps: dict[str, dict[str, Any]] = {}
        self.fields: dict[str, Any] = {}

    def new(self, after: list[str], **fields: Any) -> dict[str, Any]:
        """Make a step that runs code of some participant, unless the fields say otherwise."""
        run = f"{self.chance.choice(PARTICIPANTS)}.{self.chance.choice(CODE)}"
        kind = {} if {"delay", "value", "map", "savepoint", "repeat"} & fields.keys() else {"run": run}
        return {"id": f"s{sum(1 for _ in self.every())}", "after": tuple(after), **kind, **fields}

    def add(self, after: list[str], **fields: Any) -> dict[str, Any]:
        """Add a step outside of maps."""
        self.steps.append(step := self.new(after, **fields))
        return step

    def every(self) -> Iterator[dict[str, Any]]:
        """All steps, those in maps included."""
        yield from self.steps
        for steps in self.inside.values():
            yield from steps

    def is_inside(self, step: dict[str, Any]) -> bool:
        """Whether a step is in a map."""
        return not any(step is each for each in self.steps)

    def some(self, *, with_code: bool = True) -> list[dict[str, Any]]:
        """Some of the steps, perhaps none; only of those with code, unless that does not matter."""
        chosen = [step for step in self.every() if self.chance.random() < 0.4]
        return [step for step in chosen if "run" in step or not with_code]

    def below(self, step: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The steps in a map, those of maps in it included."""
        for each in self.inside.get(step["id"], ()):
            yield each
            yield from self.below(each)

    def before(self, step: dict[str, Any]) -> list[str]:
        """The steps directly before one."""
        return [*step["after"]]

    def output_of(self, name: str) -> str:
        """A reference to what a step gives; that of a savepoint is a text."""
        has_parts = all("savepoint" not in step for step in self.every() if step["id"] == name)
        return str(Reference.to("steps", name, *(["output"] if has_parts else [])))

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
        made = grouped(Definition(name=name, steps=self._defined(self.steps), **self.fields))
        check(made)
        return made

    def _defined(self, steps: list[dict[str, Any]]) -> tuple[DefinedStep, ...]:
        return tuple(DefinedStep(**step | self._grown(step)) for step in steps)

    def _grown(self, step: dict[str, Any]) -> dict[str, Any]:
        if "repeat" in step:
            return {"repeat": Repeat(do=self._defined(self.inside[step["id"]]), **step["repeat"])}
        return {"map": self._map(step)} if "map" in step else {}

    def _map(self, step: dict[str, Any]) -> Map:
        name = step["id"]
        return Map(over=step["map"], do=self._defined(self.inside[name]), **self.of_maps.get(name, {}))


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
    draft.add([step["id"] for step in draft.some(with_code=False) if not draft.is_inside(step)])


def delay(draft: Draft) -> None:
    """Let time pass after all that are there, or beside them."""
    seconds = draft.chance.choice([0.2, 3.0, 20.0])
    draft.add(draft.chance.choice([[], draft.ends()]), delay=Delay(seconds=seconds))


def value(draft: Draft) -> None:
    """Work something out of the input and of what was before."""
    before = draft.ends()
    of = {name: "size" if name in draft.inside else "output" for name in before}
    asked = ["{'n': input.n + 1, 'of': ['x']}", *(f"[steps['{name}'].{of[name]}, steps['{name}'].skipped]" for name in before)]
    draft.add(before, value=draft.chance.choice([*asked, "input.missing"] if draft.chance.random() < 0.1 else asked))


def map_over(draft: Draft) -> None:
    """One or two steps for each item of a list, at times with a map among them."""
    if any("." in step["id"] for step in draft.steps):
        chain(draft)
        return
    _map(draft, draft.ends())


def _map(draft: Draft, after: list[str]) -> None:
    over = draft.chance.choice([*OVER])
    outer = draft.add(after, map=over)
    do = draft.inside[outer["id"]] = []
    do.append(draft.new([]))
    for _ in range(draft.chance.randrange(2)):
        beside = [each["id"] for each in do]
        do.append(draft.new(draft.chance.choice([[], beside]), **draft.chance.choice([{}, {}, {"value": "index + 1"}])))
    if over == "$.input.nested":
        do.append(inner := draft.new([], map="$.item"))
        draft.inside[inner["id"]] = [draft.new([])]


def switch(draft: Draft) -> None:
    """One of two sequences of steps, or a group of them with a condition, compiled as a document's are."""
    if draft.inside:
        chain(draft)
        return
    asked = f"input.n > {draft.chance.randrange(10)}"
    first, second = ([draft.new([]) | {"id": name} for name in names] for names in (("a", "b"), ("c",)))
    name = f"s{len(draft.steps)}"
    other = {"case": "low", "steps": second} | draft.chance.choice([{}, {"when": "2 < input.n"}])
    frame: dict[str, Any] = draft.chance.choice(
        [{"steps": [*first, *second], "when": asked}, {"switch": [{"case": "high", "when": asked, "steps": first}, other]}]
    )
    document = {
        "name": "w",
        "steps": [*({"id": end, "value": "1"} for end in draft.ends()), {"id": name, "after": draft.ends(), **frame}],
    }
    written, problems = compiled(msgspec.convert(document, WrittenDefinition))
    assert not problems
    defaults = asdict(DefinedStep(id=""))
    known = {step["id"] for step in draft.steps}
    for step in written.steps:
        if step.id not in known:
            draft.steps.append(
                {field: value for field, value in asdict(step).items() if field == "after" or value != defaults[field]}
            )


def savepoint(draft: Draft) -> None:
    """A savepoint after all that are there, and two steps on ways of their own; at times another savepoint between."""
    if any("savepoint" in step for step in draft.steps if draft.chance.random() < 0.5):
        chain(draft)
        return
    ways = draft.chance.choice([("b",), ("b", "c")])
    at = draft.add(draft.ends(), savepoint=Savepoint(otherwise=ways, first="a"))["id"]
    for way in draft.chance.choice([("a", "b"), ("a", "c")]):
        draft.add([at], when=f"steps['{at}'].output == '{way if way in ('a', *ways) else 'b'}'")


def condition(draft: Draft) -> None:
    """Some steps are skipped, by the input or by what was skipped before."""
    for step in draft.some(with_code=False):
        asked = [f"input.n > {draft.chance.randrange(10)}"]
        asked += [f"!steps['{name}'].skipped" for name in draft.before(step)]
        asked += ["index != 1"] * draft.is_inside(step)
        chosen = draft.chance.choice(asked)
        step["when"] = f"({step['when']}) && {chosen}" if "when" in step else chosen


def reference(draft: Draft) -> None:
    """Some steps are given an output, a part of the input, or their item; or null where there is no such place."""
    for step in draft.some():
        outputs = [draft.output_of(name) for name in draft.before(step)]
        refs = ["$.input.n", *outputs, *(["$.item", "$.index"] if draft.is_inside(step) else [])]
        bindings = [Binding(ref=ref) for ref in refs]
        bindings += [Binding(ref=f"{ref}.nothing", optional=True) for ref in ("$.input", *outputs)]
        step["inputs"] = {"value": draft.chance.choice(bindings)}


def retries(draft: Draft) -> None:
    """Some steps are tried again as the definition says."""
    for step in draft.some():
        attempts = draft.chance.choice([1, 2, 5])
        step["retry"] = Retry(attempts_max=attempts, initial_seconds=draft.chance.choice([0.0, 0.1, 4.0]), max_seconds=9.0)


def chosen_errors(draft: Draft) -> None:
    """Some steps are tried again after some errors only, by the names of their types or of those that they derive from."""
    for step in draft.some():
        policy = step.get("retry", Retry(attempts_max=4, initial_seconds=0.1))
        chosen: dict[str, Any] = draft.chance.choice([{"on": ("OSError", "TemporaryError")}, {"not_on": ("ValueError",)}])
        step["retry"] = msgspec.structs.replace(policy, **chosen)


def total_timeouts(draft: Draft) -> None:
    """All attempts of some steps, and the waits between them, may take only so long together."""
    for step in draft.some():
        step["total_timeout_seconds"] = draft.chance.choice([0.3, 3.0, 15.0])


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
        refs = ["$.input.n", *(draft.output_of(name) for name in (step["id"], *draft.before(step)))]
        undo = Undo(
            run=f"{draft.chance.choice(PARTICIPANTS)}.{draft.chance.choice(CODE)}",
            inputs={"value": Binding(ref=draft.chance.choice(refs))},
        )
        step["undo"] = draft.chance.choice(["none"] if draft.is_inside(step) else [undo, undo, "none"])


def deadline(draft: Draft) -> None:
    """The saga has a time limit, and a priority, which no chance decides, so that all else stays as it was."""
    draft.fields["timeout_seconds"] = draft.chance.choice([1.0, 6.0, 30.0])
    draft.fields["priority"] = len(draft.steps) - 3


def of_maps(draft: Draft) -> None:
    """Some maps need not all their items, some let only a few go on at one time, and some may fail.

    The chance is one of its own, so that definitions without maps stay as they were.
    """
    chance = random.Random(repr(draft.steps))
    for name in draft.inside:
        join = chance.choice(["all", "all", "any", 1, 2])
        draft.of_maps[name] = {"join": join, "concurrency": chance.choice([None, None, 1, 2])}
    behind = draft.from_the_pivot()
    for step in draft.steps:
        if "map" in step and step["id"] not in behind and chance.random() < 0.3:
            step["allow_fail"] = True


def by_word(draft: Draft) -> None:
    """Some undos are run by nobody: they end by a signal, or an operator is told when their time is over.

    Drawn apart, as above.
    """
    chance = random.Random(f"{draft.steps!r} by word")
    for step in draft.every():
        if isinstance(step.get("undo"), Undo) and chance.random() < 0.25:
            step["undo"] = Undo(wait=Wait(event="undone", timeout_seconds=chance.choice([None, 0.5, 20.0])))
            step.pop("compensation_retry", None)


SHAPES: tuple[Callable[[Draft], None], ...] = (chain, chain, branches, tangle, delay, value, map_over, switch, savepoint)
CONSTRUCTS: tuple[Callable[[Draft], None], ...] = (
    *(condition, reference, retries, chosen_errors, total_timeouts, compensation_retries, timeouts, losses),
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
            after = [chance.choice([step["id"] for step in draft.steps if step.get("pivot")]), *draft.ends()][-2:]
            if chance.random() < 0.5 and not any("." in step["id"] for step in draft.steps):
                _map(draft, after)
            else:
                draft.add(after)
    for construct in CONSTRUCTS:
        if chance.random() < 0.5:
            construct(draft)
    behind = draft.from_the_pivot()
    for step in draft.steps:
        if step.get("pivot"):
            step.pop("when", None)
        if step["id"] in behind:
            for each in (step, *draft.below(step)):
                each.pop("undo", None)
    repeats(draft)
    of_maps(draft)
    by_word(draft)
    return draft.definition(name)


def constructs_of(definition: Definition) -> Counter[str]:
    """Count the steps of a definition that use each construct; a step in a map counts once."""
    counts: Counter[str] = Counter()
    outside = {step.id for step in definition.steps}
    for step in every_step(definition.steps):
        bindings = step.inputs.values()
        has = {
            "step in a map or repeat": step.id not in outside,
            "map": step.map is not None,
            "join of some items": step.map is not None and step.map.join != "all",
            "map that may fail": step.map is not None and step.allow_fail,
            "slots of items": step.map is not None and step.map.concurrency is not None,
            "map in a map": step.map is not None and step.id not in outside,
            "repeat": step.repeat is not None,
            "repeat in a map": step.repeat is not None and step.id not in outside,
            "time between turns": step.repeat is not None and step.repeat.delay_seconds is not None,
            "step in a case or group": "." in step.id,
            "case or group in a map or repeat": "." in step.id and step.id not in outside,
            "map or repeat in a group": "." in step.id and bool(step.body),
            "value": step.value is not None,
            "delay": step.delay is not None,
            "savepoint": step.savepoint is not None,
            "condition": step.when is not None,
            "optional reference": any(binding.optional for binding in bindings),
            "retry on chosen errors": step.retry is not None and bool(step.retry.on or step.retry.not_on),
            "total timeout": step.total_timeout_seconds is not None,
            "declared undo": isinstance(step.undo, Undo),
            "undo by word": isinstance(step.undo, Undo) and step.undo.wait is not None,
            "pivot": step.pivot,
        }
        counts.update(name for name, is_so in has.items() if is_so)
    return counts
