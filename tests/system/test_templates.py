"""Templates: what a definition wrote stays as it is, and a saga's data is never read as a template."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import RefusedError
from goconductor.system.templates import Template, Values

TEXTS = st.text(st.characters(codec="utf-8"))


def filled(text: str, **values: Any) -> str:
    return Template.parse(text).filled(Values(values).text_of)


def test_placeholders_are_replaced_by_values() -> None:
    assert filled("/orders/{order}/lines/{line}", order="a1", line=3) == "/orders/a1/lines/3"


def test_a_path_leads_into_a_value() -> None:
    output = {"body": {"items": [{"id": "x"}, {"id": "y"}]}}
    assert filled("/{output.body.items.1.id}", output=output) == "/y"


def test_numbers_and_truth_are_written_as_json_has_them() -> None:
    assert filled("{a} {b} {c}", a=True, b=1.5, c=-3) == "true 1.5 -3"


@given(TEXTS)
def test_doubled_braces_are_braces(text: str) -> None:
    assert filled(text.replace("{", "{{").replace("}", "}}")) == text


@given(TEXTS)
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    assert filled("<{value}>", value=value, secret="x") == f"<{value}>"
    assert Values({"value": value}).within({"a": ["{value}", "is {value}"]}) == {"a": [value, f"is {value}"]}


@given(TEXTS)
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    with suppress(ValueError):
        assert Template.parse(text).source == text
        return
    assert "{" in text or "}" in text


def test_a_text_that_is_one_placeholder_becomes_the_value_itself() -> None:
    body = Values({"output": {"body": {"ids": [1, 2]}}, "n": 3}).within({"all": "{output.body.ids}", "n": "{n}", "text": "n={n}"})
    assert body == {"all": [1, 2], "n": 3, "text": "n=3"}


def test_secrets_are_told_apart_from_placeholders() -> None:
    read = Template.parse("Bearer ${secret:token} for {who}")
    assert [*read.secrets] == ["token"]
    assert [str(each) for each in read.placeholders] == ["who"]
    assert read.filled(lambda _: "me", {"token": "t"}.__getitem__) == "Bearer t for me"


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        ("{a}", {}, "{a} has no value; add 'a' to the step's inputs"),
        ("{a}", {"a": None}, "{a} is null; give it a text or a number"),
        ("{a}", {"a": [1]}, "{a} is a list; give it a text or a number"),
        ("{a}", {"a": {}}, "{a} is a map; give it a text or a number"),
        ("{a.b.c}", {"a": {"b": 1}}, "{a.b.c} has no value: there is no 'c'; correct the path, or what it reads"),
        ("{a.2}", {"a": [1, 2]}, "{a.2} has no value: there is no '2'; correct the path, or what it reads"),
        ("${secret:x}", {}, "'${secret:x}' has a secret, which may stand in a header only; put it there"),
    ],
)
def test_what_has_no_text_is_refused(text: str, values: dict[str, Any], problem: str) -> None:
    with pytest.raises(RefusedError) as refused:
        filled(text, **values)
    assert str(refused.value) == problem


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a b}", "{a.}", "{{{", "a}b"])
def test_a_brace_that_stands_alone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="begins or ends no placeholder"):
        Template.parse(text)
