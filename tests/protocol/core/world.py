"""What can happen to one saga: two processes, leaders of which an old one may live on, a bus, a database.

The bus may lose, repeat, delay and reorder. Leases run out at any moment, which stands for a stopped process, a slow renewal, a
lost session and a clock that jumps. The database may crash, which empties the leases, and may fail over to a standby that lacks
the end of the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.core.rules import Event, Faults, Rules, Saga, begin, due, fold
from tests.protocol.explorer import FAULT, WORK, Kind, Move, Promise
from tests.protocol.runs import put

GONE = 2  # the owner of a lease whose process is gone
Message = tuple[int, int, int]  # step, direction, attempt
HELD, EXPIRED, UNCOMMITTED = "held", "expired", "uncommitted"


class Lease(NamedTuple):
    owner: int
    how: str = HELD

    @property
    def free(self) -> bool:
        return self.how == EXPIRED


class Work(NamedTuple):
    phase: str  # message, head read, leased, uncommitted, running, outcome
    step: int
    direction: int
    attempt: int
    outcome: str = ""
    view: Saga | None = None


class Plan(NamedTuple):
    """A leader is about to declare a step lost."""

    seq: int
    step: int
    attempt: int
    absent: bool


class Effect(NamedTuple):
    actions: int = 0
    undos: int = 0
    stands: bool = False


class World(NamedTuple):
    saga: Saga
    leases: tuple[Lease | None, ...]  # by 2 * step + direction
    processes: tuple[Work | None, Work | None]
    journal: tuple[tuple[int, int], tuple[int, int]]  # per step: action's key 0, 1 done, 2 refused; compensation's key
    effects: tuple[Effect, Effect]
    leaders: tuple[Plan | None, ...]  # leader i has epoch i + 1; all but the last are old
    epoch: int
    highest: int  # the highest epoch whose write was accepted
    left: Faults
    bus: frozenset[Message]
    standby: Saga | None


@dataclass(frozen=True)
class Core(Rules):
    """The model."""

    def begin(self) -> World:
        saga = begin(self)
        bus = frozenset(messages(self, saga)) if self.messages != "any" else frozenset()
        standby = saga if self.left.failovers else None
        effects, keys = (Effect(), Effect()), ((0, 0), (0, 0))
        return World(saga, (None,) * 4, (None, None), keys, effects, (None,), 1, 0, self.left, bus, standby)

    def moves(self, world: World) -> Iterator[Move[World]]:
        for move in self.all_moves(world):
            yield move._replace(state=alike(move.state))

    def all_moves(self, world: World) -> Iterator[Move[World]]:
        for number, work in enumerate(world.processes):
            if work is not None:
                yield from self.goes_on(world, number, work)
            elif number == 0 or world.processes[0] is not None:  # idle processes are alike
                yield from self.message_arrives(world, number)
        yield from self.leases_end(world)
        yield from self.database_fails(world)
        yield from self.leaders_act(world)
        yield from self.bus_acts(world)
        if world.left.aborts:
            after = fold(self, world.saga, Event("A"))
            if after is not None:
                yield Move("operator aborts", WORK, self.logged(world, after)._replace(left=world.left.less("aborts")))

    def logged(self, world: World, saga: Saga) -> World:
        """After an append: what is due is sent."""
        bus = world.bus | messages(self, saga) if self.messages != "any" else world.bus
        return world._replace(saga=saga, bus=bus)

    # processes

    def message_arrives(self, world: World, number: int) -> Iterator[Move[World]]:
        saga = world.saga
        arriving = ever_due(self, saga) if self.messages == "any" else sorted(world.bus)
        for step, direction, attempt in arriving:
            bus, lease = world.bus, world.leases[2 * step + direction]
            label = f"process {number} gets {('action', 'compensation')[direction]} {step}, attempt {attempt}"
            if not self.acknowledged_last:
                bus -= {(step, direction, attempt)}
                label += ", acknowledges"
            work = Work("message", step, direction, attempt)
            if self.messages == "queue":
                if any(other is not None and other.phase == "message" and other[1:4] == work[1:4] for other in world.processes):
                    continue  # it is in somebody's hands
                yield Move(label, WORK, world._replace(processes=put(world.processes, number, work), bus=bus))
            elif self.acquire == "one statement":
                if due(self, saga, step, direction, attempt):
                    read = put(world.processes, number, work._replace(phase="head read"))
                    yield Move(f"{label}; in its snapshot it is due", WORK, world._replace(processes=read))
            elif lease is None or lease.free:
                uncommitted = self.acquire.startswith("one transaction")
                taken = Lease(number, UNCOMMITTED if uncommitted else HELD)
                leased = world._replace(
                    processes=put(world.processes, number, work._replace(phase="leased")),
                    leases=put(world.leases, 2 * step + direction, taken),
                )
                yield Move(f"{label}, takes the lease{' (uncommitted)' if uncommitted else ''}", WORK, leased)

    def goes_on(self, world: World, number: int, work: Work) -> Iterator[Move[World]]:
        place = 2 * work.step + work.direction
        lease = world.leases[place]
        own = lease is not None and lease.owner == number
        free = lease is None or lease.free
        freed = put(world.leases, place, None) if own or not self.own_release else world.leases
        idle = world._replace(processes=put(world.processes, number, None))
        who = f"process {number}"

        def then(phase: str, leases: tuple[Lease | None, ...] = world.leases, view: Saga | None = None) -> World:
            after = put(world.processes, number, work._replace(phase=phase, view=view))
            return world._replace(processes=after, leases=leases)

        seen = world.saga if not self.guard or not self.tag else None
        if work.phase == "message":
            without = world.bus - {work[1:4]}
            if free:
                after = then("leased", put(world.leases, place, Lease(number)))
                yield Move(f"{who} takes the lease, acknowledges", WORK, after._replace(bus=without))
            else:
                yield Move(f"{who} finds the lease held, acknowledges, drops", WORK, idle._replace(bus=without))
        elif work.phase == "head read" and free:
            yield Move(f"{who} takes the lease", WORK, then("running", put(world.leases, place, Lease(number)), seen))
        elif work.phase == "leased":
            if due(self, world.saga, work.step, work.direction, work.attempt):
                phase = "uncommitted" if self.acquire.startswith("one transaction") else "running"
                yield Move(f"{who} reads the head: due", WORK, then(phase, view=seen))
            else:
                yield Move(f"{who} reads the head: not due, drops", WORK, idle._replace(leases=freed))
        elif work.phase == "uncommitted":
            leases = put(world.leases, place, Lease(number)) if own else world.leases
            yield Move(f"{who} commits what it acquired", WORK, then("running", leases, work.view))
        elif work.phase == "running":
            yield from self.runs(world, number, work)
        elif work.phase == "outcome":
            yield from self.appends(world, work, idle._replace(leases=freed))
        early = work.phase in ("leased", "uncommitted", "running")
        if world.left.crashes and (early or not self.crash_before_effect):
            leases = tuple(
                self.of_dead(lease) if lease is not None and lease.owner == number else lease for lease in world.leases
            )
            yield Move(f"{who} crashes", FAULT, idle._replace(leases=leases, left=world.left.less("crashes")))

    @staticmethod
    def of_dead(lease: Lease) -> Lease | None:
        return None if lease.how == UNCOMMITTED else Lease(GONE)

    def runs(self, world: World, number: int, work: Work) -> Iterator[Move[World]]:
        step, effect, (action, undo) = work.step, world.effects[work.step], world.journal[work.step]

        def out(outcome: str, keys: tuple[int, int] = (action, undo), made: Effect = effect) -> World:
            processes = put(world.processes, number, work._replace(phase="outcome", outcome=outcome))
            journal = put(world.journal, step, keys)
            return world._replace(processes=processes, journal=journal, effects=put(world.effects, step, made))

        who = f"process {number}"
        if work.direction == 0:
            did = Effect(min(effect.actions + 1, 2), effect.undos, True)
            fails = world.left.failures
            if not self.journal:
                yield Move(f"{who}: ACTION {step} takes effect", WORK, out("S", made=did))
                if self.late_failures and fails:
                    raised = out("F", made=did)._replace(left=world.left.less("failures"))
                    yield Move(f"{who}: ACTION {step} takes effect, then raises", WORK, raised)
            elif action == 0:
                yield Move(f"{who}: ACTION {step} takes effect", WORK, out("S", (1, undo), did))
            else:
                yield Move(
                    f"{who}: action {step}: {'stored result' if action == 1 else 'refused'}",
                    WORK,
                    out("S" if action == 1 else "Z"),
                )
            if self.may_fail[step] and fails and not (self.journal and action):
                yield Move(f"{who}: action {step} fails", WORK, out("F")._replace(left=world.left.less("failures")))
            return
        wrong = not self.parallel and step == 0 and effect.stands and world.effects[1].stands
        broken = "step 0 is compensated while the effect of step 1 stands" if wrong else None
        undone = Effect(effect.actions, min(effect.undos + 1, 2), False)
        if not self.journal:
            yield Move(f"{who}: COMPENSATION {step}", WORK, out("C", made=undone if effect.stands else effect))
        elif undo:
            yield Move(f"{who}: compensation {step}: seen", WORK, out("C"))
        elif action == 1:
            yield Move(f"{who}: COMPENSATION {step}", WORK, out("C", (1, 1), undone), broken)
        else:
            yield Move(f"{who}: null compensation {step}", WORK, out("C", (2 if self.null_writes_key else 0, 1)))

    def appends(self, world: World, work: Work, idle: World) -> Iterator[Move[World]]:
        event = Event(work.outcome, work.step, work.attempt)
        base = world.saga
        if work.view is not None and (not self.guard or (not self.tag and work.view.seq == world.saga.seq)):
            base = work.view
        after = fold(self, base, event) if work.outcome != "Z" else None
        if after is None:
            yield Move(f"{tuple(event)} changes nothing", WORK, idle)
            return
        label, broken = f"appends {tuple(event)} -> {shown(after)}", overwritten(self, world.saga, after)
        yield Move(f"{label}, sends", WORK, self.logged(idle, after), broken)
        if self.messages == "set" and world.left.lost_messages:
            left = world.left.less("lost_messages")
            yield Move(f"{label}, dies before it sends", FAULT, idle._replace(saga=after, left=left), broken)

    # leases, database, leaders, bus

    def leases_end(self, world: World) -> Iterator[Move[World]]:
        for place, lease in enumerate(world.leases):
            if lease is None or lease.how != HELD:
                continue
            expired = world._replace(leases=put(world.leases, place, Lease(lease.owner, EXPIRED)))
            if lease.owner == GONE:
                yield Move(f"lease {place} of a process that is gone runs out", WORK, expired)
            elif world.left.lost_leases:
                left = world.left.less("lost_leases")
                yield Move(f"lease {place} runs out, its holder lives", FAULT, expired._replace(left=left))

    def database_fails(self, world: World) -> Iterator[Move[World]]:
        if world.left.database_crashes and any(world.leases):
            cut = self.acquire.startswith("one transaction")
            first, second = (
                None if work and cut and work.phase in ("leased", "uncommitted") else work for work in world.processes
            )
            left = world.left.less("database_crashes")
            crashed = world._replace(leases=(None,) * 4, processes=(first, second), left=left)
            yield Move("DATABASE CRASH: the leases are emptied", FAULT, crashed)
        if world.standby is not None and world.standby != world.saga:
            yield Move("the standby catches up", WORK, world._replace(standby=world.saga))
            if world.left.failovers:
                left = world.left.less("failovers")
                fallen = world._replace(saga=world.standby, leases=(None,) * 4, left=left)
                yield Move(f"FAILOVER: the log falls back to {shown(world.standby)}", FAULT, fallen)

    def leaders_act(self, world: World) -> Iterator[Move[World]]:
        saga = world.saga
        if world.epoch <= self.leaders:
            elected = world._replace(epoch=world.epoch + 1, leaders=(*world.leaders, None))
            yield Move("a new leader is elected, the old one lives on", FAULT, elected)
        for number, plan in enumerate(world.leaders):
            if plan is not None:
                yield from self.declares_lost(world, number, plan)
                yield Move(
                    f"leader {number + 1} gives its write up", WORK, world._replace(leaders=put(world.leaders, number, None))
                )
                continue
            for step in (0, 1):
                lease = world.leases[2 * step]
                absent = lease is None or lease.how == UNCOMMITTED
                if saga.actions[step] == "D" and ((lease is not None and lease.free) or (saga.mode == "R" and absent)):
                    plans = put(world.leaders, number, Plan(saga.seq, step, saga.attempts[step], absent))
                    yield Move(f"leader {number + 1} reads: step {step} has no living lease", WORK, world._replace(leaders=plans))

    def declares_lost(self, world: World, number: int, plan: Plan) -> Iterator[Move[World]]:
        saga, place = world.saga, 2 * plan.step
        lease = world.leases[place]
        taken = lease is None or lease.how in (EXPIRED, UNCOMMITTED)
        refused = (self.fence and number + 1 != world.epoch) or (self.lost_takes_lease and not taken)
        if plan.seq != saga.seq or refused:
            return
        never = self.without_outcome == "lease" and plan.absent and saga.mode == "R"
        after = fold(self, saga, Event("N" if never else "L", plan.step, plan.attempt))
        if after is None:
            return
        broken = overwritten(self, saga, after)
        if self.epochs_checked and number + 1 < world.highest:
            broken = f"a write of epoch {number + 1} is accepted after one of epoch {world.highest}"
        free = lease is None or lease.free
        declared = self.logged(world, after)._replace(
            leases=put(world.leases, place, None) if free else world.leases,
            leaders=put(world.leaders, number, None),
            highest=max(world.highest, number + 1),
        )
        yield Move(f"leader {number + 1} declares step {plan.step} lost -> {shown(after)}", WORK, declared, broken)

    def bus_acts(self, world: World) -> Iterator[Move[World]]:
        for message in sorted(messages(self, world.saga)) if self.messages != "any" else ():
            lease = world.leases[2 * message[0] + message[1]]
            found = self.sweep and (lease is None or lease.free)
            if message not in world.bus and (found or lease == Lease(GONE, EXPIRED)):
                yield Move(f"the sweep sends {message}", WORK, world._replace(bus=world.bus | {message}))
        for message in sorted(world.bus) if world.left.lost_messages and self.messages == "set" else ():
            lost = world._replace(bus=world.bus - {message}, left=world.left.less("lost_messages"))
            yield Move(f"the bus loses {message}", FAULT, lost)

    # what must never be

    def broken(self, world: World) -> str | None:
        for step, effect in enumerate(world.effects):
            if self.once and effect.actions > 1:
                return f"the action of step {step} took effect twice"
            if self.once and effect.undos > 1:
                return f"the compensation of step {step} took effect twice"
            at_rest = not self.judged_at_rest or world.processes == (None, None)
            if world.saga.mode == "X" and effect.stands and at_rest:
                return f"compensated, but the effect of step {step} stands"
            if world.saga.mode == "E" and not effect.stands:
                return f"completed, but step {step} has no effect"
        return None

    def promises(self) -> tuple[Promise[World], ...]:
        by: frozenset[Kind] = frozenset({WORK})
        return (Promise("the saga ends", by, lambda world: world.saga.mode in "EX"),) if self.ends else ()


def messages(rules: Rules, saga: Saga) -> frozenset[Message]:
    """What is due now."""
    every = ((step, direction, attempt) for step in (0, 1) for direction in (0, 1) for attempt in (0, 1, 2))
    return frozenset(
        (step, direction, attempt)
        for step, direction, attempt in every
        if (direction == 0 or attempt < 2) and (direction == 1 or attempt > 0) and due(rules, saga, step, direction, attempt)
    )


def ever_due(rules: Rules, saga: Saga) -> list[Message]:
    """All messages that were ever sent: each may arrive at any time."""
    actions = [(step, 0, attempt) for step in (0, 1) for attempt in range(1, saga.attempts[step] + 1)]
    undos = [(step, 1, attempt) for step in (0, 1) if saga.undos[step] != "-" for attempt in ((0, 1) if rules.again else (0,))]
    return actions + undos


def alike(world: World) -> World:
    """Processes are alike: only one order of the two is kept, who works before who is idle."""
    first, second = world.processes
    if second is None or (first is not None and (first[:5], repr(first.view)) <= (second[:5], repr(second.view))):
        return world
    leases = tuple(lease._replace(owner=1 - lease.owner) if lease and lease.owner < GONE else lease for lease in world.leases)
    return world._replace(processes=(second, first), leases=leases)


def overwritten(rules: Rules, old: Saga, new: Saga) -> str | None:
    if old.mode in "EX" and new.mode != old.mode and not rules.again:
        return "a saga that had ended was changed"
    lost = any(
        (old.actions[step] in "SF" and new.actions[step] not in "SF") or (old.undos[step] == "C" and new.undos[step] == "-")
        for step in (0, 1)
    )
    return "an accepted event was overwritten" if lost else None


def shown(saga: Saga) -> str:
    return f"{saga.mode}{saga.seq} {''.join(saga.actions)}/{''.join(saga.undos)}"
