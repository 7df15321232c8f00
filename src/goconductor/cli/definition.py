"""``goconductor definition …``: check files without a database; list, show, draw and activate what is registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from goconductor.cli import picture
from goconductor.cli.completion import saga_names, saga_versions
from goconductor.cli.picture import plain
from goconductor.cli.running import AsJson, Exit, client, fail, read_file, run, settings_of
from goconductor.cli.running import console as console_of
from goconductor.control import definitions, diagrams
from goconductor.control.diagrams import Form
from goconductor.control.models import CheckedDefinitions, DefinitionList, DefinitionSummary
from goconductor.control.settings import Settings
from goconductor.saga import graph

commands_of_definition = typer.Typer(
    name="definition", help="Check, register, list, show, draw and activate definitions.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The saga's name.", metavar="NAME", autocompletion=saga_names)]
Version = Annotated[str | None, typer.Option(help="A version other than the active one.", autocompletion=saga_versions)]


@commands_of_definition.command()
def check(
    files: Annotated[list[str], typer.Argument(help="YAML or JSON files; - for the standard input.", metavar="FILE...")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check definitions in files, without a database: all faults at once, each with its remedy; 1 is then the exit code."""
    found = [definitions.check(read_file(file, file), file) for file in files]
    checked = CheckedDefinitions(sound=not any(each.problems for each in found), definitions=found)
    if as_json:
        typer.echo(checked.model_dump_json())
    else:
        for each in found:
            if each.problems:
                typer.echo(plain(f"{each.file}: saga {each.saga or '(without a name)'} cannot run:"))
                for number, problem in enumerate(each.problems, 1):
                    typer.echo(plain(f"  {number}. {problem}"))
            else:
                typer.echo(plain(f"{each.file}: saga {each.saga}, {each.steps} steps, version {each.version}: it can run"))
    raise typer.Exit(Exit.OK if checked.sound else Exit.FAILED)


@commands_of_definition.command()
def register(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A YAML or JSON file; - for the standard input.", metavar="FILE")],
    *,
    activate: Annotated[bool, typer.Option(help="Whether new sagas take this version from now on.")] = True,
    as_json: AsJson = False,
) -> None:
    """Register a definition; the same one again changes nothing but which version is active."""
    data = read_file(file, file)

    async def registered(settings: Settings) -> Exit:
        definition = definitions.load(data)
        async with client(settings) as node:
            _print(await definitions.register(node, definition, activate=activate), as_json=as_json)
        return Exit.OK

    run(registered(settings_of(context)))


@commands_of_definition.command("list")
def list_(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="Only the versions of this saga.", metavar="[NAME]", autocompletion=saga_names)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List all versions of all definitions."""

    async def listed(settings: Settings) -> Exit:
        async with client(settings) as node:
            found = await (definitions.list_definitions(node) if name is None else definitions.versions(node, name))
        if as_json:
            typer.echo(DefinitionList(definitions=found).model_dump_json())
        else:
            console_of().print(picture.definitions(found))
        return Exit.OK

    run(listed(settings_of(context)))


@commands_of_definition.command()
def show(context: typer.Context, name: Name, *, version: Version = None, as_json: AsJson = False) -> None:
    """Show a definition's document, as it can be registered again. With --json, its version and whether it is active as well."""

    async def shown(settings: Settings) -> Exit:
        async with client(settings) as node:
            found = await definitions.definition(node, name, version)
        typer.echo(found.model_dump_json() if as_json else json.dumps(found.document, indent=2, ensure_ascii=True))
        return Exit.OK

    run(shown(settings_of(context)))


@commands_of_definition.command()
def diagram(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A saga's name, or a file's.", metavar="NAME|FILE", autocompletion=saga_names)],
    *,
    version: Version = None,
    form: Annotated[Form, typer.Option(help="How it is drawn.")] = Form.MERMAID,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it to this file.")] = None,
) -> None:
    """Draw a definition: one that lies in a file, without a database, or a registered one."""

    async def drawn() -> Exit:
        if _is_file(what):
            plan = graph.plan(definitions.load(read_file(what, what)))
            text = diagrams.diagram_of(plan, form=form)
        else:
            async with client(settings_of(context)) as node:
                text = await diagrams.diagram(node, what, version, form=form)
        if out is None:
            typer.echo(text, nl=not text.endswith("\n"))
        else:
            _write(out, text)
        return Exit.OK

    run(drawn())


@commands_of_definition.command()
def activate(
    context: typer.Context,
    name: Name,
    version: Annotated[str, typer.Argument(help="Which new sagas are to take.", metavar="VERSION", autocompletion=saga_versions)],
    *,
    as_json: AsJson = False,
) -> None:
    """Let new sagas take this version. Those that have started keep theirs."""

    async def activated(settings: Settings) -> Exit:
        async with client(settings) as node:
            _print(await definitions.activate(node, name, version), as_json=as_json)
        return Exit.OK

    run(activated(settings_of(context)))


def _is_file(what: str) -> bool:
    """A saga's name has no dot and no slash, a file's has one most often."""
    return what == "-" or "." in what or "/" in what


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"--out {path}: cannot be written ({error.strerror}); name another file", Exit.USAGE)


def _print(found: DefinitionSummary, *, as_json: bool) -> None:
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        typer.echo(plain(f"{found.saga}  {found.version}{'  active' if found.active else ''}"))
