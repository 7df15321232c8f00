"""What a definition uses that older code does not know."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor.control.definitions.loading import read
from goconductor.saga.definition import Definition, Step
from goconductor.saga.features import USES, features_of, unknown_to
from goconductor.saga.plan import Plan

ORDER = Definition(name="order", steps=(Step(id="pay", run="payments.charge"), Step(id="pack", run="shop.pack")))


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
