"""The rules of tolerated failure, growth, rewind and declared undo, and the state that they are about.

Letters of an action: ``.`` does not exist (not grown), ``-`` not due, ``D`` sent, ``P`` being settled, ``S`` succeeded,
``F`` failed, ``f`` never happened (the journal says so), ``U`` unknown, ``K`` stuck, ``k`` skipped, ``G`` given up.

Letters of a compensation: ``-`` none, ``D`` sent, ``d`` sent (a declared undo with a null output), ``E`` the fence before an undo
is asked for, ``C`` done, ``K`` stuck, ``Z`` a skip is being fenced, ``N`` skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.rewind.graph import Graph

ROUNDS_MAX = 4
NEVER_SENT = 255  # in the journal


class Faults(NamedTuple):
    """How often each thing may still happen."""

    crashes: int = 0
    lost_leases: int = 0
    failures: int = 0
    failed_compensations: int = 0
    aborts: int = 0
    pauses: int = 0
    rewinds: int = 0
    repeated_requests: int = 0
    journals_away: int = 0

    def less(self, name: str) -> Faults:
        return self._replace(**{name: getattr(self, name) - 1})


NO_FAULTS = Faults()


class Saga(NamedTuple):
    """What the log says."""

    mode: str  # F forward, R turning back, E completed, X compensated
    paused: bool
    rewound: int  # bits of the steps that are being rewound: R
    undone: int  # bits of the steps of failed or surplus items, or of a tolerated construct, that are being undone
    counter: int  # raised with each rewind; what is begun anew takes it as its round
    ways: tuple[int, ...]  # how many ways of each savepoint were taken
    request: int  # the newest rewind that an operator asked for
    left_standing: int  # bits of the steps whose effects an operator left
    actions: str
    attempts: tuple[int, ...]
    compensations: str
    undo_attempts: tuple[int, ...]
    rounds: tuple[int, ...]
    sources: tuple[int, ...]  # the round of an optional input when the step was sent; -1 none


class Work(NamedTuple):
    """What a process does: it runs, or has an outcome to append."""

    outcome: str  # "" while it runs
    step: int
    direction: int  # 0 action, 1 compensation, 2 settle or fence
    attempt: int
    round: int
    asked: str  # what a settling or fence is for: P, E or Z
    leased: bool  # False: its lease was lost, and it lives on


class World(NamedTuple):
    """The saga, the journals, and who works."""

    saga: Saga
    journal: bytes  # per step and round: NEVER_SENT, or 4 * action's key + compensation's key
    orphans: tuple[tuple[int, int, int], ...]  # (step, direction, round) whose lease was lost
    workers: tuple[Work, ...]
    left: Faults


class Event(NamedTuple):
    """What is appended: a letter, and what it names."""

    what: str
    step: int = 0
    attempt: int = 0
    round: int = 0


@dataclass(frozen=True)
class Rules:
    """A rule's first value is the one that holds."""

    graph: Graph
    left: Faults = NO_FAULTS
    journal: bool = True
    attempts_max: int = 1
    proof: bool = False  # a final failure is written in the journal
    lengths: tuple[int, ...] = (2, 2, 2, 2)  # of the list, by the round of the step that gave it
    until: tuple[int, ...] = (1, 1, 1, 1)  # the iteration at which `until` is true, by its round
    targets: tuple[str, ...] | None = None  # where operators rewind from; None: anywhere
    late_failures: str = ""  # roles whose failure comes after the effect, without a journal

    rounds_change: str = "end"  # when R is as never begun | begin: when the rewind is accepted
    within: str = "widen"  # R that touches the inside of a construct takes all of it | forget: its join, and its growth | part
    grown_round: str = "counter"  # what grows takes the counter as its round | map: the round of its map
    item_fails: str = "item"  # a failed item of any/n is undone as a whole | step: its failed step only
    skip_in_rewind: str = "turn"  # turns the saga back | go: the rewind goes on | before: so it does with those of before
    pivot_takes_way: bool = True  # a pivot that never happened may take a savepoint's way …
    pivot_needs_proof: bool = True  # … and one without that proof may not
    max_behind_pivot: str = "stuck"  # a repeat behind the pivot that reaches max is stuck | fail
    skip_fenced_by: str = "undoer"  # a skip of a declared undo writes the key where the undo runs | owner: where the action ran
    fences: str = "always"  # before a declared undo | unsure: not where the log has the success
    ways_reset: bool = False  # ways of a savepoint in R are as never tried; the text's rule, and both end
    undo_reads: str = "log"  # without a journal an undo gets the output that the log has | null
    optional_edge: bool = True  # an optional that was used is an edge
    optional_absent: bool = True  # an output of a step in R is absent for who reads it as an optional
    savepoints: str = "nearest"  # takes the way | all: every savepoint before the failure
    failure_in_rewind: bool = True  # of a step of R is no failure any more
    slots_told: bool = True  # slots are told from the items' states, so that a rewind frees them
    slot_until: str = "undone"  # a failed item keeps its slot until it is undone | failed
    undo_counts: bool = True  # slots count compensations too
    join_waits: bool = True  # the join of any/n succeeds only when the others are undone
    says_left: bool = True  # an effect that a skip left standing is said, by step
    lost_as_a_whole: bool = True  # an item is lost when it is undone as a whole, not when something inside is
    ended_is_ended: bool = True  # what was given up or skipped inside an item does not make the item one that is being undone
    construct_slots: bool = True  # a construct that is undone gives slots to its items one by one, as turning back does
    construct_undone: bool = True  # a tolerated construct is undone inside before it is given up
    failed_undone: bool = True  # a tolerated step is given up only after it was settled or compensated

    closed: bool = True
    event_round: bool = True
    message_round: bool = True
    request_kept: bool = True
    awaits: bool = True
    ordered: bool = True
    nothing_starts: bool = True
    one_at_a_time: bool = True
    automatic_adds: bool = True
    overtakes: bool = True
    fence: bool = True
    pivot_refuses: bool = True
    pause_holds: bool = True
    child_awaited: bool = True
    tombstones: bool = True
    way_once: bool = True
    new_round: bool = True
    late_success_ignored: bool = True
    length_logged: bool = True


def bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
