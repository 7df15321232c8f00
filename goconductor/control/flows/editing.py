"""Flows as they are stored: looked up, and changed by edits of which each is a new version of the definition.

An edit is made of one version, the newest or the one that its author names. It is checked like any definition, and then put in
the place of that version by the database alone (``supersede``). So of two edits of one version one succeeds. The other is told
what came first, where its author named a version; else it is made again, of the newer version. Sagas that run keep the version
that they started with.

A flow has its steps here and nowhere else. A saga that lives in a service's code is changed there, and one whose version an
operator has pinned stays at it: an edit of such a one would be accepted and then do nothing, so it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import msgspec
from pydantic import Field

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.definitions.versions import plan_of
from goconductor.control.flows import edits
from goconductor.control.flows.options import Options, with_options
from goconductor.control.models import Document
from goconductor.control.sagas.requests import StepNotFoundError
from goconductor.control.sagas.starting import DefinitionNotFoundError
from goconductor.engine.node import Node
from goconductor.errors import DefinitionError, PayloadError, RequestRefusedError, nearest
from goconductor.ports.store import StoredDefinition
from goconductor.redaction import logger_of
from goconductor.saga import plan as plans
from goconductor.saga.checking import validate
from goconductor.saga.data.values import canonical
from goconductor.saga.definition import Child, Definition, every_step
from goconductor.saga.ids import DEFAULT_NAMESPACE, is_name
from goconductor.saga.plan import Plan
from goconductor.saga.writing.groups.differences import differences
from goconductor.system import checking as system

logger = logger_of("goconductor.control")

Edit: TypeAlias = Callable[[Definition | None], Definition]
"""Makes a flow of one; of None where it has no steps yet."""


class FlowChangedError(RequestRefusedError):
    """The flow is not at the version that this edit was made of; look it up, and make the edit of what it is now.

    Args:
        flow: its name.
        version: the version that it is at; empty where it has none.
        changes: what differs between the two, each in words.
    """

    def __init__(self, flow: str, version: str, changes: tuple[str, ...]) -> None:
        self.flow, self.version, self.changes = flow, version, changes
        what = f"it is at version {version}" if version else "it has no steps"
        told = f": {'; '.join(changes)}" if changes else ""
        super().__init__(f"flow {flow!r} is not at that version any more: {what}{told}; look it up and make the edit of that")


class FlowStepDetail(Document):
    """One step of a flow."""

    id: str
    step: Annotated[dict[str, Any], Field(description="the step, as definitions write it")]
    after: Annotated[list[str], Field(description="the steps directly before it")]
    before: Annotated[list[str], Field(description="the steps directly behind it")]


class FlowDetail(Document):
    """A flow, as new executions take it."""

    flow: str
    version: str
    priority: Annotated[int, Field(description="of the steps of its executions; greater ones come first")] = 0
    timeout_seconds: Annotated[float | None, Field(description="after that an execution compensates; null: it has no limit")] = (
        None
    )
    steps: Annotated[list[FlowStepDetail], Field(description="in an order that the flow allows")]


async def lookup(actor: Actor, node: Node, flow: str, version: str | None = None) -> FlowDetail:
    """Return a flow with its steps.

    Args:
        actor: the actor of the request.
        node: the engine.
        flow: its name.
        version: None takes the one that new executions take.

    Raises:
        DefinitionNotFoundError: there is no such flow or version.
        StoreUnavailableError: the database cannot be reached.
    """
    stored = await _stored(node, flow, version)
    if stored is None:
        raise DefinitionNotFoundError(_nowhere(flow, version))
    return _detail(await plan_of(node, flow, stored.version), stored.version)


async def lookup_step(actor: Actor, node: Node, flow: str, step: str) -> FlowStepDetail:
    """Return one step of a flow. Arguments and errors as of :func:`lookup`.

    Raises:
        StepNotFoundError: the flow has no such step.
    """
    plan = await plan_of(node, flow, None)
    if step not in {each.id for each in plan.definition.steps}:
        raise StepNotFoundError(f"flow {flow!r} has no step {step[:100]!a}; {nearest(step, plan.order)}")
    return _step(plan, step)


@noted("definition {flow}")
async def create_step(actor: Actor, node: Node, flow: str, step: Any, *, made_of: str | None = None) -> FlowDetail:
    """Add a step. The first one makes the flow; one that is there already, the same, changes nothing.

    Args:
        actor: the actor of the request.
        node: the engine.
        flow: its name.
        step: a document: the step, and perhaps ``before``.
        made_of: the version that the flow must be at; None takes the newest.

    Raises:
        StepExistsError: another step has this id.
        FlowChangedError: the flow is at another version.
        DefinitionNotFoundError: it has no such version.
        DefinitionError: the flow could not run so; has all problems.
        RequestRefusedError: the flow is in the code of a living instance, or pinned, or an instance does not know what it uses.
        StoreUnavailableError: the database cannot be reached; whether the edit was accepted is then open, and it can be repeated.
    """
    new = await _read(node, flow, step)
    return await _edit(actor, node, flow, lambda definition: edits.created(flow, definition, new), made_of)


@noted("definition {flow}")
async def replace_step(actor: Actor, node: Node, flow: str, step: Any, *, made_of: str | None = None) -> FlowDetail:
    """Put a step in the place of the one of its id. Arguments and errors as of :func:`create_step`.

    Raises:
        StepNotFoundError: there is none.
    """
    new = await _read(node, flow, step)
    return await _edit(actor, node, flow, lambda definition: edits.replaced(flow, _some(flow, definition), new), made_of)


@noted("definition {flow}", detail=lambda given: given["step"])
async def delete_step(actor: Actor, node: Node, flow: str, step: str, *, made_of: str | None = None) -> FlowDetail:
    """Remove a step. Those that came after it come after the steps before it. Arguments and errors as of :func:`create_step`.

    Raises:
        StepNotFoundError: there is none.
    """
    return await _edit(actor, node, flow, lambda definition: edits.deleted(flow, _some(flow, definition), step), made_of)


@noted("definition {flow}")
async def change_flow(actor: Actor, node: Node, flow: str, fields: edits.OwnFields, *, made_of: str | None = None) -> FlowDetail:
    """Change what the flow itself has: its priority, its timeout. Arguments and errors as of :func:`create_step`.

    Args:
        actor: the actor of the request.
        node: the engine.
        flow: its name.
        fields: those that change.
        made_of: the version that the flow must be at; None takes the newest.
    """
    return await _edit(actor, node, flow, lambda definition: edits.changed(_some(flow, definition), fields), made_of)


async def _edit(actor: Actor, node: Node, flow: str, edit: Edit, made_of: str | None) -> FlowDetail:
    while True:
        stored = await _stored(node, flow)
        version = None if stored is None else stored.version
        current = None if version is None else await plan_of(node, flow, version)
        if made_of is not None and version != made_of:
            return await _made_before(node, flow, edit, made_of, (version, current))
        definition = edit(None if current is None else current.definition)
        if current is not None and version is not None and definition == current.definition:
            return _detail(current, version)
        if stored is not None:
            _editable(stored)
        definition = await _checked(node, definition)
        if current is not None and version is not None and definition == current.definition:
            return _detail(current, version)
        node.definitions.judge(definition)
        plan = plans.plan(definition)
        await node.definitions.refuse_unready(plan, f"flow {flow!r} would use")
        new = StoredDefinition(
            namespace=DEFAULT_NAMESPACE,
            saga=flow,
            version=plan.version,
            document=definition.document(),
            features=await node.definitions.features_below(plan),
        )
        if await node.store.definitions.supersede(new, made_of=version):
            told = differences(current, plan) if current is not None else ("it is new",)
            logger.info("flow %r is at version %s now, by %s: %s", flow, plan.version, actor.name or "anybody", "; ".join(told))
            return _detail(plan, plan.version)
        # somebody else's edit came first, and this one is made anew


async def _made_before(node: Node, flow: str, edit: Edit, made_of: str, now: tuple[str | None, Plan | None]) -> FlowDetail:
    """Answer an edit of a version that the flow is not at: it has led to what there is, or another one has.

    Raises:
        FlowChangedError: another one has.
        DefinitionNotFoundError: there was no such version.
    """
    old = await plan_of(node, flow, made_of)
    version, current = now
    if version is None or current is None:
        raise FlowChangedError(flow, "", ())
    try:
        repeated = await _checked(node, edit(old.definition)) == current.definition
    except (RequestRefusedError, DefinitionError):
        repeated = False
    if repeated:
        return _detail(current, version)
    raise FlowChangedError(flow, version, differences(old, current))


async def _stored(node: Node, flow: str, version: str | None = None) -> StoredDefinition | None:
    well_named = is_name(flow) and (version is None or version.isalnum())
    return await node.store.definitions.get(DEFAULT_NAMESPACE, flow, version) if well_named else None


def _editable(stored: StoredDefinition) -> None:
    """Refuse an edit that would do nothing.

    Raises:
        RequestRefusedError: says why, and what to do.
    """
    if stored.pinned:
        raise RequestRefusedError(
            f"flow {stored.saga!r} is pinned at version {stored.version}; unpin it first: "
            f"goconductor definition unpin {stored.saga}"
        )
    if stored.offered:
        raise RequestRefusedError(
            f"flow {stored.saga!r} is in the code of {stored.offered} living instances, which decides what new sagas take; "
            "change it there, or give your flow a name of its own"
        )


async def _read(node: Node, flow: str, document: Any) -> edits.Placed:
    """Read a step, with the version of the flow that it executes where that starts at a step.

    Raises:
        DefinitionError: it has another shape, or that flow cannot be executed so.
        DefinitionNotFoundError: there is no such flow to execute.
    """
    new = edits.read_step(flow, document)
    if new.from_step is None or new.step.saga is None:
        return new
    child = await plan_of(node, new.step.saga.name, new.step.saga.version)
    plan = await node.definitions.register(with_options(child, Options(from_step=new.from_step)), activate=False, derived=True)
    executes = Child(name=plan.name, version=plan.version)
    return msgspec.structs.replace(new, step=msgspec.structs.replace(new.step, saga=executes))


async def _checked(node: Node, definition: Definition) -> Definition:
    """Return a flow with the versions of the sagas that its steps start.

    Raises:
        DefinitionError: it could not run; has all problems.
    """
    found = validate.problems(definition) + system.problems(definition)
    try:
        canonical(msgspec.to_builtins(definition))
    except PayloadError as error:
        found.append(str(error))
    if found:
        raise DefinitionError(definition.name, found)
    newest: dict[str, str] = {}
    for step in every_step(definition.steps):
        if step.saga is not None and step.saga.version is None and (stored := await _stored(node, step.saga.name)):
            newest[stored.saga] = stored.version
    return await node.definitions.with_children(definition, newest)


def _some(flow: str, definition: Definition | None) -> Definition:
    if definition is None:
        raise DefinitionNotFoundError(_nowhere(flow, None))
    return definition


def _nowhere(flow: str, version: str | None) -> str:
    if version is not None:
        return f"there is no version {version[:100]!a} of flow {flow[:100]!a}; look it up without one for the newest"
    return f"there is no flow {flow[:100]!a}; create its first step, or check its name"


def _detail(plan: Plan, version: str) -> FlowDetail:
    return FlowDetail(
        flow=plan.name,
        version=version,
        priority=plan.definition.priority,
        timeout_seconds=plan.definition.timeout_seconds,
        steps=[_step(plan, name) for name in plan.order],
    )


def _step(plan: Plan, name: str) -> FlowStepDetail:
    return FlowStepDetail(
        id=name,
        step=msgspec.json.decode(msgspec.json.encode(plan.steps[name])),
        after=list(plan.predecessors[name]),
        before=list(plan.successors[name]),
    )
