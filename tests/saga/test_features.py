"""What a definition uses that older code does not know."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor.control.definitions.loading import read
from goconductor.saga.definition import (
    Binding,
    Child,
    Definition,
    Delay,
    Lock,
    Map,
    Repeat,
    Savepoint,
    Step,
    Undo,
    Wait,
)
from goconductor.saga.features import KNOWN, USES, features_of, unknown_to
from goconductor.saga.plan import Plan
from goconductor.saga.retry import Retry

ORDER = Definition(name="order", steps=(Step(id="pay", run="payments.charge"), Step(id="pack", run="shop.pack")))


AS_OLD_AS_THE_WHOLE: dict[type[msgspec.Struct], str] = {
    Definition: "name steps output timeout_seconds input_schema",
    Step: "id run after inputs when pivot compensation retry compensation_retry timeout_seconds unknowns_max",
    Binding: "ref value",
    Delay: "seconds until",
    Wait: "event approval where timeout_seconds",
    Undo: "run inputs",
    Child: "name version output timeout_seconds input_schema priority",
    Lock: "key mode",
    Map: "over do",
    Repeat: "do until max delay_seconds at_max",
    Savepoint: "otherwise first",
    Retry: "attempts_max initial_seconds factor max_seconds jitter",
}
"""What code that knows the whole knows, too."""

CAME_LATER: dict[type[msgspec.Struct], dict[str, str]] = {
    Definition: {"locks": "locks", "priority": "default_priority"},
    Step: {
        **{kind: kind for kind in ("delay", "wait", "value", "map", "repeat", "saga", "savepoint")},
        "undo": "declared_undo",
        "total_timeout_seconds": "total_timeout",
        "locks": "locks",
        "allow_fail": "tolerated_failure",
        "fallback": "tolerated_failure",
    },
    Binding: {"optional": "optional_reference"},
    Undo: {"wait": "undo_wait", "saga": "undo_saga"},
    Child: {"held": "held_saga", "steps": "saga_inside"},
    Map: {"join": "join", "concurrency": "concurrency"},
    Retry: {"on": "retry_on", "not_on": "retry_on"},
}
"""The feature by which older code learns that there is something which it does not know, by field."""


@pytest.mark.parametrize("struct", AS_OLD_AS_THE_WHOLE, ids=lambda struct: struct.__name__)
def test_each_field_that_came_later_has_its_feature(struct: type[msgspec.Struct]) -> None:
    later = CAME_LATER.get(struct, {})
    new = {*struct.__struct_fields__} - {*AS_OLD_AS_THE_WHOLE[struct].split(), *later}
    assert not new, (
        f"{struct.__name__} has new fields, {sorted(new)}, which older code does not know: add a feature to goconductor/saga/"
        "features.py, its question to USES of migrations/versions/v0009_features.py, and name it here. CONTRIBUTING.md has what "
        "else a retry rule or a kind of step needs"
    )
    assert set(later.values()) <= KNOWN


def test_a_definition_names_what_one_of_its_steps_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(USES, "loops", lambda step: step.id == "pack")
    monkeypatch.setitem(USES, "knots", lambda step: step.id == "pay")
    monkeypatch.setitem(USES, "waits", lambda step: step.id == "wait")
    assert features_of(ORDER) == Plan(ORDER).features == ("knots", "loops")


def test_a_plain_definition_uses_none() -> None:
    assert Plan(ORDER).features == ()


@pytest.mark.parametrize(
    "written",
    [
        {"steps": [{"id": "a", "run": "shop.a"}]},
        {"switch": [{"case": "c", "steps": [{"id": "a", "run": "shop.a"}]}]},
    ],
    ids=["group", "switch"],
)
def test_the_ids_of_steps_in_groups_and_cases_are_a_feature_since_older_code_refuses_the_dots(written: dict[str, Any]) -> None:
    assert "dotted_id" in features_of(read({"name": "order", "steps": [{"id": "g"} | written]}))


def test_what_is_unknown_is_named_in_order() -> None:
    assert unknown_to(("waits", "loops", "knots"), {"loops": 1}) == ["knots", "waits"]
    assert unknown_to((), ()) == []
