"""``goconductor audit …``: who has asked for what, and whether the log of it still says what it said."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from goconductor.cli import rendering
from goconductor.cli.running import AsJson, actor, client, print_drawn, run, settings_of
from goconductor.control.audit import reading
from goconductor.control.doors.exits import Exit
from goconductor.control.sagas.filters import read_time
from goconductor.control.settings.settings import Settings

commands_of_audit = typer.Typer(
    name="audit", help="The audit log: who has asked for what; list it, verify its chain.", no_args_is_help=True
)


@commands_of_audit.command("list")
def list_(
    context: typer.Context,
    *,
    by: Annotated[str | None, typer.Option(help="Only requests of this actor.", show_default=False)] = None,
    function: Annotated[
        str | None, typer.Option(help="Only calls of this function, such as sagas.requests.ask.", show_default=False)
    ] = None,
    about: Annotated[
        str | None, typer.Option(help="Only requests about this, such as 'saga 01930c…'.", show_default=False)
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(help="Only those with this outcome: done, begun, unchanged or refused.", show_default=False)
    ] = None,
    since: Annotated[str | None, typer.Option(help="2026-01-31T12:00:00Z, or a day.", metavar="TIME")] = None,
    until: Annotated[str | None, typer.Option(help="Only those before this time.", metavar="TIME")] = None,
    before: Annotated[int | None, typer.Option(help="Only older ones than this id, from the page before.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=reading.PAGE_MAX)] = 50,
    as_json: AsJson = False,
) -> None:
    """List requests that have changed something, or were refused, the newest first."""
    wanted = {"by": by, "function": function, "about": about, "outcome": outcome, "before": before, "limit": limit}
    run(_list(settings_of(context), wanted, since, until, as_json=as_json))


@commands_of_audit.command()
def verify(
    context: typer.Context,
    *,
    against: Annotated[
        str | None,
        typer.Option(help="A link that you have saved elsewhere: the chain must contain it.", metavar="HASH", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute the chain again and print its head. The exit code is 1 if a row was changed or removed."""
    run(_verify(settings_of(context), against, as_json=as_json))


async def _list(settings: Settings, wanted: dict[str, Any], since: str | None, until: str | None, *, as_json: bool) -> Exit:
    times: dict[str, Any] = {name: read_time(text, name=name) for name, text in (("since", since), ("until", until))}
    async with client(settings) as node:
        page = await reading.entries(actor(), node, **wanted, **times)
    if as_json:
        typer.echo(page.model_dump_json())
        return Exit.OK
    print_drawn(rendering.audit(page))
    if page.before is not None:
        typer.echo(f"more: --before {page.before}")
    return Exit.OK


async def _verify(settings: Settings, against: str | None, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        proof = await reading.verify(actor(), node, against=against)
    if as_json:
        typer.echo(proof.model_dump_json())
    else:
        typer.echo(rendering.proof(proof))
    return Exit.OK if proof.sound else Exit.FAILED
