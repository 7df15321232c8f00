"""A step has two sides, and what is known of one is not forgotten for the other."""

from __future__ import annotations

from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunCompensation
from goconductor.lifecycle.facts.state import Failure
from goconductor.saga.definition import Definition, Step
from goconductor.saga.ids import Direction
from goconductor.testing import Scenario


def test_each_side_keeps_its_own_failure_and_its_own_count_of_lost_outcomes() -> None:
    refused = Failure("TypeError", "no such input", retryable=False, called=False)
    scenario = (
        Scenario(Definition(name="order", steps=(Step(id="a", run="service.a"),)))
        .given(e.SagaStarted(at=1000.0))
        .given(e.OutcomeUnknown("a", at=1000.0))
    )
    scenario.given(e.ActionFailed("a", 2, failure=refused, at=1001.0)).expect(RunCompensation("a"))
    scenario.given(e.OutcomeUnknown("a", direction=Direction.COMPENSATION, reason="silent", at=1002.0))
    now = scenario.state.step("a")
    assert (now.action.failure, now.action.unknowns) == (refused, 1)
    assert (now.compensation.failure, now.compensation.unknowns) == (Failure("OutcomeUnknown", "silent"), 1)
    assert now.failure == now.compensation.failure
