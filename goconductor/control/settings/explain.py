"""What each setting does, and where its present value comes from. The reference in the documentation is made of this too."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.fields import FieldInfo

from goconductor import plugins
from goconductor.control.models import Document
from goconductor.control.settings.sections import Section
from goconductor.control.settings.settings import PREFIX, Settings, names, variable
from goconductor.errors import ConfigurationError

_UNITS = {"_seconds": "seconds", "_days": "days", "_bytes_max": "bytes"}
_KINDS = {"bus": "bus", "election": "election", "secrets": "keyring"}


class SettingDetail(Document):
    """One setting."""

    name: str
    description: str
    type: str
    unit: str | None = None
    default: Any = None
    required: bool = False
    variable: str
    value: Annotated[Any, Field(description="at present; what may hold a password is hidden")] = None
    source: Annotated[
        Literal["default", "file", "variable"] | None, Field(description="null where the settings cannot be used")
    ] = None
    origin: Annotated[str | None, Field(description="which file or variable")] = None


class SettingList(Document):
    """All settings."""

    settings: list[SettingDetail]


def settings_detail(settings: Settings | None = None) -> SettingList:
    """Return all settings.

    Args:
        settings: the present ones; None leaves out the values.
    """
    return SettingList(settings=[_detail(section, key, settings) for section, key in names()])


def explain(name: str, settings: Settings | None = None) -> SettingList:
    """Return one setting, or all of a section.

    Args:
        name: ``section.key``, ``section``, or the variable's name.
        settings: the present ones; None leaves out the values.

    Raises:
        ConfigurationError: there is no such setting; names the nearest one.
    """
    every = settings_detail(settings).settings
    wanted = name.replace("__", "_") if name.startswith(PREFIX) else name
    found = [each for each in every if wanted in (each.name, each.variable, each.name.partition(".")[0])]
    if not found:
        known = [each.name for each in every]
        near = difflib.get_close_matches(name.lower(), known, 1, cutoff=0.5) or [
            each for each in known if each.endswith(f".{name.lower()}")
        ]
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise ConfigurationError(f"there is no setting {name[:60]!a}; {hint}")
    return SettingList(settings=found)


def reference() -> Iterator[str]:
    """Yield the lines of a Markdown table of all settings."""
    yield "| Setting | Type | Default | What it is |"
    yield "|---|---|---|---|"
    for each in settings_detail().settings:
        shown = "-" if each.default is None else "none" if each.default in ({}, ()) else f"`{_plain(each.default)}`"
        kind = "one of those installed" if each.name in ("bus.kind", "election.kind", "secrets.kind") else each.type
        about = f"{kind}, {each.unit}" if each.unit else kind
        yield f"| `{each.name}` | {about} | {shown} | {each.description.replace('``', '`')} |"


def _detail(section: str, key: str, settings: Settings | None) -> SettingDetail:
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type) and issubclass(model, Section)  # noqa: S101, PT018  (for the type checker)
    field = model.model_fields[key]
    origins = [] if settings is None else settings.origins(section, key)
    source: Literal["default", "file", "variable"] = "default"
    if origins:
        source = "variable" if any(each.startswith(PREFIX) for each in origins) else "file"
    return SettingDetail(
        name=f"{section}.{key}",
        description=" ".join((field.description or "").split()),
        type=_type(section, key, model.model_json_schema()["properties"][key]),
        unit=next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), None),
        default=_default(field),
        required=field.is_required(),
        variable=f"{variable(section, key)}__…" if key in ("options", "others") else variable(section, key),
        value=None if settings is None else settings.shown()[section][key],
        source=None if settings is None else source,
        origin=", ".join(origins) or None,
    )


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _type(section: str, key: str, schema: dict[str, Any]) -> str:
    """Return the type in words, from its JSON schema."""
    if "anyOf" in schema:
        (schema,) = (each for each in schema["anyOf"] if each.get("type") != "null")
    if key == "kind" and section in _KINDS:
        return f"one of {', '.join(plugins.installed(_KINDS[section]))}"
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    match schema["type"]:
        case "integer" | "number":
            what = "whole number" if schema["type"] == "integer" else "number"
            return f"{what}{_range(schema)}"
        case "boolean":
            return "true or false"
        case "array":
            return "list"
        case "object":
            return "keys and values"
        case _:
            return "text, secret" if schema.get("format") == "password" else "text"


def _range(schema: dict[str, Any]) -> str:
    above = schema.get("exclusiveMinimum")
    low = f"above {_plain(above)}" if above is not None else f"from {_plain(schema['minimum'])}"
    return f" {low} to {_plain(schema['maximum'])}"


def _plain(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}" if value < 1e6 else f"{value:.0f}"
        case _:
            return str(value)
