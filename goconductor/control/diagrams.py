"""Pictures of a definition, and of a saga on its way: as Mermaid for documents, as SVG for browsers."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from uuid import UUID

from goconductor.control.actor import Actor
from goconductor.control.definitions import plan_of
from goconductor.control.drawing import FILLS, STEPS_MAX, svg
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import StepStatus
from goconductor.control.queries import saga_status
from goconductor.engine.node import Node
from goconductor.saga.definition import StepKind
from goconductor.saga.plan import Plan

_BRACKETS = {
    StepKind.COMPENSATABLE: ('["', '"]'),
    StepKind.PIVOT: ('{{"', '"}}'),
    StepKind.RETRIABLE: ('(["', '"])'),
}
_PLAIN = re.compile(r"[^\w .,:=!?+*/()-]")


class Form(enum.StrEnum):
    """How a picture is sent."""

    MERMAID = "mermaid"
    SVG = "svg"


async def diagram(actor: Actor, node: Node, saga: str, version: str | None = None, *, form: Form = Form.MERMAID) -> str:
    """The picture of a definition.

    Args:
        actor: who asks.
        node: the engine.
        saga: its name.
        version: None takes the active one.
        form: Mermaid or SVG.

    Raises:
        DefinitionNotFoundError: there is none.
        RequestInvalidError: it has too many steps for an SVG.
        StoreUnavailableError: the database cannot be reached.
    """
    return _drawn(await plan_of(node, saga, version), None, form)


async def saga_diagram(actor: Actor, node: Node, saga_id: UUID, *, form: Form = Form.MERMAID) -> str:
    """The picture of a saga: its definition, coloured by what each step is doing.

    Raises:
        SagaNotFoundError: there is no such saga.
        RequestInvalidError, StoreUnavailableError: as :func:`diagram`.
    """
    detail = await saga_status(actor, node, saga_id)
    plan = await plan_of(node, detail.saga, detail.version)
    return _drawn(plan, {step.id: step.status for step in detail.steps}, form)


def diagram_of(plan: Plan, *, form: Form = Form.MERMAID) -> str:
    """The picture of a definition that need not be registered.

    Raises:
        RequestInvalidError: it has too many steps for an SVG.
    """
    return _drawn(plan, None, form)


def mermaid(plan: Plan, statuses: Mapping[str, StepStatus] | None = None) -> str:
    """The picture as a flowchart in Mermaid's language.

    Args:
        plan: a compiled definition.
        statuses: what each step is doing; None shows what it is.
    """
    return "\n".join(_lines(plan, statuses)) + "\n"


def _drawn(plan: Plan, statuses: Mapping[str, StepStatus] | None, form: Form) -> str:
    if form is Form.MERMAID:
        return mermaid(plan, statuses)
    if len(plan.order) > STEPS_MAX:
        problem = f"it has {len(plan.order):,} steps, an SVG shows at most {STEPS_MAX}; ask for mermaid"
        raise RequestInvalidError("the picture", [Fault("form", problem)])
    return svg(plan, statuses)


def _lines(plan: Plan, statuses: Mapping[str, StepStatus] | None) -> Iterator[str]:
    yield "flowchart TD"
    ids = {step: f"s{number}" for number, step in enumerate(plan.order)}
    for name in plan.order:
        step, (left, right) = plan.steps[name], _BRACKETS[plan.kinds[name]]
        words = [name, step.run, *([f"when {step.when}"] if step.when else [])]
        yield f"    {ids[name]}{left}{'<br/>'.join(map(_label, words))}{right}"
    for name in plan.order:
        for before in plan.predecessors[name]:
            yield f"    {ids[before]} --> {ids[name]}"
    shown: Mapping[str, StepStatus | StepKind] = plan.kinds if statuses is None else statuses
    for colour in sorted({str(shown[name]) for name in plan.order if name in shown}):
        inside, border = next(colours for kind, colours in FILLS.items() if str(kind) == colour)
        members = ",".join(ids[name] for name in plan.order if str(shown.get(name)) == colour)
        yield f"    classDef {colour} fill:{inside},stroke:{border},color:#0f172a"
        yield f"    class {members} {colour}"


def _label(words: str) -> str:
    """Text that Mermaid shows as it is: whatever could mean something to it stands as a number."""
    return _PLAIN.sub(lambda found: f"#{ord(found[0])};", words)
