"""The class with which sagas are tested: what it accepts, and how it says no."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from goconductor.errors import DefinitionError
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import EndSaga, RunAction, RunCompensation, SetTimer, Settle
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.definition import Definition, Step
from goconductor.saga.ids import Direction
from goconductor.saga.retry import Retry
from goconductor.testing import Scenario, timer

ORDER = Definition(
    name="order",
    steps=(
        Step(id="reserve_stock", run="inventory.reserve"),
        Step(id="charge_card", run="payments.charge", after=("reserve_stock",)),
    ),
    timeout_seconds=600,
)
NO = Failure("RefusedError", "the card was declined", retryable=False)


def test_a_conversation() -> None:
    story = (
        Scenario(ORDER)
        .given(e.SagaStarted(input={"sku": "A-1"}))
        .expect(RunAction("reserve_stock"))
        .expect_status(SagaStatus.QUEUED)
        .given(e.ActionSucceeded("reserve_stock"))
        .expect(RunAction("charge_card"))
        .given(e.ActionFailed("charge_card", failure=NO))
        .expect(RunCompensation("charge_card"))
        .given(e.CompensationSucceeded("charge_card"))
        .expect(RunCompensation("reserve_stock"))
        .given(e.CompensationSucceeded("reserve_stock"))
        .expect(EndSaga(SagaStatus.COMPENSATED))
        .given(e.AbortRequested())
        .expect_refused("is compensated")
        .story()
    )
    assert story.startswith('SagaStarted input={"sku":"A-1"}\n  → run reserve_stock\n  = queued\nActionSucceeded reserve_stock\n')
    assert "  = compensating: step 'charge_card': RefusedError: the card was declined\n" in story
    assert story.endswith(
        "AbortRequested\n  ! refused: the saga is compensated; "
        "only paused or queued or running or stuck or waiting sagas can be aborted"
    )


def test_whatever_has_a_definition_can_be_tested() -> None:
    class Shop:
        definition = ORDER

    assert Scenario(Shop()).given(e.SagaStarted()).expect(RunAction("reserve_stock")).state.saga_id


def test_a_definition_that_cannot_run_is_refused() -> None:
    with pytest.raises(DefinitionError, match="has no step"):
        Scenario(Definition(name="order", steps=()))


def test_an_expected_attempt_stands_for_the_present_one_unless_it_is_named() -> None:
    scenario = Scenario(ORDER).given(e.SagaStarted()).given(e.OutcomeUnknown("reserve_stock"))
    scenario.expect(RunAction("reserve_stock")).expect(RunAction("reserve_stock", 2))
    with pytest.raises(AssertionError, match="attempt 3"):
        scenario.expect(RunAction("reserve_stock", 3))


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ((), "nothing"),
        ((RunAction("charge_card"),), "run charge_card"),
        ((RunCompensation("reserve_stock"),), "compensate reserve_stock"),
        ((RunAction("reserve_stock"), RunAction("reserve_stock")), "run reserve_stock"),
        ((RunAction("reserve_stock", round=2),), "run reserve_stock, round 2"),
        ((Settle("reserve_stock"),), "settle reserve_stock"),
        ((EndSaga(SagaStatus.COMPLETED),), "end: completed"),
        ((timer("reserve_stock"),), r"wait for reserve_stock \(action\), any time"),
        ((timer("reserve_stock", after="2s"),), r"wait for reserve_stock \(action\), 2 s and some jitter"),
        ((SetTimer("reserve_stock", Direction.ACTION, 2, 0, 1.5),), r"wait for reserve_stock, attempt 2 \(action\), 1.50 s"),
    ],
)
def test_a_wrong_expectation_tells_the_story_what_was_expected_and_what_came(expected: tuple[RunAction, ...], said: str) -> None:
    scenario = Scenario(ORDER).given(e.SagaStarted())
    with pytest.raises(
        AssertionError, match=rf"(?s)story so far:.*SagaStarted.*Expected:.*{said}.*Actual:\n +run reserve_stock$"
    ):
        scenario.expect(*expected)


def test_a_timer_is_expected_by_its_step_and_about_its_delay() -> None:
    scenario = Scenario(ORDER).given(e.SagaStarted())
    scenario.given(e.ActionFailed("reserve_stock", retry=Retry(initial_seconds=10)))
    scenario.expect(timer("reserve_stock")).expect(timer("reserve_stock", after=10)).expect(timer("reserve_stock", after="9s"))
    (actual,) = scenario.effects
    scenario.expect(actual)
    for wrong in (timer("reserve_stock", after=5), timer("reserve_stock", after=13), timer("charge_card")):
        with pytest.raises(AssertionError):
            scenario.expect(wrong)
    with pytest.raises(AssertionError):
        scenario.expect(timer("reserve_stock", direction=Direction.COMPENSATION))


def test_waiting_lets_timers_and_the_deadline_happen_in_their_order() -> None:
    scenario = Scenario(ORDER).given(e.SagaStarted())
    scenario.given(e.ActionFailed("reserve_stock", retry=Retry(initial_seconds=10)))
    scenario.wait(5).expect_nothing()
    scenario.wait("1h").expect(RunAction("reserve_stock")).expect_status("compensating")
    assert [type(event).__name__ for event in scenario.events] == ["SagaStarted", "ActionFailed", "TimerFired", "DeadlinePassed"]
    assert scenario.now == 3605.0
    assert [event.at for event in scenario.events][0:4:3] == [0.0, 600.0]


def test_nothing_happens_to_an_ended_saga_while_time_passes() -> None:
    scenario = (
        Scenario(ORDER)
        .given(e.SagaStarted())
        .given(e.TerminationRequested(reason="because", forced=True))
        .wait("1d")
        .expect_nothing()
    )
    assert len(scenario.events) == 2


def test_a_refusal_that_nobody_expects_fails_the_next_step() -> None:
    attempts: tuple[Callable[[Scenario], Scenario], ...] = (
        lambda s: s.given(e.ActionSucceeded("reserve_stock")),
        lambda s: s.wait(1),
        lambda s: s.expect_nothing(),
        lambda s: s.expect_status("queued"),
    )
    for go_on in attempts:
        refused = Scenario(ORDER).given(e.SagaStarted()).given(e.ResumeRequested())
        with pytest.raises(AssertionError, match=r"refused: saga .* only paused sagas can be resumed"):
            go_on(refused)


def test_an_expected_refusal_must_come_and_say_so() -> None:
    scenario = Scenario(ORDER).given(e.SagaStarted())
    with pytest.raises(AssertionError, match="accepted"):
        scenario.expect_refused()
    with pytest.raises(AssertionError, match="no such reason"):
        scenario.given(e.ResumeRequested()).expect_refused("no such reason")


def test_a_wrong_status_fails() -> None:
    with pytest.raises(AssertionError, match=r"(?s)status paused.*status queued"):
        Scenario(ORDER).given(e.SagaStarted()).expect_status("paused")


def test_a_scenario_begins_with_the_start_of_its_saga() -> None:
    with pytest.raises(AssertionError, match="SagaStarted"):
        Scenario(ORDER).given(e.ActionSucceeded("reserve_stock"))


def test_a_broken_core_is_noticed_after_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("goconductor.testing.scenario.violations", lambda *_: ["something is wrong"])
        with pytest.raises(AssertionError, match="something is wrong"):
            Scenario(ORDER).given(e.SagaStarted())
    monkeypatch.setattr("goconductor.testing.scenario.replay", lambda *_: None)
    with pytest.raises(AssertionError, match="the replayed log gives"):
        Scenario(ORDER).given(e.SagaStarted())
