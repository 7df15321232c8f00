"""``goconductor doctor``: one line for each thing that was looked at, and below it what is wrong, with its remedy."""

from __future__ import annotations

import logging
from functools import partial
from typing import NoReturn

import typer
from rich.text import Text

from goconductor import app
from goconductor.cli.rendering import plain
from goconductor.cli.running import AsJson, print_lines, run, settings_path
from goconductor.control.doctor import Check, CheckOutcome, Diagnosis, Patient, Severity, examine, settings_refused
from goconductor.control.doors.exits import Exit
from goconductor.control.settings.settings import Settings
from goconductor.errors import ConfigurationError, GoConductorError, PluginNotFoundError, StoreError
from goconductor.leaves import make_store, makes_of_buses, makes_of_elections

_MARKS = {
    CheckOutcome.SOUND: ("✓", "green"),
    CheckOutcome.SKIPPED: ("-", "dim"),
    CheckOutcome.WARNING: ("!", "yellow"),
    CheckOutcome.ERROR: ("✗", "bold red"),
}
OPEN_SECONDS = 10.0
"""Seconds for each bus to open: less than the doctor's own limit, so that the bus itself reports its problem."""
_STYLES = {Severity.WARNING: "yellow", Severity.ERROR: "red"}


def doctor(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Check settings, database, schema, bus, election and live sagas; report each problem with its remedy.

    It changes nothing, except that it sends a message to itself over the bus. The exit code is 1 if something hinders sagas
    (warnings do not count), 2 if the settings cannot be used, 3 if the database or the bus cannot be reached.
    """
    logging.getLogger("goconductor").setLevel(logging.CRITICAL)  # problems are reported as findings
    try:
        settings = Settings.load(settings_path(context))
    except ConfigurationError as error:
        diagnosis = settings_refused(str(error))
        for check in () if as_json else diagnosis.checks:
            _print(check)
        _conclude(diagnosis, as_json=as_json)
        raise typer.Exit(Exit.USAGE) from None
    run(_doctor(settings, as_json=as_json))


async def _doctor(settings: Settings, *, as_json: bool) -> Exit:
    bus = settings.bus
    try:
        settings = await app.with_secrets(settings, open_timeout_seconds=OPEN_SECONDS)
        buses, elections = makes_of_buses(settings, open_timeout_seconds=OPEN_SECONDS), makes_of_elections(settings)
    except (ConfigurationError, PluginNotFoundError, StoreError) as error:
        refused = partial(_refuse, error)  # what can be looked at without secrets is
        buses, elections = dict.fromkeys(bus.named(), refused), dict.fromkeys(settings.election.named(), refused)
    patient = Patient(
        store=lambda: make_store(settings, "doctor"),
        elections=elections,
        buses=buses,
        bus_apart=bus.kind != "postgres" or bus.url is not None,
        publishes=settings.events.topic is not None,
        sends=settings.webhooks.enabled,
    )
    diagnosis = await examine(patient, on_check=(lambda _: None) if as_json else _print)
    _conclude(diagnosis, as_json=as_json)
    if diagnosis.unavailable:
        return Exit.UNAVAILABLE
    return Exit.OK if diagnosis.healthy else Exit.FAILED


def _refuse(error: GoConductorError, *_: object) -> NoReturn:
    raise error


def _print(check: Check) -> None:
    mark, style = _MARKS[check.outcome]
    saw = check.saw if check.outcome is not CheckOutcome.SKIPPED else f"not looked at: {check.saw}"
    lines = [Text(f"{mark} ", style).append(f"{check.name:14}", style).append(plain("" if check.findings else f" {saw}"), "dim")]
    for finding in check.findings:
        lines.append(Text(f"    {plain(finding.what)}", _STYLES[finding.severity]))
        lines.append(Text(f"    → {plain(finding.remedy)}"))
    print_lines(lines)


def _conclude(diagnosis: Diagnosis, *, as_json: bool) -> None:
    if as_json:
        typer.echo(diagnosis.model_dump_json())
        return
    count = dict.fromkeys(Severity, 0)
    for check in diagnosis.checks:
        for finding in check.findings:
            count[finding.severity] += 1
    if not any(count.values()):
        print_lines([Text("all is well", "bold green")])
    else:
        style = "bold red" if count[Severity.ERROR] else "bold yellow"
        counted = [f"{number} {severity}{'s' if number > 1 else ''}" for severity, number in reversed(count.items()) if number]
        print_lines([Text(", ".join(counted), style)])
