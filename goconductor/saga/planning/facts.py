"""What follows from the definitions of some steps alone, by the steps' names.

A plan asks this twice: of the steps outside of maps and repeats by their ids, and of those inside by their templates
(:mod:`goconductor.saga.growth`). So a construct says once what it makes of a step, wherever the step stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from goconductor.saga.definition import NOTHING, Child, Step, Undo, Wait
from goconductor.saga.expressions.condition_text import ROOTS
from goconductor.saga.expressions.conditions import ABOUT_SIGNAL, Condition, compile_condition
from goconductor.saga.expressions.value import ABOUT_INPUTS, Value, compile_value
from goconductor.saga.ids import Direction, split_target
from goconductor.saga.planning import undos


class StepFacts:
    """What some steps are.

    Args:
        steps: by name.
        seen: returns what the condition of a step may ask about, by the step's name.
    """

    def __init__(self, steps: Mapping[str, Step], seen: Callable[[str], frozenset[str]] = lambda _: ROOTS) -> None:
        code = {name: step.run for name, step in steps.items() if step.run}
        self.code: dict[Direction, Mapping[str, str]] = dict.fromkeys(Direction, code)
        """What each side of a step runs, as ``participant.step``."""
        owners = {name: split_target(run) for name, run in code.items()}
        self.owners_of: dict[Direction, Mapping[str, tuple[str, str]]] = dict.fromkeys(Direction, owners)
        """Participant and code of each side of a step that a participant runs."""
        self.undoes: Mapping[str, Undo] = {name: step.undo for name, step in steps.items() if isinstance(step.undo, Undo)}
        """The declared undo of each step that has one."""
        self.undo_waits: Mapping[str, Wait] = undos.waits_of(self.undoes)
        """What says that a step is undone, of each step whose declared undo nobody runs."""
        if self.undoes:
            undo_code = undos.code_of(code, self.undoes)
            undo_owners = {name: split_target(run) for name, run in undo_code.items()}
            for direction in (Direction.COMPENSATION, Direction.SETTLE_UNDO):
                self.code[direction], self.owners_of[direction] = undo_code, undo_owners
        self.children: Mapping[str, Child] = {name: step.saga for name, step in steps.items() if step.saga is not None}
        """The saga that a step starts, of each step that does."""
        self.undo_sagas: Mapping[str, Child] = undos.sagas_of(self.undoes)
        """The saga that undoes a step, of each step that one does."""
        self.holds: AbstractSet[str] = frozenset(name for name, child in self.children.items() if child.held)
        """Those of them whose saga is held until this one ends, and undoes itself where this one turns back."""
        self.sent: AbstractSet[str] = frozenset(owners.keys() | self.children.keys())
        """The steps whose action is sent: to a participant, or to a saga of its own. The others end by an event alone."""
        self.undoable: AbstractSet[str] = frozenset(name for name in self.sent if steps[name].undo != NOTHING)
        """The steps that are compensated where the saga turns back, whether or not their owner has code for that."""
        self.tolerated: AbstractSet[str] = frozenset(name for name, step in steps.items() if step.tolerated)
        self.savepoints = {name: step.savepoint.ways for name, step in steps.items() if step.savepoint is not None}
        """The ways of each savepoint, in the order in which they are tried."""
        self.waits: Mapping[str, Wait] = {name: step.wait for name, step in steps.items() if step.wait is not None}
        self.approvals: AbstractSet[str] = frozenset(name for name, wait in self.waits.items() if wait.approval is not None)
        """The steps that a person approves."""
        self.conditions: Mapping[str, Condition] = {
            name: compile_condition(step.when, seen(name)) for name, step in steps.items() if step.when is not None
        }
        self.wheres: Mapping[str, Condition] = {
            name: compile_condition(wait.where, seen(name) | ABOUT_SIGNAL)
            for name, wait in self.waits.items()
            if wait.where is not None
        }
        self.values: Mapping[str, Value] = {
            name: compile_value(step.value, seen(name) | ABOUT_INPUTS) for name, step in steps.items() if step.value is not None
        }

    @property
    def asks(self) -> bool:
        """Whether anything of these steps is answered by an expression."""
        return bool(self.conditions or self.wheres or self.values)
