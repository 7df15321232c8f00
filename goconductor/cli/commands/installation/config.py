"""``goconductor config …``: what is set, where that comes from, and what can be set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from goconductor.cli.completion import setting_names
from goconductor.cli.rendering import plain
from goconductor.cli.running import AsJson, fail, settings_of, settings_path
from goconductor.control.doors.exits import Exit
from goconductor.control.settings.explain import SettingDetail, explain, settings_detail
from goconductor.control.settings.settings import Settings
from goconductor.errors import ConfigurationError

commands_of_config = typer.Typer(name="config", help="See what is set, and what can be.", no_args_is_help=True)


@commands_of_config.command()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show all settings as they are now, and where each comes from; secrets are hidden."""
    found = settings_detail(settings_of(context))
    if as_json:
        typer.echo(found.model_dump_json())
        return
    width = max(len(each.name) for each in found.settings)
    for each in found.settings:
        typer.echo(plain(f"{each.name:{width}}  {_shown(each.value)}  ({_origin(each)})"))


@commands_of_config.command("explain")
def explain_(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="A setting, its variable, or a section; without it, all.", metavar="[SETTING]", autocompletion=setting_names
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Explain a setting: what it does, its type, unit, default and variable, and where its present value comes from."""
    settings, refused = None, ""
    try:
        settings = Settings.load(settings_path(context))
    except ConfigurationError as error:
        refused = str(error)
    try:
        found = settings_detail(settings) if name is None else explain(name, settings)
    except ConfigurationError as error:
        fail(str(error), Exit.USAGE)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        typer.echo("\n\n".join("\n".join(_lines(each)) for each in found.settings))
    if refused:
        typer.echo(f"goconductor: there are no present values, {refused}", err=True)


def _lines(each: SettingDetail) -> Iterator[str]:
    yield each.name
    yield f"  {each.description.replace('``', '')}"
    yield f"  type      {each.type}{f', in {each.unit}' if each.unit else ''}"
    yield f"  default   {'none, it must be set' if each.required else _shown(each.default)}"
    yield f"  variable  {each.variable}"
    if each.source is not None:
        yield plain(f"  now       {_shown(each.value)}  ({_origin(each)})")


def _origin(each: SettingDetail) -> str:
    return "the default" if each.source == "default" else f"from {each.origin}"


def _shown(value: Any) -> str:
    return "not set" if value is None else value if isinstance(value, str) else json.dumps(value)
