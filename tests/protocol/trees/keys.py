"""Who holds a key, who stands in its queue, who waits for whom."""

from __future__ import annotations

from typing import NamedTuple

from tests.protocol.trees.rules import ENDED, EXCLUSIVE, SHARED, Key, Place, Rules, Saga, Wish, World

Edges = dict[int, frozenset["Edge"]]


class Edge(NamedTuple):
    """A root waits for another one."""

    to: int
    holds: bool  # the other holds the key; else it only stands before
    wish: Wish


def compatible(one: str, other: str) -> bool:
    return one == other == SHARED


def wished(rules: Rules, world: World, wish: Wish) -> bool:
    saga = world.sagas[wish.saga]
    return saga.mode == "F" and saga.round == wish.round and saga.steps[wish.step] == "W"


def wishes_of(rules: Rules, number: int, saga: Saga) -> list[tuple[int, Wish]]:
    """The keys that a saga wishes."""
    if saga.mode != "F":
        return []
    steps = rules.steps(number, saga.round)
    found = [(steps[step].key, Wish(number, step, saga.round)) for step, status in enumerate(saga.steps) if status == "W"]
    return [(key, wish) for key, wish in found if key is not None]


def over(rules: Rules, world: World, root: int) -> bool:
    """The root's keys are free: it has ended, and none of its late steps may still act."""
    saga = world.sagas[root]
    if rules.free == "row" or saga.mode not in ENDED or (saga.until and rules.until_kept):
        return False
    if rules.free == "tree":
        return all(other.mode in "EXT!H-" for number, other in enumerate(world.sagas) if rules.root(number) == root)
    return True


def living(rules: Rules, world: World, key: Key) -> tuple[tuple[int, str], ...]:
    return tuple((root, mode) for root, mode in key.holders if not over(rules, world, root))


def cleaned(rules: Rules, world: World, queue: tuple[Place, ...]) -> tuple[Place, ...]:
    """The queue without the places that whoever looks drops."""
    if rules.drops == "none":
        return queue
    if rules.drops == "wish":
        return tuple(place for place in queue if any(wished(rules, world, wish) for wish in place.wishes))
    queue = tuple(place for place in queue if any(world.sagas[wish.saga].mode not in "EXT!" for wish in place.wishes))
    while rules.drops == "first" and queue and not any(wished(rules, world, wish) for wish in queue[0].wishes):
        queue = queue[1:]
    return queue


def served(rules: Rules, world: World, queue: tuple[Place, ...]) -> tuple[Place, ...]:
    """The places that may take the key, in order."""
    return tuple(place for place in queue if not rules.paused_passed or not is_paused(world, place))


def is_paused(world: World, place: Place) -> bool:
    return all(world.sagas[wish.saga].paused for wish in place.wishes)


def with_wish(rules: Rules, queue: tuple[Place, ...], root: int, mode: str, wish: Wish) -> tuple[Place, ...]:
    """The wish joins its root's place, which takes the stronger mode, or gets a place at the end."""
    for number, place in enumerate(queue):
        if wish in place.wishes:
            return queue
        if place.root == root and rules.one_place:
            stronger = EXCLUSIVE if EXCLUSIVE in (mode, place.mode) else SHARED
            joined = Place(root, stronger, tuple(sorted((*place.wishes, wish))))
            return (*queue[:number], joined, *queue[number + 1 :])
    return (*queue, Place(root, mode, (wish,)))


def without_wishes(queue: tuple[Place, ...], saga: int, kept: tuple[Wish, ...]) -> tuple[Place, ...]:
    """The queue without what a saga wishes no more."""
    left = (place._replace(wishes=tuple(wish for wish in place.wishes if wish.saga != saga or wish in kept)) for place in queue)
    return tuple(place for place in left if place.wishes)


def edges(rules: Rules, world: World, *, only: int | None = None, at_rest: bool = False) -> Edges:
    """Who waits for whom, of all roots or of one."""
    found: dict[int, set[Edge]] = {}
    for key in world.keys:
        queue = cleaned(rules, world, key.queue)
        holders = living(rules, world, key)
        for number, place in enumerate(queue):
            wish = next((wish for wish in place.wishes if wished(rules, world, wish)), None)
            if wish is None or only not in (None, place.root):
                continue
            to = {Edge(root, True, wish) for root, mode in holders if root != place.root and not compatible(place.mode, mode)}
            ahead = [
                other
                for other in queue[:number]
                if other.root != place.root and not ((at_rest or rules.paused_passed) and is_paused(world, other))
            ]
            if rules.edges == "all":
                ahead = [other for other in ahead if not compatible(place.mode, other.mode)]
            chosen = {"front": ahead[:1], "next": ahead[-1:], "all": ahead, "none": []}[rules.edges]
            to |= {Edge(other.root, False, wish) for other in chosen}
            found.setdefault(place.root, set()).update(to)
    return {root: frozenset(to) for root, to in found.items()}


def reached(graph: Edges, root: int) -> set[int]:
    seen: set[int] = set()
    todo = [root]
    while todo:
        for edge in graph.get(todo.pop(), ()):
            if edge.to not in seen:
                seen.add(edge.to)
                todo.append(edge.to)
    return seen


def circle(rules: Rules, world: World, graph: Edges, finder: int) -> tuple[Wish, tuple[int, ...]] | None:
    """The victim's wish, and the roots of the circle."""
    on = [root for root in graph if root in reached(graph, root)]
    able = [root for root in on if any(not world.sagas[edge.wish.saga].paused for edge in graph[root])]
    if rules.victim == "holder":
        able = [root for root in able if any(edge.to == root and edge.holds for other in on for edge in graph[other])]
    if not able:
        return None
    victim = finder if rules.victim == "finder" and finder in able else max(able)
    members = {victim} | {root for root in on if root in reached(graph, victim) and victim in reached(graph, root)}
    wish = min(edge.wish for edge in graph[victim] if edge.to in members)
    return wish, tuple(sorted(members))


# what is true, whatever the rules say: judged from outside


def hopeless(rules: Rules, world: World, gone: frozenset[int] = frozenset()) -> set[int]:
    """The roots that cannot end unless one is sacrificed: those that remain when all who can go on have ended."""
    waits: dict[int, list[tuple[int, Wish]]] = {rules.root(number): [] for number in range(len(world.sagas))}
    for number, saga in enumerate(world.sagas):
        waits[rules.root(number)] += wishes_of(rules, number, saga)
    ended = {root for root, wishes in waits.items() if not wishes or root in gone}
    more = True
    while more:
        freed = {
            root
            for root in set(waits) - ended
            if all(could_take(rules, world, key, root, wish, ended) for key, wish in waits[root])
        }
        more = bool(freed)
        ended |= freed
    return set(waits) - ended


def could_take(rules: Rules, world: World, number: int, root: int, wish: Wish, ended: set[int]) -> bool:
    key = world.keys[number]
    mode = next((place.mode for place in key.queue if wish in place.wishes), EXCLUSIVE)
    for holder, held in living(rules, world, key):
        if holder not in ended and holder != root and not compatible(mode, held):
            return False
    for place in key.queue:
        if place.root == root:
            return True
        stands = any(wished(rules, world, other) for other in place.wishes) and not is_paused(world, place)
        if place.root not in ended and stands and not compatible(mode, place.mode):
            return False
    return True


def needless(rules: Rules, world: World, victim: int) -> str | None:
    """The victim's fall helps nobody."""
    stuck = hopeless(rules, world)
    if victim not in stuck:
        return f"needless victim {victim}: there is no circle"
    if stuck - {victim} and stuck - {victim} == hopeless(rules, world, frozenset({victim})):
        return f"needless victim {victim}: nobody is freed"
    return None
