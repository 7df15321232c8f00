"""Parents and children: ends that are told, undoing, pauses and terminates that spread, tombstones.

Each is one look at one head, and one guarded append to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.protocol.explorer import MESSAGE, SWEEP, WORK, Move
from tests.protocol.runs import put
from tests.protocol.trees.deciding import advance, fold, put_char
from tests.protocol.trees.rules import BY_PARENT, RUNNING, Rules, Saga, Task, World

if TYPE_CHECKING:
    from tests.protocol.trees.world import Trees


def moves(model: Trees, world: World) -> Iterator[Move[World]]:
    for number, script in enumerate(model.scripts):
        if script.parent is not None:
            yield from of_child(model, world, script.parent, number)
    for number, saga in enumerate(world.sagas):
        if saga.mode == "t":
            yield from terminating(model, world, number, saga)


def of_child(model: Trees, world: World, parent: int, number: int) -> Iterator[Move[World]]:
    above, child = world.sagas[parent], world.sagas[number]
    steps = range(len(above.steps))
    step = next((step for step in steps if model.child_of(parent, step, above) == number), None)
    status = "." if step is None else above.steps[step]
    if step is not None and status == "G" and above.mode in RUNNING:
        yield from told(model, world, parent, number, step)
    if step is not None and status == "D" and above.mode in "RQ" and not above.paused:
        yield from undone(model, world, parent, number, step)
    settled = above.mode in ("EXTH" if model.held_settles else "EXT")
    settled = settled and (model.forced_settles or above.note != "f")
    if settled and child.mode == "H":
        released = fold(model, number, child, "released")
        assert released is not None
        yield Move(f"child {number} finds its parent ended: released", SWEEP, model.with_saga(world, number, released))
    after = spread(model, world.sagas, parent, number) if model.spreads != "process" else None
    if after is not None and not model.stale_look:
        label = f"sweep: child {number} looks at its parent: {after.mode}{after.paused}{after.note}"
        yield Move(label, SWEEP, model.with_saga(world, number, after))
    elif after is not None and model.is_idle(world):
        yield Move(f"sweep: child {number} reads its parent", SWEEP, model.with_task(world, Task("look", number, detail=above)))


def told(model: Trees, world: World, parent: int, number: int, step: int) -> Iterator[Move[World]]:
    """The parent hears of its child's end."""
    above, child = world.sagas[parent], world.sagas[number]
    terminated = "failed" if model.terminated_child == "stuck" else None
    event = {"H": "done", "E": None if model.holds_child else "done", "X": "failed", "T": terminated}.get(child.mode)
    if event is None or not model.is_idle(world):
        return
    after = fold(model, parent, above, event, step)
    if child.mode == "T":  # what it did stands: nothing is undone before a person has said so
        after = advance(model, parent, above._replace(mode="R", paused=0))
    if after is None:
        return
    label = f"the parent hears: child {number} is {child.mode}"
    if ("child", number) in world.messages:
        heard = world._replace(messages=world.messages - {("child", number)})
        yield Move(label, MESSAGE, model.appended(heard, parent, after))
    yield Move(label, SWEEP, model.appended(world, parent, after))


def undone(model: Trees, world: World, parent: int, number: int, step: int) -> Iterator[Move[World]]:
    """The parent's compensation of a child."""
    above, child = world.sagas[parent], world.sagas[number]
    over = fold(model, parent, above, "undone", step)
    assert over is not None
    if child.mode == "-":
        after = model.with_saga(world, parent, over)
        if model.tombstones:
            after = model.with_saga(after, number, child._replace(mode="!"))
        yield Move(f"the parent finds no child {number}: tombstone", WORK, after)
    elif not model.is_idle(world):
        return
    elif child.mode in "!X" or (child.mode == "T" and model.terminated_child == "stuck"):
        person = ", a person lets it go" if child.mode == "T" else ""
        yield Move(f"the parent hears: child {number} is {child.mode}{person}", WORK, model.appended(world, parent, over))
    elif child.mode in "FQH":
        asked = fold(model, number, child, "to be compensated")
        assert asked is not None
        after = model.appended(world, number, asked)
        if not model.child_awaited:
            after = model.with_saga(after, parent, over)
        yield Move(f"the parent has child {number} ({child.mode}) compensated", WORK, after)


def spread(rules: Rules, sagas: tuple[Saga, ...], parent: int, number: int) -> Saga | None:
    """What a child makes of its parent's head."""
    above, child = sagas[parent], sagas[number]
    if child.mode not in "FRQt":
        return None
    if above.mode in "tT" and above.note == "k" and child.mode != "t":
        return child._replace(mode="t" if rules.terminate == "request" else "T", paused=0, note="k")
    if above.mode in "tT" and above.note == "l" and child.note != "r" and child.mode != "t":
        return child._replace(note="r")
    if above.paused and not child.paused:
        return child._replace(paused=BY_PARENT)
    if not above.paused and child.paused == BY_PARENT and rules.spreads == "look":
        return child._replace(paused=0)
    return None


def terminating(model: Trees, world: World, number: int, saga: Saga) -> Iterator[Move[World]]:
    """The keys of what is out are written, children end, tombstones are written; only then it is terminated."""
    ended = True
    for step, definition in enumerate(model.steps(number, saga.round)):
        status = saga.steps[step]
        child = model.child_of(number, step, saga)
        if child is None and status in "GD":
            key = world.journal[number][step]
            written = {"0": "2", "1": "4"}.get(key, key)
            after = saga._replace(steps=put_char(saga.steps, step, {"2": "f", "4": "S", "3": "C"}[written]))
            journal = put(world.journal, number, put_char(world.journal[number], step, written))
            label = f"saga {number}: the key of step {step} is written ({written})"
            yield Move(label, WORK, model.with_saga(world, number, after)._replace(journal=journal))
            ended = False
        elif child is not None and status not in "-K":
            assert definition.children
            below = world.sagas[child]
            if below.mode == "-" and model.tombstones:
                yield Move(f"tombstone for child {child}", WORK, model.with_saga(world, child, below._replace(mode="!")))
                ended = False
            elif below.mode not in "-EXT!H" and not (saga.note == "l" and below.note == "r"):
                ended = False
    if ended and model.is_idle(world):
        after = saga._replace(mode="T", steps=saga.steps.replace("W", "f"))
        yield Move(f"saga {number} is terminated", WORK, model.appended(world, number, after))
