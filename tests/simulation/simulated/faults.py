"""What goes wrong in a simulation, when, and how often it did: all decided by the seed.

Each kind of fault draws from a chance of its own. So a run with one kind less has the same draws for all others, which helps to
find out which faults a failure needs.
"""

from __future__ import annotations

import enum
import random
from collections import Counter
from collections.abc import Iterable


class Fault(enum.StrEnum):
    """One kind of fault."""

    CRASH = "crash"
    PAUSE = "pause"
    BLOCK = "block"
    LEAVE = "leave"
    CUT_OFF = "cut_off"
    DROP = "drop"
    DUPLICATE = "duplicate"
    DELAY = "delay"
    SEND_REFUSED = "send_refused"
    SEND_UNKNOWN = "send_unknown"
    CALL_REFUSED = "call_refused"
    CALL_UNKNOWN = "call_unknown"
    DATABASE_CRASH = "database_crash"
    JOURNAL_AWAY = "journal_away"
    COMMIT_UNKNOWN = "commit_unknown"
    CLOCKS = "clocks"
    CLOCK_JUMP = "clock_jump"
    TWO_LEADERS = "two_leaders"
    STEP_FAILS = "step_fails"
    STEP_HANGS = "step_hangs"
    STEP_HANDED_OUT = "step_handed_out"
    OPERATOR = "operator"
    START_AGAIN = "start_again"


FAULTS: dict[Fault, tuple[float, str]] = {
    Fault.CRASH: (0.003, "a process is killed between two awaits"),
    Fault.PAUSE: (0.0015, "a process is stopped, and goes on later"),
    Fault.BLOCK: (0.001, "the event loop of a process is blocked, and the renewal of its leases is not"),
    Fault.LEAVE: (0.0004, "a process leaves as in a deployment, and another one comes"),
    Fault.CUT_OFF: (0.0012, "a process is cut off from the database, so that it is taken for dead, and is there again later"),
    Fault.DROP: (0.15, "a message is lost, though the broker acknowledged it"),
    Fault.DUPLICATE: (0.15, "a message is delivered twice"),
    Fault.DELAY: (0.15, "a message is late, and overtaken by others"),
    Fault.SEND_REFUSED: (0.06, "the broker takes nothing, and says so"),
    Fault.SEND_UNKNOWN: (0.06, "the answer to a send is lost; some of it was taken"),
    Fault.CALL_REFUSED: (0.015, "the store does not do what it is asked, and the asker learns only that it is away"),
    Fault.CALL_UNKNOWN: (0.03, "the store does what it is asked, now or later, and its answer is lost"),
    Fault.DATABASE_CRASH: (0.0005, "the database crashes, and has lost all leases"),
    Fault.JOURNAL_AWAY: (0.06, "a journal cannot be reached"),
    Fault.COMMIT_UNKNOWN: (0.15, "the answer to a journal's commit is lost; it was committed, or not"),
    Fault.CLOCKS: (0.5, "the clock of a process is wrong, and its seconds are a little longer or shorter"),
    Fault.CLOCK_JUMP: (0.0004, "the clock of a process jumps"),
    Fault.TWO_LEADERS: (0.006, "the election lets a second candidate win while the first one still leads"),
    Fault.STEP_FAILS: (0.2, "a step or a compensation raises"),
    Fault.STEP_HANGS: (0.1, "a step takes longer than its lease, or than its time limit"),
    Fault.STEP_HANDED_OUT: (0.2, "a step is handed out, and somebody outside reports its outcome, at some time"),
    Fault.OPERATOR: (0.5, "an operator asks for something"),
    Fault.START_AGAIN: (0.3, "a start is repeated with its key, elsewhere"),
}
"""How probable each is (at each step of a frail machine, message, call, run of code, saga …), and what it is."""


class Faults:
    """The faults of one run.

    Args:
        seed: decides which come.
        kinds: those that may come.
        count_max: how many may come in all; None is without limit.

    Attributes:
        counts: how often each came.
        healed: whether no more comes.
    """

    def __init__(self, seed: int, kinds: Iterable[Fault], *, count_max: int | None = None) -> None:
        chance = random.Random(f"faults {seed}")
        # each run has some kinds more and others less: what all runs have alike finds only what such a mixture finds
        self._rates = {kind: FAULTS[kind][0] * chance.choice([0.0, 0.3, 1.0, 1.0, 3.0]) for kind in Fault}
        self._chances = {kind: random.Random(f"{kind.name} {seed}") for kind in Fault}
        self._kinds = frozenset(kinds)
        self._left = count_max
        self.counts: Counter[Fault] = Counter()
        self.healed = False

    def strikes(self, kind: Fault) -> bool:
        """Whether a fault of this kind comes now."""
        if self._chances[kind].random() >= self._rates[kind] or self.healed or kind not in self._kinds or self._left == 0:
            return False
        if self._left is not None:
            self._left -= 1
        self.counts[kind] += 1
        return True

    def chance(self, kind: Fault) -> random.Random:
        """The chance by which the details of a fault are drawn."""
        return self._chances[kind]
