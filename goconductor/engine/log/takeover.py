"""Takes over a lease that another process let expire: the log gets that first.

The process that takes it over appends that this attempt's outcome is unknown, and runs nothing: the other may have done it and
died. If the same attempt ran again, its refusal would be believed, and the effect forgotten. That holds whether or not the step
is due now: nobody else would remember it for a paused saga. What the log wants then comes with that append, or as a message.

The lease's row remembers its former holder until that append frees it, so any number of processes may die in between. A leader
that declares an outcome unknown does the same, under a lease that it took in the same way. Of the two, one gets the lease, and
the other finds it held.
"""

from __future__ import annotations

from typing import NamedTuple

from goconductor.engine.facts.log import View
from goconductor.engine.log.folding import Submission
from goconductor.lifecycle.facts.events import OutcomeUnknown
from goconductor.ports.store import Lease
from goconductor.saga.plan import Plan

REASON = "its lease ran out, and another instance took it over"


class TakenOver(NamedTuple):
    """Such a lease. Not of a settlement, which is asked for again until it is answered: there is nothing to report of it."""

    plan: Plan
    view: View
    lease: Lease

    @property
    def submission(self) -> Submission:
        """Return what to append; it is refused where the log has an outcome, or does not know of the attempt."""
        key, step = self.lease.key, self.view.state.step(self.lease.key.step)
        unknown = OutcomeUnknown(key.step, step.side(key.direction).attempt, key.round, direction=key.direction, reason=REASON)
        return Submission(key.saga_id, self.plan, unknown, view=self.view, lease=self.lease)
