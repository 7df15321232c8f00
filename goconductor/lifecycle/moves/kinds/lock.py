"""A step whose saga must hold locks first: it waits for them, and then begins as its kind does.

The keys are made of the saga's data in the decision that gives the step its turn. A step does not wait for a key that the saga
holds. If the saga holds it shared and the step asks for it alone, the step fails: two sagas that both did so would wait for each
other for ever. Several keys are taken in their sorted order, so two steps that ask for the same keys never wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from goconductor.errors import PayloadError
from goconductor.lifecycle.facts.lock import Held, Wish
from goconductor.lifecycle.facts.state import Failure, Referable, Side
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold

NO_KEY = "NoKeyError"
"""Type of the failure of a step with a lock whose key cannot be made of the saga's data."""
HELD_SHARED = "HeldSharedError"
"""Type of the failure of a step that asks alone for a key which its saga holds shared."""


def wish(fold: Fold, name: str) -> bool | Failure:
    """Return whether the saga holds all that a step must hold. Where it does not, the step waits by now, or why it cannot."""
    try:
        keys = fold.plan.wishes(name, fold.input, Referable(fold.steps), fold.step(name).edited)
    except PayloadError as error:
        return Failure(NO_KEY, str(error), retryable=False)
    wishes = tuple(Wish(key, shared) for key, shared in keys.items())
    if (failure := stronger(wishes, fold.locks)) is not None:
        return failure
    missing = tuple(each for each in wishes if each.key not in fold.locks)
    if missing:
        fold.set_action(name, Advance, Side(ActionStatus.WAITING, since=fold.at), wishes=missing)
    return not missing


def stronger(wishes: Iterable[Wish], held: Mapping[str, Held]) -> Failure | None:
    """Return the failure of a step that asks alone for what its saga holds shared; None where it does not."""
    found = next((each.key for each in wishes if not each.shared and each.key in held and held[each.key].shared), None)
    if found is None:
        return None
    what = f"the saga holds lock {found!r} shared, and this step asks for it alone; ask for it so in the first step that needs it"
    return Failure(HELD_SHARED, what, retryable=False)
