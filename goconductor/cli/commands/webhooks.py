"""``goconductor webhooks …``: the ends of sagas, told to endpoints over HTTP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from goconductor.cli import rendering
from goconductor.cli.completion import saga_names
from goconductor.cli.running import AsJson, By, actor, client, print_drawn, print_lines, run, settings_of
from goconductor.control.actor import Actor
from goconductor.control.doors.exits import Exit
from goconductor.control.settings.settings import Settings
from goconductor.control.webhooks import queues, requests
from goconductor.control.webhooks.documents import DeadDeliveries, MadeWebhook, WebhookDetail, WebhookList, WebhookWanted
from goconductor.engine.node import Node
from goconductor.webhooks.endpoint import STATUSES

commands_of_webhooks = typer.Typer(
    name="webhooks", help="Tell the ends of sagas to endpoints over HTTP, signed.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The webhook's name.", metavar="NAME")]
Url = Annotated[str, typer.Argument(help="Where the ends are sent to.", metavar="URL")]
Definitions = Annotated[
    list[str] | None,
    typer.Option("--definition", help="Only of sagas of this name; may be repeated.", autocompletion=saga_names),
]
Statuses = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        help="Only this status; may be repeated.",
        metavar=f"[{'|'.join(STATUSES)}]",
        autocompletion=lambda: [*STATUSES],
    ),
]
Description = Annotated[str, typer.Option(help="For people.")]


@commands_of_webhooks.command()
def create(
    context: typer.Context,
    name: Name,
    url: Url,
    *,
    definition: Definitions = None,
    status: Statuses = None,
    description: Description = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Register a webhook and print its secret, this once."""
    settings, wanted = settings_of(context), _wanted(url, definition, status, description)
    rules = settings.webhooks.rules
    run(_made(settings, lambda who, node: requests.create(who, node, name, wanted, rules), by, as_json=as_json))


@commands_of_webhooks.command()
def replace(
    context: typer.Context,
    name: Name,
    url: Url,
    *,
    definition: Definitions = None,
    status: Statuses = None,
    description: Description = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Replace where a webhook is and what it is told of; its secret stays."""
    settings, wanted = settings_of(context), _wanted(url, definition, status, description)
    rules = settings.webhooks.rules
    run(_shown(settings, lambda who, node: requests.replace_webhook(who, node, name, wanted, rules), by, as_json=as_json))


@commands_of_webhooks.command("list")
def list_(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=requests.PAGE_MAX, help="How many.")] = 50,
    after: Annotated[str, typer.Option(help="Only names behind this one, from the page before.")] = "",
    as_json: AsJson = False,
) -> None:
    """List webhooks, with what became of their deliveries."""
    run(_list(settings_of(context), limit, after, as_json=as_json))


@commands_of_webhooks.command()
def show(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Show a webhook: what it is told of, what became of that, and what waits."""
    request = lambda who, node: requests.webhook_detail(who, node, name)  # noqa: E731
    run(_shown(settings_of(context), request, None, as_json=as_json))


@commands_of_webhooks.command()
def pause(context: typer.Context, name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Send nothing to it from now on; what it wants is queued."""
    run(_shown(settings_of(context), lambda who, node: requests.pause(who, node, name), by, as_json=as_json))


@commands_of_webhooks.command()
def resume(context: typer.Context, name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Send to it again, what waits first; also to one that is gone."""
    run(_shown(settings_of(context), lambda who, node: requests.resume(who, node, name), by, as_json=as_json))


@commands_of_webhooks.command()
def rotate(
    context: typer.Context,
    name: Name,
    *,
    overlap: Annotated[
        float, typer.Option(help="Seconds for which the old secret signs as well.", min=0, max=requests.OVERLAP_SECONDS_MAX)
    ] = requests.OVERLAP_SECONDS,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give it a new secret and print that, this once."""
    request = lambda who, node: requests.rotate(who, node, name, overlap_seconds=overlap)  # noqa: E731
    run(_made(settings_of(context), request, by, as_json=as_json))


@commands_of_webhooks.command()
def delete(context: typer.Context, name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Delete a webhook, with all that it is still to get."""
    run(_delete(settings_of(context), name, by, as_json=as_json))


@commands_of_webhooks.command("test")
def try_(context: typer.Context, name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Queue a delivery that tries it; the leader sends it as any other."""
    run(_test(settings_of(context), name, by, as_json=as_json))


@commands_of_webhooks.command("dead-letters")
def dead_letters(
    context: typer.Context,
    name: Name,
    *,
    limit: Annotated[int, typer.Option(min=1, max=queues.PAGE_MAX, help="How many.")] = 50,
    after: Annotated[int, typer.Option(min=0, help="Only those behind this number, from the page before.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List what it has not taken and is sent no more, the oldest first."""
    run(_letters(settings_of(context), name, limit, after, as_json=as_json))


@commands_of_webhooks.command()
def redrive(
    context: typer.Context,
    name: Name,
    *,
    delivery: Annotated[
        int | None, typer.Option(min=0, help="One delivery; without it the oldest 1,000.", show_default=False)
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send again at once what is dead, or waits for its next attempt."""
    run(_redrive(settings_of(context), name, delivery, by, as_json=as_json))


def _wanted(url: str, definitions: list[str] | None, statuses: list[str] | None, description: str) -> WebhookWanted:
    return WebhookWanted(url=url, definitions=definitions or [], statuses=statuses or [], description=description)


async def _made(
    settings: Settings, request: Callable[[Actor, Node], Awaitable[MadeWebhook]], by: str | None, *, as_json: bool
) -> Exit:
    who = actor(by)
    async with client(settings) as node:
        made = await request(who, node)
    typer.echo(made.model_dump_json() if as_json else made.secret)
    return Exit.OK


async def _shown(
    settings: Settings, request: Callable[[Actor, Node], Awaitable[WebhookDetail]], by: str | None, *, as_json: bool
) -> Exit:
    who = actor(by)
    async with client(settings) as node:
        detail = await request(who, node)
    if as_json:
        typer.echo(detail.model_dump_json())
    else:
        print_lines(_spelt(detail))
    return Exit.OK


async def _list(settings: Settings, limit: int, after: str, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        page = await requests.list_webhooks(actor(), node, after=after, limit=limit)
    if as_json:
        typer.echo(page.model_dump_json())
        return Exit.OK
    print_drawn(_drawn(page))
    if page.after is not None:
        typer.echo(f"more: --after {page.after}")
    return Exit.OK


async def _delete(settings: Settings, name: str, by: str | None, *, as_json: bool) -> Exit:
    who = actor(by)
    async with client(settings) as node:
        await requests.delete(who, node, name)
    typer.echo(json.dumps({"name": name, "deleted": True}) if as_json else rendering.plain(f"{name}  deleted"))
    return Exit.OK


async def _test(settings: Settings, name: str, by: str | None, *, as_json: bool) -> Exit:
    who = actor(by)
    async with client(settings) as node:
        sent = await queues.send_test(who, node, name, settings.webhooks.rules)
    told = rendering.plain(f"queued {sent.message_id}; `goconductor webhooks show {name}` says what became of it")
    typer.echo(sent.model_dump_json() if as_json else told)
    return Exit.OK


async def _letters(settings: Settings, name: str, limit: int, after: int, *, as_json: bool) -> Exit:
    async with client(settings) as node:
        page = await queues.dead_letters(actor(), node, name, after=after, limit=limit)
    if as_json:
        typer.echo(page.model_dump_json())
        return Exit.OK
    print_drawn(_drawn_letters(page))
    if page.after is not None:
        typer.echo(f"more: --after {page.after}")
    return Exit.OK


async def _redrive(settings: Settings, name: str, delivery: int | None, by: str | None, *, as_json: bool) -> Exit:
    who = actor(by)
    async with client(settings) as node:
        done = await queues.redrive(who, node, name, delivery_id=delivery)
    typer.echo(done.model_dump_json() if as_json else f"{done.redriven} are sent again")
    return Exit.OK


def _drawn(page: WebhookList) -> Table:
    """Draw some webhooks, one in a row."""
    drawn = rendering.columns("webhook", "url", "state", "delivered", "failed", "problem")
    for each in page.webhooks:
        cells = (each.name, each.url, each.state.value, f"{each.delivered:,}", f"{each.failed:,}", each.problem)
        drawn.add_row(*(Text(rendering.plain(cell)) for cell in cells))
    return drawn


def _spelt(found: WebhookDetail) -> Iterator[Text]:
    """Yield a webhook: what it is told of, what became of that, and what waits."""
    yield Text(rendering.plain(f"{found.name}  {found.url}"), "bold")
    told = f"{', '.join(found.definitions) or 'all sagas'}: {', '.join(found.statuses) or 'all ends, and stuck'}"
    yield Text(rendering.plain(f"{told}{f'; {found.description}' if found.description else ''}"))
    yield Text(
        rendering.plain(f"{found.state}, changed by {found.changed_by or 'somebody'}, secrets that sign: {len(found.secrets)}")
    )
    counts = f"{found.delivered:,} delivered, {found.failed:,} attempts failed"
    yield Text(f"{counts}, {found.waiting:,} wait, {found.dead:,} are dead")
    if found.failing_since is not None:
        yield Text(rendering.plain(f"fails since {rendering.moment(found.failing_since)}: {found.problem}"), "red")


def _drawn_letters(page: DeadDeliveries) -> Table:
    """Draw dead letters of a webhook, one in a row."""
    drawn = rendering.columns("delivery", "webhook-id", "queued", "attempts", "problem")
    for each in page.dead_letters:
        cells = (str(each.delivery_id), each.message_id, rendering.moment(each.created_at), str(each.attempts), each.problem)
        drawn.add_row(*(Text(rendering.plain(cell)) for cell in cells))
    return drawn
