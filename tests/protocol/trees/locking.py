"""How a key is asked for, looked at and taken, and how a circle is found and broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.protocol.explorer import WORK, Move
from tests.protocol.runs import put
from tests.protocol.trees import keys
from tests.protocol.trees.deciding import fold
from tests.protocol.trees.rules import EXCLUSIVE, Key, Place, Task, Wish, World

if TYPE_CHECKING:
    from tests.protocol.trees.world import Trees

ASK, TAKE_UNCOMMITTED, LOOK, GRANT = "ask", "uncommitted", "look at", "grant"


def moves(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    what, number, step, round_, detail = task
    definition = model.steps(number, round_)[step]
    assert definition.key is not None
    wish, key = Wish(number, step, round_), world.keys[definition.key]
    if what == GRANT:
        yield granted(model, idle, wish)
    elif what == TAKE_UNCOMMITTED:
        yield committed(model, world, wish, idle, free=detail)
    elif not locked(model, world, definition.key):
        if what == ASK:
            yield from asked(model, world, wish, idle, key, definition.key, definition.mode)
        else:
            yield from looked(model, world, wish, idle, key, definition.key, new=detail)


def locked(model: Trees, world: World, key: int) -> bool:
    """Another transaction has the key's row."""
    return any(task.what == TAKE_UNCOMMITTED and model.steps(task.saga, task.round)[task.step].key == key for task in world.tasks)


def with_key(world: World, number: int, key: Key) -> World:
    return world._replace(keys=put(world.keys, number, key))


def may_take(model: Trees, world: World, key: Key, root: int, mode: str) -> bool:
    """All living holders bear it."""
    return all(holder == root or keys.compatible(mode, held) for holder, held in keys.living(model, world, key))


def held(key: Key, root: int) -> list[str]:
    return [mode for holder, mode in key.holders if holder == root]


def granted(model: Trees, idle: World, wish: Wish) -> Move[World]:
    saga = idle.sagas[wish.saga]
    after = fold(model, wish.saga, saga, "granted", wish.step, wish.round if model.granted_round else None)
    label = f"appends LockGranted {wish.saga}.{wish.step}"
    if after is None:
        return Move(f"{label}: changes nothing", WORK, idle)
    return Move(label, WORK, model.appended(idle, wish.saga, after))


def take(model: Trees, world: World, wish: Wish, idle: World, number: int, place: Place) -> Move[World]:
    """The key is the root's, for all who wish through its place; whoever may go on is woken."""
    key = world.keys[number]
    holders = (*keys.living(model, world, key), (place.root, place.mode))
    queue = tuple(other for other in keys.cleaned(model, world, key.queue) if other != place)
    messages = world.messages
    following = keys.served(model, world, queue)[:1]
    if model.shared_wakes and following and keys.compatible(place.mode, following[0].mode):
        messages |= {("wish", other.saga) for other in following[0].wishes}
    if model.one_place:
        messages |= {("wish", other.saga) for other in place.wishes if other != wish}
    after = with_key(idle, number, Key(tuple(sorted(holders)), queue))._replace(messages=messages)
    overtaken = any(
        other.root != place.root
        and not keys.is_paused(world, other)
        and any(keys.wished(model, world, theirs) for theirs in other.wishes)
        and not keys.compatible(place.mode, other.mode)
        for other in ahead(key.queue, place)
    )
    if model.granted == "with":
        move = granted(model, after, wish)
        state = idle if "changes nothing" in move.label else move.state  # one transaction
    else:
        state = model.with_task(after, Task(GRANT, *wish))
    return Move(f"saga {wish.saga} takes key {number}", WORK, state, "overtaken in the queue" if overtaken else None)


def ahead(queue: tuple[Place, ...], place: Place) -> tuple[Place, ...]:
    return queue[: queue.index(place)] if place in queue else queue


def asked(model: Trees, world: World, wish: Wish, idle: World, key: Key, number: int, mode: str) -> Iterator[Move[World]]:
    """The first moment: the key is taken at once, or the place is committed."""
    root = model.root(wish.saga)
    mine = held(key, root)
    saga = world.sagas[wish.saga]
    if mine and mode == EXCLUSIVE and EXCLUSIVE not in mine and model.stronger_fails:
        after = fold(model, wish.saga, saga, "failed", wish.step, wish.round)
        failed = idle if after is None else model.appended(idle, wish.saga, after)
        yield Move(f"saga {wish.saga} asks for a stronger mode of key {number}", WORK, failed)
    elif mine:
        yield granted(model, idle, wish)
    elif model.asks == "before":
        seen = keys.cleaned(model, world, key.queue)
        free = may_take(model, world, key, root, mode) and (not seen or wish in seen[0].wishes)
        task = Task(TAKE_UNCOMMITTED, *wish, free)
        what = "free" if free else "taken"
        yield Move(f"saga {wish.saga} reads key {number}: {what}, not committed", WORK, model.with_task(idle, task))
    else:
        queue = keys.with_wish(model, key.queue, root, mode, wish)
        place = next(place for place in queue if wish in place.wishes)
        dead_dropped = keys.cleaned(model, world, key.queue)
        if (
            model.granted == "with"
            and not keys.served(model, world, dead_dropped)
            and may_take(model, world, key, root, place.mode)
        ):
            yield take(model, world, wish, idle, number, place)
            return
        new = all(wish not in other.wishes for other in key.queue)
        placed = with_key(model.with_task(idle, Task(LOOK, *wish, new)), number, key._replace(queue=queue))
        yield Move(f"saga {wish.saga} stands in the queue of key {number}", WORK, placed)


def committed(model: Trees, world: World, wish: Wish, idle: World, *, free: bool) -> Move[World]:
    """The end of a transaction in which the place and the look at the holder were one (an earlier wording)."""
    definition = model.steps(wish.saga, wish.round)[wish.step]
    number, root = definition.key, model.root(wish.saga)
    assert number is not None
    queue = keys.with_wish(model, world.keys[number].queue, root, definition.mode, wish)
    place = next(place for place in queue if wish in place.wishes)
    if free:
        rest = tuple(other for other in queue if other != place)
        holders = (*keys.living(model, world, world.keys[number]), (root, definition.mode))
        taken = with_key(model.with_task(idle, Task(GRANT, *wish)), number, Key(tuple(sorted(holders)), rest))
        return Move(f"saga {wish.saga} takes key {number}, commits", WORK, taken)
    placed = with_key(idle, number, world.keys[number]._replace(queue=queue))
    return Move(f"saga {wish.saga} commits its place for key {number}", WORK, searching(model, placed, wish, place))


def looked(model: Trees, world: World, wish: Wish, idle: World, key: Key, number: int, *, new: bool) -> Iterator[Move[World]]:
    """A later moment: holders are looked at, in a new statement."""
    root = model.root(wish.saga)
    queue = keys.cleaned(model, world, key.queue)
    place = next((place for place in queue if wish in place.wishes), None)
    if held(key, root):
        yield granted(model, idle, wish)
        return
    first = keys.served(model, world, queue)[:1]
    if place is not None and may_take(model, world, key, root, place.mode) and (first == (place,) or not model.in_order):
        yield take(model, world, wish, idle, number, place)
        return
    messages = world.messages
    if model.drop_wakes and first and queue[:1] != key.queue[:1]:
        messages |= {("wish", other.saga) for other in first[0].wishes}
    after = with_key(idle, number, key._replace(queue=queue))._replace(messages=messages)
    if place is not None and (model.searches == "all" or first == (place,) or (new and model.searches == "first or new")):
        after = searching(model, after, wish, place)
    yield Move(f"saga {wish.saga} finds key {number} taken", WORK, after)


def searching(model: Trees, world: World, wish: Wish, place: Place) -> World:
    if model.searches == "none":
        return world
    return model.with_task(world, Task("search", 0, 0, place.root, ()))


def search(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    """Look for a circle; the finder is named in the task's round."""
    _, number, _, finder, read = task
    if model.circle_read == "at once":
        graph = keys.edges(model, world)
    else:
        one = keys.edges(model, world, only=number)
        read = (*read, (number, one.get(number, frozenset())))
        graph = dict(read)
        if number + 1 < len(world.sagas):
            yield Move(
                f"reads whom root {number} waits for", WORK, model.with_task(idle, Task("search", number + 1, 0, finder, read))
            )
            return
    found = keys.circle(model, world, graph, finder)
    if found is None:
        yield Move("finds no circle", WORK, idle)
        return
    wish, members = found
    heads = tuple(
        (number, saga)
        for number, saga in enumerate(world.sagas)
        if model.root(number) in members and (number in members or keys.wishes_of(model, number, saga))
    )
    label = f"finds the circle {members}, victim {wish.saga}"
    yield Move(label, WORK, model.with_task(idle, Task("victim", wish.saga, wish.step, 0, heads)))


def victim(model: Trees, world: World, task: Task, idle: World) -> Iterator[Move[World]]:
    """The victim's append, guarded by the heads that were read."""
    _, number, step, _, heads = task
    asked_for = [head for head in heads if model.guard == "all" or (model.guard == "own" and head[0] == number)]
    unchanged = all(world.sagas[other] == saga for other, saga in asked_for)
    after = fold(model, number, world.sagas[number], "failed", step) if unchanged else None
    if after is None or world.sagas[number].steps[step] != "W":
        yield Move("a head of the circle has changed: gives up", WORK, idle)
        return
    broken = keys.needless(model, world, model.root(number)) if model.needless_checked else None
    if broken is None and world.left.victims >= model.victims_max:
        broken = "a second victim"
    fallen = model.appended(idle, number, after)
    fallen = fallen._replace(left=world.left._replace(victims=world.left.victims + 1))
    yield Move(f"appends: step {number}.{step} is the victim -> {after.mode} {after.steps}", WORK, fallen, broken)
