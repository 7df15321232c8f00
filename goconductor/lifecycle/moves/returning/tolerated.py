"""Tolerated failure: a step may fail for good, and the saga goes on without it (``allow_fail``, ``fallback``).

A step that reports a failure may have had its effect all the same: an exception can come after the effect, and two runs of
one attempt can differ. A saga that turns back compensates such a step. A saga that goes on does not come back to it, so it
must be sure before. So such a step is *settled* first:

- its journal says that it happened: that is its success, and nothing has failed;
- its journal says that it never happened, and never will now that its key is written: it is given up at once;
- it has no journal: it is compensated, and then given up;
- its journal cannot be reached: it is asked again until it answers, and an operator may declare the outcome meanwhile.

A step that was never sent, since its condition could not be evaluated, is given up at once; so is one whose failure stands in
its journal. *Given up* counts as done: the output is null, conditions see ``failed`` and ``failure``, and a late success
changes nothing. A fallback is a step that runs only where the step that it stands in for was given up.

The saga does not turn back by any of this: its status stays as it is, and it refuses no request for that. Where the saga
turns back in the middle, the step is settled or compensated to its end, and then is like any other. Where an operator skips
the compensation, the effect is left standing, and the saga says so by step.
"""

from __future__ import annotations

from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.kinds import call


def undo(fold: Fold, name: str) -> None:
    """Compensate a step that may have had an effect, before it is given up. Nothing that comes after it has begun."""
    call.compensate(fold, name, settled=True)
