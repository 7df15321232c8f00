"""``goconductor saga pause|…|edit``: what operators ask of a saga on its way, a command for each request of the catalogue."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any, assert_never
from uuid import UUID

import typer

from goconductor.cli.completion import saga_ids, step_names
from goconductor.cli.running import AsJson, By, actor, client, fail, print_saga, read_value, run, settings_of
from goconductor.cli.seeking import Sought, found, read
from goconductor.control.doors.exits import Exit
from goconductor.control.models import RestartPreview
from goconductor.control.sagas.requests import Precautions, ask, preview_restart
from goconductor.engine.node import Node
from goconductor.lifecycle.requests.catalogue import CATALOGUE, Kind, Operation, Parameter, Request

SagaId = Annotated[
    Sought,
    typer.Argument(help="The saga's id, or NAME/KEY by its start key.", metavar="ID", parser=read, autocompletion=saga_ids),
]
StepName = Annotated[str, typer.Argument(help="One of its steps.", metavar="STEP", autocompletion=step_names)]
Why = Annotated[str, typer.Option(help="Why; the saga's history keeps it.")]
WhyNeeded = Annotated[str, typer.Option(help="Why; the saga's history keeps it. Required.", show_default=False)]
Revision = Annotated[str | None, typer.Option(help="Only if the saga still has this revision, from `saga show --json`.")]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show which steps would go back, and whether it would be accepted.")]

RequestId = Annotated[
    str | None,
    typer.Option(help="A name for this request: repeated under the same name, it changes nothing.", show_default=False),
]


NAMES = {Request.EDIT_INPUT: "edit", Request.DROP_SIGNAL: "drop-signal", Request.RESTART_AS_NEW: "restart-as-new"}
"""Name of the command of a request, where it is not the request's own name."""

FLAGS = {"forced": "--force", "happened": "--happened/--did-not-happen", "inputs": "--input", "from_step": "--from"}
"""Option of a parameter, where it is not its own name."""

_BEFORE = {"context": typer.Context, "saga": SagaId}
_AFTER = {
    "by": (By, None),
    "revision": (Revision, None),
    "request_id": (RequestId, None),
    "as_json": (AsJson, False),
}


def add_to(commands: typer.Typer) -> None:
    """Put every request of the catalogue among the commands of ``saga``."""
    for operation in CATALOGUE:
        name = NAMES.get(operation.request, operation.request.value)
        commands.command(name, help=operation.summary)(_command(operation))


def _command(operation: Operation) -> Callable[..., None]:
    """Make the command of a request, with the options that its parameters ask for."""

    def command(
        context: typer.Context,
        *,
        saga: Sought,
        step: str = "",
        reason: str = "",
        by: str | None,
        revision: str | None,
        request_id: str | None,
        as_json: bool,
        dry_run: bool = False,
        **given: Any,
    ) -> None:
        values = {each.name: _value(each, given[each.name]) for each in operation.parameters}
        settings, asks = settings_of(context), operation.asked(step=step, reason=reason, values=values)

        async def asked() -> Exit:
            if dry_run:
                async with client(settings) as node:
                    return _previewed(await _preview(node, await found(node, saga), values), as_json=as_json)
            precautions = Precautions.of(revision, request_id)
            async with client(settings) as node:
                detail = await ask(actor(by), node, await found(node, saga), asks, precautions)
            print_saga(detail, as_json=as_json)
            return Exit.OK

        run(asked())

    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    before = _BEFORE | ({"step": StepName} if operation.about_step else {})
    options = {each.name: _option(operation, each) for each in operation.parameters}
    if operation.takes_reason:
        options["reason"] = (WhyNeeded if operation.needs_reason else Why, "")
    if operation.request is Request.RESTART:
        options["dry_run"] = (DryRun, False)
    parameters = [inspect.Parameter(name, positional, annotation=kind) for name, kind in before.items()]
    parameters += [
        inspect.Parameter(name, keyword, annotation=kind, default=default) for name, (kind, default) in (options | _AFTER).items()
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # it is how typer reads a command
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


async def _preview(node: Node, saga_id: UUID, values: dict[str, Any]) -> RestartPreview:
    return await preview_restart(actor(None), node, saga_id, from_step=values["from_step"], inputs=values["inputs"])


def _previewed(told: RestartPreview, *, as_json: bool) -> Exit:
    """Print what a restart would do; one that would be refused fails."""
    if as_json:
        typer.echo(told.model_dump_json())
    else:
        rows = {"goes back": told.steps, "is compensated": told.compensated, "is waited for": told.awaited}
        for line in (
            *(f"{what}: {', '.join(names)}" for what, names in rows.items() if names),
            *(f"cannot go back: {each.step}: {each.problem}" for each in told.refusing),
            *([f"note: {told.warning}"] if told.warning else []),
            f"would be refused: {told.problem}" if told.problem else f"would be accepted; ask with --revision {told.revision}",
        ):
            typer.echo(line)
    return Exit.OK if told.accepted else Exit.FAILED


def _flag(parameter: Parameter) -> str:
    return FLAGS.get(parameter.name, f"--{parameter.name.replace('_', '-')}")


def _option(operation: Operation, parameter: Parameter) -> tuple[Any, Any]:
    """Describe an option to typer: its annotation and its default."""
    about = f"{parameter.about[0].upper()}{parameter.about[1:]}"
    default = inspect.Parameter.empty if parameter.required else operation.default(parameter)
    flag = _flag(parameter)
    match parameter.kind:
        case Kind.FLAG:
            return Annotated[bool, typer.Option(flag, help=f"{about}.", show_default=False)], default
        case Kind.TEXT:
            return Annotated[str, typer.Option(flag, help=f"{about}.", show_default=False)], default
        case Kind.STEP:
            return Annotated[str, typer.Option(flag, metavar="STEP", help=f"{about}.", autocompletion=step_names)], default
        case Kind.VALUE:
            default = default if parameter.required else json.dumps(default)
            return Annotated[str, typer.Option(flag, help=f"{about}: JSON, @FILE, or -.")], default
        case Kind.VALUES:
            default = default if parameter.required else []
            how = f"{about}, each as JSON or @FILE; may be repeated."
            return Annotated[list[str], typer.Option(flag, metavar="NAME=VALUE", help=how, show_default=False)], default
        case _:  # pragma: no cover
            assert_never(parameter.kind)


def _value(parameter: Parameter, given: Any) -> Any:
    """Read what was given for a parameter; what cannot be read ends the command."""
    flag = _flag(parameter)
    match parameter.kind:
        case Kind.FLAG | Kind.TEXT | Kind.STEP:
            return given
        case Kind.VALUE:
            return read_value(given, flag)
        case Kind.VALUES:
            values: dict[str, Any] = {}
            for each in given:
                name, mark, text = each.partition("=")
                if not mark or not name or name in values:
                    fail(f"{flag}: write NAME=VALUE, each name once", Exit.USAGE)
                values[name] = read_value(text, f"{flag} {name}")
            return values or None
        case _:  # pragma: no cover
            assert_never(parameter.kind)
