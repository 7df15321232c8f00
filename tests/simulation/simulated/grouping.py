"""Random groups and switches beside maps and repeats, around them, and in their bodies."""

from __future__ import annotations

import random

from msgspec.structs import replace

from goconductor.saga.definition import Definition, Step, with_body
from goconductor.saga.writing.groups.compiling import compiled
from goconductor.saga.writing.groups.forms import Case, WrittenStep, of_plain, of_steps


def grouped(definition: Definition) -> Definition:
    """Put some steps of a definition with maps or repeats into groups and cases; one without stays as it is.

    The chance is one of its own, so that all other choices stay as they were.
    """
    chance = random.Random(f"groups {definition.document()!r}")
    if not any(step.body for step in definition.steps) or chance.random() < 0.5:
        return definition
    written = of_plain(definition)
    steps = tuple(_around(_in_body(step, chance), chance) for step in written.steps)
    made, problems = compiled(replace(written, steps=steps))
    assert not problems
    return made


def _around(step: WrittenStep, chance: random.Random) -> WrittenStep:
    """Put a step into a group of its own name, which whoever names the step then means."""
    return WrittenStep(id=step.id, steps=(step,)) if chance.random() < 0.3 else step


def _in_body(step: WrittenStep, chance: random.Random) -> WrittenStep:
    """Put what a map does for an item, or a repeat in a turn, into a group or into the cases of a switch."""
    if not step.body:
        return step
    do = tuple(_in_body(each, chance) for each in of_steps(step.body))
    match chance.randrange(4):
        case 0:
            frame = WrittenStep(id="g", steps=do, when=chance.choice([None, "index != 1", "input.n > 4"]))
        case 1:
            other = Case(case="low", steps=(WrittenStep(id="only", value="index"),), when=chance.choice([None, "index == 0"]))
            frame = WrittenStep(id="w", switch=(Case(case="high", when="input.n > 4 || index == 1", steps=do), other))
        case _:
            return _with(step, do)
    return _with(step, (frame,))


def _with(step: WrittenStep, do: tuple[Step, ...]) -> WrittenStep:
    made = with_body(step, do)
    assert isinstance(made, WrittenStep)
    return made
