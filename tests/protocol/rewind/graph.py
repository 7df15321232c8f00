"""Small graphs of steps: with maps, repeats, savepoints, fallbacks, children, optional inputs.

A node is a step, a child, or one of the nodes without an effect that stand for a construct: where a map or repeat grows, and
where it joins. All nodes that may ever exist are there from the beginning; those of a map or repeat do not *exist* before they
are grown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

STEP, CHILD, GROW, JOIN, REPEAT, UNTIL = "step", "child", "grow", "join", "repeat", "until"
COMPENSATABLE, PIVOT, RETRIABLE = "c", "p", "r"
ALL = 0  # a map's join needs all its items


@dataclass(frozen=True)
class Node:
    """A step, or a node without an effect."""

    name: str
    before: tuple[int, ...]
    type: str = STEP
    role: str = COMPENSATABLE
    tolerated: bool = False  # it may fail, and is given up then
    fallback_of: int | None = None  # wanted only where that one was given up
    declared_undo: bool = False
    way: tuple[int, int] | None = None  # (savepoint, number): wanted only on that way
    optional: int | None = None  # reads that one's output where it is there, and is not after it
    items: tuple[tuple[int, int], ...] = ()  # (map, item) that it is in, the innermost first

    @property
    def real(self) -> bool:
        """It has an effect."""
        return self.type in (STEP, CHILD)


@dataclass(frozen=True)
class Map:
    grow: int
    join: int
    items: tuple[tuple[int, ...], ...]
    concurrency: int
    need: int  # ALL, or how many items must succeed
    over: int  # the step whose output is the list
    tolerated: bool = False

    def inside(self) -> Iterator[int]:
        return (node for item in self.items for node in item)


@dataclass(frozen=True)
class Repeat:
    grow: int
    end: int
    iterations: tuple[int, ...]


@dataclass
class Graph:
    """Built node by node, in an order in which each comes after those before it."""

    nodes: list[Node] = field(default_factory=list)
    maps: list[Map] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    savepoints: list[tuple[int, int]] = field(default_factory=list)  # (step, how many other ways)
    grown_by: dict[int, int] = field(default_factory=dict)  # node inside -> the node where it grows, the nearest
    after: list[int] = field(default_factory=list)  # bits of all that comes after a node

    def at(self, name: str) -> int:
        return next(number for number, node in enumerate(self.nodes) if node.name == name)

    def add(
        self, name: str, before: str = "", *, fallback_of: str | None = None, optional: str | None = None, **more: Any
    ) -> Graph:
        self.nodes.append(
            Node(
                name,
                tuple(self.at(other) for other in before.split()),
                fallback_of=None if fallback_of is None else self.at(fallback_of),
                optional=None if optional is None else self.at(optional),
                **more,
            )
        )
        return self

    def map(
        self,
        name: str,
        over: str,
        *,
        steps: int = 2,
        most: int = 2,
        concurrency: int = 1,
        need: int = ALL,
        inner: tuple[int, int, int] | None = None,
        tolerated: bool = False,
        source: str | None = None,
        items: tuple[tuple[int, int], ...] = (),
        **more: Any,
    ) -> Graph:
        """A map over `over`'s list: `most` items at most, each a row of steps.

        With `inner` each item is a map itself: (items, concurrency, need).
        """
        role = more.get("role", COMPENSATABLE)
        self.add(name, over, type=GROW, role=role, items=items)
        number, grow = len(self.maps), self.at(name)
        self.maps.append(Map(grow, grow, (), concurrency, need, self.at(source or over), tolerated))
        members: list[tuple[int, ...]] = []
        ends = []
        for item in range(most):
            first = len(self.nodes)
            path = ((number, item), *items)
            if inner is not None:
                size, slots, needed = inner
                below: dict[str, Any] = {"concurrency": slots, "need": needed, "items": path, "source": source or over}
                self.map(f"{name}[{item}].n", name, steps=1, most=size, **below, **more)
            for step in range(steps if inner is None else 0):
                self.add(f"{name}[{item}].{'xy'[step]}", name if not step else f"{name}[{item}].x", items=path, **more)
            members.append(tuple(range(first, len(self.nodes))))
            ends.append(self.nodes[-1].name)
        self.add(f"{name}.join", " ".join([name, *ends]), type=JOIN, role=role, items=items)
        join = self.at(f"{name}.join")
        self.maps[number] = Map(grow, join, tuple(members), concurrency, need, self.at(source or over), tolerated)
        for node in (join, *self.maps[number].inside()):
            self.grown_by.setdefault(node, grow)
        return self

    def repeat(self, name: str, before: str, most: int, role: str = COMPENSATABLE) -> Graph:
        self.add(name, before, type=REPEAT, role=role)
        names = [f"{name}[{number}]" for number in range(most)]
        for number, iteration in enumerate(names):
            self.add(iteration, names[number - 1] if number else name, role=role)
        self.add(f"{name}.end", " ".join([name, *names]), type=UNTIL, role=role)
        made = Repeat(self.at(name), self.at(f"{name}.end"), tuple(self.at(iteration) for iteration in names))
        self.repeats.append(made)
        self.grown_by.update(dict.fromkeys((made.end, *made.iterations), made.grow))
        return self

    def save(self, name: str, ways: int) -> Graph:
        self.savepoints.append((self.at(name), ways))
        return self

    def sealed(self) -> Graph:
        """Work out what comes after each node."""
        size = len(self.nodes)
        self.after = [0] * size
        for number in reversed(range(size)):
            for later in range(number + 1, size):
                if number in self.nodes[later].before:
                    self.after[number] |= 1 << later | self.after[later]
        return self

    def grown(self, number: int) -> bool:
        """It does not exist from the beginning."""
        inside_map = bool(self.nodes[number].items)
        return inside_map or any(number in repeat.iterations for repeat in self.repeats)

    def item_bits(self, number: int, item: int) -> int:
        return sum(1 << node for node in self.maps[number].items[item])


def parallel(last: str = PIVOT) -> Graph:
    """a -> (b, e) -> d."""
    return Graph().add("a").add("b", "a").add("e", "a").add("d", "b e", role=last).sealed()


def chain() -> Graph:
    """a -> b -> p, the pivot -> r, retriable."""
    return Graph().add("a").add("b", "a").add("p", "b", role=PIVOT).add("r", "p", role=RETRIABLE).sealed()


def mapped(concurrency: int = 1, need: int = ALL, last: str = COMPENSATABLE, most: int = 2, **more: Any) -> Graph:
    """l -> a map over its list -> z."""
    graph = Graph().add("l").map("m", "l", concurrency=concurrency, need=need, most=most, **more)
    return graph.add("z", "m.join", role=last).sealed()


def repeated() -> Graph:
    """a -> up to three iterations -> z."""
    return Graph().add("a").repeat("i", "a", 3).add("z", "i.end").sealed()


def repeated_behind_pivot() -> Graph:
    """a -> p, the pivot -> up to two iterations of a retriable step."""
    return Graph().add("a").add("p", "a", role=PIVOT).repeat("i", "p", 2, RETRIABLE).sealed()


def ways(last: str = COMPENSATABLE) -> Graph:
    """s, a savepoint -> w0, or w1, or w2 -> z."""
    graph = Graph().add("s")
    for number in range(3):
        graph.add(f"w{number}", "s", way=(0, number))
    return graph.add("z", "w0 w1 w2", role=last).save("s", 2).sealed()


def ways_parallel(others: int = 1) -> Graph:
    """s, a savepoint -> (b, e) -> z; on way 1 b2 stands for b."""
    graph = Graph().add("s").add("b", "s", way=(0, 0)).add("b2", "s", way=(0, 1)).add("e", "s")
    return graph.add("z", "b b2 e", role=PIVOT).save("s", others).sealed()


def ways_in_a_branch() -> Graph:
    """(s, a savepoint -> u, or u2; v) -> z."""
    graph = Graph().add("s").add("u", "s", way=(0, 0)).add("u2", "s", way=(0, 1)).add("v")
    return graph.add("z", "u u2 v", role=PIVOT).save("s", 1).sealed()


def ways_with_child() -> Graph:
    """s, a savepoint -> the child k, or b -> z."""
    graph = Graph().add("s").add("k", "s", type=CHILD, way=(0, 0)).add("b", "s", way=(0, 1))
    return graph.add("z", "k b", role=PIVOT).save("s", 1).sealed()


def ways_with_map() -> Graph:
    """s, a savepoint -> a map of which one item is enough -> z."""
    graph = Graph().add("s").map("m", "s", steps=1, concurrency=2, need=1)
    return graph.add("z", "m.join", role=PIVOT).save("s", 1).sealed()


def ways_with_tolerated() -> Graph:
    """s, a savepoint -> x, tolerated -> y, its fallback -> z."""
    graph = Graph().add("s").add("x", "s", tolerated=True).add("y", "x", fallback_of="x")
    return graph.add("z", "x y", role=PIVOT).save("s", 1).sealed()


def savepoints_in_a_row() -> Graph:
    """s -> t -> u, where s and t are savepoints."""
    return Graph().add("s").add("t", "s").add("u", "t").save("s", 1).save("t", 1).sealed()


def tolerant(*, edge: bool = True) -> Graph:
    """a -> x, tolerated -> y, its fallback -> z, which refers to x, and so is after both."""
    graph = Graph().add("a").add("x", "a", tolerated=True).add("y", "x", fallback_of="x")
    return graph.add("z", "x y" if edge else "x", role=PIVOT).sealed()


def tolerant_child() -> Graph:
    """a -> the child k, tolerated -> y, its fallback -> z."""
    graph = Graph().add("a").add("k", "a", type=CHILD, tolerated=True).add("y", "k", fallback_of="k")
    return graph.add("z", "k y", role=PIVOT).sealed()


def undone() -> Graph:
    """a -> x, whose undo another service runs -> z."""
    return Graph().add("a").add("x", "a", declared_undo=True).add("z", "x").sealed()


def undone_and_tolerated() -> Graph:
    """a -> x, tolerated, both with a declared undo -> z."""
    graph = Graph().add("a", declared_undo=True).add("x", "a", declared_undo=True, tolerated=True)
    return graph.add("z", "x", role=PIVOT).sealed()


def with_child() -> Graph:
    """a -> the child k -> z."""
    return Graph().add("a").add("k", "a", type=CHILD).add("z", "k").sealed()


def optional_input() -> Graph:
    """e uses a's output where it is there, and is not after it."""
    return Graph().add("a").add("q").add("e", "q", optional="a").add("z", "a").sealed()
