"""Every door has every request of the catalogue, and every request its parameters there."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from typer.main import get_command

from goconductor import SagaHandle
from goconductor.blocking import BlockingSaga
from goconductor.cli.commands.sagas.requests import NAMES
from goconductor.cli.main import cli
from goconductor.lifecycle.requests.catalogue import CATALOGUE, Operation, Request
from goconductor.rest.paths.sagas.requests import PATHS
from tests.doors.test_cli_reference import DOCS
from tests.doors.test_rest_reference import document

each_operation = pytest.mark.parametrize("operation", CATALOGUE, ids=lambda operation: operation.request)


def said(operation: Operation) -> set[str]:
    """What an operator can say of a request, whichever door it is."""
    reason = {"reason"} if operation.takes_reason else set()
    return {"by", *reason, *(each.name for each in operation.parameters)}


def needed(operation: Operation) -> set[str]:
    reason = {"reason"} if operation.needs_reason else set()
    return {*reason, *(each.name for each in operation.parameters if each.required)}


@each_operation
@pytest.mark.parametrize("kind", [SagaHandle, BlockingSaga])
def test_a_handle_has_a_method_for_it(kind: type[Any], operation: Operation) -> None:
    missing = f"{kind.__name__} lacks it: add a method to goconductor/control/doors/handles/requests.py, and rewrite blocking"
    assert hasattr(kind, operation.request), missing
    parameters = inspect.signature(getattr(kind, operation.request)).parameters
    step = {"step"} if operation.about_step else set()
    assert set(parameters) == {"self", *step, *said(operation), "revision", "request_id"}
    required = {name for name, each in parameters.items() if each.default is inspect.Parameter.empty}
    assert required == {"self", *step, *needed(operation)}


@each_operation
def test_rest_has_a_path_for_it(operation: Operation) -> None:
    step = "/steps/{step}" if operation.about_step else ""
    path = document()["paths"][f"/v1/sagas/{{saga_id}}{step}/{PATHS.get(operation.request, operation.request)}"]["post"]
    body = path["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == said(operation)
    assert (set(schema.get("required", [])), body["required"]) == (needed(operation), bool(needed(operation)))
    assert (path["summary"], path["description"]) == (operation.request.replace("_", " ").title(), operation.summary)
    assert {each["name"] for each in path["parameters"] if each["in"] == "header"} == {"If-Match", "Idempotency-Key"}


@each_operation
def test_the_command_line_has_a_command_for_it(operation: Operation) -> None:
    saga: Any = get_command(cli)
    command = saga.commands["saga"].commands[NAMES.get(operation.request, operation.request)]
    arguments = [each.name for each in command.params if each.param_type_name == "argument"]
    options = {each.name for each in command.params if each.param_type_name == "option"}
    assert arguments == (["saga", "step"] if operation.about_step else ["saga"])
    dry_run = {"dry_run"} if operation.request is Request.RESTART else set()
    assert options == {*said(operation), "revision", "request_id", "as_json", *dry_run}
    assert " ".join(command.help.split()) == operation.summary


def test_the_command_line_and_rest_have_no_other_request() -> None:
    paths = [path for path, methods in document()["paths"].items() if methods.get("post", {}).get("tags") == ["operations"]]
    assert len(paths) == len(CATALOGUE)


@each_operation
def test_the_page_on_rest_says_what_it_takes(operation: Operation) -> None:
    step = "steps/{step}/" if operation.about_step else ""
    start = f"| `{step}{PATHS.get(operation.request, operation.request)}` |"
    rows = [line for line in (DOCS / "rest.md").read_text("utf-8").splitlines() if line.startswith(start)]
    assert rows, f"docs/rest.md has no row for it, which begins with {start}"
    (row,) = rows
    fields = [each.strip() for each in row.split("|")[2].split(",") if each.strip()]
    assert {each.strip("*`") for each in fields} == said(operation) - {"by"}
    assert {each.strip("*`") for each in fields if each.startswith("**")} == needed(operation)
