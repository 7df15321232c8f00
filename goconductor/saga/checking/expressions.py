"""How much there is to compile in a definition, which is bounded before anything is compiled.

Compiling takes up to some 10 µs a character, and a definition is checked where requests are answered, while everything else there
waits. The same text is compiled once, and the caches keep more than `EXPRESSIONS_MAX`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goconductor.saga.definition import Step, every_step

EXPRESSIONS_MAX = 1_000
"""Greatest number of different expressions in a definition."""
CHARACTERS_MAX = 128 * 1024


def texts(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the expressions of steps, those of the steps in maps, repeats and sagas among them included."""
    for step in every_step(steps):
        yield from of_step(step)
        yield from () if step.saga is None else texts(step.saga.steps)


def of_step(step: Step) -> Iterator[str]:
    """Yield the expressions of a step itself."""
    until = None if step.repeat is None else step.repeat.until
    for text in (step.when, step.value, None if step.wait is None else step.wait.where, until):
        if text is not None:
            yield text


def too_many(given: Iterable[str]) -> str:
    """Return why expressions are too many, or too long together, with the remedy; empty if they are not.

    Args:
        given: the texts; the same one counts once.
    """
    distinct = {*given}
    if len(distinct) > EXPRESSIONS_MAX:
        return f"it has {len(distinct):,} different expressions, at most {EXPRESSIONS_MAX:,} are allowed; {_REMEDY}"
    if (characters := sum(map(len, distinct))) > CHARACTERS_MAX:
        return f"its expressions have {characters:,} characters, at most {CHARACTERS_MAX:,} are allowed; {_REMEDY}"
    return ""


_REMEDY = "decide in a step and ask for its output, or split it into several sagas."
