"""Tolerated failure: a step may fail for good, and the saga goes on without it (``allow_fail``, ``fallback``).

"Failed" is what a step says of itself. Its effect may be there all the same: an exception can come after the effect, and two runs
of one attempt can differ. The saga that turns back compensates such a step. A saga that goes on must first be as sure, as
nobody comes back to this step later. So such a step is *settled* first:

- its journal says that it happened: that is its success, and nothing has failed;
- its journal says that it never happened, and never will now that its key is written: it is given up at once;
- it has no journal: it is compensated, and then given up;
- its journal cannot be reached: it is asked again until it answers, and an operator may declare the outcome meanwhile.

A step that was never sent, since its condition could not be evaluated, is given up at once; so is one whose failure stands in its
journal. *Given up* counts as done: the output is null, conditions see ``failed`` and ``failure``, and a late success changes
nothing. A fallback is a step that is wanted only where the step that it stands in for was given up.

None of this is a way back: the saga's status stays as it is, and it refuses nobody's request. Where the saga turns back in the
middle, the step is settled or compensated to its end, and then is like any other. Where an operator skips the compensation, the
effect is left standing, and the saga says so by step.
"""

from __future__ import annotations

from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.kinds import call


def undo(fold: Fold, name: str) -> None:
    """Compensate a step that may have had an effect, before it is given up. Nothing that comes after it has begun."""
    call.compensate(fold, name, settled=True)
