"""``goconductor participants``, ``leader``, ``locks …`` and ``dead-letters …``: instances, leader, locks, given-up messages."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated
from uuid import UUID

import typer

from goconductor.cli import rendering
from goconductor.cli.running import AsJson, By, actor, client, fail, print_drawn, run, settings_of
from goconductor.control.doors.exits import Exit
from goconductor.control.doors.limits import LOCKS_MAX
from goconductor.control.installation import dead_letters as letters
from goconductor.control.installation import participants as who
from goconductor.control.installation.locks import locks
from goconductor.control.models import DeadLetterDetail, DeadLetterPage, ParticipantDetail, ParticipantList, moment
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node

commands_of_letters = typer.Typer(
    name="dead-letters", help="Messages that were given up on: list, send again, drop.", no_args_is_help=True
)

commands_of_locks = typer.Typer(name="locks", help="Locks of sagas: who holds them, and who waits.", no_args_is_help=True)

PAGE = 200
"""Number of dead letters that are read at a time."""
CLIENT = "client"
"""Name of a node without steps or doors."""

LetterIds = Annotated[list[int] | None, typer.Argument(help="Their ids.", metavar="[ID]...", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All that there are now.")]


def participants(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show all participants with the instances that live or have died within the last hour, and what they hold."""
    run(_participants(settings_of(context), as_json=as_json))


def leader(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the leader, the end of its term, and what its last sweep did. The exit code is 1 if there is no leader."""
    run(_leader(settings_of(context), as_json=as_json))


@commands_of_locks.command("list")
def list_locks(
    context: typer.Context,
    *,
    key: Annotated[str | None, typer.Option(help="Only this lock.")] = None,
    saga_id: Annotated[UUID | None, typer.Option("--saga", help="Only locks that this saga holds or waits for.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LOCKS_MAX, help="How many rows.")] = 50,
    after: Annotated[str | None, typer.Option(help="Where the page before has ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List locks by key: first who holds one, then who waits for it, in the order of the queue."""

    async def listed() -> Exit:
        async with client(settings_of(context)) as node:
            page = await locks(actor(), node, key=key, saga_id=saga_id, limit=limit, after=after)
        if as_json:
            typer.echo(page.model_dump_json())
            return Exit.OK
        print_drawn(rendering.locks(page))
        if page.after is not None:
            typer.echo(rendering.plain(f"more: --after {shlex.quote(page.after)}"))
        return Exit.OK

    run(listed())


@commands_of_letters.command("list")
def list_(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    before: Annotated[int | None, typer.Option(help="Only older ones than this id, from the page before.")] = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first, each with the reason."""
    run(_list(settings_of(context), limit, before, as_json=as_json))


@commands_of_letters.command()
def redrive(context: typer.Context, ids: LetterIds = None, *, every: All = False, by: By = None, as_json: AsJson = False) -> None:
    """Send dead letters to their topics again, then delete them."""
    wanted = _wanted(ids, every)

    async def one(node: Node, letter_id: int) -> DeadLetterDetail:
        return await letters.redrive(actor(by), node, letter_id)

    run(_each(settings_of(context), wanted, one, "sent again", as_json=as_json))


@commands_of_letters.command()
def drop(
    context: typer.Context,
    ids: LetterIds = None,
    *,
    every: All = False,
    reason: Annotated[str, typer.Option(help="Why; the log of this command has it. Required.", show_default=False)] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Delete dead letters."""
    wanted = _wanted(ids, every)

    async def one(node: Node, letter_id: int) -> DeadLetterDetail:
        return await letters.drop(actor(by), node, letter_id, reason=reason)

    run(_each(settings_of(context), wanted, one, "dropped", as_json=as_json))


def _wanted(ids: list[int] | None, every: bool) -> list[int]:
    """Return the ids, or none for all."""
    if bool(ids) is every:
        fail("name the letters by their ids, or use --all", Exit.USAGE)
    return ids or []


async def _each(
    settings: Settings,
    wanted: list[int],
    one: Callable[[Node, int], Awaitable[DeadLetterDetail]],
    what: str,
    *,
    as_json: bool,
) -> Exit:
    """Do it to one after the other; those before a failure are done, and reported so."""
    done: list[DeadLetterDetail] = []
    async with client(settings) as node:
        try:
            for letter_id in wanted or [each.letter_id async for each in _all(node)]:
                done.append(await one(node, letter_id))
                if not as_json:
                    typer.echo(rendering.plain(f"{letter_id}  {done[-1].topic}  {what}"))
        finally:
            if as_json:
                typer.echo(DeadLetterPage(letters=done).model_dump_json())
    return Exit.OK


async def _all(node: Node) -> AsyncIterator[DeadLetterDetail]:
    page = await letters.dead_letters(actor(), node, limit=PAGE)
    while True:
        for letter in page.letters:
            yield letter
        if page.before is None:
            return
        page = await letters.dead_letters(actor(), node, limit=PAGE, before=page.before)


async def _list(settings: Settings, limit: int, before: int | None, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        page = await letters.dead_letters(actor(), node, limit=limit, before=before)
    if as_json:
        typer.echo(page.model_dump_json())
        return Exit.OK
    print_drawn(rendering.letters(page))
    if page.before is not None:
        typer.echo(f"more: --before {page.before}")
    return Exit.OK


async def _participants(settings: Settings, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        found = _without(await who.participants(actor(), node), node.instance.serial)
    if as_json:
        typer.echo(ParticipantList(participants=found).model_dump_json())
    else:
        print_drawn(*map(rendering.participant, found))
    return Exit.OK


def _without(found: list[ParticipantDetail], serial: int) -> list[ParticipantDetail]:
    """Leave out this command, and clients that have left: such a command is one as well."""
    kept = []
    for each in found:
        instances = [one for one in each.instances if one.serial != serial and (one.alive or each.participant != CLIENT)]
        alive = sum(one.alive for one in instances)
        if instances:
            kept.append(each.model_copy(update={"instances": instances, "alive": alive}))
    return kept


async def _leader(settings: Settings, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        found = await who.leader(actor(), node)
        now = moment(await node.store.terms.database_time())
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        for line in rendering.leader(found, now):
            typer.echo(rendering.plain(line))
    return Exit.OK if found.holder is not None else Exit.FAILED
