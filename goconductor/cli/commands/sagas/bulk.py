"""``goconductor saga bulk``: one request about many sagas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from pydantic import ValidationError

from goconductor.cli import rendering
from goconductor.cli.commands.sagas.requests import RequestId, Why
from goconductor.cli.completion import saga_names
from goconductor.cli.running import AsJson, By, actor, choice, client, fail, print_drawn, read_file, read_value, run, settings_of
from goconductor.control.doors.exits import Exit
from goconductor.control.sagas import bulk as bulks
from goconductor.control.sagas import filters
from goconductor.control.sagas.bulk import BulkOutcome, BulkReport, Selected
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.requests.catalogue import Request

Asked = Annotated[str, typer.Argument(help="The request, such as retry.", metavar="REQUEST", autocompletion=lambda: [*Request])]
Time = Annotated[str | None, typer.Option(help="2026-01-31T12:00:00Z, or a day.", metavar="TIME")]


def bulk(
    context: typer.Context,
    request: Asked,
    *,
    saga: Annotated[str | None, typer.Option(help="Only sagas of this definition.", autocompletion=saga_names)] = None,
    status: Annotated[list[SagaStatus] | None, choice(SagaStatus, "Only those of this status; may be repeated.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only those with NAME=VALUE; may be repeated.")] = None,
    error: Annotated[str | None, typer.Option(help="Only those with this text in a failure or a reason.")] = None,
    started_after: Time = None,
    started_before: Time = None,
    updated_after: Time = None,
    updated_before: Time = None,
    report: Annotated[
        str | None, typer.Option("--from", help="Instead of a filter, the sagas of a report: a file, or -.", metavar="FILE")
    ] = None,
    step: Annotated[str | None, typer.Option(help="The step; for retry and skip, each stuck step by default.")] = None,
    value: Annotated[
        list[str] | None, typer.Option("--value", metavar="NAME=VALUE", help="A field of the request as JSON; may be repeated.")
    ] = None,
    reason: Why = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this, only say what would be accepted.")] = False,
    by: By = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Send the same request to many sagas, and report each outcome. Without --yes nothing is changed.

    Save a dry run with --json, and --from asks exactly its sagas. The exit code is 1 if a saga refuses.
    """
    settings = settings_of(context)
    times = {
        "started_after": started_after,
        "started_before": started_before,
        "updated_after": updated_after,
        "updated_before": updated_before,
    }
    narrowed = any(each for each in (saga, status, label, error, *times.values()))
    if narrowed == (report is not None):
        fail("name the sagas by a filter, such as --status stuck, or by --from FILE, and not by both", Exit.USAGE)
    named = None if report is None else _named(report)
    values = _values(value or ())

    async def asked() -> Exit:
        what = bulks.read_bulk(request.replace("-", "_"), step=step, reason=reason, values=values)
        wanted: dict[str, Any] = {
            "saga": saga,
            "status": [each.value for each in status or ()] or None,
            "labels": filters.read_labels(label or ()),
            "error": error,
            **{name: filters.read_time(text, name=f"--{name.replace('_', '-')}") for name, text in times.items()},
        }
        async with client(settings) as node:
            selected = named if named is not None else await bulks.select(actor(by), node, **wanted)
            if not selected:
                typer.echo("no saga fits")
                return Exit.OK
            name = request_id
            if yes and name is None:  # said before it is asked, for a terminal that does not live to see the report
                name = uuid4().hex
                typer.echo(f"asking {len(selected)} sagas; to repeat it: --request-id {name}", err=True)
            found = await bulks.bulk(actor(by), node, what, selected, request_id=name, dry_run=not yes)
        _print(found, as_json=as_json)
        return Exit.OK if found.counts.keys() <= {BulkOutcome.ALLOWED, BulkOutcome.DONE} else Exit.FAILED

    run(asked())


def _print(found: BulkReport, *, as_json: bool) -> None:
    if as_json:
        typer.echo(found.model_dump_json())
        return
    print_drawn(rendering.bulk(found))
    counts = ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in found.counts.items())
    typer.echo(f"{found.request}: {counts}")
    if found.dry_run:
        typer.echo("nothing was changed; --yes does it")
    else:
        typer.echo(f"to repeat it: --request-id {found.request_id}")


def _named(report: str) -> list[Selected]:
    """Read the sagas of a report, as they were seen."""
    try:
        document = json.loads(read_file(report, "--from"))
        return [Selected(saga_id=each["saga_id"], revision=each.get("revision")) for each in document["sagas"]]
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
        fail(f"--from {Path(report).name}: this is no report of `saga bulk --json`", Exit.USAGE)


def _values(given: list[str] | tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in given:
        name, mark, text = each.partition("=")
        if not mark or not name or name in found:
            fail("--value: write NAME=VALUE, each name once", Exit.USAGE)
        found[name] = read_value(text, f"--value {name}")
    return found
