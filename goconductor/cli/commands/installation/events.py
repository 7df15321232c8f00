"""``goconductor events``: what happens to all sagas, line by line, and how it is told to the outside."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer

from goconductor.cli import rendering
from goconductor.cli.running import AsJson, actor, client, print_or_write, run, settings_of
from goconductor.control.asyncapi import asyncapi
from goconductor.control.doors.exits import Exit
from goconductor.control.models import FeedEvent
from goconductor.control.sagas import filters
from goconductor.control.settings.settings import Settings
from goconductor.control.watching.everything import watch_all

commands_of_events = typer.Typer(name="events", help="The events of all sagas.", no_args_is_help=True)


@commands_of_events.command()
def tail(
    context: typer.Context,
    *,
    saga: Annotated[str | None, typer.Option(help="Only events of sagas of this name.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="Only events after which the saga has this status; may be repeated.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only sagas with this label, name=value; may be repeated.")] = None,
    after: Annotated[str | None, typer.Option(help="The cursor of the last event; without it, from now on.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many; without it, at Ctrl-C.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show events of all sagas as they happen, until Ctrl-C. With --json each event has its cursor, for --after."""
    run(_tail(settings_of(context), saga, status, label or [], after, count, as_json=as_json))


@commands_of_events.command("asyncapi")
def asyncapi_(
    context: typer.Context, *, out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it to this file.")] = None
) -> None:
    """Print the AsyncAPI 3.1 document of the topic of events and of webhooks, without a database."""
    print_or_write(json.dumps(asyncapi(settings_of(context).events.topic), indent=2) + "\n", out)


async def _tail(
    settings: Settings,
    saga: str | None,
    status: list[str] | None,
    label: list[str],
    after: str | None,
    count: int | None,
    *,
    as_json: bool,
) -> Exit:
    shown = 0
    async with client(settings) as node:
        told = await watch_all(
            actor(), node, asyncio.Event(), after=after, saga=saga, status=status, labels=filters.read_labels(label)
        )
        async with aclosing(told):
            async for each in told:
                if isinstance(each, str):
                    continue
                typer.echo(each.model_dump_json() if as_json else rendering.plain(_line(each)))
                shown += 1
                if shown == count:
                    return Exit.OK
    return Exit.OK


def _line(event: FeedEvent) -> str:
    entry = event.entry
    turned = f"  {event.status.value}" if event.status is not None and event.status is not event.before else ""
    step = f" {entry.step}" if entry.step else ""
    return f"{entry.at:%Y-%m-%dT%H:%M:%S}Z  {event.saga} {event.saga_id}  {entry.seq} {entry.event}{step}{turned}"
