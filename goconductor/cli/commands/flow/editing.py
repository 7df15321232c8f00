"""``goconductor flow show|add|replace|delete|change``: a flow, edited one step at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

import typer
from msgspec import UNSET
from rich.text import Text

from goconductor.cli.commands.flow.executing import add_to, read_duration
from goconductor.cli.completion import saga_names, saga_versions
from goconductor.cli.rendering import plain
from goconductor.cli.running import AsJson, By, actor, client, fail, print_lines, read_file, read_value, run, settings_of
from goconductor.control.actor import Actor
from goconductor.control.doors.exits import Exit
from goconductor.control.flows import editing
from goconductor.control.flows.editing import FlowDetail, FlowStepDetail
from goconductor.control.flows.edits import OwnFields
from goconductor.control.yaml_reader import DEFINITION_BYTES_MAX, DocumentError, read_yaml
from goconductor.engine.node import Node
from goconductor.saga.data import values
from goconductor.saga.definition import PRIORITY_MAX

commands_of_flow = typer.Typer(
    name="flow", help="Edit sagas step by step while they are executed, and execute them.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The flow's name.", metavar="NAME", autocompletion=saga_names)]
StepId = Annotated[str, typer.Argument(help="The id of a step.", metavar="STEP")]
Written = Annotated[
    str,
    typer.Argument(
        help="PARTICIPANT.STEP; or a step as a document, YAML or JSON: inline, @FILE, or - for the standard input.",
        metavar="STEP",
    ),
]
OfId = Annotated[str | None, typer.Option("--id", help="Its id; the part behind the dot by default.", show_default=False)]
After = Annotated[
    list[str] | None, typer.Option(help="The id of a step before it; may be repeated.", metavar="STEP", show_default=False)
]
Before = Annotated[
    list[str] | None,
    typer.Option(help="The id of a step that comes after it from now on; may be repeated.", metavar="STEP", show_default=False),
]
Inputs = Annotated[
    str | None,
    typer.Option(help="""JSON, @FILE or -: by name {"value": …} or {"ref": "$.input.sku"}.""", show_default=False),
]
MadeOf = Annotated[
    str | None,
    typer.Option(
        help="The version that the flow must have, from `flow show`; the edit is refused if another one came first.",
        metavar="VERSION",
        show_default=False,
        autocompletion=saga_versions,
    ),
]


@commands_of_flow.command()
def show(
    context: typer.Context,
    name: Name,
    step: Annotated[str | None, typer.Argument(help="Only this step.", metavar="[STEP]", show_default=False)] = None,
    *,
    version: Annotated[
        str | None, typer.Option(help="A version other than that of new executions.", autocompletion=saga_versions)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a flow with its version and its steps; or one step of it, as `flow replace` takes it."""
    if step is not None and version is not None:
        fail("--version is of a whole flow; leave it or STEP out", Exit.USAGE)

    async def shown() -> Exit:
        async with client(settings_of(context)) as node:
            if step is None:
                _print(await editing.lookup(actor(), node, name, version), as_json=as_json)
            else:
                found = await editing.lookup_step(actor(), node, name, step)
                typer.echo(found.model_dump_json() if as_json else values.encode(found.step).decode())
        return Exit.OK

    run(shown())


@commands_of_flow.command()
def add(
    context: typer.Context,
    name: Name,
    step: Written,
    *,
    id: OfId = None,
    after: After = None,
    before: Before = None,
    inputs: Inputs = None,
    made_of: MadeOf = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add a step. The first one makes the flow. The same step again changes nothing."""
    document = _document(step, id, after, before, inputs)
    _edit(
        context,
        lambda who, node: editing.create_step(who, node, name, document, made_of=made_of),
        by,
        as_json=as_json,
    )


@commands_of_flow.command()
def replace(
    context: typer.Context,
    name: Name,
    step: Written,
    *,
    id: OfId = None,
    after: After = None,
    before: Before = None,
    inputs: Inputs = None,
    made_of: MadeOf = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Replace the step with the same id. Without --after, the steps before it stay the same."""
    document = _document(step, id, after, before, inputs)
    _edit(
        context,
        lambda who, node: editing.replace_step(who, node, name, document, made_of=made_of),
        by,
        as_json=as_json,
    )


@commands_of_flow.command()
def delete(
    context: typer.Context, name: Name, step: StepId, *, made_of: MadeOf = None, by: By = None, as_json: AsJson = False
) -> None:
    """Remove a step. Steps that came after it then come after the steps before it."""
    _edit(context, lambda who, node: editing.delete_step(who, node, name, step, made_of=made_of), by, as_json=as_json)


@commands_of_flow.command()
def change(
    context: typer.Context,
    name: Name,
    *,
    priority: Annotated[
        int | None,
        typer.Option(
            min=-PRIORITY_MAX, max=PRIORITY_MAX, help="Where steps wait for room, greater ones come first.", show_default=False
        ),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(help="Such as 10m: after that an execution compensates. 0 removes the limit.", show_default=False),
    ] = None,
    made_of: MadeOf = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change the flow's own priority and timeout, for its next executions."""
    if priority is None and timeout is None:
        fail("give --priority or --timeout", Exit.USAGE)
    fields = OwnFields(
        priority=UNSET if priority is None else priority,
        timeout_seconds=UNSET if timeout is None else None if timeout == "0" else read_duration(timeout),
    )
    _edit(context, lambda who, node: editing.change_flow(who, node, name, fields, made_of=made_of), by, as_json=as_json)


def _document(
    written: str, id: str | None, after: list[str] | None, before: list[str] | None, inputs: str | None
) -> dict[str, Any]:
    """Return the step that the arguments write. What a document says itself cannot be said by an option as well."""
    inline = written != "-" and not written.startswith("@")
    data: bytes | str = written if inline else read_file(written.removeprefix("@"), f"STEP {written}")
    try:
        document = read_yaml(data, bytes_max=DEFINITION_BYTES_MAX)
    except DocumentError as error:
        fail(f"STEP {error}", Exit.USAGE)
    if isinstance(document, str):
        document = {"id": document.rpartition(".")[2], "run": document} if id is None else {"run": document}
    if not isinstance(document, dict):
        fail("STEP is no step: write PARTICIPANT.STEP, or an object such as '{id: charge, run: bank.charge}'", Exit.USAGE)
    given = {"id": id, "after": after, "before": before, "inputs": None if inputs is None else read_value(inputs, "--inputs")}
    for field, value in given.items():
        if value is None:
            continue
        if field in document:
            fail(f"--{field}: the document of the step has its own {field}; leave one of them out", Exit.USAGE)
        document[field] = value
    return document


def _edit(
    context: typer.Context,
    edit: Callable[[Actor, Node], Awaitable[FlowDetail]],
    by: str | None,
    *,
    as_json: bool,
) -> None:
    async def edited() -> Exit:
        async with client(settings_of(context)) as node:
            _print(await edit(actor(by), node), as_json=as_json)
        return Exit.OK

    run(edited())


def _print(flow: FlowDetail, *, as_json: bool) -> None:
    if as_json:
        typer.echo(flow.model_dump_json())
    else:
        print_lines(Text(plain(line)) for line in _lines(flow))


def _lines(flow: FlowDetail) -> Iterator[str]:
    own = f", priority {flow.priority}" if flow.priority else ""
    own += "" if flow.timeout_seconds is None else f", timeout {flow.timeout_seconds:g} s"
    yield f"{flow.flow}  version {flow.version}{own}"
    width = max(len(each.id) for each in flow.steps)
    for each in flow.steps:
        after = f"  after {', '.join(sorted(each.after))}" if each.after else ""
        yield f"  {each.id:{width}}  {_what(each)}{after}"


def _what(step: FlowStepDetail) -> str:
    """Return what a step is, in a word or two: what it runs, or its kind."""
    if run_ := step.step.get("run"):
        return str(run_)
    if isinstance(saga := step.step.get("saga"), dict):
        return f"executes {saga.get('name')}"
    return next((kind for kind in ("delay_seconds", "wait", "map", "repeat", "lock") if kind in step.step), "step").partition(
        "_"
    )[0]


add_to(commands_of_flow)
