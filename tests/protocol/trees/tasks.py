"""What processes do, moment by moment: run a step, append its outcome, start a child, tell who must be told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.protocol.explorer import FAULT, WORK, Move
from tests.protocol.runs import put
from tests.protocol.trees import keys
from tests.protocol.trees.deciding import advance, fold, put_char
from tests.protocol.trees.parents import spread
from tests.protocol.trees.rules import Task, World

if TYPE_CHECKING:
    from tests.protocol.trees.world import Trees

ACTION, COMPENSATION = 0, 1
OUTCOMES = {  # (direction, key before): (outcome, key after)
    (ACTION, "0"): ("done", "1"),
    (ACTION, "1"): ("done", "1"),
    (ACTION, "2"): ("failed", "2"),
    (COMPENSATION, "0"): ("undone", "2"),
    (COMPENSATION, "1"): ("undone", "3"),
    (COMPENSATION, "2"): ("undone", "2"),
    (COMPENSATION, "3"): ("undone", "3"),
}


def run(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    """A step takes effect, or its journal says what became of it."""
    _, number, step, round_, direction = task
    key = world.journal[number][step]
    if world.sagas[number].mode == "T" and not world.sagas[number].until and world.sagas[number].note == "f":
        yield Move(f"step {number}.{step}: its deadline is over, it does not begin", WORK, idle)
        return
    outcome, written = OUTCOMES.get((direction, key), (None, key))
    lands = written not in (key, "2")
    broken = wrong_effect(model, world, number, step, round_, direction) if lands else None
    journal = put(world.journal, number, put_char(world.journal[number], step, written))
    then = idle if outcome is None else model.with_task(idle, Task("out", number, step, round_, outcome))
    what = "COMPENSATION" if direction else "ACTION"
    label = f"{what} {number}.{step} " + ("takes effect" if lands else f"(key: {written})")
    yield Move(label, WORK, then._replace(journal=journal), broken)
    if direction == ACTION and key == "0" and world.left.failures:
        failed = model.with_task(idle, Task("out", number, step, round_, "failed"))
        journal = put(world.journal, number, put_char(world.journal[number], step, "2"))
        after = failed._replace(journal=journal, left=world.left.less("failures"))
        yield Move(f"action {number}.{step} fails, its key is written", FAULT, after)


def wrong_effect(model: Trees, world: World, number: int, step: int, round_: int, direction: int) -> str | None:
    """What is broken by an effect that lands now."""
    definition = model.steps(number, round_)[step]
    parent = model.scripts[number].parent
    if direction == ACTION and parent is not None and world.sagas[parent].mode == "X":
        return "an action of a child after its parent was compensated"
    terminated = parent is not None and world.sagas[parent].mode == "T" and world.sagas[parent].note == "k"
    if direction == ACTION and terminated and model.late_child_checked:
        return "an action of a child after its parent was terminated with its children"
    for other, saga in enumerate(world.sagas) if definition.key is not None else ():
        root_lives = world.sagas[model.root(other)].mode not in "EXT"
        alive = saga.mode in "FRQt" or (saga.mode == "H" and root_lives)
        if not alive or model.root(other) == model.root(number):
            continue
        for place, theirs in enumerate(model.steps(other, saga.round)):
            clash = theirs.key == definition.key and not keys.compatible(theirs.mode, definition.mode)
            if clash and saga.steps[place] in "GSD":
                return f"an effect of saga {number} lands while saga {other} holds the lock"
    return None


def out(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    _, number, step, round_, outcome = task
    after = fold(model, number, world.sagas[number], outcome, step, round_)
    if after is None:
        yield Move(f"{outcome} {number}.{step} changes nothing", WORK, idle)
    else:
        label = f"appends {outcome} {number}.{step} -> {after.mode} {after.steps}"
        yield Move(label, WORK, model.appended(idle, number, after))


def start(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    """The start of a child lands, perhaps late."""
    _, parent, step, round_, number = task
    above, child = world.sagas[parent], world.sagas[number]
    wished = above.mode == "F" and above.steps[step] == "G" and above.round == round_
    if (model.start == "guard" and (not wished or above.paused)) or (child.mode != "-" and model.start_key):
        yield Move(f"the start of child {number} is refused", WORK, idle)
        return
    if child.mode != "-":
        broken = f"child {number} is started twice"
    else:
        expected = above.mode in "FRQt" and above.steps[step] in "GD" and above.round == round_
        expected |= above.mode == "T" and above.note == "f"  # by force nobody writes its key: a late effect, which the saga tells
        broken = "" if expected else f"orphan: started when its parent was {above.mode} {above.steps}"
    begun = advance(model, number, child._replace(mode="F"))
    yield Move(f"child {number} is started", WORK, model.appended(idle, number, begun), broken or None)


def look(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    """The parent as it was read, the child as it is."""
    number, above = task.saga, task.detail
    parent = model.scripts[number].parent
    assert parent is not None
    after = spread(model, put(world.sagas, parent, above), parent, number)
    heeded = idle if after is None else model.with_saga(idle, number, after)
    yield Move(f"child {number} heeds what it read of its parent", WORK, heeded)


def spreading(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    after = idle
    for number, script in enumerate(model.scripts):
        if script.parent == task.saga:
            while (changed := spread(model, after.sagas, task.saga, number)) is not None:
                after = model.with_saga(after, number, changed)
    yield Move(f"saga {task.saga} tells its children", WORK, after)


def end(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    """After an append, in a statement of its own: places are withdrawn, and who may go on is woken."""
    number = task.saga
    saga = world.sagas[number]
    messages = world.messages
    after = list(world.keys)
    still = keys.wishes_of(model, number, saga)
    for place, key in enumerate(world.keys):
        queue = key.queue
        if model.withdraws:
            queue = keys.without_wishes(queue, number, tuple(wish for wished, wish in still if wished == place))
        first = keys.served(model, world, keys.cleaned(model, world, queue))[:1]
        freed = any(root == model.root(number) and keys.over(model, world, root) for root, _ in key.holders)
        if model.wakes and first and (queue[:1] != key.queue[:1] or saga.paused or freed):
            messages |= {("wish", wish.saga) for wish in first[0].wishes}
        after[place] = key._replace(queue=queue)
    has_children = any(script.parent == number for script in model.scripts)
    told = (saga.mode in "tT" or saga.paused) and has_children
    then = model.with_task(idle, Task("spread", number)) if told else idle
    woken = sorted(who for _, who in messages - world.messages)
    yield Move(f"tells of saga {number}, wakes {woken}", WORK, then._replace(keys=(after[0], after[1]), messages=messages))
