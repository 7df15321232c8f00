"""What can happen: two processes, the leader, operators, children.

Every append is judged on the true head ("read the tail, decide again" is shown in core/), and taking a lease and reading the
head is one move. A lost lease is an orphan: nobody runs that work again before the leader has appended that its outcome is
unknown. There are no timers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.protocol.explorer import FAULT, OPERATOR, WORK, Kind, Move, Promise
from tests.protocol.rewind import children, properties
from tests.protocol.rewind import events as e
from tests.protocol.rewind.graph import CHILD, STEP
from tests.protocol.rewind.rules import NEVER_SENT, ROUNDS_MAX, Event, Faults, Rules, Saga, Work, World

ACTION, COMPENSATION, SETTLING = 0, 1, 2
DIRECTIONS = "ACS"


@dataclass(frozen=True)
class Rewind(Rules):
    """The world of one saga over a small graph."""

    folded: dict[tuple[Saga, Event], tuple[Saga, str | None] | None] = field(default_factory=dict, compare=False, repr=False)

    def begin(self) -> World:
        return e.begin(self)

    def name(self, step: int) -> str:
        return self.graph.nodes[step].name

    def broken(self, world: World) -> str | None:
        return properties.broken(self, world)

    def promises(self) -> tuple[Promise[World], ...]:
        def ended(world: World) -> bool:
            return world.saga.mode in "EX"

        def rests(world: World) -> bool:
            saga = world.saga
            return ended(world) or saga.paused or "K" in saga.actions or "K" in saga.compensations

        return (
            Promise("the saga ends, or is paused or stuck", frozenset({WORK}), rests),
            Promise("the saga ends, with the buttons that an operator has", frozenset({WORK, OPERATOR}), ended),
        )

    # how moves are made

    def after(self, world: World, **changes: object) -> World:
        """The next world: orphans whose work is over are forgotten, and processes are alike."""
        after = world._replace(**changes)  # type: ignore[arg-type]
        saga = after.saga
        orphans = tuple(
            (step, direction, round_)
            for step, direction, round_ in after.orphans
            if round_ == saga.rounds[step]
            and (
                (saga.actions[step] == "D" and direction == ACTION)
                or (saga.compensations[step] in "Dd" and direction == COMPENSATION)
            )
        )
        return after._replace(orphans=orphans, workers=tuple(sorted(after.workers)))

    def append(self, world: World, event: Event, label: str, kind: Kind = WORK, **changes: object) -> Iterator[Move[World]]:
        """The move that appends an event, unless it changes nothing."""
        known = (world.saga, event)
        if known not in self.folded:
            self.folded[known] = e.fold(self, world.saga, event)
        result = self.folded[known]
        if result is None:
            return
        saga, broken = result
        journal = changes.pop("journal", world.journal)
        assert isinstance(journal, bytes)
        journal, used_twice = e.keys_handed_out(self, world.saga, saga, journal)
        state = f"{saga.mode}{' paused' if saga.paused else ''}{' R' if saga.rewound else ''} {saga.actions}/{saga.compensations}"
        yield Move(f"{label} -> {state}", kind, self.after(world, saga=saga, journal=journal, **changes), broken or used_twice)

    def moves(self, world: World) -> Iterator[Move[World]]:
        if len(world.workers) < 2:
            yield from self.work_taken(world)
        for work in world.workers:
            idle = tuple(other for other in world.workers if other is not work)
            yield from self.runs(world, work, idle) if not work.outcome else self.outcome(world, work, idle)
            yield from self.lost(world, work, idle)
        yield from self.leader_looks(world)
        for step, node in enumerate(self.graph.nodes):
            if node.type == CHILD:
                yield from children.moves(self, world, step)
        yield from self.operators_ask(world)

    # processes

    def due(self, saga: Saga) -> Iterator[Work]:
        """What is to be done."""
        if saga.mode in "EX":
            return
        backwards = saga.undone | (saga.rewound if self.nothing_starts else 0)
        for step, node in enumerate(self.graph.nodes):
            if node.type != STEP:
                continue
            round_ = saga.rounds[step]
            hold = saga.paused and (self.pause_holds or not round_)
            if saga.actions[step] == "D" and not hold and saga.mode == "F" and not backwards >> step & 1:
                yield Work("", step, ACTION, saga.attempts[step], round_, "", leased=True)
            if saga.compensations[step] in "Dd" and not hold:
                yield Work("", step, COMPENSATION, saga.undo_attempts[step], round_, "", leased=True)
            asked = "P" if saga.actions[step] == "P" else saga.compensations[step]
            if asked in "PEZ":
                yield Work("", step, SETTLING, 0, round_, asked, leased=True)

    def work_taken(self, world: World) -> Iterator[Move[World]]:
        saga = world.saga
        leased = {(work.step, work.direction, work.round) for work in world.workers if work.leased}
        for work in self.due(saga):
            if (work.step, work.direction, work.round) in leased or (work.step, work.direction, work.round) in world.orphans:
                continue
            paused = saga.paused and work.direction != SETTLING
            yield Move(
                f"a process takes {self.name(work.step)} {DIRECTIONS[work.direction]}, attempt {work.attempt} round {work.round}",
                WORK,
                self.after(world, workers=(*world.workers, work)),
                "something began while the saga is paused" if paused else None,
            )
        for step in range(0 if self.message_round else len(self.graph.nodes)):
            for round_ in range(saga.rounds[step]):
                if world.journal[step * ROUNDS_MAX + round_] != NEVER_SENT and saga.actions[step] == "D":
                    work = Work("", step, ACTION, 1, round_, "", leased=True)
                    workers = (*world.workers, work)
                    yield Move(f"a process takes an old message of {self.name(step)}", FAULT, self.after(world, workers=workers))

    def runs(self, world: World, work: Work, idle: tuple[Work, ...]) -> Iterator[Move[World]]:
        """A process runs its work: what the journal says decides."""
        place = work.step * ROUNDS_MAX + work.round
        keys = divmod(world.journal[place], 4) if world.journal[place] != NEVER_SENT else (0, 0)
        who = f"{self.name(work.step)} (round {work.round}{'' if work.leased else ', lease lost'})"
        run = {ACTION: self.runs_action, COMPENSATION: self.runs_compensation, SETTLING: self.settles}[work.direction]
        for label, outcome, after, broken, fault in run(world, work, keys, who):
            journal = world.journal[:place] + bytes([4 * after[0] + after[1]]) + world.journal[place + 1 :]
            left = world.left.less(fault) if fault else world.left
            workers = (*idle, work._replace(outcome=outcome))
            move = self.after(world, journal=journal, workers=workers, left=left)
            yield Move(label, FAULT if fault else WORK, move, broken)

    def runs_action(self, world: World, work: Work, keys: tuple[int, int], who: str) -> Iterator[Ran]:
        action, undo = keys
        role = self.graph.nodes[work.step].role
        if not self.journal:
            twice = f"the action of {self.name(work.step)} took effect twice" if action else None
            yield f"ACTION {who}", e.SUCCEEDED, (min(action + 1, 2), undo), twice, ""
            if world.left.failures:
                late = role in self.late_failures
                yield f"the action of {who} fails", e.FAILED, (min(action + late, 2), undo), None, "failures"
        elif action == 0:
            yield f"ACTION {who}", e.SUCCEEDED, (1, undo), None, ""
            if world.left.failures:
                final = self.proof and role != "r" and work.attempt >= self.attempts_max
                outcome = e.NEVER_HAPPENED if final else e.FAILED
                yield f"the action of {who} fails", outcome, (3 if final else 0, undo), None, "failures"
        else:
            stored = ("", "stored result", "refused", "stored failure")[action]
            yield f"the action of {who}: {stored}", ("", e.SUCCEEDED, "refused", e.NEVER_HAPPENED)[action], keys, None, ""

    def runs_compensation(self, world: World, work: Work, keys: tuple[int, int], who: str) -> Iterator[Ran]:
        action, undo = keys
        declared = self.graph.nodes[work.step].declared_undo
        real = action > undo if not self.journal else (action == 1 and undo == 0) or (declared and undo in (0, 3))
        broken = properties.broken_order(self, world.saga, world.journal, work.step) if real else None
        if declared and real and self.journal and action != 1:
            broken = "the declared undo runs though its step never happened"
        if declared and undo == 3:
            broken = "the declared undo runs after it was skipped"
        if self.journal and undo in (1, 2):
            seen = undo == 1
            yield (
                f"the compensation of {who}: {'seen' if seen else 'refused'}",
                e.COMPENSATED if seen else "refused",
                keys,
                None,
                "",
            )
        elif self.journal:
            what = "COMPENSATION" if real else "null compensation"
            yield f"{what} of {who}", e.COMPENSATED, (action if action or declared else 2, 1), broken, ""
        else:
            yield f"COMPENSATION of {who}", e.COMPENSATED, (action, min(undo + 1, 2)), broken, ""
        if world.left.failed_compensations and not undo:
            yield f"the compensation of {who} fails", e.COMPENSATION_FAILED, keys, None, "failed_compensations"

    def settles(self, world: World, work: Work, keys: tuple[int, int], who: str) -> Iterator[Ran]:
        action, undo = keys
        happened = action == 1
        if work.asked == "P":
            outcome = e.SETTLED_HAPPENED if happened else e.SETTLED_NEVER
            yield f"settling {who}: {'happened' if happened else 'refused from now on'}", outcome, (action or 2, undo), None, ""
            if world.left.journals_away:
                yield f"settling {who}: its journal cannot be reached", e.NOT_SETTLED, keys, None, "journals_away"
        elif work.asked == "E":
            outcome = e.FENCED_HAPPENED if happened else e.FENCED_NEVER
            yield f"fence of {who}: {'happened' if happened else 'never happened'}", outcome, (action or 2, undo), None, ""
        else:
            elsewhere = self.graph.nodes[work.step].declared_undo and self.skip_fenced_by == "owner"
            outcome = e.SKIP_COMPENSATED if undo == 1 and not elsewhere else e.SKIP_FENCED
            yield f"fence for a skip of {who}", outcome, (action or 2, undo or (3 if elsewhere else 2)), None, ""

    def outcome(self, world: World, work: Work, idle: tuple[Work, ...]) -> Iterator[Move[World]]:
        what = f"({work.outcome}, {self.name(work.step)}, attempt {work.attempt}, round {work.round})"
        appended = False
        if work.outcome != "refused":
            event = Event(work.outcome, work.step, work.attempt, work.round)
            for move in self.append(world, event, f"appends {what}", workers=idle):
                appended = True
                yield move
        if not appended:
            yield Move(f"{what} changes nothing", WORK, self.after(world, workers=idle))

    def lost(self, world: World, work: Work, idle: tuple[Work, ...]) -> Iterator[Move[World]]:
        if not work.leased:
            return
        orphans = tuple(sorted((*world.orphans, (work.step, work.direction, work.round))))
        who = f"{self.name(work.step)} ({DIRECTIONS[work.direction]})"
        if world.left.crashes:
            yield Move(
                f"a process dies at {who}",
                FAULT,
                self.after(world, workers=idle, orphans=orphans, left=world.left.less("crashes")),
            )
        if world.left.lost_leases:
            workers = (*idle, work._replace(leased=False))
            left = world.left.less("lost_leases")
            yield Move(
                f"the lease of {who} is lost, its holder lives",
                FAULT,
                self.after(world, workers=workers, orphans=orphans, left=left),
            )

    # leader and operators

    def leader_looks(self, world: World) -> Iterator[Move[World]]:
        saga = world.saga
        for step, direction, round_ in world.orphans:
            rest = tuple(orphan for orphan in world.orphans if orphan != (step, direction, round_))
            what = e.COMPENSATION_UNKNOWN if direction else e.UNKNOWN
            event = Event(what, step, (saga.undo_attempts if direction else saga.attempts)[step], round_)
            yield from self.append(
                world, event, f"the leader: {self.name(step)} ({DIRECTIONS[direction]}) is unknown", orphans=rest
            )
        leased = {(work.step, work.round) for work in world.workers if work.leased and work.direction == ACTION}
        for step in range(len(self.graph.nodes) if self.awaits else 0):
            back = saga.mode == "R" or (saga.rewound | saga.undone) >> step & 1
            held = (step, saga.rounds[step]) in leased or (step, ACTION, saga.rounds[step]) in world.orphans
            if saga.actions[step] == "D" and back and not held:
                event = Event(e.UNKNOWN, step, saga.attempts[step], saga.rounds[step])
                yield from self.append(world, event, f"the leader: {self.name(step)} was sent and must not begin any more")

    def operators_ask(self, world: World) -> Iterator[Move[World]]:
        saga, left = world.saga, world.left
        if left.aborts:
            yield from self.append(world, Event(e.ABORT), "operator aborts", FAULT, left=left.less("aborts"))
        if left.pauses:
            yield from self.append(world, Event(e.PAUSE), "operator pauses", FAULT, left=left.less("pauses"))
        for name, request in (("rewinds", saga.request + 1), ("repeated_requests", saga.request)):
            if not getattr(left, name) or not request:
                continue
            for step in range(len(self.graph.nodes)):
                if saga.actions[step] != "." and (self.targets is None or self.name(step) in self.targets):
                    label = f"operator rewinds from {self.name(step)}, request {request}"
                    yield from self.append(world, Event(e.REWIND, step, request), label, FAULT, left=left.less(name))
        if saga.paused:
            yield from self.append(world, Event(e.RESUME), "operator resumes", OPERATOR)
        for step in range(len(self.graph.nodes)):
            if saga.actions[step] == "K" or saga.compensations[step] == "K":
                yield from self.append(world, Event(e.RETRY, step), f"operator retries {self.name(step)}", OPERATOR)
                yield from self.append(world, Event(e.SKIP, step), f"operator skips {self.name(step)}", OPERATOR)


Ran = tuple[str, str, tuple[int, int], "str | None", str]  # label, outcome, the keys then, what it breaks, the fault it is
__all__ = ["Faults", "Rewind"]
