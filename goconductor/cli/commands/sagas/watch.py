"""``goconductor saga watch``: the tree of a saga's steps while they go on; lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from uuid import UUID

import typer
from rich.live import Live

from goconductor.cli import rendering
from goconductor.cli.running import actor, client, print_lines
from goconductor.cli.running import console as console_of
from goconductor.cli.seeking import Sought, found
from goconductor.control.actor import Actor
from goconductor.control.doors.exits import Exit
from goconductor.control.models import SagaDetail, StepStatus
from goconductor.control.sagas import queries
from goconductor.control.sagas.story import StoryBuilder, catch_up, story_builder
from goconductor.control.settings.settings import Settings
from goconductor.control.wording import spell
from goconductor.engine.node import Node
from goconductor.errors import StoreUnavailableError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.ids import Direction

POLL_SECONDS = 0.5
"""Seconds between two looks at a saga."""
_AT_WORK = (StepStatus.QUEUED, StepStatus.RUNNING, StepStatus.COMPENSATING)
_UNTOUCHED = (StepStatus.PENDING, StepStatus.WAITING, StepStatus.SKIPPED)


async def watch(settings: Settings, saga: Sought, *, as_json: bool) -> Exit:
    """Show a saga until it ends; a database that goes away meanwhile is waited for."""
    console = console_of()
    live = Live(console=console, auto_refresh=False) if console.is_terminal and not as_json else None
    who = actor()
    async with client(settings) as node:
        saga_id = await found(node, saga)
        before, detail = None, await queries.saga_status(who, node, saga_id)
        builder = await story_builder(who, node, saga_id) if live is not None else None
        with live or nullcontext():
            while True:
                if live is not None and builder is not None:
                    await catch_up(who, node, builder)
                    live.update(rendering.tree(detail, dict(_took(detail, builder, node.clock.now()))), refresh=True)
                elif as_json and _signs(detail) != _signs(before):
                    typer.echo(detail.model_dump_json())
                elif not as_json:
                    _print_changes(before, detail)
                if detail.status.done:
                    break
                before, detail = detail, await _next(who, node, saga_id)
    if live is not None:
        print_lines(rendering.tracebacks(detail))  # the last of the lines elsewhere is the saga's status
    return Exit.OK if detail.status in (SagaStatus.COMPLETED, SagaStatus.HELD) else Exit.FAILED


async def _next(who: Actor, node: Node, saga_id: UUID) -> SagaDetail:
    while True:
        await node.clock.sleep(POLL_SECONDS)
        try:
            return await queries.saga_status(who, node, saga_id)
        except StoreUnavailableError:
            continue  # the store logs to the standard error that it reconnects


def _took(detail: SagaDetail, builder: StoryBuilder, now: float) -> Iterator[tuple[str, str]]:
    for step in detail.steps:
        timing = builder.timings.get((step.id, Direction.COMPENSATION)) or builder.timings.get((step.id, Direction.ACTION))
        if timing is None or step.status in _UNTOUCHED:
            continue
        if step.status in _AT_WORK:
            yield step.id, f"{spell(max(0.0, now - timing.asked_at))} so far"
        elif timing.ended_at is not None:
            yield step.id, spell(max(0.0, timing.ended_at - timing.asked_at))


def _print_changes(before: SagaDetail | None, detail: SagaDetail) -> None:
    known = _signs(before)
    for step, sign in zip(detail.steps, _signs(detail), strict=False):
        if sign not in known:
            typer.echo(rendering.line(step))
    if before is None or before.status is not detail.status:
        typer.echo(rendering.plain(f"{detail.saga} {detail.saga_id}  {detail.status.value}"))


def _signs(detail: SagaDetail | None) -> list[tuple[str, ...]]:
    """Return what counts as a change: not the seconds of a countdown."""
    if detail is None:
        return []
    steps = [(s.id, s.status.value, str(s.attempt), str(s.compensation_attempt), s.owner or "") for s in detail.steps]
    return [*steps, ("", detail.status.value)]
