"""``goconductor schedule …``: sagas that are started when their time comes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from goconductor.cli import rendering
from goconductor.cli.commands.sagas.requests import RequestId
from goconductor.cli.completion import saga_names
from goconductor.cli.running import AsJson, By, actor, choice, client, print_drawn, print_lines, read_value, run, settings_of
from goconductor.control.actor import Actor
from goconductor.control.doors.exits import Exit
from goconductor.control.sagas import filters
from goconductor.control.schedules import requests
from goconductor.control.schedules.documents import ScheduleDetail
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.schedules.schedule import Overlap

commands_of_schedule = typer.Typer(name="schedule", help="Start sagas by a cron expression or an interval.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The schedule's name.", metavar="NAME")]
SagaName = Annotated[str, typer.Argument(help="The name of the definition.", metavar="SAGA", autocompletion=saga_names)]
Input = Annotated[str, typer.Option(help="JSON, @FILE, or - for the standard input.")]
Cron = Annotated[str | None, typer.Option(help="Five fields, minute first; or @daily, @hourly and so on.", show_default=False)]
Zone = Annotated[
    str | None, typer.Option("--time-zone", help="The time zone of the expression, such as Europe/Berlin.", show_default=False)
]
Every = Annotated[int | None, typer.Option("--every", help="An interval in seconds, instead of --cron.", show_default=False)]
OverlapRule = Annotated[Overlap, choice(Overlap, "What is done when the saga before has not ended.")]
CatchUp = Annotated[int, typer.Option(help="How many missed fires are started at most.")]
Paused = Annotated[bool, typer.Option("--paused", help="Fire nothing until it is resumed.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="NAME=VALUE, of each saga; may be repeated.")]


@commands_of_schedule.command()
def create(
    context: typer.Context,
    name: Name,
    saga: SagaName,
    input: Input = "null",
    *,
    cron: Cron = None,
    time_zone: Zone = None,
    every: Every = None,
    overlap: OverlapRule = Overlap.SKIP,
    catch_up: CatchUp = 1,
    paused: Paused = False,
    label: Labels = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a schedule. Its first fire is the first time after now."""
    facts = _facts(saga, input, cron, time_zone, every, overlap, catch_up, label, paused=paused)
    _make(settings_of(context), requests.create, name, facts, by, as_json=as_json)


@commands_of_schedule.command()
def replace(
    context: typer.Context,
    name: Name,
    saga: SagaName,
    input: Input = "null",
    *,
    cron: Cron = None,
    time_zone: Zone = None,
    every: Every = None,
    overlap: OverlapRule = Overlap.SKIP,
    catch_up: CatchUp = 1,
    paused: Paused = False,
    label: Labels = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Replace a schedule. Fires that were due before now are left out."""
    facts = _facts(saga, input, cron, time_zone, every, overlap, catch_up, label, paused=paused)
    _make(settings_of(context), requests.replace_schedule, name, facts, by, as_json=as_json)


@commands_of_schedule.command("list")
def list_(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=requests.PAGE_MAX, help="How many.")] = 50,
    after: Annotated[str, typer.Option(help="Only names after this one, from the page before.")] = "",
    as_json: AsJson = False,
) -> None:
    """List schedules with their next fire and their last one."""
    run(_list(settings_of(context), limit, after, as_json=as_json))


@commands_of_schedule.command()
def show(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Show a schedule: its next fires, and its last ones with their outcomes."""
    _ask(settings_of(context), lambda who, node: requests.schedule_detail(who, node, name), None, as_json=as_json)


@commands_of_schedule.command()
def pause(context: typer.Context, name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Pause a schedule: no fires until it is resumed."""
    _ask(settings_of(context), lambda who, node: requests.pause(who, node, name), by, as_json=as_json)


@commands_of_schedule.command()
def resume(context: typer.Context, name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Resume a schedule. Fires that were missed meanwhile are not caught up."""
    _ask(settings_of(context), lambda who, node: requests.resume(who, node, name), by, as_json=as_json)


@commands_of_schedule.command()
def fire(context: typer.Context, name: Name, *, by: By = None, request_id: RequestId = None, as_json: AsJson = False) -> None:
    """Start its saga now, regardless of its times, its overlap and its pause."""
    _ask(settings_of(context), lambda who, node: requests.fire(who, node, name, request_id=request_id), by, as_json=as_json)


@commands_of_schedule.command()
def delete(context: typer.Context, name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Delete a schedule; the sagas that it has started go on."""
    run(_delete(settings_of(context), name, by, as_json=as_json))


def _facts(
    saga: str,
    input: str,
    cron: str | None,
    time_zone: str | None,
    every: int | None,
    overlap: Overlap,
    catch_up: int,
    label: list[str] | None,
    *,
    paused: bool,
) -> dict[str, Any]:
    facts = {"saga": saga, "input": read_value(input, "--input"), "cron": cron, "time_zone": time_zone, "every_seconds": every}
    return {**facts, "overlap": overlap, "catch_up": catch_up, "paused": paused, "labels": label or []}


def _make(
    settings: Settings,
    request: Callable[..., Awaitable[ScheduleDetail]],
    name: str,
    facts: dict[str, Any],
    by: str | None,
    *,
    as_json: bool,
) -> None:
    async def make(who: Actor, node: Node) -> ScheduleDetail:
        wanted = requests.wanted_of({**facts, "labels": filters.read_labels(facts["labels"])})
        return await request(who, node, name, wanted, sagas_days=settings.retention.sagas_days)

    _ask(settings, make, by, as_json=as_json)


def _ask(
    settings: Settings, request: Callable[[Actor, Node], Awaitable[ScheduleDetail]], by: str | None, *, as_json: bool
) -> None:
    async def asked() -> Exit:
        who = actor(by)
        async with client(settings) as node:
            detail = await request(who, node)
        if as_json:
            typer.echo(detail.model_dump_json())
        else:
            print_lines(rendering.schedule(detail))
        return Exit.OK

    run(asked())


async def _list(settings: Settings, limit: int, after: str, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        page = await requests.list_schedules(actor(), node, after=after, limit=limit)
    if as_json:
        typer.echo(page.model_dump_json())
        return Exit.OK
    print_drawn(rendering.schedules(page))
    if page.after is not None:
        typer.echo(f"more: --after {page.after}")
    return Exit.OK


async def _delete(settings: Settings, name: str, by: str | None, *, as_json: bool) -> Exit:
    who = actor(by)
    async with client(settings) as node:
        await requests.delete(who, node, name)
    typer.echo(json.dumps({"name": name, "deleted": True}) if as_json else rendering.plain(f"{name}  deleted"))
    return Exit.OK
