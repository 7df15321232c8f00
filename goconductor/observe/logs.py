"""Logs: one line for each record, as text or as JSON, with the saga and the step in which it was logged.

While a step runs, a context variable names it. :class:`Fields` copies that into each record that passes a log handler. It does
so for every logger: the engine's, the step's own, a library's. Where the engine logs about a saga outside of its steps, it gives
``saga_id`` and ``step`` as ``extra``.

A program with logging of its own keeps it, and adds what it wants::

    stream.addFilter(logs.Fields())
    stream.setFormatter(logs.JsonFormatter())

With structlog, a processor calls :func:`fields`::

    def goconductor_step(logger, method_name, event_dict):
        return {**logs.fields(), **event_dict}
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from goconductor.engine.steps.context import RUNNING
from goconductor.errors import without_passwords

FIELDS = ("saga_id", "saga", "step", "direction", "attempt", "round", "participant", "trace_id", "span_id")
"""Names of the fields of a line, in this order."""

_RECORD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"))
_WITHOUT_TRACE = ("0" * 32, "0" * 16)


def fields() -> dict[str, str | int]:
    """Return the step that runs here, and the span; empty outside of both."""
    found: dict[str, str | int] = {}
    step = RUNNING.get()
    if step is not None:
        found = {
            "saga_id": str(step.saga_id),
            "saga": step.saga,
            "step": step.step,
            "direction": step.direction.value,
            "attempt": step.attempt,
            "round": step.round,
            "participant": step.participant,
        }
    trace_id, span_id = _span()
    if trace_id:
        found |= {"trace_id": trace_id, "span_id": span_id}
    elif step is not None and step.traceparent:
        found["trace_id"] = step.traceparent[3:35]
    return found


def _span() -> tuple[str, str]:
    """Return the ids of the current trace and span. A process that traces has loaded OpenTelemetry already."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return "", ""
    context = trace.get_current_span().get_span_context()
    ids = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return ids if ids[0] != _WITHOUT_TRACE[0] else ("", "")


class Fields(logging.Filter):
    """Passes every record, with fields of the step in which it was logged. Add it to a log handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Fill in the fields that the record lacks."""
        known = fields()
        about = record.__dict__.get("saga_id")
        if about is not None and str(about) != known.get("saga_id", str(about)):
            return True  # one saga logged about another
        for name, value in known.items():
            record.__dict__.setdefault(name, value)
        return True


class TextFormatter(logging.Formatter):
    """``time LEVEL logger: message saga_id=… step=…``, and an exception below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """Return the first line: message and fields."""
        known = [f"{name}={record.__dict__[name]}" for name in FIELDS if name in record.__dict__]
        return " ".join((super().formatMessage(record), *known))

    def format(self, record: logging.LogRecord) -> str:
        """Return all lines, without passwords."""
        return without_passwords(super().format(record))


class JsonFormatter(logging.Formatter):
    """Writes one JSON object in one line.

    It has ``time`` (RFC 3339), ``level``, ``logger``, ``message``, the fields, all else that was given as ``extra``, and
    ``exception`` with ``type``, ``message`` and ``stack``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without passwords."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        given = record.__dict__
        line |= {name: given[name] for name in FIELDS if name in given}
        line |= {name: value for name, value in given.items() if name not in _RECORD and name not in line}
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, _ = record.exc_info
            line["exception"] = {
                "type": kind.__name__,
                "message": _text(error),
                "stack": self.formatException(record.exc_info),
            }
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return without_passwords(_encoded(line))


def _text(thing: Any) -> str:
    """Return the text of an object of user code, whose ``str`` may raise."""
    try:
        return str(thing)
    except Exception as broken:  # noqa: BLE001
        return f"(its text cannot be had: {type(broken).__name__})"


def _encoded(line: Mapping[str, Any]) -> str:
    """Encode as JSON. A value that JSON lacks becomes text, and a lone surrogate, which UTF-8 lacks, an escape."""
    try:
        return msgspec.json.encode(line, enc_hook=_text).decode()
    except Exception:  # noqa: BLE001  (a line must come out, whatever was given as `extra`)
        return json.dumps({name: value if isinstance(value, str | int) else _text(value) for name, value in line.items()})


def set_up(*, level: str, format: Literal["text", "json"]) -> None:
    """Log to standard error, unless the program has set up logging itself.

    Args:
        level: the level of our own loggers; others log from ``warning`` on.
        format: ``text`` for people, ``json`` for machines.
    """
    root = logging.getLogger()
    if not root.handlers:
        stream = logging.StreamHandler()
        stream.addFilter(Fields())
        stream.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
        root.addHandler(stream)
        root.setLevel(logging.WARNING)
        logging.getLogger("goconductor").setLevel(level.upper())
