"""``goconductor dataflow run``: data are given, what can run runs, and what is missing is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from goconductor.cli.completion import saga_names
from goconductor.cli.rendering import plain
from goconductor.cli.running import AsJson, By, actor, client, fail, print_lines, read_value, run, settings_of
from goconductor.control.dataflows import runs
from goconductor.control.dataflows.documents import DataflowRun
from goconductor.control.doors.exits import Exit
from goconductor.control.settings.settings import Settings
from goconductor.saga.data import values

commands_of_dataflow = typer.Typer(name="dataflow", help="Run sagas by their data.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The dataflow's name.", metavar="NAME", autocompletion=saga_names)]
Id = Annotated[str, typer.Argument(help="The id of this saga, up to 255 characters. The first run starts it.", metavar="ID")]
Data = Annotated[str, typer.Option(help="A JSON object of data by name, @FILE, or - for the standard input.")]
Close = Annotated[bool, typer.Option("--close", help="End the saga once its target is there.")]
Wait = Annotated[float, typer.Option(min=0, help="How many seconds to wait for running builders.")]


@commands_of_dataflow.callback()
def _alone() -> None:
    """Keep the one command's name in the line: others may come."""


@commands_of_dataflow.command("run")
def run_(
    context: typer.Context,
    name: Name,
    id: Id,
    *,
    data: Data = "{}",
    close: Close = False,
    wait: Wait = runs.TIMEOUT_SECONDS,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give data to a dataflow, and run the builders that can run. The answer says what was made, and what is missing for whom."""
    given = read_value(data, "--data")
    if not isinstance(given, dict):
        fail('--data: is no object; give datum → value, such as \'{"car": "van"}\'', Exit.USAGE)
    run(_run(settings_of(context), name, id, given, by, close=close, wait=wait, as_json=as_json))


async def _run(
    settings: Settings, name: str, id: str, given: dict[str, Any], by: str | None, *, close: bool, wait: float, as_json: bool
) -> Exit:
    async with client(settings) as node:
        answer = await runs.run(actor(by), node, name, id, given, close=close, timeout_seconds=wait)
    if as_json:
        typer.echo(answer.model_dump_json())
    else:
        print_lines(Text(plain(line)) for line in _lines(answer))
    return Exit.FAILED if answer.failed or answer.untaken else Exit.OK


def _lines(answer: DataflowRun) -> Iterator[str]:
    yield f"{answer.dataflow} {answer.id}: {answer.status}{', closed' if answer.closed else ''} (saga {answer.saga_id})"
    for datum, value in answer.produced.items():
        yield f"  {datum} = {values.encode(value).decode()}{' (new)' if datum in answer.new else ''}"
    for datum, why in answer.failed.items():
        yield f"  {datum} failed: {why}"
    for datum in answer.running:
        yield f"  {datum} is being made"
    for datum, wanted_by in answer.missing.items():
        yield f"  {datum} is missing, {', '.join(wanted_by) or 'the target'} {'want' if len(wanted_by) > 1 else 'wants'} it"
    for datum, taken_by in answer.optional.items():
        yield f"  {datum} may be given to {', '.join(taken_by)}"
    for datum in answer.untaken:
        yield f"  {datum} was not taken in time: give it again"
