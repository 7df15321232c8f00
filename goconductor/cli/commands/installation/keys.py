"""``goconductor key …``: API keys, made, listed, revoked."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from goconductor.cli import rendering
from goconductor.cli.running import AsJson, By, actor, client, print_drawn, run, settings_of
from goconductor.control.authority import keys
from goconductor.control.doors.exits import Exit
from goconductor.control.roles import Role, role_problem
from goconductor.control.settings.settings import Settings

commands_of_key = typer.Typer(
    name="key", help="API keys of people and programs that ask over REST and gRPC: make, list, revoke.", no_args_is_help=True
)

KeyId = Annotated[str, typer.Argument(help="Its id.", metavar="ID", show_default=False)]
_DAYS = re.compile(r"([0-9]+(?:\.[0-9]+)?)d")


def _days(text: str) -> float:
    if (found := _DAYS.fullmatch(text)) is None:
        raise typer.BadParameter(f"{text[:60]!r} is no time in days; write 90d")
    return float(found[1])


def _role(text: str) -> str:
    if (problem := role_problem(text)) is not None:
        raise typer.BadParameter(problem)
    return text


@commands_of_key.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name of its holder, as the history of sagas shows it.", show_default=False)],
    *,
    role: Annotated[
        list[str],
        typer.Option(
            help="What its holder may do; may be repeated. worker:payments works for one participant only.",
            parser=_role,
            metavar=f"[{'|'.join(Role)}|worker:PARTICIPANT]",
            autocompletion=lambda: [*Role],
        ),
    ],
    expires: Annotated[
        float | None,
        typer.Option(help="After how many days it ends, such as 90d; never by default.", parser=_days, metavar="DAYS"),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it, only this once."""
    run(_create(settings_of(context), name, role, expires, by, as_json=as_json))


@commands_of_key.command("list")
def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List API keys without their secrets, the newest first."""
    run(_list(settings_of(context), as_json=as_json))


@commands_of_key.command()
def revoke(context: typer.Context, key_id: KeyId, *, by: By = None, as_json: AsJson = False) -> None:
    """End an API key. Servers refuse it within about a second, and end what it has open within a few."""
    run(_revoke(settings_of(context), key_id, by, as_json=as_json))


async def _create(
    settings: Settings, name: str, roles: list[str], expires: float | None, by: str | None, *, as_json: bool
) -> Exit:
    async with client(settings) as node:
        made = await keys.create_key(actor(by), node, name, roles, expires_days=expires)
    typer.echo(made.model_dump_json() if as_json else made.key)
    return Exit.OK


async def _list(settings: Settings, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        found = await keys.list_keys(actor(), node)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        print_drawn(rendering.keys(found))
    return Exit.OK


async def _revoke(settings: Settings, key_id: str, by: str | None, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        ended = await keys.revoke_key(actor(by), node, key_id)
    typer.echo(ended.model_dump_json() if as_json else f"the key {ended.key_id} of {ended.name} is revoked")
    return Exit.OK
