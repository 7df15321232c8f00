"""``goconductor secrets …``: set, listed, deleted, wrapped by another key, verified. No command prints a value."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from goconductor import app
from goconductor.cli import rendering
from goconductor.cli.running import OPEN_SECONDS, AsJson, By, actor, fail, print_drawn, read_file, run, settings_of
from goconductor.control.audit.origin import coming
from goconductor.control.doors.exits import Exit
from goconductor.control.secrets import keeping
from goconductor.control.settings.settings import Settings
from goconductor.ports.store import Store

commands_of_secrets = typer.Typer(
    name="secrets",
    help="Secrets that settings refer to as ${secret:NAME}: set, list, delete, rewrap, verify.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Its name: letters, digits, '_' and '-'.", metavar="NAME", show_default=False)]


@commands_of_secrets.command("set")
def set_(
    context: typer.Context,
    name: Name,
    *,
    file: Annotated[
        str, typer.Option(help="The file that has the value; - is the standard input, or a prompt on a terminal.", metavar="FILE")
    ] = "-",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give a secret a new value, or make it. The value comes from a file or the standard input, without the end of its last line.

    It is never an argument, as all users of the machine can see those.
    """
    value = _value(file)
    run(_set(settings_of(context), name, value, by, as_json=as_json))


@commands_of_secrets.command("list")
def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List secrets without their values, by their names."""
    run(_list(settings_of(context), as_json=as_json))


@commands_of_secrets.command()
def delete(context: typer.Context, name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Delete a secret. Processes that have it go on with it, and do not start again while their settings refer to it."""
    run(_delete(settings_of(context), name, by, as_json=as_json))


@commands_of_secrets.command()
def rewrap(context: typer.Context, *, by: By = None, as_json: AsJson = False) -> None:
    """Wrap the data keys of all secrets by the newest wrapping key, while all goes on; safe to end and to repeat."""
    run(_rewrap(settings_of(context), by, as_json=as_json))


@commands_of_secrets.command()
def verify(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Decrypt each secret without showing it, and see that those are there to which the settings refer. It fails where not."""
    run(_verify(settings_of(context), as_json=as_json))


def _value(file: str) -> str:
    """Return what is to be kept: all of a file but the end of its last line."""
    if file == "-" and sys.stdin.isatty():
        return str(typer.prompt("Value", hide_input=True, confirmation_prompt=True, err=True))
    content = read_file(file, f"--file {file}")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        fail(f"--file {file}: is no text in UTF-8; encode it, as in Base64", Exit.USAGE)
    return text.removesuffix("\n").removesuffix("\r")


async def _set(settings: Settings, name: str, value: str, by: str | None, *, as_json: bool) -> Exit:
    async with _store(settings) as store:
        found = await keeping.set_secret(actor(by), store, settings.secrets, name, value)
    text = f"the secret {found.name} has version {found.version} now; processes that use it take it when they start again"
    typer.echo(found.model_dump_json() if as_json else text)
    return Exit.OK


async def _list(settings: Settings, *, as_json: bool) -> Exit:
    async with _store(settings) as store:
        found = await keeping.list_secrets(actor(), store)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        print_drawn(rendering.secrets(found))
    return Exit.OK


async def _delete(settings: Settings, name: str, by: str | None, *, as_json: bool) -> Exit:
    async with _store(settings) as store:
        found = await keeping.delete_secret(actor(by), store, name)
    typer.echo(found.model_dump_json() if as_json else f"the secret {found.name} is deleted")
    return Exit.OK


async def _rewrap(settings: Settings, by: str | None, *, as_json: bool) -> Exit:
    async with _store(settings) as store:
        found = await keeping.rewrap_secrets(actor(by), store, settings.secrets)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        typer.echo(f"wrapped by {found.key_id} now: {', '.join(found.rewrapped) or 'none more'}")
        _tell(found.problems)
    return Exit.FAILED if found.problems else Exit.OK


async def _verify(settings: Settings, *, as_json: bool) -> Exit:
    async with _store(settings) as store:
        found = await keeping.verify_secrets(actor(), store, settings.secrets, settings.references)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        typer.echo(f"can be decrypted: {', '.join(found.sound) or 'none'}")
        if found.older:
            typer.echo(f"wrapped by an older key: {', '.join(found.older)}; `goconductor secrets rewrap` changes that")
        _tell(found.problems)
    return Exit.FAILED if found.problems else Exit.OK


def _tell(problems: list[str]) -> None:
    for each in problems:
        typer.echo(f"goconductor: {rendering.plain(each)}", err=True)


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Store]:
    """Open the store alone: the bus may be one whose secret is still to be set."""
    async with app.store(settings, open_timeout_seconds=OPEN_SECONDS) as store:
        with coming(door="cli"):
            yield store
