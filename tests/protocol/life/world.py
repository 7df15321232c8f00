"""What can happen: two processes, timers in memory, the sweep, operators; any message may arrive at any time.

Every append is judged on the true head. Liveness counts neither the bus nor faults: only the sweep, where ``wake_at`` is set, and
living processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.explorer import FAULT, OPERATOR, WORK, Kind, Move, Promise
from tests.protocol.life import deciding as d
from tests.protocol.life.rules import ROUNDS, Event, Rules, Saga
from tests.protocol.life.rules import Faults as Left
from tests.protocol.runs import put

GONE = 2
ACTION, COMPENSATION, SETTLING = 0, 1, 2


class Lease(NamedTuple):
    step: int
    direction: int
    round: int
    owner: int
    expired: bool = False


class Work(NamedTuple):
    phase: str  # leased, unread (a lease without a look at the head), running, outcome
    step: int
    direction: int
    attempt: int
    round: int
    outcome: str = ""
    first: bool = False  # nobody had been on the lease's row


class InMemory(NamedTuple):
    """A timer that a process keeps."""

    step: int
    direction: int
    attempt: int
    round: int


class World(NamedTuple):
    saga: Saga
    timer: str  # of the saga's back-off, by the database's clock: - none, n not due, d due
    memory: frozenset[InMemory]
    leases: tuple[Lease, ...]
    processes: tuple[Work | None, Work | None]
    journal: tuple[tuple[int, int], ...]  # by round and step
    effects: tuple[tuple[int, int], ...]  # how often the action, and the compensation, took effect
    left: Left


Out = Callable[[str, tuple[int, int], tuple[int, int]], World]  # the world after a run: outcome, keys, effect


@dataclass(frozen=True)
class Life(Rules):
    """The model."""

    def begin(self) -> World:
        none = ((0, 0),) * self.size * (ROUNDS if self.left.restarts else 1)
        return World(d.fresh(self, 0), "-", frozenset(), (), (None, None), none, none, self.left)

    def moves(self, world: World) -> Iterator[Move[World]]:
        for move in self.all_moves(world):
            yield move._replace(state=self.alike(self.timed(world, move.state)))

    @staticmethod
    def timed(before: World, after: World) -> World:
        """A new back-off has a new timer."""
        old, new = before.saga, after.saga
        if "B" not in new.actions and "B" not in new.undos:
            return after._replace(timer="-")
        same = (old.actions, old.attempts, old.undos, old.undo_attempts) == (
            new.actions, new.attempts, new.undos, new.undo_attempts,
        )  # fmt: skip
        return after if same else after._replace(timer="n")

    @staticmethod
    def alike(world: World) -> World:
        """Processes are alike: one order of the two is kept, who works before who is idle."""
        first, second = world.processes
        if second is None or (first is not None and first <= second):
            return world._replace(leases=tuple(sorted(world.leases)))
        leases = (lease._replace(owner=1 - lease.owner) if lease.owner < GONE else lease for lease in world.leases)
        return world._replace(processes=(second, first), leases=tuple(sorted(leases)))

    def all_moves(self, world: World) -> Iterator[Move[World]]:
        for number, work in enumerate(world.processes):
            if work is not None:
                yield from self.goes_on(world, number, work)
            elif number == 0 or world.processes[0] is not None:
                yield from self.takes(world, number)
        yield from self.leases_end(world)
        yield from self.timers_fire(world)
        yield from self.leader_looks(world)
        yield from self.operators_ask(world)

    # processes

    @staticmethod
    def lease_of(world: World, step: int, direction: int, round_: int) -> Lease | None:
        return next((lease for lease in world.leases if lease[:3] == (step, direction, round_)), None)

    @staticmethod
    def without(world: World, lease: Lease | None) -> tuple[Lease, ...]:
        return tuple(other for other in world.leases if other != lease)

    def takes(self, world: World, number: int) -> Iterator[Move[World]]:
        saga = world.saga
        for round_ in range(saga.round + 1):
            for step in range(self.size):
                for direction, attempts in ((ACTION, saga.attempts), (COMPENSATION, saga.undo_attempts)):
                    for attempt in range(1, (attempts[step] if round_ == saga.round else 1) + 1):
                        lease = self.lease_of(world, step, direction, round_)
                        if lease is None or lease.expired:
                            after = self.leased(world, number, (step, direction, attempt, round_), lease)
                            yield Move(
                                f"the bus brings {(step, direction, attempt, round_)}, process {number} takes it", FAULT, after
                            )
        for job in d.jobs(self, saga) if saga.wake else ():
            lease = self.lease_of(world, job[0], job[1], job[3])
            if lease is None or (job[1] == SETTLING and lease.expired):
                yield Move(f"the sweep sends {job}, process {number} takes it", WORK, self.leased(world, number, job, lease))

    def leased(self, world: World, number: int, job: tuple[int, int, int, int], lease: Lease | None) -> World:
        step, direction, _, round_ = job
        leases = (*self.without(world, lease), Lease(step, direction, round_, number))
        work = Work("leased", *job, first=lease is None)
        return world._replace(leases=leases, processes=put(world.processes, number, work))

    def goes_on(self, world: World, number: int, work: Work) -> Iterator[Move[World]]:
        job = work[1:5]
        lease = self.lease_of(world, work.step, work.direction, work.round)
        own = lease is not None and lease.owner == number
        idle = world._replace(processes=put(world.processes, number, None))
        freed = idle._replace(leases=self.without(world, lease)) if own else idle
        who = f"process {number}"
        runs = world._replace(processes=put(world.processes, number, work._replace(phase="running")))
        if work.phase == "leased" and d.due(world.saga, *job):
            yield Move(f"{who} reads the head: due", WORK, runs)
        elif work.phase == "leased":
            yield Move(f"{who} reads the head: not due, drops", WORK, freed)
        elif work.phase == "unread" and (lease is None or lease.expired):
            leases = (*self.without(world, lease), Lease(work.step, work.direction, work.round, number))
            yield Move(f"{who} takes the lease after the append", WORK, runs._replace(leases=leases))
        elif work.phase == "unread":
            yield Move(f"{who} finds the lease held", WORK, idle)
        elif work.phase == "running":
            yield from self.runs(world, number, work)
        else:
            yield from self.appends(world, number, work, freed, own=own)
        if world.left.crashes:
            leases = tuple(lease._replace(owner=GONE) if lease.owner == number else lease for lease in world.leases)
            left = world.left.less("crashes")
            yield Move(f"{who} crashes", FAULT, idle._replace(leases=leases, memory=frozenset(), left=left))

    def runs(self, world: World, number: int, work: Work) -> Iterator[Move[World]]:
        step, place = work.step, (work.round if self.round_in_key else 0) * self.size + work.step
        here = work.round * self.size + step
        action, undo = world.journal[place]
        made, unmade = world.effects[here]

        def out(outcome: str, keys: tuple[int, int] = (action, undo), effect: tuple[int, int] = (made, unmade)) -> World:
            done = put(world.processes, number, work._replace(phase="outcome", outcome=outcome))
            return world._replace(
                processes=done, journal=put(world.journal, place, keys), effects=put(world.effects, here, effect)
            )

        who = f"process {number}"
        if work.direction == ACTION:
            refused_runs = action == 2 and self.refused_pivot_runs and step == self.pivot
            if self.journal and action and not refused_runs:
                outcome = ("", d.SUCCEEDED, "refused", d.FAILED_WITH_PROOF)[action]
                yield Move(f"{who}: action {step}: the journal says {outcome}", WORK, out(outcome))
                return
            skipped = world.saga.undos[step] == "N" and work.round == world.saga.round and self.skip_checked
            broken = "late effect of a skipped step" if skipped else None
            yield Move(
                f"{who}: ACTION {step} round {work.round}", WORK, out(d.SUCCEEDED, (1, undo), (min(made + 1, 2), unmade)), broken
            )
            if world.left.failures:
                keys = (3, undo) if self.proves(work) and self.proof == "journal" else (action, undo)
                after = out(d.FAILED_WITH_PROOF if self.proves(work) else d.FAILED, keys)
                yield Move(
                    f"{who}: action {step} attempt {work.attempt} fails", FAULT, after._replace(left=world.left.less("failures"))
                )
        elif work.direction == COMPENSATION:
            yield from self.compensates(world, work, out, (action, undo), (made, unmade), who)
        elif world.saga.actions[step] == "P" or self.roles[step] == "p":
            happened = action == 1
            keys = (2, undo) if action == 0 and self.settling_writes else (action, undo)
            what = "happened" if happened else "refused from now on"
            yield Move(f"{who} settles the pivot: {what}", WORK, out(d.HAPPENED if happened else d.NEVER, keys))
        else:
            yield Move(f"{who} fences step {step}", WORK, out(d.HAPPENED if undo == 1 else d.NEVER, (action or 2, undo or 2)))

    def proves(self, work: Work) -> bool:
        """The failure is final, and nobody needs to compensate it."""
        if self.roles[work.step] == "r":
            final = bool(self.failures_max) and work.attempt >= self.failures_max and self.retriable_journals_failure
        else:
            final = work.attempt >= self.attempts_max
        alone = self.proof.startswith("refused") and work.first and work.attempt == 1
        return final and (self.proof == "journal" or alone)

    def compensates(
        self, world: World, work: Work, out: Out, keys: tuple[int, int], effect: tuple[int, int], who: str
    ) -> Iterator[Move[World]]:
        step, (action, undo), (made, unmade) = work.step, keys, effect
        broken = None
        first = work.round * self.size
        if (action == 1 and not undo) or not self.journal:
            if any(world.effects[first + earlier][1] for earlier in range(step) if self.roles[earlier] == "c"):
                broken = f"step {step} is compensated after an earlier step: order"
            if self.pivot >= 0 and world.effects[first + self.pivot][0]:
                broken = "compensated after the pivot took effect"
        if undo:
            outcome = d.COMPENSATED if undo == 1 else "refused"
            yield Move(f"{who}: compensation {step}: {'seen' if undo == 1 else 'refused'}", WORK, out(outcome, keys, effect))
        elif action == 1:
            yield Move(f"{who}: COMPENSATION {step}", WORK, out(d.COMPENSATED, (1, 1), (made, min(unmade + 1, 2))), broken)
        else:
            yield Move(f"{who}: null compensation {step}", WORK, out(d.COMPENSATED, (2, 1), effect))
        if world.left.failed_compensations and not undo:
            left = world.left.less("failed_compensations")
            yield Move(f"{who}: compensation {step} fails", FAULT, out(d.COMPENSATION_FAILED, keys, effect)._replace(left=left))

    def appends(self, world: World, number: int, work: Work, freed: World, *, own: bool) -> Iterator[Move[World]]:
        unproved = work.outcome == d.FAILED_WITH_PROOF and self.proof == "refused, checked" and not own
        event = Event(d.FAILED if unproved else work.outcome, work.step, work.attempt, work.round)
        after = d.fold(self, world.saga, event) if work.outcome != "refused" else None
        if after is None:
            yield Move(f"{tuple(event)} changes nothing", WORK, freed)
            return
        memory = world.memory
        if len(memory) < 2:
            backs_off = ((ACTION, after.actions, after.attempts), (COMPENSATION, after.undos, after.undo_attempts))
            memory |= {
                InMemory(step, direction, attempts[step], after.round)
                for step in range(self.size)
                for direction, letters, attempts in backs_off
                if letters[step] == "B"
            }
        label = f"appends {tuple(event)} -> {shown(after)}"
        yield from self.continues(
            freed._replace(saga=after, memory=memory), number, label, WORK, self.overwritten(world.saga, after)
        )

    def continues(self, world: World, number: int, label: str, kind: Kind, broken: str | None) -> Iterator[Move[World]]:
        """After an append: idle, or the next step at once."""
        yield Move(label, kind, world, broken)
        for job in d.jobs(self, world.saga):
            step, direction, _, round_ = job
            lease = self.lease_of(world, step, direction, round_)
            if direction == SETTLING:
                continue
            if self.local == "with" and (lease is None or lease.expired or self.local_steals):
                leases = (*self.without(world, lease), Lease(step, direction, round_, number))
                work = Work("running", *job)
                after = world._replace(leases=leases, processes=put(world.processes, number, work))
                yield Move(f"{label}, runs {(step, direction)} at once", kind, after, broken)
            elif self.local == "after":
                after = world._replace(processes=put(world.processes, number, Work("unread", *job)))
                yield Move(f"{label}, will run {(step, direction)}", kind, after, broken)

    def overwritten(self, old: Saga, new: Saga) -> str | None:
        lost = any(
            (old.undos[step] == "C" and new.undos[step] != "C") or (old.actions[step] == "S" and new.actions[step] != "S")
            for step in range(self.size if new.round == old.round else 0)
        )
        return "an accepted event was overwritten" if lost else None

    # leases, timers, leader, operators

    def leases_end(self, world: World) -> Iterator[Move[World]]:
        for lease in world.leases:
            others = self.without(world, lease)
            expired = world._replace(leases=(*others, lease._replace(expired=True)))
            if not lease.expired and lease.owner == GONE:
                yield Move(f"lease {lease[:3]} of a process that is gone runs out", WORK, expired)
            elif not lease.expired and world.left.lost_leases:
                left = world.left.less("lost_leases")
                yield Move(f"lease {lease[:3]} runs out, its holder lives", FAULT, expired._replace(left=left))
            elif lease.expired and lease.round != world.saga.round:
                yield Move(f"the leader frees {lease[:3]}", WORK, world._replace(leases=others))
        if world.left.database_crashes and world.leases:
            left = world.left.less("database_crashes")
            yield Move("DATABASE CRASH: the leases are emptied", FAULT, world._replace(leases=(), left=left))

    def timers_fire(self, world: World) -> Iterator[Move[World]]:
        saga = world.saga
        if world.timer == "n":
            yield Move("time passes: the timer is due", WORK, world._replace(timer="d"))
        for timer in sorted(world.memory):
            yield from self.fires(world._replace(memory=world.memory - {timer}), timer, in_memory=True)
        backing_off = ((ACTION, saga.actions, saga.attempts), (COMPENSATION, saga.undos, saga.undo_attempts))
        for step in range(self.size if saga.wake else 0):
            for direction, letters, attempts in backing_off:
                if letters[step] == "B":
                    yield from self.fires(world, InMemory(step, direction, attempts[step], saga.round), in_memory=False)

    def fires(self, world: World, timer: InMemory, *, in_memory: bool) -> Iterator[Move[World]]:
        saga, step = world.saga, timer.step
        label = (
            f"{'a memory' if in_memory else 'the sweep'} fires the timer of {(step, timer.direction)}, attempt {timer.attempt}"
        )
        if saga.paused and self.timer_paused == "drop":
            yield Move(f"{label}: paused, dropped", WORK, world)
            return
        after = d.fold(self, saga, Event(d.TIMER, step, timer.attempt, timer.round))
        if after is None:
            yield Move(f"{label}: changes nothing", WORK, world)
            return
        waiting = saga.actions[step] == "B" or saga.undos[step] == "B"
        is_due = world.timer == "d" or not waiting
        own_passed = not self.timer_named and in_memory and timer.attempt < max(saga.attempts[step], saga.undo_attempts[step])
        if not is_due and self.due_guard and not own_passed:
            return
        broken = "a timer fired early" if not is_due else None if waiting else "a timer fired twice"
        fired = world._replace(saga=after)
        idle = next((number for number, work in enumerate(world.processes) if work is None), None)
        if in_memory and idle is not None:
            yield from self.continues(fired, idle, label, WORK, broken)
        yield Move(label, WORK, fired, broken)

    def leader_looks(self, world: World) -> Iterator[Move[World]]:
        """The leader takes the lease, then appends."""
        saga = world.saga
        looked_at = ((ACTION, saga.actions, saga.attempts), (COMPENSATION, saga.undos, saga.undo_attempts))
        for step in range(self.size if saga.wake else 0):
            for direction, letters, attempts in looked_at:
                lease = self.lease_of(world, step, direction, saga.round)
                never_again = direction == ACTION and saga.mode in "RQ" and lease is None
                if letters[step] != "D" or not ((lease is not None and lease.expired) or never_again):
                    continue
                what = d.COMPENSATION_UNKNOWN if direction else d.UNKNOWN
                after = d.fold(self, saga, Event(what, step, attempts[step], saga.round))
                if after is not None:
                    label = f"the leader: {(step, direction)} attempt {attempts[step]} is unknown -> {shown(after)}"
                    declared = world._replace(saga=after, leases=self.without(world, lease))
                    yield Move(label, WORK, declared, self.overwritten(saga, after))

    def operators_ask(self, world: World) -> Iterator[Move[World]]:
        for name, what in (("aborts", d.ABORT), ("pauses", d.PAUSE), ("restarts", d.RESTART)):
            if getattr(world.left, name):
                after = d.fold(self, world.saga, Event(what, round=world.saga.round))
                if after is not None:
                    yield Move(f"operator: {name[:-1]}", FAULT, world._replace(saga=after, left=world.left.less(name)))
        for what, name in ((d.RESUME, "resume"), (d.RETRY, "retry"), (d.SKIP, "skip")):
            for step in range(1 if what == d.RESUME else self.size):
                after = d.fold(self, world.saga, Event(what, step, round=world.saga.round))
                if after is not None:
                    broken = self.overwritten(world.saga, after) if what == d.SKIP else None
                    yield Move(f"operator: {name} {step}", OPERATOR, world._replace(saga=after), broken)

    # what must never be

    def broken(self, world: World) -> str | None:
        saga = world.saga
        for place, (made, unmade) in enumerate(world.effects):
            round_, step = divmod(place, self.size)
            if made > 1:
                return f"the action of step {step} took effect twice"
            if unmade > 1:
                return f"the compensation of step {step} took effect twice"
            stands, this_round = made > unmade, round_ == saga.round
            if saga.mode == "X" and stands and not (this_round and saga.undos[step] == "N"):
                return f"compensated, but the effect of step {step} (round {round_}) stands"
            if saga.mode == "E" and stands != this_round:
                return f"completed, but the effect of step {step} in round {round_} {'stands too' if stands else 'is missing'}"
        return None

    def promises(self) -> tuple[Promise[World], ...]:
        def ended(world: World) -> bool:
            return world.saga.mode in "EX"

        def rests(world: World) -> bool:
            saga = world.saga
            paused = saga.paused and (self.abort_lifts or not saga.aborted)
            return ended(world) or paused or "K" in saga.actions or "K" in saga.undos

        return (
            Promise("the saga ends, or is paused or stuck", frozenset({WORK}), rests),
            Promise("the saga ends, with the buttons that an operator has", frozenset({WORK, OPERATOR}), ended),
        )


def shown(saga: Saga) -> str:
    return f"{saga.mode} {saga.actions}/{saga.undos}"
