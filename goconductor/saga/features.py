"""Features: what a definition may use that older code does not know.

Instances are replaced one by one, so old and new code run side by side. A state drops the fields that older code does not know;
therefore an instance without a feature must not touch a saga that uses it. Three things see to that:

- A message names the features of its saga. An instance without one of them leaves the message to others
  (:mod:`goconductor.messages.codec`).
- A stored definition names its features as well, and each instance says at its registration which ones it knows. A version is
  not active before all living instances know its features (:mod:`goconductor.engine.facts.definitions`).
- Code that cannot read a definition leaves its sagas alone.

A new construct adds its feature to :data:`USES` or :data:`OF_SAGA`; what any saga can come to, whatever its definition, to
:data:`KNOWN`. A name stands in messages and in the store, so it never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from goconductor.saga.definition import Binding, Definition, Step, Undo, every_step, undoing_saga
from goconductor.saga.ids import INSIDE


def undo_inputs(step: Step) -> dict[str, Binding]:
    """Return the inputs of a step's declared undo."""
    return step.undo.inputs if isinstance(step.undo, Undo) else {}


def _grows(definition: Definition) -> bool:
    return any(step.map is not None or step.repeat is not None for step in definition.steps)


UNDO_SAGA = "undo_saga"
"""A feature of steps that a saga undoes, and of the state of such a saga."""

LOCKS = "locks"
"""A feature of steps, and of a saga as a whole."""

SAGA_INSIDE = "saga_inside"
"""A feature of steps that start a saga which is written inside theirs, and of that saga, which has such a name."""

OF_SAGA: dict[str, Callable[[Definition], bool]] = {
    LOCKS: lambda definition: bool(definition.locks),
    "default_priority": lambda definition: definition.priority != 0,
    "grouped_growth": lambda definition: _grows(definition) and any("." in step.id for step in every_step(definition.steps)),
    SAGA_INSIDE: lambda definition: INSIDE in definition.name,
}
"""Features of definitions that show in no step, by name, each with the question whether a definition uses it."""

USES: dict[str, Callable[[Step], bool]] = {
    "delay": lambda step: step.delay is not None,
    "wait": lambda step: step.wait is not None,
    "declared_undo": lambda step: step.undo is not None,
    "undo_wait": lambda step: isinstance(step.undo, Undo) and step.undo.wait is not None,
    UNDO_SAGA: lambda step: undoing_saga(step) is not None,
    "value": lambda step: step.value is not None,
    "value_inputs": lambda step: step.value is not None and bool(step.inputs),
    "optional_reference": lambda step: any(binding.optional for binding in (*step.inputs.values(), *undo_inputs(step).values())),
    "map": lambda step: step.map is not None,
    "join": lambda step: step.map is not None and step.map.join != "all",
    "concurrency": lambda step: step.map is not None and step.map.concurrency is not None,
    "tolerated_map": lambda step: step.map is not None and step.tolerated,
    "declared_undo_in_map": lambda step: step.map is not None and any(isinstance(each.undo, Undo) for each in step.map.do),
    "repeat": lambda step: step.repeat is not None,
    "saga": lambda step: step.saga is not None,
    "undone_saga_inside": lambda step: any(each.saga is not None and isinstance(each.undo, Undo) for each in step.body),
    "held_saga": lambda step: step.saga is not None and step.saga.held,
    SAGA_INSIDE: lambda step: step.saga is not None and bool(step.saga.steps),
    "savepoint": lambda step: step.savepoint is not None,
    "dotted_id": lambda step: "." in step.id,
    "tolerated_failure": lambda step: step.tolerated,
    "total_timeout": lambda step: step.total_timeout_seconds is not None,
    LOCKS: lambda step: bool(step.locks),
    "retry_on": lambda step: any(policy is not None and policy.chooses for policy in (step.retry, step.compensation_retry)),
}
"""Features of definitions, by name, each with the question whether a step uses it."""

REWIND = "rewind"
"""A feature of a saga's state: some of its steps have been rewound, or are. Any saga may come to use it."""

REWIND_OF_MAP = "rewind_of_map"
"""A feature of a saga's state: a map that had grown has been rewound, or is. Any saga with a map may come to use it."""

TERMINATION = "termination"
"""A feature of a saga's state: it is terminating. Any saga may come to use it."""

CHILD = "child"
"""A feature of a saga's state: a step of another saga started it, and waits for its end."""

HANDED_OUT = "handed_out"
"""A feature of a saga's state: an action of it was handed to somebody outside. Any saga may come to use it."""

HANDED_OUT_UNDO = "handed_out_undo"
"""A feature of a saga's state: a compensation of it was handed to somebody outside. Any saga may come to use it."""

MIGRATION = "migration"
"""A feature of a saga's state: it has gone on by another version than the one that it started with. Any saga may come to."""

PAUSE_OF_CHILDREN = "pause_of_children"
"""A feature of a saga's state: it is paused with its children, or with its parent. Any saga that starts others may come to."""

HELD = "held"
"""A feature of a saga's state: a step of another saga started it, and may have it undone after it is done."""

KNOWN = frozenset(
    {*USES, *OF_SAGA, REWIND, REWIND_OF_MAP, TERMINATION, CHILD, HELD, HANDED_OUT, HANDED_OUT_UNDO, MIGRATION, PAUSE_OF_CHILDREN}
)
"""The features that this code knows."""


def features_of(definition: Definition) -> tuple[str, ...]:
    """Return the features that a definition uses, in the order of their names."""
    steps = [*every_step(definition.steps)] if _grows(definition) else definition.steps
    of_saga = {name for name, uses in OF_SAGA.items() if uses(definition)}
    return tuple(sorted(of_saga | {name for name, uses in USES.items() if any(uses(step) for step in steps)}))


def unknown_to(features: Collection[str], known: Collection[str]) -> list[str]:
    """Return those of ``features`` that are not among ``known``, in the order of their names."""
    return sorted(set(features) - set(known))
