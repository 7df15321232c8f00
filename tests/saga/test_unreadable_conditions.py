"""What a condition names and the data does not have, before there is a signal to ask about."""

from __future__ import annotations

import pytest

from goconductor.saga.expressions.conditions import ABOUT_SIGNAL, compile_condition


@pytest.mark.parametrize(
    ("parent", "kind"),
    [(None, "null"), (7, "a number"), (0.5, "a number"), (True, "a bool"), ("x", "a text"), ([{"b": 1}], "a list")],
)
@pytest.mark.parametrize("source", ["payload == input.a.b", 'payload == input["a"].b.c', "payload > 1 && input.a.b > 1"])
def test_a_field_of_what_is_no_object_is_unreadable_whatever_the_payload(source: str, parent: object, kind: str) -> None:
    problem = compile_condition(source, ABOUT_SIGNAL).unreadable({"input": {"a": parent}})
    assert problem.startswith(f"input.a is {kind}, not an object; ")


@pytest.mark.parametrize(
    ("source", "parent"),
    [
        ("payload == input.a", None),
        ("payload == input.a[0]", [1]),
        ("payload == input.a[0].b", [{"b": 1}]),
        ("input.a.exists(each, each.b == payload)", [{"b": 1}]),
        ("input.a.startsWith(payload)", "x"),
        ("payload == input.a.b", {"b": None}),
        ("input.a != null && payload == input.a.b", None),
        ("has(input.a.b) && payload == input.a.b", None),
        ("type(input.a) == map && payload == input.a.b", 7),
    ],
)
def test_what_ends_at_a_value_or_asks_what_it_has_is_readable(source: str, parent: object) -> None:
    assert compile_condition(source, ABOUT_SIGNAL).unreadable({"input": {"a": parent}}) == ""


@pytest.mark.parametrize("guard", ["!steps.card.skipped", "!steps.card.failed", "steps.card.output != null"])
def test_the_null_of_a_step_that_was_left_out_is_readable_where_that_is_asked(guard: str) -> None:
    left_out = {"steps": {"card": {"output": None, "skipped": True, "failed": False, "failure": None}}}
    asking = "payload == steps.card.output.receipt"
    assert compile_condition(f"{guard} && {asking}", ABOUT_SIGNAL).unreadable(left_out) == ""
    assert compile_condition(asking, ABOUT_SIGNAL).unreadable(left_out).startswith("steps.card.output is null, not an object")
