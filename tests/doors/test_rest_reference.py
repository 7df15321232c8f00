"""The reference of REST is made of the OpenAPI document. ``GOCONDUCTOR_TEST_REWRITE=1`` writes it anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.observe.metrics import Metrics
from goconductor.rest.app import create_app
from goconductor.stores.memory import MemoryStore
from tests.doors.test_cli_reference import DOCS, written

PAGE = DOCS / "rest-reference.md"


def document() -> dict[str, Any]:
    store = MemoryStore()
    node = Node(store=store, bus=MemoryBus(MemoryBroker()), open_store=lambda: store, registry=StepRegistry("server"))
    settings = Settings.model_validate({"database": {"url": "postgresql://db.example/sagas"}})
    return create_app(node, settings, metrics=Metrics()).openapi()


def reference(openapi: dict[str, Any]) -> Iterator[str]:
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            yield from of_operation(f"{method.upper()} {path}", operation)
    yield "## Documents"
    yield ""
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        yield from of_schema(name, schema)


def of_operation(title: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield told(operation.get("description") or operation["summary"])
    yield ""
    if parameters := operation.get("parameters"):
        yield "| Parameter | In | Type | |"
        yield "|---|---|---|---|"
        for each in parameters:
            must = "required" if each.get("required") and each["in"] != "path" else ""
            about = "; ".join(filter(None, (told(each.get("description", "")), must)))
            yield f"| `{each['name']}` | {each['in']} | {kind(each['schema'])} | {about} |"
        yield ""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body: {kind(content.get('schema', {}))} as `{media}`."
        yield ""
    yield "| Answer | | Content |"
    yield "|---|---|---|"
    for status, answer in sorted(operation["responses"].items()):
        contents = [f"{kind(content.get('schema', {}))} as `{media}`" for media, content in answer.get("content", {}).items()]
        yield f"| {status} | {told(answer['description'])} | {', '.join(contents)} |"
    yield ""


def of_schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    if description := schema.get("description"):
        yield told(description)
        yield ""
    if "properties" in schema:
        yield "| Field | Type | |"
        yield "|---|---|---|"
        for field, each in schema["properties"].items():
            must = "" if field in schema.get("required", ()) else "may be absent"
            yield f"| `{field}` | {kind(each)} | {'; '.join(filter(None, (told(each.get('description', '')), must)))} |"
    else:
        yield kind(schema)
    yield ""


def kind(schema: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(kind(each) for each in schema[word]))
    match schema.get("type"):
        case "array":
            return f"list of {kind(schema.get('items', {}))}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"name → {kind(schema['additionalProperties'])}"
        case str(word):
            return f"{word} ({schema['format']})" if "format" in schema else word
        case _:
            return "any JSON"


def told(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def test_the_reference_is_what_the_document_says() -> None:
    page = PAGE.read_text("utf-8")
    now = written(page, "operations", reference(document()))
    if os.environ.get("GOCONDUCTOR_TEST_REWRITE"):
        PAGE.write_text(now, "utf-8")
        return
    assert page == now, "GOCONDUCTOR_TEST_REWRITE=1 pytest tests/doors/test_rest_reference.py writes it anew"


def test_every_request_of_the_overview_is_one_that_there_is() -> None:
    overview = (DOCS / "rest.md").read_text("utf-8")
    paths = [path.partition("/{")[0] for path in document()["paths"]]
    assert [path for path in paths if path not in overview] == []
