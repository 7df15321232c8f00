"""Draws a definition or a saga in the form that is asked for; the forms are beside this module."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from uuid import UUID

from goconductor.control.actor import Actor
from goconductor.control.definitions.versions import plan_of
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.control.diagrams.svg import STEPS_MAX, svg
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import StepStatus
from goconductor.control.sagas.queries import saga_status
from goconductor.engine.node import Node
from goconductor.saga.plan import Plan


class Form(enum.StrEnum):
    """The format of a diagram."""

    MERMAID = "mermaid"
    SVG = "svg"


async def diagram(actor: Actor, node: Node, saga: str, version: str | None = None, *, form: Form = Form.MERMAID) -> str:
    """Draw a definition.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga: the definition's name.
        version: None takes the active one.
        form: Mermaid or SVG.

    Raises:
        DefinitionNotFoundError: there is no such definition or version.
        RequestInvalidError: it has too many steps for an SVG.
        StoreUnavailableError: the database cannot be reached.
    """
    return _drawn(await plan_of(node, saga, version), None, form)


async def saga_diagram(actor: Actor, node: Node, saga_id: UUID, *, form: Form = Form.MERMAID) -> str:
    """Draw a saga: its definition, with the status of each step as its colour.

    Raises:
        SagaNotFoundError: there is no such saga.
        RequestInvalidError, StoreUnavailableError: as :func:`diagram`.
    """
    detail = await saga_status(actor, node, saga_id)
    plan = await plan_of(node, detail.saga, detail.version)
    return _drawn(plan, {step.id: step.status for step in detail.steps}, form)


def diagram_of(plan: Plan, *, form: Form = Form.MERMAID) -> str:
    """Draw a definition that need not be registered.

    Raises:
        RequestInvalidError: it has too many steps for an SVG.
    """
    return _drawn(plan, None, form)


def _drawn(plan: Plan, statuses: Mapping[str, StepStatus] | None, form: Form) -> str:
    if form is Form.MERMAID:
        return mermaid(plan, statuses)
    if len(plan.order) > STEPS_MAX:
        problem = f"it has {len(plan.order):,} steps, an SVG shows at most {STEPS_MAX}; ask for mermaid"
        raise RequestInvalidError("the diagram", [Fault("form", problem)])
    return svg(plan, statuses)
