"""What is wrong with the pivot, and with the steps around it, each fault with its remedy.

Before the pivot everything can be undone, after it nothing has to be. So there is one at most, and each other step comes before
it or after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from goconductor.saga.checking.fault import Fault, path_between, path_to
from goconductor.saga.definition import Definition
from goconductor.saga.graph import followers, reachable


def problems(definition: Definition, edges: Mapping[str, AbstractSet[str]]) -> list[str]:
    """Return what is wrong around the pivot.

    Args:
        definition: whose steps may be of any form.
        edges: step → the steps before it.
    """
    found: list[str] = []
    pivots = [step.id for step in definition.steps if step.pivot]
    if not pivots:
        return found
    if len(pivots) > 1:
        text = f"it has {len(pivots)} pivots ({', '.join(pivots)}); a saga has at most one point of no return: keep one."
        found.append(Fault(text, f"{pivots[0]} succeeds", f"{pivots[1]} fails", "the saga can neither turn back nor go on"))
        return found
    (pivot,) = pivots
    before = reachable(edges, pivot)
    after = reachable(followers(edges), pivot)
    for step in definition.steps:
        if step.id == pivot:
            if step.compensation:
                text = f"pivot {pivot!r} has a compensation that can never run; remove it, or make a later step the pivot."
                found.append(Fault(text, *path_to(edges, pivot)[:-1], f"{pivot} succeeds", "the saga never turns back"))
            continue
        if step.id in before:
            continue
        if step.id in after:
            if step.compensation:
                found.append(
                    Fault(
                        f"step {step.id!r} comes after the pivot {pivot!r} but has a compensation that can never run; "
                        "move it before the pivot or remove the compensation.",
                        *path_between(edges, pivot, step.id),
                        "the saga never turns back",
                    )
                )
        else:
            found.append(
                Fault(
                    f"step {step.id!r} runs beside the pivot {pivot!r}, so it could neither be compensated nor be sure to run; "
                    f"put it before the pivot (add {step.id!r} to the pivot's 'after') or after it.",
                    f"{pivot} succeeds",
                    f"{step.id} fails",
                    "the saga can neither turn back nor go on",
                )
            )
    return found
