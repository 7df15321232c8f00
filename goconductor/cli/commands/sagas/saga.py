"""``goconductor saga …``: start, list, show, watch, and the story of one; :mod:`requests` has what operators ask."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from goconductor.cli import rendering
from goconductor.cli.commands.sagas import requests, signals
from goconductor.cli.commands.sagas import watch as watching
from goconductor.cli.commands.sagas.bulk import bulk
from goconductor.cli.completion import saga_names
from goconductor.cli.running import (
    AsJson,
    actor,
    choice,
    client,
    print_drawn,
    print_lines,
    print_saga,
    read_value,
    run,
    settings_of,
)
from goconductor.cli.seeking import Sought, found
from goconductor.control.doors.exits import Exit
from goconductor.control.sagas import filters, queries, starting
from goconductor.control.sagas.story import saga_story
from goconductor.control.settings.settings import Settings
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.definition import PRIORITY_MAX

commands_of_saga = typer.Typer(name="saga", help="Start sagas, look at them, and step in.", no_args_is_help=True)


@commands_of_saga.command()
def start(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name of its definition.", metavar="NAME", autocompletion=saga_names)],
    input: Annotated[str, typer.Option(help="JSON, @FILE, or - for the standard input.")] = "null",
    *,
    key: Annotated[str | None, typer.Option(help="The same key and input again: the same saga.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="How many seconds to wait for its end.")] = 0.0,
    priority: Annotated[
        int | None,
        typer.Option(
            min=-PRIORITY_MAX,
            max=PRIORITY_MAX,
            help="Where its steps wait for room, greater priorities come first. By default the definition's.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a saga. With --wait, the exit code is 1 unless it completes in time."""
    run(
        _start(
            settings_of(context),
            name,
            read_value(input, "--input"),
            key=key,
            labels=label or [],
            wait_seconds=wait,
            priority=priority,
            as_json=as_json,
        )
    )


@commands_of_saga.command("list")
def list_(
    context: typer.Context,
    *,
    saga: Annotated[str | None, typer.Option(help="Only those of this definition.", autocompletion=saga_names)] = None,
    status: Annotated[
        list[SagaStatus] | None,
        choice(SagaStatus, "Only those of this status; may be repeated."),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only those with NAME=VALUE; may be repeated.")] = None,
    error: Annotated[str | None, typer.Option(help="Only those with this text in a failure or a reason.")] = None,
    started_after: Annotated[str | None, typer.Option(help="2026-01-31T12:00:00Z, or a day.", metavar="TIME")] = None,
    started_before: Annotated[str | None, typer.Option(help="The same.", metavar="TIME")] = None,
    updated_after: Annotated[str | None, typer.Option(help="Only those that have changed since.", metavar="TIME")] = None,
    updated_before: Annotated[str | None, typer.Option(help="Only those that have not changed since.", metavar="TIME")] = None,
    key: Annotated[
        str | None, typer.Option(help="Only the one that was started with this key; needs --saga, and no other filter.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="The cursor of the page before, with the same filters.")] = None,
    as_json: AsJson = False,
) -> None:
    """List sagas, newest first."""
    settings = settings_of(context)
    times = {
        "started_after": started_after,
        "started_before": started_before,
        "updated_after": updated_after,
        "updated_before": updated_before,
    }

    async def listed() -> Exit:
        wanted = {
            "saga": saga,
            "status": [each.value for each in status or ()] or None,
            "labels": filters.read_labels(label or ()),
            "error": error,
            "key": key,
            **{name: filters.read_time(text, name=f"--{name.replace('_', '-')}") for name, text in times.items()},
        }
        return await _list(settings, {**wanted, "cursor": cursor, "limit": limit}, as_json=as_json)

    run(listed())


@commands_of_saga.command()
def show(context: typer.Context, saga: requests.SagaId, *, as_json: AsJson = False) -> None:
    """Show a saga with its steps."""
    run(_show(settings_of(context), saga, as_json=as_json))


@commands_of_saga.command()
def watch(context: typer.Context, saga: requests.SagaId, *, as_json: AsJson = False) -> None:
    """Watch the tree of a saga's steps until it ends; the exit code is 1 unless it completes. With --json, a line per change."""
    run(watching.watch(settings_of(context), saga, as_json=as_json))


@commands_of_saga.command()
def story(context: typer.Context, saga: requests.SagaId, *, as_json: AsJson = False) -> None:
    """Show what happened to a saga: each event with its actor, its time, its duration, and its consequences."""
    run(_story(settings_of(context), saga, as_json=as_json))


async def _start(
    settings: Settings,
    name: str,
    input: Any,
    *,
    key: str | None,
    labels: list[str],
    wait_seconds: float,
    priority: int | None,
    as_json: bool,
) -> Exit:
    words = filters.read_labels(labels)
    async with client(settings) as node:
        started = await starting.start(
            actor(), node, name, input, key=key, labels=words, reply=wait_seconds > 0, priority=priority
        )
        if wait_seconds:
            with suppress(TimeoutError):
                await node.wait_for_end(started.saga_id, wait_seconds)
        detail = await queries.saga_status(actor(), node, started.saga_id)
    print_saga(detail, as_json=as_json)
    return Exit.OK if not wait_seconds or detail.status in (SagaStatus.COMPLETED, SagaStatus.HELD) else Exit.FAILED


async def _list(settings: Settings, wanted: dict[str, Any], *, as_json: bool) -> Exit:
    async with client(settings) as node:
        page = await queries.list_sagas(actor(), node, **wanted)
    if as_json:
        typer.echo(page.model_dump_json())
    else:
        print_drawn(rendering.table(page))
        if page.searched_until is not None:
            typer.echo(f"searched until those of {page.searched_until:%Y-%m-%d %H:%M:%S}Z; --cursor goes on from there")
        if page.cursor is not None:
            typer.echo(f"more: --cursor {page.cursor}")
    return Exit.OK


async def _show(settings: Settings, saga: Sought, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        detail = await queries.saga_status(actor(), node, await found(node, saga))
    print_saga(detail, as_json=as_json)
    return Exit.OK


async def _story(settings: Settings, saga: Sought, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        tale = await saga_story(actor(), node, await found(node, saga))
    if as_json:
        typer.echo(tale.model_dump_json())
    else:
        print_lines(rendering.story(tale))
    return Exit.OK


requests.add_to(commands_of_saga)
signals.add_to(commands_of_saga)
commands_of_saga.command("bulk")(bulk)
