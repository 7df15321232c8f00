"""A parent with two steps, the first of which starts a child of one step. No leases: a sent action may take effect at any time.

The parent's steps are A, the start of the child, and B. Letters as in rules.py; the child's mode is ``-``, ``F``, ``H`` held,
``R``, ``E`` or ``X``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.explorer import FAULT, WORK, Move, Promise

ABSENT, STARTED, TOMBSTONE = range(3)  # the child's start key


class World(NamedTuple):
    parent: str = "F"
    start: str = "D"  # A
    start_undo: str = "-"
    second: str = "-"  # B
    second_undo: str = "-"
    key: int = ABSENT
    child: str = "-"
    step: str = "-"  # the child's
    step_key: int = 0  # in its journal: 0 absent, 1 success, 2 refused
    step_stands: bool = False
    second_key: int = 0
    second_stands: bool = False
    told: bool = False
    faults: int = 0


@dataclass(frozen=True)
class ParentAndChild:
    """The world and its rules. A rule's first value is the one that holds."""

    faults: int = 2
    holds: bool = True  # a child that is done is held until its parent settles
    tombstones: bool = True
    awaits: bool = True  # a parent's compensation of a child is done when the child's log says so
    polls: bool = True  # a held child looks at its parent | False: it is told once, and that may be lost
    held_aborts: bool = False  # mistake: an operator may abort a held child
    child_pivot: bool = False  # mistake: the child has a pivot, in a compensatable step of its parent
    reaches: bool = True  # the parent's compensation reaches a running child as an abort

    def begin(self) -> World:
        return World(faults=self.faults)

    def moves(self, world: World) -> Iterator[Move[World]]:
        yield from self.start_lands(world)
        yield from self.parent_steps(world)
        if world.parent == "R" and world.start != "D" and world.second != "D":
            yield from self.parent_undoes(world)
        yield from self.child_steps(world)

    def fault(self, world: World, label: str, *, awaited: bool, **changes: str) -> Move[World]:
        """A fault, which costs nothing where the parent or child turns back: there it is what settles."""
        left = world.faults if awaited else world.faults - 1
        return Move(label, WORK if awaited else FAULT, world._replace(faults=left, **changes))  # type: ignore[arg-type]

    @staticmethod
    def start_lands(world: World) -> Iterator[Move[World]]:
        if world.key == ABSENT and world.start != "-":
            late = world.start != "D" or world.parent != "F"
            yield Move("the start of the child lands", FAULT if late else WORK, world._replace(key=STARTED, child="F", step="D"))

    def parent_steps(self, world: World) -> Iterator[Move[World]]:
        back = world.parent == "R"
        if world.start == "D":
            done = world._replace(start="S", second="D" if world.parent == "F" else world.second)
            if (world.parent == "F" and world.child == "H") or world.told:
                yield Move("the parent records: the child succeeded", WORK, done)
            if world.child == "E":
                yield Move("the parent records: the child succeeded, not held", WORK, done)
            if world.child == "X":
                yield Move("the parent records: the child failed", WORK, world._replace(start="F", parent="R"))
            if world.faults or back:
                yield self.fault(world, "the leader: the start of the child is unknown", awaited=back, start="U", parent="R")
        if world.second != "-" and world.second_key == 0:
            yield Move("ACTION B", WORK, world._replace(second_key=1, second_stands=True))
        if world.second == "D":
            if world.second_key == 1:
                yield Move(
                    "the parent records B", WORK, world._replace(second="S", parent="E" if world.parent == "F" else world.parent)
                )
            if world.faults or back:
                yield self.fault(world, "B fails or is unknown", awaited=back, second="U", parent="R")
        if world.parent == "F" and world.faults:
            yield self.fault(world, "operator aborts the parent", awaited=False, parent="R")

    def parent_undoes(self, world: World) -> Iterator[Move[World]]:
        if world.second in "SU" and world.second_undo == "-":
            key = 1 if world.second_key == 1 else 2
            yield Move("COMPENSATION B", WORK, world._replace(second_undo="C", second_key=key, second_stands=False))
        elif world.start_undo != "-":
            yield Move("the parent ends compensated", WORK, world._replace(parent="X"))
        elif world.key == ABSENT:
            key = TOMBSTONE if self.tombstones else ABSENT
            yield Move("the parent finds no child", WORK, world._replace(start_undo="C", key=key))
        elif self.child_pivot and (world.child == "H" or (world.child == "F" and world.step == "S")):
            return
        elif world.child in "FH":
            label = f"the parent has the child ({world.child}) compensated"
            undo = "-" if self.awaits else "C"
            reached = (
                world._replace(child="R", start_undo=undo)
                if self.reaches or world.child == "H"
                else world._replace(start_undo="C")
            )
            yield Move(label, WORK, reached)
        elif world.child == "E":
            yield Move(
                "the parent has the ended child compensated", WORK, world._replace(child="R"), "a terminal child was changed"
            )
        elif world.child == "X":
            yield Move("the parent records: the child is compensated", WORK, world._replace(start_undo="C"))

    def child_steps(self, world: World) -> Iterator[Move[World]]:
        back = world.child == "R"
        if world.child != "-" and world.step_key == 0:
            yield Move("the child's ACTION", WORK, world._replace(step_key=1, step_stands=True))
        if world.child in "FR" and world.step == "D":
            if world.step_key == 1 and back:
                yield Move("the child records its success", WORK, world._replace(step="S"))
            elif world.step_key == 1:
                done = world._replace(step="S", child="H" if self.holds else "E", told=True)
                yield Move("the child records its success", WORK, done)
            if world.faults or back:
                yield self.fault(world, "the child's step fails or is unknown", awaited=back, step="U", child="R")
        if back and world.step != "D":
            yield Move(
                "the child is compensated", WORK, world._replace(child="X", step_key=world.step_key or 2, step_stands=False)
            )
        if world.faults and (world.child == "F" or (world.child == "H" and self.held_aborts)):
            yield self.fault(world, f"operator aborts the child ({world.child})", awaited=False, child="R")
        if world.parent in "EX" and world.child == "H":
            yield Move("the held child hears that its parent settled", WORK if self.polls else FAULT, world._replace(child="E"))

    def broken(self, world: World) -> str | None:
        if world.parent == "X" and (world.second_stands or world.step_stands):
            return "the parent is compensated, and an effect stands" + (" in the child" if world.step_stands else "")
        if world.parent == "E" and not (world.step_stands and world.second_stands):
            return "the parent is completed, and an effect is missing"
        return None

    def promises(self) -> tuple[Promise[World], ...]:
        ended = Promise[World]("both end", frozenset({WORK}), lambda world: world.parent in "EX" and world.child in "-EX")
        return (ended,)
