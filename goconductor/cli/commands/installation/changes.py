"""``goconductor bus …`` and ``election …``: which one is used, and changing it for another while sagas run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Annotated, Protocol

import typer

from goconductor import app
from goconductor.cli import rendering
from goconductor.cli.running import OPEN_SECONDS, AsJson, By, actor, fail, run, settings_of
from goconductor.control.actor import Actor
from goconductor.control.doors.exits import Exit
from goconductor.control.installation import changes
from goconductor.control.models import ChangeDetail
from goconductor.control.settings.settings import Settings
from goconductor.ports.store import Store
from goconductor.ports.store.leading.choices import BUS, ELECTION

AGAIN_SECONDS = 0.25
"""Seconds between two looks at a change that goes on."""


class Ask(Protocol):
    """Goes as far as it can now; ``going_on`` is True if it had begun before."""

    def __call__(self, store: Store, settings: Settings, who: Actor, *, going_on: bool) -> Awaitable[ChangeDetail]: ...


commands_of_bus = typer.Typer(name="bus", help="Which bus is used; change it for another while sagas run.", no_args_is_help=True)
commands_of_election = typer.Typer(
    name="election", help="Which election is used; change it for another while sagas run.", no_args_is_help=True
)

To = Annotated[
    str, typer.Option(help="The name of the new one: its `name` or key in the settings, or its kind.", show_default=False)
]
Wait = Annotated[float, typer.Option(min=0, help="How many seconds the command waits; call it again to continue.")]
Force = Annotated[
    bool, typer.Option("--force", help="Leave behind processes without it in their settings; restart them afterwards.")
]
Drain = Annotated[float, typer.Option(min=0, help="How many seconds, at most, the old one is read after the change.")]


@commands_of_bus.command("status")
def status_of_bus(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show which bus each process uses, and the state of a change. The exit code is 1 during a change."""
    run(_status(settings_of(context), BUS, as_json=as_json))


@commands_of_bus.command("migrate")
def migrate_bus(
    context: typer.Context,
    *,
    to: To,
    wait: Wait = 300.0,
    drain: Drain = changes.DRAIN_SECONDS,
    force: Force = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change to another bus while sagas run. All living processes must have it under `bus.others`.

    All read both buses, then all send over the new one, and leave the old one when nothing comes from it any more. Call it again
    to continue; call it with the name of the old one to go back.
    """

    async def ask(store: Store, settings: Settings, who: Actor, *, going_on: bool) -> ChangeDetail:
        named = list(settings.bus.named())
        return await changes.change(who, store, BUS, to=to, named=named, drain_seconds=drain, force=force, going_on=going_on)

    run(_migrate(settings_of(context), ask, to, wait, actor(by), as_json=as_json))


@commands_of_election.command("status")
def status_of_election(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show which election each process uses, and the state of a change. The exit code is 1 during a change."""
    run(_status(settings_of(context), ELECTION, as_json=as_json))


@commands_of_election.command("migrate")
def migrate_election(
    context: typer.Context, *, to: To, wait: Wait = 300.0, force: Force = False, by: By = None, as_json: AsJson = False
) -> None:
    """Change to another election; all living processes must have it under `election.others`. Two leaders never write.

    Call it again to continue; call it with the name of the old one to go back.
    """

    async def ask(store: Store, settings: Settings, who: Actor, *, going_on: bool) -> ChangeDetail:
        named = list(settings.election.named())
        return await changes.change(who, store, ELECTION, to=to, named=named, force=force, going_on=going_on)

    run(_migrate(settings_of(context), ask, to, wait, actor(by), as_json=as_json))


async def _status(settings: Settings, kind: str, *, as_json: bool) -> Exit:
    named = settings.bus.named() if kind == BUS else settings.election.named()
    async with _store(settings) as store:
        found = await changes.present(actor(), store, kind, named=list(named))
    _print(found, as_json=as_json, instances=True)
    return Exit.OK if found.done else Exit.FAILED


async def _migrate(
    settings: Settings,
    ask: Ask,
    to: str,
    wait_seconds: float,
    who: Actor,
    *,
    as_json: bool,
) -> Exit:
    end = time.monotonic() + wait_seconds
    shown, begun = -1, False
    async with _store(settings) as store:
        while True:
            found = await ask(store, settings, who, going_on=begun)
            begun = begun or to in (found.beside, found.chosen)  # before, it waits for processes that have not reported yet
            if found.number != shown:
                shown = found.number
                if not as_json:
                    _print(found, as_json=False, instances=False)
            if found.done or time.monotonic() >= end:
                break
            try:
                await asyncio.sleep(AGAIN_SECONDS)
            except asyncio.CancelledError:  # Ctrl-C
                typer.echo(
                    "goconductor: the change stays where it is: call it again to go on, or --to the old one to go back", err=True
                )
                raise
    if as_json:
        _print(found, as_json=True, instances=False)
    if not found.done:
        waits = "\n".join(f"  {rendering.plain(each)}" for each in found.waits_for)
        problem = f"not done within {wait_seconds:g} s; call it again to go on, or --to the old one to go back; it waits for:"
        fail(f"{problem}\n{waits}", Exit.FAILED)
    if not as_json:
        count = len(found.instances)
        typer.echo(f"done: {count} living {'process uses' if count == 1 else 'processes use'} {found.chosen}")
        for each in found.left_behind:
            line = f"left behind: {each}; its sagas stand still until it is restarted with settings that name {found.chosen}"
            typer.echo(rendering.plain(line))
    return Exit.OK


def _print(found: ChangeDetail, *, as_json: bool, instances: bool) -> None:
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        for line in rendering.change(found, instances=instances):
            typer.echo(rendering.plain(line))


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Store]:
    """Open the store alone: the command follows no change itself, and needs no bus."""
    async with app.store(settings, open_timeout_seconds=OPEN_SECONDS) as store:
        yield store
