"""The form of Orchy's documents: what they are made of, and what cannot be imported, each fault with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from goconductor.control.faults import Fault
from goconductor.control.importers.orchy.references import place_of
from goconductor.control.schema_faults import struct_faults
from goconductor.errors import DefinitionError, PayloadError
from goconductor.saga.data.values import check_value
from goconductor.saga.ids import NAME
from goconductor.saga.retry import SECONDS_MAX

DEFAULT = "default"
"""The key of ``next`` that stands for all other values."""
NAMELESS = "(without a name)"
_SYSTEM = {"wait": "event", "delay": "delaySeconds", "switch": "expression", "javascript": "expression"}
"""The system actions, each with the field that says what it does."""
_OWN = ("parameters", "expression", "delaySeconds", "event")


class Action(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One action.

    Args:
        id: its number.
        type: who runs it: a worker, or the system.
        name: the worker's action, or which of the system's.
        parameters: of a worker's action; texts may refer to data.
        expression: of a switch, what it decides by; of javascript, the program.
        delay_seconds: of a delay.
        event: of a wait.
        next: the action that follows, by value; of all but a switch ``default`` alone.
    """

    id: int
    type: Literal["user", "system"]
    name: str
    parameters: dict[str, Any] = {}
    expression: str | None = None
    delay_seconds: float | None = None
    event: str | None = None
    next: dict[str, int] = {}

    @property
    def kind(self) -> str:
        """``user``, or the name of a system action."""
        return "user" if self.type == "user" else self.name


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A whole document: its name, the action that begins, and all actions."""

    name: str
    root_action: int
    actions: tuple[Action, ...]


def read(content: Any) -> Document:
    """Read a document.

    Args:
        content: made of dicts, lists and plain values.

    Raises:
        DefinitionError: it has another form, or cannot be imported; has all faults with their places.
    """
    name = content.get("name") if isinstance(content, dict) else None
    called = name if isinstance(name, str) else NAMELESS
    try:
        check_value(content)
        document = msgspec.convert(content, Document)
    except PayloadError as error:
        raise DefinitionError(called, [str(error)]) from None
    except msgspec.ValidationError as error:
        found = [str(fault) for fault in struct_faults(Document, content)]
        raise DefinitionError(called, found or [str(error)]) from None
    if faults := [str(fault) for fault in _faults(document)]:
        raise DefinitionError(called, faults)
    return document


def _faults(document: Document) -> Iterator[Fault]:
    known: dict[int, Action] = {}
    for number, action in enumerate(document.actions):
        place = f"$.actions[{number}]"
        if action.id < 0:
            yield Fault(f"{place}.id", f"is {action.id}; number actions from 0")
        if known.setdefault(action.id, action) is not action:
            yield Fault(f"{place}.id", f"is {action.id} like another action's; give each a number of its own")
        yield from _of_kind(place, action)
    if document.root_action not in known:
        yield Fault("$.rootAction", f"is {document.root_action}, which is no action; name the one that begins")
    for number, action in enumerate(document.actions):
        for value, follower in action.next.items():
            if follower not in known:
                yield Fault(
                    f"$.actions[{number}].next.{value}", f"is {follower}, which is no action; add it or correct the number"
                )


def _of_kind(place: str, action: Action) -> Iterator[Fault]:
    if action.type == "system" and action.name not in _SYSTEM:
        yield Fault(f"{place}.name", f"is {action.name!r}; the system has {', '.join(_SYSTEM)}")
        return
    wanted = _SYSTEM.get(action.kind, "parameters")
    given: Mapping[str, Any] = {
        "parameters": action.parameters or None,
        "expression": action.expression,
        "delaySeconds": action.delay_seconds,
        "event": action.event,
    }
    if action.type == "system" and given[wanted] is None:
        yield Fault(place, f"is a {action.kind} and lacks {wanted}; add it")
    for field in _OWN:
        if field != wanted and given[field] is not None:
            yield Fault(f"{place}.{field}", f"says nothing of a {action.kind} action; leave it out")
    if action.kind == "switch" and action.expression is not None and place_of(action.expression) is None:
        yield Fault(
            f"{place}.expression", f"is {action.expression[:100]!r}, which is no reference; write one, as $.10.output.points"
        )
    if action.kind == "delay" and action.delay_seconds is not None and action.delay_seconds < 0:
        yield Fault(f"{place}.delaySeconds", "is below zero; give how many seconds it takes")
    if action.kind == "delay" and action.delay_seconds is not None and action.delay_seconds > SECONDS_MAX:
        yield Fault(f"{place}.delaySeconds", f"is {action.delay_seconds:g}; a delay has at most {SECONDS_MAX:.0f} seconds")
    for field, name in (("name", action.name if action.type == "user" else None), ("event", action.event)):
        if name is not None and not NAME.fullmatch(name):
            problem = f"is {name[:100]!a}; use 1 to 100 letters, digits, '_' or '-', with a letter or digit at both ends"
            yield Fault(f"{place}.{field}", problem)
    if action.kind != "switch":
        for value in action.next:
            if value != DEFAULT:
                yield Fault(
                    f"{place}.next.{value}", "is for a value, which a switch alone can tell; put a switch behind this action"
                )
