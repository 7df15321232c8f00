"""A saga's state while a decision is made: what a step is, what turns back, what a rewind takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.protocol.rewind.graph import ALL, CHILD, JOIN, PIVOT, RETRIABLE
from tests.protocol.rewind.rules import Rules, Saga, bits


class Draft:
    """A copy of the state that can be written, with the rules."""

    def __init__(self, rules: Rules, saga: Saga) -> None:
        self.rules, self.graph = rules, rules.graph
        self.size = len(self.graph.nodes)
        self.mode, self.paused = saga.mode, saga.paused
        self.rewound, self.undone, self.counter = saga.rewound, saga.undone, saga.counter
        self.ways, self.request, self.left_standing = list(saga.ways), saga.request, saga.left_standing
        self.actions, self.attempts = list(saga.actions), list(saga.attempts)
        self.compensations, self.undo_attempts = list(saga.compensations), list(saga.undo_attempts)
        self.rounds, self.sources = list(saga.rounds), list(saga.sources)
        self.broken: str | None = None

    def saga(self) -> Saga:
        return Saga(
            self.mode,
            self.paused,
            self.rewound,
            self.undone,
            self.counter,
            tuple(self.ways),
            self.request,
            self.left_standing,
            "".join(self.actions),
            tuple(self.attempts),
            "".join(self.compensations),
            tuple(self.undo_attempts),
            tuple(self.rounds),
            tuple(self.sources),
        )

    # what a step is

    def goes_back(self, step: int) -> bool:
        return self.mode != "F" or bool((self.rewound | self.undone) >> step & 1)

    def is_undone(self, step: int) -> bool:
        return bool(self.undone >> step & 1)

    def tolerated(self, step: int) -> bool:
        by_step = self.rules.item_fails == "step" and self.optional_item(step) is not None
        return self.graph.nodes[step].tolerated or by_step

    def optional_item(self, step: int) -> tuple[int, int] | None:
        """The nearest item around a step that may fail as a whole."""
        if self.graph.nodes[step].role == RETRIABLE:
            return None
        return next((place for place in self.graph.nodes[step].items if self.graph.maps[place[0]].need != ALL), None)

    def failing(self, step: int) -> bool:
        """Tolerated, failed, and not given up yet."""
        failed = self.actions[step] in ("FU" if self.rules.failed_undone else "FUG")
        return failed and self.mode == "F" and not self.rewound >> step & 1 and self.tolerated(step)

    def closed(self, step: int) -> bool:
        """Nothing of it stands, or ever will."""
        action = self.actions[step]
        if action in ".-kfG" or not self.graph.nodes[step].real:
            return True
        if action in "DPK":
            return not self.rules.awaits and action == "D"
        return self.graph.nodes[step].role != "c" or self.compensations[step] in "CNn"

    def needs_undo(self, step: int) -> bool:
        ran = self.actions[step] in ("SFU" if self.rules.failed_undone else "SFUG")
        node = self.graph.nodes[step]
        return node.real and node.role == "c" and ran and self.compensations[step] == "-"

    def open_backwards(self, step: int) -> bool:
        awaited = self.actions[step] in "DP" and self.rules.awaits
        return awaited or self.compensations[step] in "DdKZE" or self.needs_undo(step)

    def slots_taken(self, number: int, but: int) -> int:
        """How many items of a map hold a slot, told from their statuses."""
        taken, rules = 0, self.rules
        as_a_whole = self.is_undone(self.graph.maps[number].join)
        for item, steps in enumerate(self.graph.maps[number].items):
            if item == but or self.actions[steps[0]] == ".":
                continue
            actions = [self.actions[step] for step in steps]
            undos = [self.compensations[step] for step in steps]
            ended = "Gk" if rules.ended_is_ended else ""
            undoing = any(undo != "-" and action not in ended for action, undo in zip(actions, undos, strict=True))
            is_open = any(action in "DP" for action in actions) or any(undo in "DdEKZ" for undo in undos)
            undoing = undoing and not all(self.closed(step) for step in steps)
            begun = any(action not in "-.k" for action in actions)
            forward = begun and not any(map(self.goes_back, steps)) and not all(action in "SkG." for action in actions)
            failed = any(action in "FUfG" for action in actions)
            if rules.slot_until == "failed" and failed and self.mode == "F" and "D" not in actions:
                continue
            undone = self.undone & ~(self.rewound if rules.slots_told else 0)
            failed_alone = self.mode == "F" and undone >> steps[0] & 1 and not (as_a_whole and rules.construct_slots)
            taken += is_open or undoing or forward or bool(failed_alone)
        return taken

    def no_slot(self, step: int, *, starts: bool) -> bool:
        """The step needs a slot of a map around it, and none is free."""
        for number, item in self.graph.nodes[step].items:
            its_map = self.graph.maps[number]
            if (not starts or step == its_map.items[item][0]) and self.slots_taken(number, item) >= its_map.concurrency:
                return True
        return False

    # rewind

    def closure(self, step: int) -> int:
        """R: all that comes after the step, and what was grown by any of it."""
        mask = 1 << step
        if not self.rules.closed:
            return mask
        while True:
            before = mask
            for other in bits(before):
                mask |= self.graph.after[other]
                if self.rules.within == "widen" and other in self.graph.grown_by:
                    mask |= 1 << self.graph.grown_by[other]
            for reader, node in enumerate(self.graph.nodes if self.rules.optional_edge else ()):
                if node.optional is not None and mask >> node.optional & 1 and self.sources[reader] >= 0:
                    mask |= 1 << reader
            if mask == before:
                return mask

    def rewind(self, mask: int) -> None:
        self.rewound = self.rewound | mask if self.rules.automatic_adds else mask
        self.counter += 1
        if self.rules.rounds_change == "begin":
            for step in bits(mask):
                self.rounds[step] = self.counter

    def end_rewind(self) -> None:
        """R is as never begun, in a new round; what grew in it is gone."""
        rewound, gone = self.rewound, set[int]()
        constructs = [(each.grow, each.join, tuple(each.inside())) for each in self.graph.maps]
        constructs += [(each.grow, each.end, each.iterations) for each in self.graph.repeats]
        for grow, end, inside in constructs:
            if rewound >> grow & 1 or (self.rules.within == "forget" and rewound >> end & 1):
                gone.update(node for node in inside if self.graph.grown(node))
                rewound |= 1 << grow if self.rules.within == "forget" else 0
            elif self.graph.nodes[end].type != JOIN:
                gone.update(later for one, later in pairwise(inside) if rewound >> one & 1)
        for step in [*bits(rewound), *(node for node in gone if self.actions[node] != ".")]:
            self.actions[step] = "." if step in gone or self.actions[step] == "." else "-"
            self.attempts[step], self.compensations[step] = 0, "-"
            self.undo_attempts[step], self.sources[step] = 0, -1
            if rewound >> step & 1 and self.rules.rounds_change == "end" and self.rules.new_round:
                self.rounds[step] = self.counter
        for number, (step, _) in enumerate(self.graph.savepoints):
            if rewound >> step & 1 and self.rules.ways_reset:
                self.ways[number] = 0
        self.undone &= ~rewound
        self.rewound = 0

    def turn_back(self) -> None:
        self.mode, self.rewound, self.undone = "R", 0, 0

    # failures

    def fail(self, step: int) -> None:
        """The step has failed for good: who takes it?"""
        rules = self.rules
        if self.mode != "F" or (self.goes_back(step) and rules.failure_in_rewind):
            return
        if rules.item_fails == "item":
            taken = next(self.taken_by_constructs(step), None)
            if taken is not None:
                self.undone |= taken
                return
        if self.tolerated(step) or (self.rewound and not rules.overtakes and not self.graph.savepoints):
            return
        if not self.take_way(step):
            self.turn_back()

    def taken_by_constructs(self, step: int) -> Iterator[int]:
        """The items and tolerated constructs around a step, from the nearest: the bits that are undone when it fails."""
        for number, each in enumerate(self.graph.maps):
            if each.join == step and each.tolerated:
                yield self.construct_bits(number)
        if self.graph.nodes[step].role == RETRIABLE:
            return
        for number, item in self.graph.nodes[step].items:
            if self.graph.maps[number].need != ALL:
                yield self.graph.item_bits(number, item)
            elif self.graph.maps[number].tolerated:
                yield self.construct_bits(number)

    def construct_bits(self, number: int) -> int:
        its_map = self.graph.maps[number]
        return 1 << its_map.join | sum(1 << node for node in its_map.inside() if self.actions[node] != ".")

    def take_way(self, step: int) -> bool:
        """The nearest savepoint before the step that has a way left takes it."""
        rules, savepoints = self.rules, self.graph.savepoints
        role = self.graph.nodes[step].role
        able = [
            number
            for number, (place, most) in enumerate(savepoints)
            if self.graph.after[place] >> step & 1 and (self.ways[number] < most or not rules.way_once)
        ]
        if able and role == PIVOT and (not rules.pivot_takes_way or (not rules.journal and rules.pivot_needs_proof)):
            if rules.journal:
                self.broken = "turned back though a savepoint had a way left"
            return False
        if not able or role == RETRIABLE:
            return False
        chosen = able[-1:] if rules.savepoints == "nearest" else able
        for number in chosen:
            place, most = savepoints[number]
            behind = self.graph.after[place]
            if self.rewound & behind == behind:
                self.broken = "a way was passed over: a second failure in R took the next"
            self.ways[number] += 1
            if self.ways[number] > most:
                self.broken = "a way was taken twice"
            self.rewind(self.closure(place) & ~(1 << place))
        return True

    def withdraw(self) -> bool:
        """What no lease ends, and what was never settled, is unknown once it goes back."""
        changed = False
        for step, node in enumerate(self.graph.nodes):
            child = node.type == CHILD and self.actions[step] == "D"
            unsettled = node.role == "c" and node.real and self.actions[step] == "K"
            if (child or unsettled) and self.goes_back(step):
                self.actions[step], changed = "U", True
        return changed
