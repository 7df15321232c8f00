"""``goconductor saga signal``, ``approve`` and ``report``: what happened outside, told to a saga on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from goconductor.cli.commands.sagas.requests import RequestId, Revision, SagaId, StepName, WhyNeeded
from goconductor.cli.running import AsJson, By, actor, client, print_saga, read_value, run, settings_of
from goconductor.cli.seeking import found
from goconductor.control.doors.exits import Exit
from goconductor.control.models import SagaDetail
from goconductor.control.sagas import signals
from goconductor.control.sagas.requests import Precautions
from goconductor.engine.node import Node

Event = Annotated[str, typer.Argument(help="The event that a step waits for.", metavar="NAME")]
Payload = Annotated[str, typer.Option(help="The output of the step that takes it: JSON, @FILE, or -.")]
Token = Annotated[str, typer.Argument(help="The task token that the step's code handed out.", metavar="TOKEN")]
Output = Annotated[str, typer.Option(help="The step's output, if it succeeded: JSON, @FILE, or -.")]
Failed = Annotated[str, typer.Option("--failure", help="Why it failed. Without this, the step has succeeded.")]
Refused = Annotated[
    bool, typer.Option("--refused", help="The failure is a refusal: nothing has begun, and there is nothing to undo.")
]
Final = Annotated[bool, typer.Option("--final/--again", help="Whether the failure is final, or another attempt may help.")]
Round = Annotated[int, typer.Option(min=0, help="The step's round at the time when its question was shown.")]


def add_to(commands: typer.Typer) -> None:
    """Put them among the commands of ``saga``."""
    commands.command("signal")(signal)
    commands.command("approve")(approve)
    commands.command("report")(report)


def signal(
    context: typer.Context,
    saga: SagaId,
    name: Event,
    *,
    payload: Payload = "null",
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Tell a saga that something has happened: a step that waits for it ends, now or when its turn comes."""
    says = read_value(payload, "--payload")

    async def send(node: Node) -> SagaDetail:
        precautions = Precautions.of(revision, request_id)
        return await signals.signal(actor(by), node, await found(node, saga), name, says, precautions=precautions)

    _send(context, send, as_json=as_json)


def approve(
    context: typer.Context,
    saga: SagaId,
    step: StepName,
    *,
    reason: WhyNeeded = "",
    round: Round = 0,
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Approve a step that waits for an approval. Refused if the step is in another round than the one that was shown."""

    async def send(node: Node) -> SagaDetail:
        precautions, saga_id = Precautions.of(revision, request_id), await found(node, saga)
        return await signals.approve(actor(by), node, saga_id, step, reason=reason, round=round, precautions=precautions)

    _send(context, send, as_json=as_json)


def report(
    context: typer.Context,
    token: Token,
    *,
    output: Output = "null",
    failure: Failed = "",
    refused: Refused = False,
    final: Final = True,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Report how a step ended that was handed out. The same report again changes nothing."""
    gives = read_value(output, "--output")

    async def send(node: Node) -> SagaDetail:
        return await signals.report(actor(by), node, token, output=gives, failure=failure, refused=refused, final=final)

    _send(context, send, as_json=as_json)


def _send(context: typer.Context, send: Callable[[Node], Awaitable[SagaDetail]], *, as_json: bool) -> None:
    settings = settings_of(context)

    async def sent() -> Exit:
        async with client(settings) as node:
            detail = await send(node)
        print_saga(detail, as_json=as_json)
        return Exit.OK

    run(sent())
