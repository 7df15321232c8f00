"""The life of one saga, a chain of steps: retries, back-off, pivot, pause, skip, restart in a new round.

Modes: ``F`` forward, ``R`` turning back, ``Q`` turning back to begin again in a new round, ``E`` completed, ``X`` compensated.

Letters of an action: ``-`` not due, ``D`` sent, ``B`` backs off, ``S`` succeeded, ``F`` failed, ``f`` failed with proof,
``U`` unknown, ``P`` being settled, ``N`` settled: refused, ``K`` stuck. Of a compensation: ``D``, ``B``, ``K`` as above, ``C``
done, ``Z`` a skip is being fenced, ``N`` skipped.

The journal, per round and step: the action's key (0 absent, 1 success, 2 refused, 3 final failure) and the compensation's (0, 1
done, 2 skipped).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

NUMBER_MAX = 3  # attempts and losses are counted so far
ROUNDS = 2


class Faults(NamedTuple):
    """How often each thing may still happen."""

    crashes: int = 0
    lost_leases: int = 0
    database_crashes: int = 0
    failures: int = 0
    failed_compensations: int = 0
    aborts: int = 0
    pauses: int = 0
    restarts: int = 0

    def less(self, name: str) -> Faults:
        return self._replace(**{name: getattr(self, name) - 1})


NO_FAULTS = Faults()


class Saga(NamedTuple):
    """The fold of the log."""

    mode: str
    paused: bool
    round: int
    actions: str
    attempts: tuple[int, ...]
    losses: tuple[int, ...]
    undos: str
    undo_attempts: tuple[int, ...]
    wake: bool  # the head has a wake_at
    aborted: bool


class Event(NamedTuple):
    what: str
    step: int = 0
    attempt: int = 0
    round: int = 0


@dataclass(frozen=True)
class Rules:
    """A rule's first value is the one that holds."""

    left: Faults = NO_FAULTS
    roles: str = "cc"  # c compensatable, p pivot, r retriable
    journal: bool = True
    attempts_max: int = 1
    undo_attempts_max: int = 1
    losses_max: int = 1
    failures_max: int = 0  # a retriable step's own maximum of failures; 0: none
    skip_checked: bool = False  # no action takes effect after its compensation was skipped

    local: str = "with"  # a next step's lease is taken in the append | after: in a statement of its own, the head not read again
    local_steals: bool = False  # mistake: that lease overwrites a living one
    attempt_named: bool = True  # a failure of a lower attempt changes nothing
    proof: str = ""  # failed steps that need no compensation: "journal" the final failure stands there | "refused" whoever
    # was refused and was the first on the lease's row | "refused, checked" and finds its own lease there when it appends
    due_guard: bool = True  # a timer's append asks the database's clock
    timer_named: bool = True  # a timer's event names its attempt
    timer_once: bool = True  # a timer that has fired changes nothing
    backoff_wakes: bool = True  # a back-off sets wake_at
    pivot_failed: str = "settle"  # a pivot that failed for good is settled | turn: the saga turns back at once
    settling_writes: bool = True  # settling writes the pivot's key
    refused_pivot_runs: bool = False  # mistake
    abort_at_pivot: str = "refuse"  # once the pivot was sent | settle: in back-off it settles | back-off, sent: turns back then
    paused_completes: bool = True  # a completion while paused is legal
    resume_wakes: bool = True
    timer_paused: str = "record"  # | drop: not legal, and the resume computes wake_at
    abort_lifts: bool = True  # abort ends a pause
    skip: str = "fence"  # both keys are written first | plain | late: plain, and also after the compensation is done
    skip_in_restart: bool = False  # mistake: a skip lets the restart go on
    restart: str = (
        "settle"  # the old round is compensated first | live: the new round begins at once | ended: only of one that ended
    )
    round_in_key: bool = True
    round_in_event: bool = True
    retriable_journals_failure: bool = False  # mistake

    @property
    def size(self) -> int:
        return len(self.roles)

    @property
    def pivot(self) -> int:
        return self.roles.find("p")


def put_char(text: str, place: int, char: str) -> str:
    return text[:place] + char + text[place + 1 :]


def put_number(numbers: tuple[int, ...], place: int, number: int) -> tuple[int, ...]:
    return (*numbers[:place], min(number, NUMBER_MAX), *numbers[place + 1 :])
