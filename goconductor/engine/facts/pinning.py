"""The sagas that steps start, as registering fixes them: each by its version, so that one version fixes all that is below it.

A version is a hash, and the document of the parent has those of its children. So no saga can start itself, however far below: a
document would have to hold its own hash.

A saga that is written inside another one becomes a definition by itself, under a name that nobody else can take
(:func:`goconductor.saga.definition.inside`). It is never active, so nobody starts it by that name. Its version is the hash of
what is written, and stands in the parent's document beside it. So whoever changes the inner saga has changed the outer one; sagas
on their way keep both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from goconductor.aio.recent import Recent
from goconductor.errors import DefinitionError, RequestRefusedError
from goconductor.ports.store import StoredDefinition
from goconductor.saga import plan as plans
from goconductor.saga.checking.code import InputOf, unfit_child
from goconductor.saga.checking.constructs.children import DEPTH_MAX, cannot_undo_itself, with_locks
from goconductor.saga.checking.constructs.undo import unfit_nulls
from goconductor.saga.checking.fault import within
from goconductor.saga.checking.known import Known
from goconductor.saga.definition import (
    Child,
    Definition,
    Step,
    StepRole,
    Undo,
    child_of,
    every_step,
    in_saga_of,
    undoing_saga,
    with_body,
    written_inside,
)
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.saga.plan import Plan


class PlanOf(Protocol):
    """Returns a version of a saga, compiled; the active one if none is named."""

    async def __call__(self, saga: str, version: str | None = None, /) -> Plan: ...


class Pinning:
    """Fixes the sagas that steps start.

    Args:
        plan: reads definitions.
        put: stores one, and makes it not active.
        kept_max: how many definitions are kept with their versions.
    """

    def __init__(self, plan: PlanOf, put: Callable[[StoredDefinition], Awaitable[None]], *, kept_max: int) -> None:
        self._plan = plan
        self._put = put
        self._pinned: Recent[str, Definition] = Recent(count_max=kept_max)
        """Definitions whose steps start sagas, with the versions of these, by the version of the document without them. A process
        that has registered one keeps to it, whatever is active later."""

    async def pinned(self, definition: Definition, known: Mapping[str, str]) -> Definition:
        """Return a definition with the version of each saga that its steps start.

        Args:
            definition: a sound one.
            known: versions by the sagas' names. Of the others the active version is taken, where the definition names none.

        Raises:
            DefinitionError: there is no such saga, or too many stand one below the other.
        """
        if not any(True for _ in _started(definition)):
            return definition
        unpinned = f"{definition.version} {sorted(known.items())}"
        if (pinned := self._pinned.use(unpinned)) is not None:
            return pinned
        found: list[str] = []
        sagas: dict[int, Child] = {}
        """The saga that is written inside a step, with its version, by the step's identity."""
        plans_of: dict[tuple[str, str | None], Plan] = {}
        for step, written in written_inside(definition):
            try:
                inside = await self._inside(written, known)
            except DefinitionError as error:
                found += [within(in_saga_of(step), problem) for problem in error.problems]
                continue
            sagas[id(step)] = msgspec.structs.replace(child_of(inside.definition), name=inside.name, version=inside.version)
            if (below := await self._depth(inside)) >= DEPTH_MAX:
                found.append(f"step {step.id!r} starts a saga with {below - 1} sagas below it; at most {DEPTH_MAX} may stand so.")
        for what, step, named in _started(definition):
            about = named.name, named.version
            if named.steps or about in plans_of:
                continue
            try:
                child = await self._plan(named.name, named.version or known.get(named.name))
                below = await self._depth(child)
            except RequestRefusedError as error:
                found.append(f"{what} starts a saga that is not there: {error}.")
                continue
            plans_of[about] = child
            if child.locks:
                found.append(with_locks(f"{what} starts saga {child.name!r}", step.id))
            if below >= DEPTH_MAX:
                found.append(f"{what} starts a saga with {below - 1} sagas below it; at most {DEPTH_MAX} may stand so.")
        for each, seen in Known(schema=definition.input_schema).each(definition.steps):
            for what, step, named in _started_by(each):
                begun = plans_of.get((named.name, named.version))
                if begun is None or begun.definition.input_schema is None:
                    continue
                schema = begun.definition.input_schema
                undo = step.undo if isinstance(step.undo, Undo) and named is step.undo.saga else None
                found += unfit_child(what, step.inputs if undo is None else undo.inputs, schema, seen)
                if undo is not None:
                    found += unfit_nulls(definition, step, undo, InputOf(schema))
        held = _held(definition)
        begun_of = [(step, plans_of.get((step.saga.name, step.saga.version))) for step in held if step.saga is not None]
        found += [
            cannot_undo_itself(step, f"saga {child.name!r}", child.pivot)
            for step, child in begun_of
            if child is not None and child.pivot is not None
        ]
        if found:
            raise DefinitionError(definition.name, found)
        pinned = msgspec.structs.replace(definition, steps=_pin(definition.steps, sagas, plans_of, held))
        self._pinned.put(unpinned, pinned)
        return pinned

    async def _inside(self, written: Definition, known: Mapping[str, str]) -> Plan:
        """Store a saga that is written inside another one, as a definition by itself, which nobody starts by its name.

        Args:
            written: a sound one, with the name that it has by its place.
            known: as for :meth:`pinned`.

        Raises:
            DefinitionError: as there.
        """
        definition = await self.pinned(written, known)
        plan = plans.plan(definition)
        await self._put(
            StoredDefinition(
                namespace=DEFAULT_NAMESPACE,
                saga=plan.name,
                version=plan.version,
                document=definition.document(),
                features=await self.features_below(plan),
            )
        )
        return await self._plan(plan.name, plan.version)

    async def features_below(self, plan: Plan) -> tuple[str, ...]:
        """Return the features that a definition uses, and those of all sagas that it can start: who takes the one takes all.

        Args:
            plan: the definition, with the versions of its children where it has any.

        Raises:
            RequestRefusedError: one of these sagas is not there.
            StoreUnavailableError: the store is away.
        """
        if not plan.starts_sagas:
            return plan.features
        found = {*plan.features}
        for _, _, child in _started(plan.definition):
            if child.version is not None:
                found.update(await self.features_below(await self._plan(child.name, child.version)))
        return tuple(sorted(found))

    async def _depth(self, plan: Plan) -> int:
        """Return how many sagas stand one below the other, this one counted. The versions in a stored document make an end."""
        depth = 1
        for _, _, child in _started(plan.definition):
            depth = max(depth, 1 + await self._depth(await self._plan(child.name, child.version)))
        return depth


def _held(definition: Definition) -> list[Step]:
    """Return the steps whose saga is held when it is done: those before the pivot that declare no undo, in maps as well."""
    roles = plans.plan(definition).roles
    before = [step for step in definition.steps if roles[step.id] is StepRole.COMPENSATABLE]
    return [step for step in every_step(before) if step.saga is not None and step.undo is None]


def _pin(
    steps: tuple[Step, ...], inside: Mapping[int, Child], plans_of: Mapping[tuple[str, str | None], Plan], held: Sequence[Step]
) -> tuple[Step, ...]:
    """Return steps with the versions of the sagas that they start, and whether these are held; those in maps as well.

    Args:
        steps: of a definition.
        inside: the sagas that are written inside them, with their versions, by the identity of the step.
        plans_of: the other sagas, by name and version as they are written.
        held: the steps whose saga is held.
    """
    pinned = []
    for step in steps:
        fields: dict[str, Any] = {}
        if step.saga is not None:
            child = inside[id(step)] if step.saga.steps else _version_of(step.saga, plans_of)
            fields["saga"] = msgspec.structs.replace(child, held=any(step is each for each in held))
        if isinstance(step.undo, Undo) and step.undo.saga is not None:
            fields["undo"] = msgspec.structs.replace(step.undo, saga=_version_of(step.undo.saga, plans_of))
        if step.body:
            step = with_body(step, _pin(step.body, inside, plans_of, held))  # noqa: PLW2901
        pinned.append(msgspec.structs.replace(step, **fields) if fields else step)
    return tuple(pinned)


def _version_of(child: Child, plans_of: Mapping[tuple[str, str | None], Plan]) -> Child:
    return Child(name=child.name, version=plans_of[child.name, child.version].version)


def _started(definition: Definition) -> Iterator[tuple[str, Step, Child]]:
    """Yield the sagas that steps start, and those that undo steps, each with the step and with what starts it, in words."""
    for step in every_step(definition.steps):
        yield from _started_by(step)


def _started_by(step: Step) -> Iterator[tuple[str, Step, Child]]:
    if step.saga is not None:
        yield f"step {step.id!r}", step, step.saga
    if (child := undoing_saga(step)) is not None:
        yield f"the undo of step {step.id!r}", step, child
