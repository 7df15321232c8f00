"""What a saga is: steps, their order, and where their inputs come from. Plain data, the same in every language.

A definition is a JSON document; its version is the hash of its canonical form (RFC 8785). It names code only by
``participant.step``. The participant that owns a step knows the code, and the policies that the definition leaves open.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

import msgspec

from goconductor.saga.data.values import digest
from goconductor.saga.ids import INSIDE
from goconductor.saga.retry import Retry

PRIORITY_MAX = 100
"""Greatest priority of a saga, and with a minus before it the least."""

NOTHING: Final = "none"
"""Said of a step in place of an undo: nothing has to be undone."""

KINDS: Final = ("run", "delay", "wait", "value", "map", "repeat", "saga", "savepoint")
"""The fields of a step of which exactly one is given: it says of which kind the step is."""


class StepRole(enum.StrEnum):
    """What may happen to a step once it has succeeded (Mehrotra et al. 1992; Richardson 2018)."""

    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"


class Binding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where a value comes from: ``ref``, an RFC 9535 singular query into the saga's data, or else the constant ``value``.

    With ``optional`` a place that is not there is null, and no failure.
    """

    ref: str | None = None
    value: Any = None
    optional: bool = False


class Delay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How long a step lets time pass: one of the two is given.

    Args:
        seconds: from when the step's turn has come.
        until: a reference to a time in the saga's data (:mod:`goconductor.saga.data.moments` says how a time is written).
    """

    seconds: float | None = None
    until: str | None = None


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a step waits for: a signal of the name ``event``, or a person who approves. One of the two is given.

    Args:
        event: the name of the signals that may end it.
        approval: the question that a person answers; the step's own id is then the name of the signal.
        where: a CEL condition over the signal's ``payload``, ``input`` and ``steps``; where it is false the signal is for others.
        timeout_seconds: after this long the step has failed; None waits without an end.
    """

    event: str | None = None
    approval: str | None = None
    where: str | None = None
    timeout_seconds: float | None = None


class Undo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What undoes a step, in place of the compensation that its service has. One of ``run``, ``wait`` and ``saga`` is given.

    Args:
        run: the code, as ``participant.step``, of any participant. It runs under the key of the step's compensation.
        inputs: parameter name → where its value comes from: the saga's input, the step's own output, or that of a step before it.
        wait: in place of code, the signal that says that the step is undone, or the question that a person answers who undid it.
        saga: in place of code, a registered saga, which undoes the step by completing; ``inputs`` are its input.
    """

    run: str = ""
    inputs: dict[str, Binding] = {}
    wait: Wait | None = None
    saga: Child | None = None


class Child(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A saga that a step starts, and whose end is the step's. It is registered by itself and named here, or written here.

    Args:
        name: of its definition. One that is written here is named by registering.
        version: of its definition. Where it is left out, registering takes the version that is active then, and the stored
            document has it. So a saga and all below it are fixed by one version. One that is written here has that of its steps.
        held: whether it is held when it is done, until the saga of the step ends, which may have it undone until then.
            Registering says so of each step before the pivot that declares no undo.
        steps: of a saga that is written here, in any order; they see its own input only, which is the step's inputs.
        output: what it answers; null answers the outputs of all its steps by their ids.
        timeout_seconds: after this long from its start it compensates, unless its pivot was sent.
        input_schema: JSON Schema of its input.
        priority: of its steps where they wait for room in a process; 0 takes that of the saga of the step.
    """

    name: str = ""
    version: str | None = None
    held: bool = False
    steps: tuple[Step, ...] = ()
    output: Binding | None = None
    timeout_seconds: float | None = None
    input_schema: dict[str, Any] | None = None
    priority: int = 0


class Lock(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a saga holds before it goes on, and keeps to its end: of two sagas that need one key, the second one waits.

    Args:
        key: a text with references to the saga's data: ``account:{input.account_id}``.
        mode: ``exclusive``, or ``shared`` with others that are shared too.
    """

    key: str
    mode: Literal["exclusive", "shared"] = "exclusive"


class Map(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Steps that are done once for each item of a list. In them ``$.item`` is the item, and ``$.index`` its place, from 0.

    Args:
        over: a reference to the list.
        do: the steps, in any order; they name and refer to one another as they do outside. A step outside sees the map only.
        join: how many items must succeed: ``all``, ``any`` for one, or a number. The others are undone, each as a whole.
        concurrency: how many items may be at work at one time, on the way back as well; None: all.
    """

    over: str
    do: tuple[Step, ...]
    join: Literal["all", "any"] | int = "all"
    concurrency: int | None = None


class Repeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Steps that are done turn by turn, until a condition holds. In them ``$.index`` is the number of the turn, from 0, and
    ``$.previous`` the output of the turn before, null in the first one.

    Args:
        do: the steps of a turn, in any order; they name and refer to one another as they do outside. A step outside sees the
            repeat only, whose output is that of its last turn.
        until: a CEL condition that is asked at the end of each turn, over ``steps`` (those of this turn first), ``input``,
            ``index`` and ``previous``; where it holds, that turn was the last.
        max: how many turns there may be.
        delay_seconds: how much time passes between two turns; None: the next one begins at once.
        at_max: what happens where ``until`` is false after so many turns: with ``fail`` the step has failed, with ``go_on`` the
            saga goes on with the output of the last turn.
    """

    do: tuple[Step, ...]
    until: str
    max: int
    delay_seconds: float | None = None
    at_max: Literal["fail", "go_on"] = "fail"


class Savepoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A place that a saga goes back to where something after it fails for good, to go on another way.

    Args:
        otherwise: the names of the other ways, in the order in which they are tried, each once.
        first: the name of the way that is tried first.
    """

    otherwise: tuple[str, ...]
    first: str = "first"

    @property
    def ways(self) -> tuple[str, ...]:
        """All ways, in the order in which they are tried."""
        return (self.first, *self.otherwise)


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step. It is one of several kinds: exactly one of ``run``, ``delay``, ``wait``, ``value``, ``map``, ``repeat``,
    ``saga`` and ``savepoint`` is given.

    Args:
        id: its name within the saga.
        run: the code, as ``participant.step``.
        delay: in place of code, the time that passes.
        wait: in place of code, the signal that is waited for.
        value: in place of code, a CEL expression over ``input``, ``steps`` and ``inputs``, which are the values of the step's own
            inputs; what it gives is the step's output.
        map: in place of code, steps for each item of a list.
        repeat: in place of code, steps that are done turn by turn until a condition holds.
        saga: in place of code, a saga of its own; the step's inputs are that saga's input.
        savepoint: in place of code, ways to go on from here; the way that the saga is on is the step's output.
        after: ids of the steps that must have ended before; those that ``inputs`` refer to are added to them.
        inputs: parameter name → where its value comes from.
        when: a CEL condition over ``input`` and ``steps``; where it is false the step is skipped.
        pivot: after this step's success the saga only goes forward.
        compensation: whether the owner's code has one; None where only the owner knows.
        undo: what undoes the step in place of its owner's compensation; ``none`` says that nothing needs to.
        retry: how often the action is tried; None leaves it to its owner.
        compensation_retry: the same for the compensation.
        timeout_seconds: how long one attempt may take; None leaves it to the owner.
        total_timeout_seconds: how long all attempts of the action, and the waits between them, may take together; None: no end.
        unknowns_max: how many outcomes may be lost before the step is given up on.
        allow_fail: whether the saga goes on without this step where it fails for good.
        fallback: the id of the step that runs where this one fails for good, and whose output then stands for this one's.
        locks: what the saga must hold before the step begins; of a map for all its items, whose keys may refer to ``item``.
    """

    id: str
    run: str = ""
    delay: Delay | None = None
    wait: Wait | None = None
    value: str | None = None
    map: Map | None = None
    repeat: Repeat | None = None
    saga: Child | None = None
    savepoint: Savepoint | None = None
    after: tuple[str, ...] = ()
    inputs: dict[str, Binding] = {}
    when: str | None = None
    pivot: bool = False
    compensation: bool | None = None
    undo: Undo | Literal["none"] | None = None
    retry: Retry | None = None
    compensation_retry: Retry | None = None
    timeout_seconds: float | None = None
    total_timeout_seconds: float | None = None
    unknowns_max: int | None = None
    allow_fail: bool = False
    fallback: str | None = None
    locks: tuple[Lock, ...] = ()

    @property
    def tolerated(self) -> bool:
        """Whether the saga goes on where this step fails for good."""
        return self.allow_fail or self.fallback is not None

    @property
    def body(self) -> tuple[Step, ...]:
        """The steps that this one does for each item, or in each turn; empty where it does not grow."""
        return self.map.do if self.map is not None else () if self.repeat is None else self.repeat.do

    @property
    def editable(self) -> dict[str, Binding]:
        """The inputs for which an operator can give other values; that of a map is its list."""
        return self.inputs if self.map is None else {"over": Binding(ref=self.map.over)}


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A saga's definition, as it is stored.

    Args:
        name: the saga's name.
        steps: in any order; the graph orders them.
        output: what a completed saga answers; None answers the outputs of all steps by their ids.
        timeout_seconds: after this long from its start the saga compensates, unless its pivot was sent.
        input_schema: JSON Schema of the input, checked at the start.
        locks: what the saga must hold before its first step begins.
        priority: of its steps where they wait for room in a process; greater ones come first. A start may give another one.
    """

    name: str
    steps: tuple[Step, ...]
    output: Binding | None = None
    timeout_seconds: float | None = None
    input_schema: dict[str, Any] | None = None
    locks: tuple[Lock, ...] = ()
    priority: int = 0

    def document(self) -> bytes:
        """Return the definition as JSON."""
        return msgspec.json.encode(self)

    @property
    def version(self) -> str:
        """The first 128 bits of the SHA-256 of the canonical document, in hexadecimal."""
        return digest(msgspec.to_builtins(self))[:32]


_OF_BOTH = ("steps", "output", "timeout_seconds", "input_schema", "priority")
"""What is said of a saga, whether it is registered by itself or written inside another one."""


def inside(saga: str, step: str) -> str:
    """Return the name of a saga that is written inside another one. No saga that is registered by itself has a colon in its name.

    Args:
        saga: the name of the other one.
        step: its step that starts this one, by its place: ``lines.pack`` in a map.
    """
    return f"{saga}{INSIDE}{step}"


def named(child: Child, saga: str, step: str) -> Child:
    """Return the saga that a step starts with its name, which one that is written inside has by its place.

    Args:
        child: that saga.
        saga: the name of the step's saga.
        step: the step, by its place.
    """
    return child if child.name else msgspec.structs.replace(child, name=inside(saga, step))


def definition_of(child: Child, name: str) -> Definition:
    """Return the definition of a saga that is written inside another one."""
    fields = {field: getattr(child, field) for field in _OF_BOTH}
    return Definition(name=name, **fields)


def child_of(definition: Definition) -> Child:
    """Return a definition as a saga that is written inside another one."""
    return Child(**{field: getattr(definition, field) for field in _OF_BOTH})


def written_inside(definition: Definition) -> Iterator[tuple[Step, Definition]]:
    """Yield the steps whose saga is written inside a definition, each with that saga; not those in these sagas."""
    for place, step in _placed(definition.steps):
        if step.saga is not None and step.saga.steps:
            yield step, definition_of(step.saga, inside(definition.name, place))


def undoing_saga(step: Step) -> Child | None:
    """Return the saga that undoes a step; None where none does."""
    return step.undo.saga if isinstance(step.undo, Undo) else None


def each_saga(definition: Definition, where: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield a definition, and all sagas that are written inside it, each with the words that a fault in it begins with."""
    yield where, definition
    for step, child in written_inside(definition):
        yield from each_saga(child, f"{where}{in_saga_of(step)}")


def in_saga_of(step: Step) -> str:
    """Return the words with which a fault begins that is in the saga of a step."""
    return f"in the saga of step {step.id!r}: "


def _placed(steps: Iterable[Step], above: str = "") -> Iterator[tuple[str, Step]]:
    """Yield steps, and those of the maps and repeats among them, each with its place."""
    for step in steps:
        yield above + step.id, step
        if step.body:
            yield from _placed(step.body, f"{above}{step.id}.")


def every_step(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps, and those of the maps and repeats among them."""
    for step in steps:
        yield step
        if step.map is not None or step.repeat is not None:
            yield from every_step(step.body)


def with_body(step: Step, do: Iterable[Step]) -> Step:
    """Return a map or a repeat with other steps in it; any other step as it is."""
    if step.map is not None:
        return msgspec.structs.replace(step, map=msgspec.structs.replace(step.map, do=tuple(do)))
    if step.repeat is not None:
        return msgspec.structs.replace(step, repeat=msgspec.structs.replace(step.repeat, do=tuple(do)))
    return step
