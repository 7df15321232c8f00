"""``goconductor definition …``: check files without a database; list, show, draw and activate what is registered."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from goconductor.cli import rendering
from goconductor.cli.completion import saga_names, saga_versions
from goconductor.cli.documents import content, imported, is_code, is_file
from goconductor.cli.rendering import plain
from goconductor.cli.running import AsJson, actor, choice, client, fail, print_drawn, print_or_write, read_file, run, settings_of
from goconductor.control.definitions import comparing, loading, versions
from goconductor.control.definitions.json_schema import definition_schema
from goconductor.control.diagrams import drawing as requests
from goconductor.control.diagrams.drawing import Form
from goconductor.control.diagrams.texts import Language, text_of
from goconductor.control.doors.exits import Exit
from goconductor.control.importers.orchy import importing
from goconductor.control.models import CheckedDefinitions, DefinitionList, DefinitionSummary
from goconductor.control.settings.settings import Settings
from goconductor.saga import plan as plans
from goconductor.saga.definition import Definition
from goconductor.saga.growth import TURNS_MAX

commands_of_definition = typer.Typer(
    name="definition", help="Check, register, list, show, draw and activate definitions; their schema.", no_args_is_help=True
)


class Foreign(enum.StrEnum):
    """Another system's form of definitions."""

    ORCHY = "orchy"


Name = Annotated[str, typer.Argument(help="The saga's name.", metavar="NAME", autocompletion=saga_names)]
Version = Annotated[str | None, typer.Option(help="A version other than the active one.", autocompletion=saga_versions)]


@commands_of_definition.command()
def check(
    files: Annotated[
        list[str],
        typer.Argument(help="YAML or JSON files, - for the standard input, or module:saga for one in Python.", metavar="FILE..."),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Check definitions without a database: all faults at once, each with its remedy; 1 is then the exit code."""
    found = [
        loading.checked(partial(imported, file), file) if is_code(file) else loading.check(content(file), file) for file in files
    ]
    checked = CheckedDefinitions(sound=not any(each.problems for each in found), definitions=found)
    if as_json:
        typer.echo(checked.model_dump_json())
    else:
        for each in found:
            if each.problems:
                can = "cannot run" if each.version is None else "can run, but hardly as it is meant"
                typer.echo(plain(f"{each.file}: saga {each.saga or '(without a name)'} {can}:"))
                for number, problem in enumerate(each.problems, 1):
                    typer.echo(plain(f"  {number}. {problem}"))
            else:
                typer.echo(plain(f"{each.file}: saga {each.saga}, {each.steps} steps, version {each.version}: it can run"))
            for advice in each.advice:
                typer.echo(plain(f"  - {advice}"))
    raise typer.Exit(Exit.OK if checked.sound else Exit.FAILED)


@commands_of_definition.command()
def register(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(help="A YAML or JSON file, - for the standard input, or module:saga for one in Python.", metavar="FILE"),
    ],
    *,
    activate: Annotated[
        bool, typer.Option(help="Whether new sagas take it, unless one is pinned or in a living instance's code.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Register a definition, from a file or from Python code; the same one again changes nothing but which version is active."""
    data = None if is_code(what) else content(what)
    _register(
        context,
        lambda: imported(what) if data is None else loading.load_definition(data),
        activate=activate,
        as_json=as_json,
    )


@commands_of_definition.command("import")
def import_(
    context: typer.Context,
    form: Annotated[Foreign, typer.Argument(help="The form of the file: orchy.", metavar="FORM")],
    file: Annotated[str, typer.Argument(help="A JSON file; - for the standard input.", metavar="FILE")],
    *,
    participant: Annotated[
        str, typer.Option(help="The participant whose steps the workers' actions are.", metavar="NAME")
    ] = importing.PARTICIPANT,
    turns_max: Annotated[
        int, typer.Option(min=1, max=TURNS_MAX, help="Greatest number of turns of a circle.")
    ] = importing.TURNS_MAX,
    activate: Annotated[
        bool, typer.Option(help="Whether new sagas take it, unless one is pinned or in a living instance's code.")
    ] = True,
    show_only: Annotated[bool, typer.Option("--show", help="Only print the definition, without a database.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a definition of another system's document, and register it: all that cannot be imported is named with its place."""
    data = read_file(file, file)

    def made() -> Definition:
        match form:
            case Foreign.ORCHY:  # pragma: no branch
                return importing.load(data, participant=participant, turns_max=turns_max)

    async def shown() -> Exit:
        typer.echo(text_of(versions.unregistered(made()), Language.JSON), nl=False)
        return Exit.OK

    if show_only:
        run(shown())
    else:
        _register(context, made, activate=activate, as_json=as_json)


def _register(context: typer.Context, made: Callable[[], Definition], *, activate: bool, as_json: bool) -> None:
    async def registered(settings: Settings) -> Exit:
        definition = made()
        async with client(settings) as node:
            found = await versions.register(actor(), node, definition, activate=activate)
            wanted = activate and not found.active and not found.waits_for
            taken = await versions.definition(actor(), node, found.saga) if wanted else None
        _print(found, as_json=as_json)
        if activate and found.waits_for:
            lacking = f"{', '.join(found.waits_for)} do not know {', '.join(found.features)}"
            typer.echo(plain(f"it is not active before these instances are upgraded: {lacking}"), err=True)
        if taken is not None:
            why = "it is pinned" if taken.pinned else "a living instance has it in its code"
            remedy = f"`goconductor definition activate {found.saga} {found.version}` pins this one"
            typer.echo(plain(f"new sagas take {taken.version}, as {why}; {remedy}"), err=True)
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
            found = await (
                versions.list_definitions(actor(), node) if name is None else versions.versions_of(actor(), node, name)
            )
        if as_json:
            typer.echo(DefinitionList(definitions=found).model_dump_json())
        else:
            print_drawn(rendering.definitions(found))
        return Exit.OK

    run(listed(settings_of(context)))


@commands_of_definition.command()
def show(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A saga's name, or a file's.", metavar="NAME|FILE", autocompletion=saga_names)],
    *,
    version: Version = None,
    form: Annotated[Language | None, choice(Language, "How it is written; JSON by default.", "--as")] = None,
    as_compiled: Annotated[
        bool, typer.Option("--compiled", help="With steps and conditions in place of groups and switches.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a definition, as it can be registered again: a registered one, or a file's, without a database.

    --as writes it as YAML, as Python code, or as a diagram. --compiled writes it as it is stored: a switch is a value and steps
    with conditions. With --json, both, its version and whether it is active.
    """
    if as_json and form is not None:
        fail("--as and --json exclude each other: --json prints a document of its own; leave one of them out", Exit.USAGE)
    if as_compiled and (as_json or form is Language.MERMAID):
        fail(
            "--compiled is for --as json, yaml and python: --json prints both, and a diagram has the steps; leave it out",
            Exit.USAGE,
        )
    if is_file(what):
        _without_version(what, version)
    language = form or Language.JSON

    async def shown() -> Exit:
        if is_file(what):
            definition = loading.load_definition(read_file(what, what))
            found = versions.unregistered(definition)
            text = f"{found.model_dump_json()}\n" if as_json else text_of(found, language, as_compiled=as_compiled)
            typer.echo(text, nl=False)
            return Exit.OK
        async with client(settings_of(context)) as node:
            found = await versions.definition(actor(), node, what, version)
        if as_json:
            typer.echo(found.model_dump_json())
        else:
            typer.echo(text_of(found, language, as_compiled=as_compiled), nl=False)
        return Exit.OK

    run(shown())


@commands_of_definition.command()
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(help="A file, a saga's name, or NAME@VERSION.", metavar="OLD", autocompletion=saga_names)],
    new: Annotated[str, typer.Argument(help="The same.", metavar="NEW", autocompletion=saga_names)],
    *,
    as_json: AsJson = False,
) -> None:
    """Say in words what differs between two versions, and whether running sagas could go on under the new one. Two files need no
    database.
    """

    async def compared() -> Exit:
        files = [plans.plan(loading.load_definition(read_file(each, each))) if is_file(each) else None for each in (old, new)]
        if None in files:
            async with client(settings_of(context)) as node:
                first, second = [
                    plan or await versions.plan_of(node, name, version or None)
                    for plan, (name, _, version) in zip(files, (old.partition("@"), new.partition("@")), strict=True)
                ]
        else:
            first, second = [plan for plan in files if plan is not None]
        found = comparing.diff_of(first, second)
        if as_json:
            typer.echo(found.model_dump_json())
        else:
            for change in found.changes:
                typer.echo(plain(f"- {change}"))
            typer.echo(plain(found.summary))
        return Exit.OK

    run(compared())


@commands_of_definition.command()
def schema(*, out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it to this file.")] = None) -> None:
    """Print the JSON Schema (2020-12) of definitions, by which an editor completes and checks a file, without a database."""
    text = json.dumps(definition_schema(), indent=2, ensure_ascii=True) + "\n"
    print_or_write(text, out)


@commands_of_definition.command()
def diagram(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A saga's name, or a file's.", metavar="NAME|FILE", autocompletion=saga_names)],
    *,
    version: Version = None,
    form: Annotated[Form, choice(Form, "How it is drawn.")] = Form.MERMAID,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it to this file.")] = None,
) -> None:
    """Draw a definition: one that lies in a file, without a database, or a registered one."""
    if is_file(what):
        _without_version(what, version)

    async def drawn() -> Exit:
        if is_file(what):
            plan = plans.plan(loading.load_definition(read_file(what, what)))
            text = requests.diagram_of(plan, form=form)
        else:
            async with client(settings_of(context)) as node:
                text = await requests.diagram(actor(), node, what, version, form=form)
        print_or_write(text, out)
        return Exit.OK

    run(drawn())


@commands_of_definition.command()
def activate(
    context: typer.Context,
    name: Name,
    version: Annotated[str, typer.Argument(help="The version for new sagas.", metavar="VERSION", autocompletion=saga_versions)],
    *,
    as_json: AsJson = False,
) -> None:
    """Pin this version: new sagas take it, whatever instances have in their code. Those that have started keep theirs."""

    async def activated(settings: Settings) -> Exit:
        async with client(settings) as node:
            _print(await versions.activate(actor(), node, name, version), as_json=as_json)
        return Exit.OK

    run(activated(settings_of(context)))


@commands_of_definition.command()
def unpin(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Let new sagas take the newest version that a living instance has in its code."""

    async def unpinned(settings: Settings) -> Exit:
        async with client(settings) as node:
            _print(await versions.unpin(actor(), node, name), as_json=as_json)
        return Exit.OK

    run(unpinned(settings_of(context)))


def _without_version(what: str, version: str | None) -> None:
    if version is not None:
        fail(f"--version chooses among registered ones, and {what} is a file, which has one; leave it out", Exit.USAGE)


def _print(found: DefinitionSummary, *, as_json: bool) -> None:
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        typer.echo(plain(f"{found.saga}  {found.version}  {rendering.standing(found)}".rstrip()))
