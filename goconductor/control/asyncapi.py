"""The AsyncAPI 3.1 document of what goconductor tells the outside: the topic of events, and webhooks.

It is made of what the events are encoded from, so it has every type that this version knows, with what the docstrings say of its
fields.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec

from goconductor.control.docstrings import docstring_of
from goconductor.control.webhooks.queues import TEST_TYPE
from goconductor.messages.topics import PREFIX
from goconductor.recovery.feed.cloud_events import CONTENT_TYPE, KNOWN_TYPES, OF_LOG, OF_STATUS, EventData
from goconductor.webhooks.endpoint import STATUSES
from goconductor.webhooks.signing import HEADERS

ASYNCAPI = "3.1.0"
"""The version of the specification."""
_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}
_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "specversion": {"const": "1.0", "description": "the version of CloudEvents"},
    "id": _TEXT | {"description": "the same for each repetition of the event"},
    "source": _TEXT | {"description": f"`/{PREFIX}/sagas/` and the name of the saga"},
    "type": _TEXT | {"description": "what has happened"},
    "subject": _TEXT | {"format": "uuid", "description": "the saga's id"},
    "time": _TIME | {"description": "when it happened"},
    "datacontenttype": {"const": "application/json", "description": "the media type of `data`; may be left out"},
    "partitionkey": _TEXT | {"description": "the saga's id: events of one saga keep their order"},
    "correlationid": _TEXT | {"description": "the saga's id"},
    "sequence": _TEXT | {"description": "the event's place in the saga's log, in twenty digits: texts are ordered as numbers"},
}
_MAY_BE_LEFT_OUT = frozenset({"datacontenttype"})


def asyncapi(topic: str | None = None) -> dict[str, Any]:
    """Return the document.

    Args:
        topic: where events are published; None where the settings have none.
    """
    of_events = {_key(kind): _message(kind) for kind in KNOWN_TYPES}
    called = {f"webhook_{status}": _message(f"{OF_STATUS}.{status}") for status in STATUSES} | {"webhook_test": _test()}
    of_webhooks = {name: message | {"headers": _headers()} for name, message in called.items()}
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "goconductor",
            "version": version("goconductor"),
            "description": "What sagas tell the outside, as CloudEvents 1.0 in JSON. Each comes at least once.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "events": {
                "address": topic,
                "description": "The topic of all events, in the log's order for each saga.",
                "messages": _references(of_events),
            },
            "webhooks": {
                "address": None,
                "description": "The URL of an endpoint that was registered. No order is promised.",
                "messages": _references(of_webhooks),
            },
        },
        "operations": {
            "publishEvent": _sends("events", "The elected leader publishes an event.", of_events),
            "callWebhook": _sends(
                "webhooks", "The elected leader calls an endpoint, signed as Standard Webhooks 1.0.0.", of_webhooks
            ),
        },
        "components": {
            "messages": {**of_events, **of_webhooks},
            "schemas": {"CloudEvent": _cloud_event(), "EventData": _data()},
        },
    }


def _key(kind: str) -> str:
    return kind.replace(".", "_")


def _message(kind: str) -> dict[str, Any]:
    family, _, name = kind.partition(".")
    summary = f"The event {name} of a saga's log." if family == OF_LOG else f"A saga has the status {name} now."
    return {
        "name": f"{PREFIX}.{kind}",
        "title": f"{PREFIX}.{kind}",
        "summary": summary,
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [{"$ref": "#/components/schemas/CloudEvent"}],
            "properties": {"type": {"const": f"{PREFIX}.{kind}"}},
        },
    }


def _references(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _sends(channel: str, summary: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "required": [*HEADERS],
        "properties": {name: {"type": "string", "description": says} for name, says in HEADERS.items()},
    }


def _cloud_event() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A CloudEvent about a saga.",
        "required": [name for name in (*_ATTRIBUTES, "data") if name not in _MAY_BE_LEFT_OUT],
        "properties": {**copy.deepcopy(_ATTRIBUTES), "data": {"$ref": "#/components/schemas/EventData"}},
    }


def _data() -> dict[str, Any]:
    """Describe the content of an event. Members may come that a later version adds."""
    made = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(EventData)["$defs"][EventData.__name__]))
    summary, fields = docstring_of(EventData)
    for name, field in made["properties"].items():
        field.pop("default", None)  # what is empty is left out
        if {} in field.get("anyOf", ()):  # any value
            del field["anyOf"]
        field["description"] = fields[name]
    return {"type": "object", "description": summary, "required": made["required"], "properties": made["properties"]}


def _test() -> dict[str, Any]:
    names = ("specversion", "id", "source", "time")
    return {
        "name": TEST_TYPE,
        "title": TEST_TYPE,
        "summary": "Tries a webhook.",
        "contentType": CONTENT_TYPE,
        "payload": {
            "type": "object",
            "required": [*names, "type", "data"],
            "properties": {
                **{name: copy.deepcopy(_ATTRIBUTES[name]) for name in names},
                "source": _TEXT | {"description": f"`/{PREFIX}/webhooks/` and the name of the webhook"},
                "type": {"const": TEST_TYPE},
                "data": {"type": "object", "required": ["webhook"], "properties": {"webhook": _TEXT}},
            },
        },
    }
