"""Events as the log keeps them.

The step, round, attempt and time of an event have columns of their own; the rest (its *body*) is JSON. A body leaves out each
value that equals its default.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from goconductor.lifecycle.facts.events import EVENTS, Event, StepEvent

_COLUMNS = ("step", "attempt", "round", "at")


class _Body(NamedTuple):
    """What of an event stands in JSON: a struct of it, its fields' names, how they are taken, and whether it is about a step."""

    kind: type[Any]
    names: tuple[str, ...]
    values: Callable[[Any], tuple[Any, ...]]
    about_step: bool


def _body(event: type[Any]) -> _Body:
    own = (f for f in msgspec.structs.fields(event) if f.name not in _COLUMNS)
    fields = sorted(own, key=lambda field: not field.required)
    spec = [(f.name, f.type) if f.required else (f.name, f.type, msgspec.field(default=f.default)) for f in fields]
    body = msgspec.defstruct(f"{event.__name__}Body", spec, frozen=True, omit_defaults=True, module=__name__)
    names = tuple(f.name for f in fields)
    return _Body(body, names, _values(names), issubclass(event, StepEvent))


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    (name,) = names
    return lambda event: (getattr(event, name),)


_BODIES = {event: _body(event) for event in EVENTS.values()}
_DECODERS = {name: msgspec.json.Decoder(_BODIES[event].kind) for name, event in EVENTS.items()}
_encode = msgspec.json.Encoder().encode


def body(event: Event) -> bytes:
    """Return the event's body as JSON: all of it but step, attempt, round and time."""
    body = _BODIES[type(event)]
    return _encode(body.kind(*body.values(event)))


def event(name: str, data: bytes, *, step: str = "", attempt: int = 1, round: int = 0, at: float = 0.0) -> Event:
    """Make an event from its parts, as the log keeps them.

    Raises:
        KeyError: there is no such event (a newer version wrote it).
        msgspec.ValidationError: the body does not fit the event.
    """
    kind = EVENTS[name]
    _, names, _, about_step = _BODIES[kind]
    parts = _DECODERS[name].decode(data)
    values = {n: getattr(parts, n) for n in names}
    if about_step:
        values |= {"step": step, "attempt": attempt, "round": round}
    made: Event = kind(at=at, **values)
    return made
