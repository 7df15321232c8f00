"""Which builders a target needs, and all that is wrong with them at once.

From the target on: who produces it, what that builder consumes, who produces that, until only data from outside are left. One
datum has one producer; where several builders could, the dataflow says which. Optionals count as well, since their producers
are to run where they can. What a builder merely accesses needs nobody: it is read where it is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from goconductor.dataflow.hints import DATUM, Builder
from goconductor.errors import meant, nearest


class Resolved(NamedTuple):
    """Who makes what.

    Attributes:
        builders: by the datum that each one produces, those that the target needs, each after what it takes.
        outside: the data from outside, in the order in which they were found.
    """

    builders: dict[str, Builder]
    outside: tuple[str, ...]


def resolve(
    target: str, builders: Sequence[Builder], chosen: Mapping[str, str], given: Collection[str] | None
) -> tuple[Resolved, list[str]]:
    """Find the builders that a target needs.

    Args:
        target: the datum that is wanted.
        builders: all that there are.
        chosen: datum → the builder that produces it, where several could.
        given: the data from outside; None takes all that no builder produces.

    Returns:
        The builders, and what is wrong; they are of use where nothing is.
    """
    producers: dict[str, list[Builder]] = {}
    for each in builders:
        producers.setdefault(each.produces, []).append(each)
    found = [*_of_choices(chosen, builders), *_of_given(given or (), producers)]
    if target not in producers:
        found.append(f"the target {target[:100]!a} is produced by no builder; {nearest(target, producers)}")
        return Resolved({}, ()), found
    needed: dict[str, Builder] = {}
    outside: list[str] = []
    wanted: list[tuple[str, Builder | None]] = [(target, None)]
    accessed: list[tuple[str, Builder]] = []
    while wanted:
        datum, by = wanted.pop(0)
        if datum in needed or datum in outside:
            continue
        candidates = producers.get(datum, [])
        if datum in chosen:
            candidates = [each for each in candidates if each.run == chosen[datum]] or candidates[:1]
        if not candidates:
            outside.append(datum)
            found.extend(_from_outside(datum, by, producers, given))
            continue
        if len(candidates) > 1:
            found.append(_ambiguous(datum, by, candidates))
        needed[datum] = builder = candidates[0]
        wanted += [(each, builder) for each in (*builder.consumes.values(), *builder.optionals.values())]
        accessed += [(each, builder) for each in builder.access.values()]
    for datum, by in accessed:
        if datum not in needed and datum not in outside:
            outside.append(datum)
            found.extend(_from_outside(datum, by, producers, given))
    # no sets: their order differs from process to process, and the order of the steps is a part of the definition's version
    taken = {
        datum: [*dict.fromkeys((*builder.consumes.values(), *builder.optionals.values()))] for datum, builder in needed.items()
    }
    try:
        order = [datum for datum in TopologicalSorter(taken).static_order() if datum in needed]
    except CycleError as error:
        found.append(_cycle([*reversed(error.args[1])], needed))
        order = [*needed]
    return Resolved({datum: needed[datum] for datum in order}, tuple(outside)), found


def of_transients(transients: Collection[str], resolved: Resolved) -> Iterator[str]:
    """Yield what is wrong with data that are to be kept nowhere."""
    for datum in transients:
        if (maker := resolved.builders.get(datum)) is not None:
            yield (
                f"transients name {datum!r}, which builder {maker.run!r} produces; "
                "only what is given from outside can be transient."
            )
        elif datum not in resolved.outside:
            yield f"transients name {datum[:100]!a}, which no builder takes; {nearest(datum, resolved.outside)}"
        for builder in resolved.builders.values():
            if datum in (*builder.optionals.values(), *builder.access.values()):
                yield (
                    f"transients name {datum!r}, which builder {builder.run!r} takes only where it is there; let it consume that."
                )


def _of_choices(chosen: Mapping[str, str], builders: Sequence[Builder]) -> Iterator[str]:
    by_run = {each.run: each for each in builders}
    for datum, run in chosen.items():
        if (builder := by_run.get(run)) is None:
            yield f"resolve says that {run[:200]!a} produces {datum!r}, but there is no such builder; {nearest(run, by_run)}"
        elif builder.produces != datum:
            yield (
                f"resolve says that {run!r} produces {datum!r}, but that builder produces {builder.produces!r}; "
                "name another builder, or correct the datum."
            )


def _of_given(given: Collection[str], producers: Mapping[str, Sequence[Builder]]) -> Iterator[str]:
    for datum in given:
        if not DATUM.fullmatch(datum):
            yield f"given names a datum {datum[:100]!a}; use letters, digits and '_', beginning with a letter."
        for builder in producers.get(datum, ()):
            yield (
                f"datum {datum!r} is given from outside, but builder {builder.run!r} produces it as well; "
                "leave one of the two out, or give one of them another name."
            )


def _from_outside(
    datum: str, by: Builder | None, producers: Mapping[str, Sequence[Builder]], given: Collection[str] | None
) -> Iterator[str]:
    """Yield what is wrong with a datum that no builder produces."""
    wants = "" if by is None else f", which builder {by.run!r} takes,"
    if given is not None:
        if datum not in given:
            there = nearest(datum, {*producers, *given})
            yield f"datum {datum!r}{wants} is produced by no builder and not given from outside; {there}"
    elif (near := meant(datum, producers)) is not None and near.lower().replace("_", "") == datum.lower().replace("_", ""):
        yield (
            f"datum {datum!r}{wants} is produced by no builder, but {near!r} is; name it so, "
            "or say by given=[…] what comes from outside."
        )


def _ambiguous(datum: str, by: Builder | None, candidates: Sequence[Builder]) -> str:
    wants = "it is the target" if by is None else f"builder {by.run!r} takes it"
    names = " and ".join(repr(each.run) for each in candidates)
    return (
        f"datum {datum!r} is produced by builders {names}, and {wants}; "
        f"say which one: resolve={{{datum!r}: {candidates[0].run!r}}}."
    )


def _cycle(data: Sequence[str], needed: Mapping[str, Builder]) -> str:
    way = " → ".join(f"{needed[each].run} ({each})" for each in data)
    return f"builders wait for one another in a cycle: {way}; remove one of these data from what its builder takes."
