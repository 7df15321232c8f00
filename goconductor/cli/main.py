"""The commands and their common options."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from goconductor import __version__, app
from goconductor.builds import build
from goconductor.cli.commands.dataflow import commands_of_dataflow
from goconductor.cli.commands.definition import commands_of_definition
from goconductor.cli.commands.flow.editing import commands_of_flow
from goconductor.cli.commands.installation.audit import commands_of_audit
from goconductor.cli.commands.installation.changes import commands_of_bus, commands_of_election
from goconductor.cli.commands.installation.config import commands_of_config
from goconductor.cli.commands.installation.doctor import doctor
from goconductor.cli.commands.installation.events import commands_of_events
from goconductor.cli.commands.installation.installation import commands_of_letters, commands_of_locks, leader, participants
from goconductor.cli.commands.installation.keys import commands_of_key
from goconductor.cli.commands.installation.secrets import commands_of_secrets
from goconductor.cli.commands.sagas.saga import commands_of_saga
from goconductor.cli.commands.schedule import commands_of_schedule
from goconductor.cli.commands.starting import init
from goconductor.cli.commands.webhooks import commands_of_webhooks
from goconductor.cli.running import fail, run, settings_of
from goconductor.control.doors.exits import Exit
from goconductor.control.settings.settings import Settings
from goconductor.errors import PluginNotFoundError, StoreUnavailableError

EPILOG = "Exit codes: 0 done; 1 refused, or the saga did not complete; 2 wrong command or settings; 3 unavailable; 4 not found."

PAUSE_SECONDS = 0.5
"""Seconds between two attempts to reach the database."""

cli = typer.Typer(
    help="Decentralised saga coordination.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.add_typer(commands_of_saga)
cli.add_typer(commands_of_definition)
cli.add_typer(commands_of_dataflow)
cli.add_typer(commands_of_flow)
cli.add_typer(commands_of_schedule)
cli.add_typer(commands_of_events)
cli.add_typer(commands_of_webhooks)
cli.add_typer(commands_of_locks)
cli.add_typer(commands_of_letters)
cli.add_typer(commands_of_key)
cli.add_typer(commands_of_secrets)
cli.add_typer(commands_of_audit)
cli.add_typer(commands_of_config)
cli.add_typer(commands_of_bus)
cli.add_typer(commands_of_election)
for command in (init, participants, leader, doctor):
    cli.command()(command)


def main() -> None:
    """Run ``goconductor``: its entry point."""
    cli()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{__version__} ({build()})")
        raise typer.Exit


@cli.callback()
def common(
    *,
    config: Annotated[
        Path | None, typer.Option(help="The settings, a YAML file; GOCONDUCTOR_CONFIG or ./goconductor.yaml by default.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and which build it is.")
    ] = False,
) -> None:
    """Options of all commands."""


@cli.command()
def serve(context: typer.Context) -> None:
    """Serve REST, and gRPC if it has a port, on loopback by default; and take part in elections of the leader."""
    settings = settings_of(context, serving=True)
    try:
        from goconductor.cli.commands.installation import serve as serving  # noqa: PLC0415  (needs the extra 'rest', other commands do not)
    except PluginNotFoundError as error:
        fail(str(error), Exit.USAGE)
    run(serving.serve(settings))


@cli.command()
def migrate(
    context: typer.Context,
    *,
    wait: Annotated[
        float, typer.Option(min=0, help="How many seconds to wait for PostgreSQL, if it cannot be reached yet.")
    ] = 0.0,
) -> None:
    """Bring the database's schema to this version; safe to repeat, and for many processes at once."""
    run(_migrate(settings_of(context), wait))


async def _migrate(settings: Settings, wait_seconds: float) -> Exit:
    began = time.monotonic()
    is_logged = False
    while True:
        try:
            await app.migrate(settings)
        except StoreUnavailableError as error:
            left = wait_seconds - (time.monotonic() - began)
            if left <= 0:
                raise
            if not is_logged:
                typer.echo(f"goconductor: waiting up to {wait_seconds:g} s for PostgreSQL: {error}", err=True)
                is_logged = True
            await asyncio.sleep(min(PAUSE_SECONDS, left))
        else:
            typer.echo(f"schema {settings.database.schema_name!r} is at this version")
            return Exit.OK
