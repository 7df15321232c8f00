"""Terminate beside a declared undo: who is asked for which key."""

from __future__ import annotations

from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import EndSaga, Settle, SettleUndo
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.saga.definition import Definition, Step, Undo
from goconductor.saga.ids import Direction
from goconductor.testing.scenario import Scenario
from tests.lifecycle.sagas import FINAL

ENOUGH = e.TerminationRequested(reason="enough")
UNDONE = Definition(
    name="order",
    steps=(
        Step(id="a", run="shop.a", undo=Undo(run="other.undo_a")),
        Step(id="b", run="shop.b", after=("a",), undo=Undo(run="other.undo_b")),
    ),
)
END = EndSaga(SagaStatus.TERMINATED)


def test_an_undo_that_is_out_is_fenced_where_it_runs() -> None:
    scenario = Scenario(UNDONE).given(e.SagaStarted()).given(e.ActionSucceeded("a"))
    scenario.given(e.ActionFailed("b", failure=FINAL, proven=True)).given(ENOUGH).expect(SettleUndo("a"))
    scenario.given(e.SettleUnavailable("a")).expect_refused("not asked for now")
    scenario.given(e.CompensationSettled("a")).expect(END)
    assert scenario.state.left_standing == ["a"]


def test_an_undo_without_a_journal_may_land_later() -> None:
    scenario = Scenario(UNDONE).given(e.SagaStarted()).given(e.ActionSucceeded("a"))
    scenario.given(e.ActionFailed("b", failure=FINAL, proven=True)).given(ENOUGH)
    scenario.given(e.SettleUnavailable("a", direction=Direction.SETTLE_UNDO)).expect(END)
    assert scenario.state.late_effects


def test_an_action_that_is_settled_before_its_undo_is_settled_and_never_undone() -> None:
    scenario = Scenario(UNDONE).given(e.SagaStarted()).given(e.ActionSucceeded("a"))
    scenario.given(e.ActionFailed("b", failure=FINAL)).expect(Settle("b")).given(ENOUGH).expect(Settle("b"))
    scenario.given(e.ActionSettled("b", happened=True, output=5)).expect(END)
    step = scenario.state.step("b")
    assert (step.action.status, step.compensation.status) == (ActionStatus.SUCCEEDED, CompensationStatus.NONE)
    assert scenario.state.step("a").compensation.status is CompensationStatus.NONE


def test_a_rewind_ends_where_it_stands() -> None:
    scenario = Scenario(UNDONE).given(e.SagaStarted()).given(e.ActionSucceeded("a"))
    scenario.given(e.RestartRequested(reason="again")).given(ENOUGH).expect(Settle("b"))
    assert scenario.state.rewind is None
    scenario.given(e.ActionSettled("b")).expect(END)
    assert (scenario.state.step("a").action.status, scenario.state.step("a").round) == (ActionStatus.SUCCEEDED, 0)
