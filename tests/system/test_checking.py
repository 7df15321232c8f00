"""Definitions whose steps call ``system``: what does not fit is refused before anything runs, with the remedy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor import ArgumentError, DefinitionError, HttpAnswer, Saga, http_step, load_definition
from goconductor.testing import World

URL = "https://api.example.com/orders/{order}"


def definition(inputs: dict[str, Any], run: str = "system.http") -> bytes:
    return msgspec.json.encode({"name": "order", "steps": [{"id": "call", "run": run, "inputs": inputs}]})


def given(**inputs: Any) -> dict[str, Any]:
    bound: dict[str, Any] = {"url": {"value": URL}, "order": {"ref": "$.input.order"}}
    return bound | {name: {"value": value} for name, value in inputs.items()}


def test_a_step_that_fits_is_taken() -> None:
    inputs = given(
        method="PUT",
        headers={"Authorization": "Bearer ${secret:token}", "X-Order": "{order}"},
        expected=[200, "3xx"],
        final=["4xx"],
        idempotency_header=None,
        undo={"method": "DELETE", "url": "https://api.example.com/orders/{output.body.id}", "headers": {"X-Key": "{action_key}"}},
    )
    inputs |= {"body": {"ref": "$.input"}, "query": {"ref": "$.input.query"}}
    assert load_definition(definition(inputs)).steps[0].run == "system.http"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "has no input 'url'; add it."),
    ({"ulr": {"value": URL}}, "has no input 'url'; add it (did you mean ulr?)."),
    (
        {"url": {"ref": "$.input.url"}},
        "its input 'url' is a reference; it must be a constant, since a saga's data may not decide",
    ),
    (given() | {"headers": {"ref": "$.input"}}, "its input 'headers' is a reference; it must be a constant"),
    (given(method="FETCH"), "its inputs do not fit: Invalid enum value 'FETCH' - at `$.method`."),
    (given(headers={"X": 3}), "its inputs do not fit: Expected `str`, got `int` - at `$.headers[...]`."),
    (given(headers={"Host": "x"}), "its headers have 'Host', which is set for each request; leave it out."),
    (given(headers={"a b": "x"}), "its headers name 'a b', which is no header; use letters, digits and '-'."),
    (given(headers={"X": "ü"}), "its header 'X' has other than printable ASCII characters; encode it."),
    (given(headers={"X": "a\r\nb"}), "its header 'X' has other than printable ASCII characters; encode it."),
    (given(headers={"X": "{"}), "its header 'X' has a '{' at 0 that begins or ends no placeholder;"),
    (given(expected=["2x"]), "its expected has '2x'; write a status such as 201, or all of a kind as '2xx'."),
    (given(final=[700]), "its final has 700; write a status such as 201, or all of a kind as '2xx'."),
    (given(idempotency_header="Content-Length"), "its idempotency_header 'Content-Length' can name no header of yours;"),
    (given(headrs={}), "its input 'headrs' is neither one of its own nor named by a placeholder; did you mean headers?."),
    (given(output=1), "its input 'output' has a name with a meaning of its own in placeholders; give it another."),
    ({"url": {"value": URL}}, "its placeholder {order} has no value; add 'order' to the inputs."),
    (given(url="https://a.example/{output.body.id}"), "it has a placeholder {output…} outside of its undo"),
    (given(undo={"url": "ftp://a.example"}), "its undo.url begins with neither https:// nor http://;"),
    (given(undo={"url": "https://a.example", "body": ["{"]}), "its undo.body has a '{' at 0"),
    (
        given(undo={"url": "https://a.example", "body": "${secret:x}"}),
        "its undo.body has a secret, which may stand in a header",
    ),
    (given(undo={"url": "https://a.example", "undo": {}}), "its inputs do not fit: Object contains unknown field `undo`"),
]


@pytest.mark.parametrize(("inputs", "problem"), REFUSED)
def test_a_step_that_does_not_fit_is_refused(inputs: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        load_definition(definition(inputs))
    assert f"step 'call' runs 'system.http', but {problem}" in refused.value.problems[0]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("/orders", "begins with neither https:// nor http://"),
        ("HTTPS://api.example.com", "begins with neither https:// nor http://"),
        ("file:///etc/hosts", "begins with neither https:// nor http://"),
        ("https://", "names no host"),
        ("https://*.example.com/", "names no host"),
        ("https://a_b.example/", "names no host"),
        ("https://me:secret@api.example.com/", "has a user or password before its host"),
        ("https://api.example.com@other.example/", "has a user or password before its host"),
        ("https://{order}.example.com/", "has a placeholder in its host"),
        ("https://api.example.com:{order}/", "has a placeholder in its host"),
        ("https://api.example.com:0/", "names no host"),
        ("https://api.example.com:99999/", "has an invalid port"),
        ("https://api.example.com:x/", "has an invalid port"),
        ("https://api.example.com/a b", "has spaces or other than printable ASCII characters"),
        ("https://api.example.com\\@other.example/", "has spaces or other than printable ASCII characters"),
        ("https://api.exämple.com/", "has spaces or other than printable ASCII characters"),
        ("https://api.example.com/\r\nHost: x", "has spaces or other than printable ASCII characters"),
        ("https://api.example.com/#part", "has a fragment"),
        ("https://api.example.com/?key=${secret:x}", "has a secret, which may stand in a header only"),
        ("https://api.example.com/{", "has a '{' at 1"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused(url: str, problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        load_definition(definition(given(url=url)))
    assert f"its url {problem}" in refused.value.problems[0]
    assert "secret@" not in str(refused.value)


PUBLISHED: list[tuple[dict[str, Any], str]] = [
    ({}, "has no input 'topic'; add it."),
    ({"topic": "orders", "typ": "x"}, "has no input 'type'; add it (did you mean typ?)."),
    ({"topic": "goconductor.steps.shop"}, "its topic 'goconductor.steps.shop' is goconductor's own, as all that begin with"),
    ({"topic": "GoConductor-x"}, "its topic 'GoConductor-x' is goconductor's own"),
    ({"topic": "a b"}, "its topic 'a b' is not valid; use up to 249 letters"),
    ({"type": "goconductor.step.run.v2"}, "its type 'goconductor.step.run.v2' is goconductor's own; choose another."),
    ({"type": ""}, "its type should be 1 to 255 printable characters"),
    ({"subject": "{order}"}, "its placeholder {order} has no value; add 'order' to the inputs."),
    ({"subject": "{"}, "its subject has a '{' at 0"),
    ({"subject": "${secret:x}"}, "its subject has a secret, which may stand in a header of system.http only"),
    ({"undo": {"topic": "goconductor.x", "type": "t"}}, "its undo.topic 'goconductor.x' is goconductor's own"),
    ({"undo": {"topic": "t", "type": "t", "data": "${secret:x}"}}, "its undo.data has a secret"),
    ({"undo": {"topic": "t", "type": "t", "data": ["}"]}}, "its undo.data has a '}' at 0"),
    ({"dta": 1}, "its input 'dta' is neither one of its own nor named by a placeholder; did you mean data?."),
]


@pytest.mark.parametrize(("inputs", "problem"), PUBLISHED)
def test_a_message_that_does_not_fit_is_refused(inputs: dict[str, Any], problem: str) -> None:
    whole = {} if not inputs else inputs if "typ" in inputs else {"topic": "orders", "type": "placed"} | inputs
    with pytest.raises(DefinitionError) as refused:
        load_definition(definition({name: {"value": value} for name, value in whole.items()}, "system.publish"))
    assert f"step 'call' runs 'system.publish', but {problem}" in refused.value.problems[0]


def test_the_topic_is_a_constant_and_the_data_need_not_be() -> None:
    inputs: dict[str, Any] = {"topic": {"value": "orders"}, "type": {"value": "placed"}, "data": {"ref": "$.input"}}
    assert load_definition(definition(inputs, "system.publish")).name == "order"
    with pytest.raises(DefinitionError, match="its input 'topic' is a reference; it must be a constant"):
        load_definition(definition(inputs | {"topic": {"ref": "$.input.topic"}}, "system.publish"))


def test_what_a_declared_undo_runs_is_checked_like_a_step() -> None:
    def document(url: dict[str, Any]) -> bytes:
        undo = {"run": "system.http", "inputs": {"url": url}}
        return msgspec.json.encode({"name": "order", "steps": [{"id": "pay", "run": "bank.pay", "undo": undo}]})

    assert load_definition(document({"value": "https://api.example.com/"})).name == "order"
    with pytest.raises(DefinitionError, match=r"step 'pay' runs 'system\.http', but its input 'url' is a reference"):
        load_definition(document({"ref": "$.input.url"}))


def test_a_step_inside_of_a_map_is_checked_too() -> None:
    def document(url: dict[str, Any]) -> bytes:
        do = [{"id": "tell", "run": "system.http", "inputs": {"url": url}}]
        return msgspec.json.encode({"name": "order", "steps": [{"id": "all", "map": {"over": "$.input.lines", "do": do}}]})

    assert load_definition(document({"value": "https://api.example.com/"})).name == "order"
    with pytest.raises(DefinitionError, match=r"step 'tell' runs 'system\.http', but its input 'url' is a reference"):
        load_definition(document({"ref": "$.item.url"}))


def test_a_step_that_there_is_not_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"step 'call' runs 'system.htpp', which there is not; did you mean system.http\?"):
        load_definition(definition({}, "system.htpp"))


def test_in_python_it_is_the_same_document() -> None:
    order: Saga[Any] = Saga("order")
    called = http_step(
        order,
        "PUT",
        URL,
        id="call",
        inputs={"order": order.input.order},
        headers={"X": "{order}"},
        body=order.input,
        expected=[200],
        undo={"url": "https://a.example"},
        timeout="5s",
    )
    order.returns(called.output.body["id"])
    written = definition(given(method="PUT", headers={"X": "{order}"}, expected=[200], undo={"url": "https://a.example"}))
    document = msgspec.json.decode(written)
    document["steps"][0]["inputs"]["body"] = {"ref": "$.input"}
    document["steps"][0]["timeout_seconds"] = 5.0
    document["output"] = {"ref": "$.steps.call.output.body.id"}
    assert load_definition(msgspec.json.encode(document)).version == order.definition.version
    assert HttpAnswer(200, {}).body is None


def test_an_argument_is_not_given_as_the_value_of_a_placeholder() -> None:
    with pytest.raises(ArgumentError, match="inputs has 'body', which is an argument of http_step"):
        http_step(Saga("order"), "GET", URL, inputs={"body": 1})


async def test_a_saga_in_python_is_checked_when_it_is_registered() -> None:
    order: Saga[Any] = Saga("order")
    http_step(order, "GET", "https://api.example.com/{order}")
    async with World() as world:
        conductor = await world.conductor()
        with pytest.raises(DefinitionError, match=r"its placeholder \{order\} has no value"):
            await conductor.start(order, {})
