"""The world of several sagas: operators, messages, the sweep, two processes.

Each thing that a process does has several moments, and everything else may happen between two of them. Every append is judged
on the true head. Messages may be lost; the sweep finds what a saga still wishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.protocol.explorer import FAULT, MESSAGE, OPERATOR, SWEEP, WORK, Move, Promise
from tests.protocol.runs import put
from tests.protocol.trees import deciding, keys, locking, parents, tasks
from tests.protocol.trees.rules import (
    BY_OPERATOR,
    ENDED,
    RUNNING,
    Faults,
    Key,
    Rules,
    Saga,
    Task,
    World,
)


@dataclass(frozen=True)
class Trees(Rules):
    """The model."""

    def begin(self) -> World:
        roots = [script.parent is None for script in self.scripts]
        sagas = tuple(deciding.begun(self, number, "F" if is_root else "-") for number, is_root in enumerate(roots))
        messages = frozenset(("wish", number) for number, saga in enumerate(sagas) if "W" in saga.steps)
        journal = tuple("0" * len(script.steps) for script in self.scripts)
        return World(sagas, (Key(), Key()), (), journal, messages, self.left)

    # how a world is changed

    def is_idle(self, world: World) -> bool:
        return len(world.tasks) < self.processes

    @staticmethod
    def with_saga(world: World, number: int, saga: Saga) -> World:
        return world._replace(sagas=put(world.sagas, number, saga))

    @staticmethod
    def with_task(world: World, task: Task) -> World:
        return world._replace(tasks=tuple(sorted((*world.tasks, task), key=repr)))

    def appended(self, world: World, number: int, saga: Saga) -> World:
        """After an append: messages are sent, and a process goes on to tell who must be told."""
        old, messages = world.sagas[number], world.messages
        again = old.round != saga.round
        if "W" in saga.steps and ("W" not in old.steps or again):
            messages |= {("wish", number)}
        if saga.mode in "HXET" and old.mode != saga.mode and self.scripts[number].parent is not None:
            messages |= {("child", number)}
        ended = saga.mode in "EXTH" and old.mode not in "EXTH"
        withdrawn = "W" in old.steps and ("W" not in saga.steps or again) and "G" not in saga.steps
        after = self.with_saga(world, number, saga)._replace(messages=messages)
        return self.with_task(after, Task("end", number)) if ended or withdrawn else after

    # what happens

    def moves(self, world: World) -> Iterator[Move[World]]:
        idle = self.is_idle(world)
        if idle:
            yield from self.operators_ask(world)
        yield from parents.moves(self, world)
        if idle:
            yield from self.processes_begin(world)
        seen = set[Task]()
        for task in world.tasks:
            if task in seen:
                continue
            seen.add(task)
            rest = list(world.tasks)
            rest.remove(task)
            without = world._replace(tasks=tuple(rest))
            yield from self.goes_on(world, task, without)
            if world.left.crashes:
                label = f"a process dies ({task.what} of saga {task.saga})"
                yield Move(label, FAULT, without._replace(left=world.left.less("crashes")))
        for number, saga in enumerate(world.sagas):
            if saga.until and self.until_kept:
                over = self.with_saga(world, number, saga._replace(until=False))
                yield Move(f"lease and deadline of the late steps of saga {number} are over", WORK, over)
        for message in world.messages if world.left.lost_messages else ():
            lost = world._replace(messages=world.messages - {message}, left=world.left.less("lost_messages"))
            yield Move(f"message {message} is lost", FAULT, lost)

    def goes_on(self, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
        does = {
            "run": tasks.run,
            "out": tasks.out,
            "start": tasks.start,
            "look": tasks.look,
            "spread": tasks.spreading,
            "end": tasks.end,
            "search": locking.search,
            "victim": locking.victim,
        }.get(task.what, locking.moves)
        yield from does(self, world, task, idle)

    def operators_ask(self, world: World) -> Iterator[Move[World]]:
        left = world.left
        for number, saga in enumerate(world.sagas):
            is_root = self.scripts[number].parent is None
            if saga.mode not in RUNNING:
                continue
            if left.aborts and is_root and number == self.aborts and saga.mode == "F":
                aborted = deciding.fold(self, number, saga, "aborted")
                assert aborted is not None
                after = self.appended(world, number, aborted)
                yield Move(f"operator aborts saga {number}", OPERATOR, after._replace(left=left.less("aborts")))
            if left.terminates and (number == 0 if not self.terminates_child else not is_root):
                yield self.terminates(world, number, saga)
            if left.pauses and is_root and number == self.pauses and not saga.paused:
                paused = self.with_saga(world, number, saga._replace(paused=BY_OPERATOR))
                paused = self.with_task(paused, Task("end", number))._replace(left=left.less("pauses"))
                yield Move(f"operator pauses saga {number} with its children", OPERATOR, paused)
            refused = saga.mode != "F" and self.child_pause_refused
            if left.child_pauses and not is_root and not saga.paused and not refused:
                paused = self.with_saga(world, number, saga._replace(paused=BY_OPERATOR))
                yield Move(f"operator pauses child {number}", OPERATOR, paused._replace(left=left.less("child_pauses")))
            if saga.paused == BY_OPERATOR and is_root and not self.stays_paused:  # whoever paused it resumes it one day
                yield Move(f"operator resumes saga {number}", WORK, self.resumed(world, number, saga))
            for step, status in enumerate(saga.steps):
                if status == "K":  # whoever looks after it retries it one day
                    retried = deciding.fold(self, number, saga, "retried", step)
                    assert retried is not None
                    yield Move(f"operator retries step {number}.{step}", WORK, self.appended(world, number, retried))
            if left.rewinds and number == self.rewinds and saga.mode == "F":
                rewound = deciding.fold(self, number, saga, "rewound")
                if rewound is not None:
                    after = self.appended(world, number, rewound)
                    yield Move(f"saga {number} rewinds", OPERATOR, after._replace(left=left.less("rewinds")))

    def terminates(self, world: World, number: int, saga: Saga) -> Move[World]:
        at_once = self.terminate == "at once" or self.forced
        note = "f" if self.forced else "k" if self.children_too else "l"
        until = self.forced and any(status in "GD" for status in saga.steps)
        after = saga._replace(mode="T" if at_once else "t", paused=0, note=note, until=until)
        how = " by force" if self.forced else " with its children" if self.children_too else ""
        asked = self.appended(world, number, after)
        if not at_once:
            asked = self.with_task(self.with_saga(world, number, after), Task("end", number))
        return Move(f"operator terminates saga {number}{how}", OPERATOR, asked._replace(left=world.left.less("terminates")))

    def resumed(self, world: World, number: int, saga: Saga) -> World:
        messages = world.messages | {("wish", number)} if "W" in saga.steps else world.messages
        after = self.with_saga(world, number, saga._replace(paused=0))._replace(messages=messages)
        return self.with_task(after, Task("spread", number))

    def processes_begin(self, world: World) -> Iterator[Move[World]]:
        for number, saga in enumerate(world.sagas):
            if saga.mode not in RUNNING or saga.paused:
                continue
            for step, definition in enumerate(self.steps(number, saga.round)):
                status, child = saga.steps[step], self.child_of(number, step, saga)
                if status == "G" and saga.mode == "F" and child is None:
                    task = Task("run", number, step, saga.round, tasks.ACTION)
                    yield Move(f"a process begins action {number}.{step}", WORK, self.with_task(world, task))
                elif status == "G" and saga.mode == "F" and child is not None and world.sagas[child].mode == "-":
                    task = Task("start", number, step, saga.round, child)
                    yield Move(f"a process reads: child {child} is to be started", WORK, self.with_task(world, task))
                elif status == "D" and child is None:
                    task = Task("run", number, step, saga.round, tasks.COMPENSATION)
                    yield Move(f"a process begins compensation {number}.{step}", WORK, self.with_task(world, task))
                elif status == "W" and definition.key is not None:
                    asks = self.with_task(world, Task(locking.ASK, number, step, saga.round))
                    if ("wish", number) in world.messages:
                        heard = asks._replace(messages=world.messages - {("wish", number)})
                        yield Move(f"message: look at the lock of saga {number}", MESSAGE, heard)
                    yield Move(f"sweep: look at the lock of saga {number}", SWEEP, asks)
        if self.leader_searches and any(key.queue for key in world.keys):
            yield Move("the leader looks for a circle", SWEEP, self.with_task(world, Task("search", 0, 0, -1, ())))

    # what must never be

    def broken(self, world: World) -> str | None:
        for number, saga in enumerate(world.sagas):
            stands = "1" in world.journal[number]
            if saga.mode == "X" and stands:
                return f"saga {number} is compensated, and an effect stands"
            parent = self.scripts[number].parent
            if parent is None:
                continue
            above = world.sagas[parent]
            forgotten = above.mode == "T" and above.note == "k" and saga.mode == "F" and not world.tasks
            if forgotten and not self.late_child_checked and self.spreads == "process":
                return f"child {number} of a terminated parent is forgotten: nobody has it in hand, the sweep does not look"
            if above.mode != "X":
                continue
            if stands and not (saga.mode == "T" and self.terminated_child == "stuck"):
                return f"the parent is compensated, and an effect stands in child {number}"
            if saga.mode in "FRQH" and self.tombstones:
                return f"the parent is compensated, and child {number} is {saga.mode}"
        return None

    def promises(self) -> tuple[Promise[World], ...]:
        if not self.count_on:
            return ()
        by = {"sweep": frozenset({WORK, SWEEP}), "messages": frozenset({WORK, MESSAGE})}[self.count_on]
        return (Promise(f"all end by the {self.count_on}", by, self.ended),)

    def ended(self, world: World) -> bool:
        resting = set[int]()
        if self.stays_paused:  # a paused saga is at rest, and so is who waits for it
            resting = {number for number, saga in enumerate(world.sagas) if saga.paused}
            graph = keys.edges(self, world, at_rest=True)
            for _ in world.sagas:
                resting |= {root for root, edges in graph.items() if any(edge.to in resting for edge in edges)}
        children = (saga for number, saga in enumerate(world.sagas) if self.scripts[number].parent is not None)
        if any(saga.paused == BY_OPERATOR and saga.mode == "F" for saga in children):
            return True  # a child that an operator paused waits for him
        modes = ENDED + "!-" + ("H" if self.count_on == "messages" or self.stays_paused else "")
        return all(saga.mode in modes or self.root(number) in resting for number, saga in enumerate(world.sagas))


__all__ = ["Faults", "Trees"]
