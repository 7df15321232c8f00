"""Everything that is wrong with a definition, at once, each fault with its remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from goconductor.errors import ConditionError, DefinitionError, PayloadError
from goconductor.saga.checking import durations, expressions
from goconductor.saga.checking.code import unfit_reads, unfit_written
from goconductor.saga.checking.constructs import children, locks, pivot, savepoints, tolerated, undo
from goconductor.saga.checking.constructs.growth import (
    behind_pivot,
    called_alike,
    kind_of,
    names_taken,
    of_map,
    of_repeat,
    size,
    too_deep,
)
from goconductor.saga.checking.constructs.waits import Asked, asked_of, names_twice, of_delay, of_value, of_wait
from goconductor.saga.checking.fault import Fault, path_to, some, within
from goconductor.saga.checking.known import Known
from goconductor.saga.checking.references import asked
from goconductor.saga.data.references import Reference
from goconductor.saga.data.schemas import followed, lack
from goconductor.saga.data.values import check_value
from goconductor.saga.definition import KINDS, PRIORITY_MAX, Binding, Definition, Step, every_step
from goconductor.saga.expressions.condition_text import ROOTS
from goconductor.saga.expressions.conditions import IN_MAP, IN_REPEAT, MAP_WALKED, compile_condition
from goconductor.saga.graph import predecessors, reachable
from goconductor.saga.growth import DEPTH_MAX, STEPS_MAX
from goconductor.saga.ids import is_name, is_saga_name, is_step_id, split_target


def check(definition: Definition, *, stored: bool = False) -> None:
    """Refuse a definition that cannot run.

    Args:
        definition: what to look at.
        stored: whether it was registered before. Then sagas may be on their way by it, and what is refused today only since
            processes might not agree on it counts no more: their logs keep what was decided.

    Raises:
        DefinitionError: with all problems.
    """
    if found := problems(definition, stored=stored):
        raise DefinitionError(definition.name, found)


def problems(definition: Definition, *, stored: bool = False, inside: bool = False) -> list[str]:
    """Return the problems of a definition; empty if it can run.

    Args:
        definition: what to look at.
        stored: as for :func:`check`.
        inside: whether it is written inside another one, which has given it its name.
    """
    found: list[str] = []
    if not (is_saga_name if inside or stored else is_name)(definition.name):
        found.append(
            f"the saga's name {definition.name!r} must be 1 to 100 letters, digits, '_' or '-', "
            "and begin and end with a letter or digit."
        )
    if not definition.steps:
        found.append("it has no step; add at least one.")
    if too_deep(definition):
        return [*found, f"its maps and repeats stand more than {DEPTH_MAX} deep in one another; use fewer, or several sagas."]
    if not stored and (problem := expressions.too_many(expressions.texts(definition.steps))):
        return [*found, problem]
    if (count := sum(1 for _ in every_step(definition.steps))) > STEPS_MAX:
        found.append(f"it has {count} steps, at most {STEPS_MAX} are allowed; split it into several sagas.")
    elif (count := size(definition.steps)) > STEPS_MAX:
        found.append(
            f"with all turns of its repeats it would have {count:,} steps, at most {STEPS_MAX:,} are allowed; "
            "give them a smaller max, or start a saga in each turn."
        )
    if not -PRIORITY_MAX <= definition.priority <= PRIORITY_MAX:
        found.append(f"it has priority {definition.priority}; give one from -{PRIORITY_MAX} to {PRIORITY_MAX}.")
    found += durations.of_saga(definition, stored=stored)
    edges = _of_steps(definition, _seen(definition.steps), found, stored=stored)
    if definition.input_schema is not None and not stored:
        schema = definition.input_schema
        found += [
            f"{place.what} refers to {place.place}, but {lacks}."
            for place in asked(definition)
            if place.step is None and (lacks := lack(schema, place.keys))
        ]
        found += unfit_reads(definition.steps, Known(schema=schema))
    if not stored:
        found += unfit_written(definition)
    found.extend(pivot.problems(definition, edges))
    found.extend(children.problems(definition, edges))
    found.extend(children.of_written(definition, partial(problems, stored=stored, inside=True)))
    found.extend(locks.problems(definition, edges))
    found.extend(called_alike(definition))
    found.extend(behind_pivot(definition, edges))
    found.extend(savepoints.problems(definition, edges))
    if not stored:
        found.extend(children.inside_with_locks(definition))
        found.extend(savepoints.lacking_ways(definition))
        found.extend(names_taken(definition))
    return found


class _Seen(NamedTuple):
    """What steps can name: those beside them, and around their map or repeat those outside.

    Attributes:
        beside: the ids of the steps in the same map, or outside of all.
        outside: the ids of those around the map.
        before: the ids of those of them that come before the map.
        maps: the ids of those of all of them that are maps.
        above: the ids of the maps and repeats that these steps are in.
        kind: what they are in: a map or a repeat.
        roots: the names of the data that there is.
    """

    beside: frozenset[str]
    outside: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()
    maps: frozenset[str] = frozenset()
    above: tuple[str, ...] = ()
    kind: str = ""
    roots: frozenset[str] = ROOTS


def _seen(
    steps: tuple[Step, ...], around: _Seen | None = None, of: Step | None = None, before: frozenset[str] = frozenset()
) -> _Seen:
    """Return what steps can name: those of all the saga, or of one map or repeat, before which some come."""
    beside = frozenset(step.id for step in steps)
    maps = frozenset(step.id for step in steps if step.map is not None)
    if around is None or of is None:
        return _Seen(beside, maps=maps)
    return _Seen(
        beside,
        around.beside | around.outside,
        before | around.before,
        maps | (around.maps - beside),
        (*around.above, of.id),
        kind_of(of),
        around.roots | (IN_MAP if of.map is not None else IN_REPEAT),
    )


def _of_steps(definition: Definition, seen: _Seen, found: list[str], *, stored: bool) -> dict[str, set[str]]:
    """Find what is wrong with steps, and with those in the maps among them. Return the steps before each step.

    Args:
        definition: the saga's, with the steps of one map in place of all.
        seen: what they can name.
        found: the problems so far.
        stored: as for :func:`check`.
    """
    for name, times in Counter(step.id for step in definition.steps).items():
        if times > 1:
            found.append(f"step {name!r} is defined {times} times; give each step an id of its own.")
    named: dict[str, set[str]] = {}
    for step in definition.steps:
        found.extend(_of_itself(step, stored=stored))
        if step.map is not None:
            found.extend(of_map(step, step.map, seen.above))
        elif step.repeat is not None:
            found.extend(of_repeat(step, step.repeat, seen.above))
        named[step.id] = _before(step, seen, found)
    edges = tolerated.edges(definition, named)
    if definition.output is not None:
        if definition.output.optional:
            found.append("the saga's output cannot be optional; refer to a value, which has an optional input.")
        _refers(definition.output, "the saga's output", seen, found)
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        cycle = _from_its_least(error.args[1][:0:-1])
        waiting = some(f"{step} waits for {before}" for step, before in pairwise(cycle))
        found.append(
            Fault(f"steps wait for one another in a cycle: {' → '.join(cycle)}; remove one of these dependencies.", *waiting)
        )
    found += names_twice(definition)
    for step in definition.steps:
        _conditions(step, seen, edges, found)
        if not stored:
            found.extend(_in_any_order(asked_of(step, seen.roots), definition.input_schema or {}))
    found.extend(tolerated.problems(definition, edges))
    found.extend(undo.problems(definition, edges, outside=seen.outside - seen.before))
    for step in definition.steps:
        if step.body:
            inside: list[str] = []
            body = msgspec.structs.replace(definition, steps=step.body, output=None)
            around = _seen(step.body, seen, step, reachable(edges, step.id))
            _of_steps(body, around, inside, stored=stored)
            if step.repeat is not None:
                until = Asked("its 'until'", partial(compile_condition, step.repeat.until, around.roots))
                _asks(until, around, around.beside, inside, partial(path_to, edges, step.id))
                inside += _in_any_order([until], definition.input_schema or {}) if not stored else ()
            found += [within(f"in {kind_of(step)} {step.id!r}: ", each) for each in inside]
            found += savepoints.inside(step)
    return edges


def _from_its_least(cycle: list[str]) -> list[str]:
    """Return a cycle so that it begins and ends with its least name: the same definition has the same fault everywhere."""
    place = cycle.index(min(cycle))
    return [*cycle[place:], *cycle[: place + 1]]


def _of_itself(step: Step, *, stored: bool) -> list[str]:
    found = []
    if not is_step_id(step.id):
        found.append(
            f"step id {step.id!r} must be 1 to 100 letters, digits, '_' or '-', and begin and end with a letter or digit."
        )
    given = [f"a {kind}" for kind in KINDS if kind != "run" and getattr(step, kind) is not None]
    if len(given) > 1:
        found.append(f"step {step.id!r} is both {' and '.join(given)}; make two steps of it.")
    if step.delay is not None:
        found += of_delay(step, step.delay)
    elif step.wait is not None:
        found += of_wait(step, step.wait)
    elif step.value is not None:
        found += of_value(step)
    elif step.saga is not None:
        found += children.of_child(step, step.saga)
    elif step.savepoint is not None:
        found += savepoints.of_savepoint(step, step.savepoint)
    elif step.map is not None or step.repeat is not None:
        pass  # is looked at with the steps in it
    elif not step.run:
        found.append(f"step {step.id!r} has nothing to do; give it {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    else:
        try:
            split_target(step.run)
        except ValueError:
            found.append(f"step {step.id!r} runs {step.run!r}; name its code as 'participant.step'.")
    found += durations.of_step(step, stored=stored)
    if step.unknowns_max is not None and step.unknowns_max < 1:
        found.append(f"step {step.id!r} has unknowns_max {step.unknowns_max}; it must be at least 1.")
    return found


def _before(step: Step, seen: _Seen, found: list[str]) -> set[str]:
    before: set[str] = set()
    for name in step.after:
        if name in seen.beside:
            before.add(name)
        elif name in seen.outside:
            found.append(
                f"step {step.id!r} comes after {name!r}, which is outside of its {seen.kind}; let the {seen.kind} come after it."
            )
        else:
            found.append(
                f"step {step.id!r} comes after {name!r}, which is not a step of this saga; add that step or correct the name."
            )
    refs = [(f"input {parameter!r} of step {step.id!r}", binding) for parameter, binding in step.inputs.items()]
    if step.delay is not None and step.delay.until is not None:
        refs.insert(0, (f"the delay of step {step.id!r}", Binding(ref=step.delay.until)))
    if step.map is not None:
        refs.append((f"the list of map {step.id!r}", Binding(ref=step.map.over)))
    if step.body:
        with suppress(PayloadError):  # is reported with the step in the map
            before.update(name for name in predecessors(step) if name in seen.beside)
    refs += locks.places(step.locks, f"step {step.id!r}")
    for what, binding in refs:
        owner = _refers(binding, what, seen, found)
        if owner in seen.beside:
            before.add(owner)
    for what, binding in undo.inputs_of(step):
        _refers(binding, what, seen, found)
    return before


def _refers(binding: Binding, what: str, seen: _Seen, found: list[str]) -> str:
    """Return the step that a binding refers to; empty if there is none."""
    if binding.ref is None:
        if binding.optional:
            found.append(f"{what} is optional and has no ref; add it, or leave optional out.")
        try:
            check_value(binding.value)
        except PayloadError as error:
            found.append(f"{what} has a constant that cannot be kept: {error}")
        return ""
    if binding.value is not None:
        found.append(f"{what} has both a ref and a value; keep one of them.")
    try:
        reference = Reference.parse(binding.ref)
    except PayloadError as error:
        found.append(f"{what} refers to {binding.ref!r}: {error.problem}")
        return ""
    if reference.root not in seen.roots:
        around = {"item": "a map", "previous": "a repeat"}.get(reference.root, "a map or a repeat")
        found.append(f"{what} refers to {reference}, which only steps in {around} have; refer to the saga's data.")
    if reference.step is None:
        return ""
    if reference.step not in seen.beside and reference.step not in seen.outside:
        found.append(
            f"{what} refers to the output of {reference.step!r}, which is not a step of this saga; "
            "add that step or correct the name."
        )
        return ""
    return reference.step


def _conditions(step: Step, seen: _Seen, edges: dict[str, set[str]], found: list[str]) -> None:
    if step.when is not None and step.pivot:
        found.append(
            Fault(
                f"pivot {step.id!r} has a condition; a saga must know where it stops being undone: "
                "put the condition on the steps around it.",
                *path_to(edges, step.id)[:-1],
                f"{step.id} is skipped",
                "no step of the saga is its point of no return",
            )
        )
    asked = [*asked_of(step, seen.roots)]
    before = reachable(edges, step.id) if asked else frozenset[str]()
    for each in asked:
        _asks(each, seen, before, found, partial(path_to, edges, step.id))


def _asks(asked: Asked, seen: _Seen, before: frozenset[str], found: list[str], path: Callable[[], Iterable[str]]) -> None:
    """Find what is wrong with an expression, before whose step some come, on a path that leads there."""
    what = asked.what
    try:
        condition = asked.compiled()
    except ConditionError as error:
        found.append(f"{what} does not compile: {error}")
        return
    for name in sorted(condition.steps):
        if name not in seen.beside and name not in seen.outside:
            found.append(f"{what} asks for step {name!r}, which is not a step of this saga; correct the name.")
        elif name not in before and (name in seen.beside or name not in seen.before):
            text = f"{what} asks for step {name!r}, which does not come before it; add it to 'after'."
            *earlier, last = path()
            found.append(Fault(text, *(each for each in earlier if each != name), f"{last} asks for {name}, which has not run"))
    for _, name, *_ in sorted(path for path in condition.named if path[0] == "steps" and path[2:3] == ("output",)):
        if name in seen.maps:
            found.append(f"{what} asks for the output of map {name!r}; ask for its size: steps.{name}.size.")


def _in_any_order(asked: Iterable[Asked], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a condition makes a list of although it is known to be a map, which has no order."""
    for what, compiled, _ in asked:
        try:
            condition = compiled()
        except ConditionError:
            continue
        if condition.problem:
            yield f"{what} {condition.problem}."
        for root, *path in condition.walked:
            is_map = len(path) < 2 if root == "steps" else root == "input" and _is_map(schema, path)
            if is_map:
                yield f"{what} walks over {'.'.join([root, *path])}: it {MAP_WALKED}."


def _is_map(schema: Mapping[str, Any], path: Iterable[str]) -> bool:
    """Return whether a JSON Schema has an object at this place."""
    place: Any = schema
    for key in [*path, None]:
        place = followed(schema, place)
        if place is None:
            return False
        if key is not None:
            properties = place.get("properties")
            named = properties.get(key) if isinstance(properties, Mapping) else None
            place = place.get("additionalProperties") if named is None else named
    return bool(place.get("type") == "object")
