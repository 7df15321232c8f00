"""A transcript: prose, a definition in YAML, and then a conversation with the saga.

::

    # What this page shows, in Markdown.

    name: order
    steps:
      - {id: reserve_stock, run: inventory.reserve}
    ---
    SagaStarted input={"sku": "A-1"}
      → run reserve_stock
      = queued

Lines that begin at the margin go in: an event of ``lifecycle/facts/events.py`` with its step and the fields that are not as usual
(JSON, or a bare word), or ``wait 5s``. Indented lines are the answers: ``→`` what is asked for, ``=`` the saga's status with
the reason, ``!`` why the event was refused, ``·`` what happened while time passed. Lines that begin with ``#`` are prose.

Several sagas have names, which stand before what goes in: ``first: SagaStarted``. They share the locks that they ask for
(:mod:`tests.scenarios.several`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from goconductor.lifecycle.facts.events import EVENTS, Event, StepEvent
from goconductor.saga.definition import Definition
from goconductor.saga.writing.groups.compiling import compiled
from goconductor.saga.writing.groups.forms import WrittenDefinition, is_plain
from tests.scenarios.several import Sagas

_FIELD = re.compile(r"\s*([a-z_]+)=")
_NAMED = re.compile(r"([a-z][a-z_]*): ")
_PERMANENT = {"PermanentError", "RefusedError"}


def answered(text: str) -> str:
    """The transcript with the answers that the saga gives now."""
    head, _, talk = text.partition("\n---\n")
    document = "\n".join(line for line in head.splitlines() if not line.startswith("#"))
    sagas = Sagas(_definition(yaml.safe_load(document)))
    return f"{head}\n---\n" + "\n".join(_answers(sagas, talk.splitlines())) + "\n"


def _definition(document: Any) -> Definition:
    if is_plain(document):
        return msgspec.convert(document, Definition)
    definition, problems = compiled(msgspec.convert(document, WrittenDefinition))
    assert problems == []
    return definition


def _answers(sagas: Sagas, lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith(" "):
            continue
        yield line
        if not line or line.startswith("#"):
            continue
        named = _NAMED.match(line)
        name, said = (named[1], line[named.end() :]) if named else ("", line)
        yield from sagas.given(name, said.removeprefix("wait ") if said.startswith("wait ") else parse(said))


def parse(line: str) -> Event:
    """An event from its line."""
    name, _, rest = line.partition(" ")
    kind = EVENTS[name]
    fields: dict[str, Any] = {}
    if issubclass(kind, StepEvent):
        fields["step"], _, rest = rest.partition(" ")
    while rest.strip():
        match = _FIELD.match(rest)
        if match is None:
            raise ValueError(f"{line!r}: expected field=value at {rest!r}")
        fields[match[1]], rest = _value(rest[match.end() :])
    if isinstance(fields.get("failure"), str):
        failure, _, message = fields["failure"].partition(": ")
        fields["failure"] = {"type": failure, "message": message, "retryable": failure not in _PERMANENT}
    unknown = fields.keys() - {field.name for field in msgspec.structs.fields(kind)}
    if unknown:
        raise ValueError(f"{line!r}: {name} has no {', '.join(sorted(unknown))}")
    event: Event = msgspec.convert(fields, kind)
    return event


def _value(text: str) -> tuple[Any, str]:
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError:
        word, _, rest = text.partition(" ")
        return word, rest
    return value, text[end:]
