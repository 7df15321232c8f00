"""``goconductor saga pause|resume|abort|terminate|retry|skip|declare|edit``: what operators ask of a saga on its way."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypedDict
from uuid import UUID

import typer

from goconductor.cli.completion import saga_ids, step_names
from goconductor.cli.running import AsJson, client, fail, print_saga, read_value, run, settings_of
from goconductor.control import requests
from goconductor.control.exits import Exit
from goconductor.control.models import SagaDetail
from goconductor.participant.folding import Expected
from goconductor.participant.node import Node

SagaId = Annotated[UUID, typer.Argument(help="The saga's id.", metavar="ID", autocompletion=saga_ids)]
StepName = Annotated[str, typer.Argument(help="One of its steps.", metavar="STEP", autocompletion=step_names)]
Why = Annotated[str, typer.Option(help="Why; stands in the saga's history.")]
WhyNeeded = Annotated[str, typer.Option(help="Why; stands in the saga's history. Required.", show_default=False)]
By = Annotated[str | None, typer.Option(help="Who asks; the name of your account by default.", show_default=False)]
Revision = Annotated[str | None, typer.Option(help="Only if the saga is still where `saga show --json` saw it: its revision.")]

RequestId = Annotated[
    str | None,
    typer.Option(help="Names this request: asked again with the same name, it changes nothing.", show_default=False),
]


class Common(TypedDict):
    """What every request says beside what it asks for."""

    by: str
    expected: Expected | None
    request_id: str | None


Ask = Callable[[Node, Common], Awaitable[SagaDetail]]


def add_to(commands: typer.Typer) -> None:
    """Put the requests among the commands of ``saga``."""
    for command in (pause, resume, abort, terminate, retry, skip, declare, edit):
        commands.command()(command)


def pause(
    context: typer.Context,
    saga_id: SagaId,
    *,
    reason: Why = "",
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Start nothing new of a saga; what runs goes on, and its outcome is recorded."""

    async def ask(node: Node, common: Common) -> SagaDetail:
        return await requests.pause(node, saga_id, reason=reason, **common)

    _ask(context, ask, by=by, revision=revision, request_id=request_id, as_json=as_json)


def resume(
    context: typer.Context,
    saga_id: SagaId,
    *,
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Lift the pause of a saga."""

    async def ask(node: Node, common: Common) -> SagaDetail:
        return await requests.resume(node, saga_id, **common)

    _ask(context, ask, by=by, revision=revision, request_id=request_id, as_json=as_json)


def abort(
    context: typer.Context,
    saga_id: SagaId,
    *,
    reason: Why = "",
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Turn a saga back: compensate what it has done. Refused once its pivot is due."""

    async def ask(node: Node, common: Common) -> SagaDetail:
        return await requests.abort(node, saga_id, reason=reason, **common)

    _ask(context, ask, by=by, revision=revision, request_id=request_id, as_json=as_json)


def terminate(
    context: typer.Context,
    saga_id: SagaId,
    *,
    reason: WhyNeeded = "",
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """End a saga as it stands. Nothing is compensated."""

    async def ask(node: Node, common: Common) -> SagaDetail:
        return await requests.terminate(node, saga_id, reason=reason, **common)

    _ask(context, ask, by=by, revision=revision, request_id=request_id, as_json=as_json)


def retry(
    context: typer.Context,
    saga_id: SagaId,
    step: StepName,
    *,
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Try a stuck step again, its action or its compensation, under the same idempotency key."""

    async def ask(node: Node, common: Common) -> SagaDetail:
        return await requests.retry(node, saga_id, step, **common)

    _ask(context, ask, by=by, revision=revision, request_id=request_id, as_json=as_json)


def skip(
    context: typer.Context,
    saga_id: SagaId,
    step: StepName,
    *,
    reason: WhyNeeded = "",
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for its owner's journal; late effects are possible.")
    ] = False,
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Go on without a stuck step. Its owner first writes its keys in its journal, so that nothing can land later."""

    async def ask(node: Node, common: Common) -> SagaDetail:
        return await requests.skip(node, saga_id, step, reason=reason, forced=force, **common)

    _ask(context, ask, by=by, revision=revision, request_id=request_id, as_json=as_json)


def declare(
    context: typer.Context,
    saga_id: SagaId,
    step: StepName,
    *,
    happened: Annotated[bool, typer.Option("--happened/--did-not-happen", help="What a person found out.", show_default=False)],
    output: Annotated[str, typer.Option(help="What its action would have answered: JSON, @FILE, or -.")] = "null",
    reason: WhyNeeded = "",
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Say what a person found out about a stuck step: it happened, or it did not and never will."""
    value = read_value(output, "--output")

    async def ask(node: Node, common: Common) -> SagaDetail:
        return await requests.declare(node, saga_id, step, happened=happened, output=value, reason=reason, **common)

    _ask(context, ask, by=by, revision=revision, request_id=request_id, as_json=as_json)


def edit(
    context: typer.Context,
    saga_id: SagaId,
    step: StepName,
    *,
    input: Annotated[
        list[str], typer.Option(help="NAME=VALUE, its value as JSON or @FILE; may be repeated.", show_default=False)
    ],
    reason: WhyNeeded = "",
    by: By = None,
    revision: Revision = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Give other values for inputs of a step that is stuck or waits to try again. A stuck one is then to be retried."""
    inputs: dict[str, Any] = {}
    for given in input:
        name, mark, text = given.partition("=")
        if not mark or not name or name in inputs:
            fail("--input: write NAME=VALUE, each name once", Exit.USAGE)
        inputs[name] = read_value(text, f"--input {name}")

    async def ask(node: Node, common: Common) -> SagaDetail:
        return await requests.edit_input(node, saga_id, step, inputs=inputs, reason=reason, **common)

    _ask(context, ask, by=by, revision=revision, request_id=request_id, as_json=as_json)


def _ask(
    context: typer.Context, ask: Ask, *, by: str | None, revision: str | None, request_id: str | None, as_json: bool
) -> None:
    settings = settings_of(context)

    async def asked() -> Exit:
        async with client(settings) as node:
            expected = None if revision is None else requests.expected_of(revision)
            common = Common(by=account() if by is None else by, expected=expected, request_id=request_id)
            detail = await ask(node, common)
        print_saga(detail, as_json=as_json)
        return Exit.OK

    run(asked())


def account() -> str:
    """The name of the account that this process runs under; empty where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
