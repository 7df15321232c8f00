"""One saga of two steps: the state, the rules, and what an event makes of it.

Letters of an action: ``-`` not due, ``D`` sent, ``S`` succeeded, ``F`` failed, ``U`` unknown, ``N`` "never started" (an earlier
wording). Of a compensation: ``-`` none, ``D`` sent, ``E`` sent again, ``C`` done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.runs import put


class Faults(NamedTuple):
    """How often each thing may still happen."""

    crashes: int = 0
    lost_leases: int = 0
    database_crashes: int = 0
    failures: int = 1
    aborts: int = 0
    lost_messages: int = 0
    failovers: int = 0

    def less(self, name: str) -> Faults:
        return self._replace(**{name: getattr(self, name) - 1})


ONE_FAILURE = Faults()


class Saga(NamedTuple):
    """The fold of the log."""

    mode: str  # F forward, R turning back, E completed, X compensated
    seq: int
    actions: tuple[str, str]
    attempts: tuple[int, int]
    undos: tuple[str, str]


class Event(NamedTuple):
    what: str  # S succeeded, F failed, L lost, N never started, C compensated, A abort, Z refused by the journal
    step: int = 0
    attempt: int = 0


@dataclass(frozen=True)
class Rules:
    """A rule's first value is the one that holds."""

    left: Faults = ONE_FAILURE
    parallel: bool = True  # the steps run side by side, else one after the other
    journal: bool = True
    attempts_max: int = 1
    may_fail: tuple[bool, bool] = (False, True)
    leaders: int = 0  # how often a new leader is elected; the old one lives on
    messages: str = (
        "any"  # all that was ever due may arrive at any time | set: explicit, may be lost | queue: gone when acknowledged
    )
    ends: bool = False  # the promise is asked
    crash_before_effect: bool = False  # crashes only there
    epochs_checked: bool = True  # accepted epochs never fall
    effects_once: bool | None = None  # None: where there is a journal
    judged_at_rest: bool = False  # "compensated" is judged only when nobody works
    late_failures: bool = False  # an exception after the effect

    without_outcome: str = "log"  # a sent step without an outcome is unknown | lease: never started, if nobody has its lease
    acquire: str = "lease, commit, head"  # | one transaction: lease, head, commit | one statement: the head of its snapshot
    guard: bool = True  # an append asks for the seq that was read
    tag: bool = True  # … and for the tag, which matters after a failover that lost a suffix
    fence: bool = True
    lost_takes_lease: bool = True  # who declares a step lost takes its lease in the same statement
    null_writes_key: bool = True  # a null compensation writes the action's key
    failed_compensated: bool = True
    attempt_named: bool = True  # a failure of an older attempt changes nothing
    own_release: bool = True  # the end of a lease names its owner
    again: str = ""  # a late success makes the compensation due again: "again"; also of a compensated saga: "reopen"
    sweep: bool = True
    acknowledged_last: bool = True  # a message is acknowledged after the lease was taken

    @property
    def once(self) -> bool:
        return self.journal if self.effects_once is None else self.effects_once


def begin(rules: Rules) -> Saga:
    actions, attempts = (("D", "D"), (1, 1)) if rules.parallel else (("D", "-"), (1, 0))
    return Saga("F", 1, actions, attempts, ("-", "-"))


def due(rules: Rules, saga: Saga, step: int, direction: int, attempt: int) -> bool:
    if direction == 0:
        return saga.mode == "F" and saga.actions[step] == "D" and saga.attempts[step] == attempt
    in_order = rules.parallel or step == 1 or saga.undos[1] in "C-"
    return saga.mode == "R" and saga.undos[step] == "DE"[attempt] and in_order


def fold(rules: Rules, saga: Saga, event: Event) -> Saga | None:
    """The next state, or None where the event changes nothing."""
    after = changed(rules, saga, event)
    return None if after is None else advanced(rules, after)._replace(seq=saga.seq + 1)


def changed(rules: Rules, saga: Saga, event: Event) -> Saga | None:
    what, step, attempt = event
    action, undo = saga.actions[step], saga.undos[step]
    if what == "A":
        return saga._replace(mode="R") if saga.mode == "F" else None
    if what == "S":
        return succeeded(rules, saga, step)
    if what == "C":
        named = undo in "DE" and undo == "DE"[attempt]
        return saga._replace(undos=put(saga.undos, step, "C")) if named and saga.mode == "R" else None
    if action != "D" or saga.mode not in "FR":
        return None
    current = attempt == saga.attempts[step]
    if what == "F" and (current or not rules.attempt_named):
        return saga._replace(actions=put(saga.actions, step, "F"))
    if what == "L" and current:
        if saga.mode == "F" and attempt < rules.attempts_max:
            return saga._replace(attempts=put(saga.attempts, step, attempt + 1))
        return saga._replace(actions=put(saga.actions, step, "U"))
    if what == "N" and saga.mode == "R":
        return saga._replace(actions=put(saga.actions, step, "N"))
    return None


def succeeded(rules: Rules, saga: Saga, step: int) -> Saga | None:
    action, undo = saga.actions[step], saga.undos[step]
    actions = put(saga.actions, step, "S")
    if action in "DUN" and saga.mode in "FR":
        late = action in "UN" and undo != "-"
        if late and not rules.again and undo == "C":
            return None
        undos = put(saga.undos, step, "E") if late and rules.again else saga.undos
        return saga._replace(actions=actions, undos=undos)  # what compensated before it was known does not count
    if action in "UN" and saga.mode == "X" and rules.again == "reopen":
        return saga._replace(mode="R", actions=actions, undos=put(saga.undos, step, "E"))
    return None


def advanced(rules: Rules, saga: Saga) -> Saga:
    mode, _, actions, attempts, undos = saga
    if mode == "F":
        if "F" in actions or "U" in actions:
            mode = "R"
        elif actions == ("S", "S"):
            mode = "E"
        elif actions == ("S", "-"):
            actions, attempts = ("S", "D"), (attempts[0], 1)
    if mode == "R" and "D" not in actions:  # the running ones are waited for
        ran = "SUF" if rules.failed_compensated else "SU"
        first, second = ("D" if actions[step] in ran and undos[step] == "-" else undos[step] for step in (0, 1))
        undos = (first, second)
        if "D" not in undos and "E" not in undos:
            mode = "X"
    return Saga(mode, saga.seq, actions, attempts, undos)
