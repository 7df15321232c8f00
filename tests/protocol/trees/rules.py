"""Two or three sagas, roots and children, with locks on two keys: the state, the scripts, the rules.

A saga's mode: ``-`` not begun, ``!`` a tombstone, ``F`` forward, ``R`` turning back, ``Q`` rewinding, ``t`` terminating,
``E`` ended well, ``X`` compensated, ``T`` terminated, ``H`` held.

A step: ``-`` not begun, ``W`` wishes its lock, ``G`` sent, ``S`` succeeded, ``f`` nothing of it stands, ``K`` stuck, ``D`` being
compensated, ``C`` compensated.

The journal, per step: ``0`` nothing, ``1`` took effect, ``2`` refused, ``3`` undone, ``4`` stands and will never be undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

EXCLUSIVE, SHARED = "exclusive", "shared"
ENDED, RUNNING = "EXT", "FRQ"
BY_OPERATOR, BY_PARENT = 1, 2  # who paused


class Faults(NamedTuple):
    """How often each thing may still happen."""

    crashes: int = 0
    lost_messages: int = 0
    aborts: int = 0
    terminates: int = 0
    pauses: int = 0
    child_pauses: int = 0
    rewinds: int = 0
    failures: int = 0
    victims: int = 0  # counts up

    def less(self, name: str) -> Faults:
        return self._replace(**{name: getattr(self, name) - 1})


NO_FAULTS = Faults()


class Step(NamedTuple):
    """A step of a script: an effect, perhaps under a lock, or a child, one for each try."""

    key: int | None = None
    mode: str = EXCLUSIVE
    children: tuple[int, ...] = ()
    retriable: bool = False


class Script(NamedTuple):
    """What a saga does; after a rewind perhaps something else."""

    steps: tuple[Step, ...]
    parent: int | None = None
    again: tuple[Step, ...] | None = None
    root: int | None = None  # for two steps side by side, which stand here as two sagas of one root


class Saga(NamedTuple):
    mode: str
    paused: int
    round: int
    steps: str
    tries: tuple[int, ...]
    note: str = ""  # of who terminates: k with its children, l without, f forced; of a child: r released by that
    until: bool = False  # locks_until: its late steps may still act


class Wish(NamedTuple):
    saga: int
    step: int
    round: int


class Place(NamedTuple):
    """A root's place in a key's queue, with all who wish through it."""

    root: int
    mode: str
    wishes: tuple[Wish, ...]


class Key(NamedTuple):
    holders: tuple[tuple[int, str], ...] = ()  # (root, mode)
    queue: tuple[Place, ...] = ()


class Task(NamedTuple):
    """What a process has in hand; between two moments of it everything else may happen."""

    what: str
    saga: int
    step: int = 0
    round: int = 0
    detail: Any = None


class World(NamedTuple):
    sagas: tuple[Saga, ...]
    keys: tuple[Key, Key]
    tasks: tuple[Task, ...]
    journal: tuple[str, ...]
    messages: frozenset[tuple[str, int]]
    left: Faults


def effects(*steps: tuple[int | None, str] | None) -> tuple[Step, ...]:
    return tuple(Step() if step is None else Step(*step) for step in steps)


def child(*numbers: int, retriable: bool = False) -> Step:
    return Step(children=numbers, retriable=retriable)


X, SH = EXCLUSIVE, SHARED
NO_LOCK = Step()
SCRIPTS: dict[str, tuple[Script, ...]] = {
    "one": (Script(effects((0, X))), Script(effects((0, X)))),
    "three": (Script(effects((0, X))), Script(effects((0, X))), Script(effects((0, X)))),
    "twice": (Script(effects((0, X))), Script(effects((0, X)), root=0), Script(effects((0, X)))),
    "joined": (Script(effects((0, SH))), Script(effects((0, X)), root=0), Script(effects((0, SH)))),
    "two": (Script(effects((0, X), (1, X))), Script(effects((1, X), (0, X)))),
    "readers": (Script(effects((0, X))), Script(effects((0, SH))), Script(effects((0, SH)))),
    "queue": (Script(effects((0, SH), (1, X))), Script(effects((0, X))), Script(effects((1, X), (0, SH)))),
    "between": (Script(effects((0, X), (1, X))), Script(effects((1, X), (0, X))), Script(effects((0, X)))),
    "stale": (Script(effects((0, X))), Script(effects((0, X)), again=effects((1, X))), Script(effects((1, X), (0, X)))),
    "twist": (Script(effects((0, X), (1, X)), again=effects((0, X), None)), Script(effects((1, X), (0, X)))),
    "mixed": (Script(effects((0, SH), (1, X))), Script(effects((1, SH), (0, X)))),
    "relock": (
        Script((child(1),), again=(child(2),)),
        Script(effects((0, X)), parent=0),
        Script(effects((0, X)), parent=0),
        Script(effects((0, X))),
    ),
    "childtwo": (Script(effects((1, X), (0, X))), Script((child(2),)), Script(effects((0, X), (1, X)), parent=1)),
    "grand": (Script((child(1), NO_LOCK)), Script((child(2),), parent=0), Script((NO_LOCK,), parent=1)),
    "child": (Script((child(1), NO_LOCK)), Script((NO_LOCK,), parent=0)),
    "tries": (Script((child(1, 2, retriable=True),)), Script((NO_LOCK,), parent=0), Script((NO_LOCK,), parent=0)),
    "rewound": (
        Script((child(1), NO_LOCK), again=(child(2), NO_LOCK)),
        Script((NO_LOCK,), parent=0),
        Script((NO_LOCK,), parent=0),
    ),
    "childlock": (Script((child(1),)), Script(effects((0, X)), parent=0), Script(effects((0, X)))),
    "again": (Script((Step(0, X), child(1))), Script(effects((0, X)), parent=0), Script(effects((0, X)))),
    "stronger": (Script(effects((0, SH), (0, X))), Script(effects((0, SH)))),
}


@dataclass(frozen=True)
class Rules:
    """A rule's first value is the one that holds."""

    script: str = "one"
    left: Faults = NO_FAULTS
    processes: int = 2
    count_on: str = ""  # sweep, or messages, or nothing
    aborts: int = 0  # the saga that operators abort, pause, rewind
    pauses: int = 0
    rewinds: int = 0
    children_too: bool = False  # terminate with children
    terminates_child: bool = False  # an operator terminates the running child
    forced: bool = False  # terminate ends at once, late effects are possible
    stays_paused: bool = False  # nobody resumes: then a paused saga is at rest, and so is who waits for it
    victims_max: int = 1
    late_child_checked: bool = True  # no child acts after its parent was terminated with it

    # keys
    asks: str = "commit"  # the place is committed, then holders are looked at | before: holders are looked at before the commit
    granted: str = "with"  # LockGranted is appended in the transaction that takes the key | after: in one of its own
    granted_round: bool = True  # LockGranted names its round
    free: str = "root"  # a key is free when its holder, a root, has ended | row: only by the row | tree: the whole tree has
    until_kept: bool = True  # … and when its locks_until is over
    drops: str = "first"  # who looks drops dead places, and the front if none of its wishes stands | wish: each | ended | none
    withdraws: bool = True  # who withdraws a wish takes its place away
    wakes: bool = True  # who ends a root, or withdraws a place, wakes the first of the queue
    drop_wakes: bool = True  # and so does who drops another's place
    shared_wakes: bool = True  # who takes a shared key wakes the next
    one_place: bool = True  # a root stands in a key's queue once
    in_order: bool = True
    paused_passed: bool = True  # a place all of whose wishers are paused is passed over
    stronger_fails: bool = True  # to ask for a stronger mode of a held key fails
    # circles
    edges: str = "front"  # one waits for the conflicting holders and for the queue's front | next: the nearest ahead | all | none
    searches: str = "first or new"  # who begins to wait looks for a circle, later only a queue's first | first | all | none
    leader_searches: bool = False
    circle_read: str = "at once"  # in one statement | by saga: one after the other
    guard: str = "all"  # the victim's append asks for all heads that were read | own | none
    victim: str = "holder"  # the youngest unpaused root that holds what another one waits for | youngest: of the circle | finder
    needless_checked: bool = True
    # parents and children
    terminate: str = "request"  # keys of what is out are written, and children end, before the saga is terminated | at once
    start: str = "key"  # a child's start has its key, and terminate writes tombstones | guard: it looks at its parent's head
    start_key: bool = True
    try_in_key: bool = True
    tombstones: bool = True
    child_awaited: bool = True  # a child's own log says that it is compensated
    holds_child: bool = True
    spreads: str = "look"  # a child's look reads its parent's head | process: only who asked spreads | no resume
    stale_look: bool = False  # between reading the parent and the append anything may happen
    held_settles: bool = False  # mistake: a held parent counts as settled
    forced_settles: bool = True  # a saga that was ended by force has settled for the children that it held
    terminated_child: str = "stuck"  # its step has failed, its undo waits for a person | hang
    child_pause_refused: bool = True  # where its parent has it compensated
    undo_lifts_pause: bool = True  # a parent that compensates a child lifts an operator's pause of it

    @property
    def scripts(self) -> tuple[Script, ...]:
        return SCRIPTS[self.script]

    def steps(self, saga: int, round_: int) -> tuple[Step, ...]:
        script = self.scripts[saga]
        return script.again if round_ and script.again is not None else script.steps

    def root(self, saga: int) -> int:
        script = self.scripts[saga]
        if script.root is not None:
            return script.root
        return saga if script.parent is None else self.root(script.parent)

    def child_of(self, saga: int, step: int, state: Saga) -> int | None:
        """The child that a step starts in the saga's present round and try."""
        children = self.steps(saga, state.round)[step].children
        return children[min(state.tries[step], len(children) - 1) if self.try_in_key else 0] if children else None
