"""Single rules, each as a short conversation; the long ones are tests/scenarios/*.txt."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from goconductor.errors import InvariantError, RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import bodies, transitions
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import EndSaga, RunAction, RunCompensation, Settle, SettleUndo
from goconductor.lifecycle.facts.state import PATIENCE_SECONDS, Failure, SagaState, Side, StepState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.invariants import check, violations
from goconductor.lifecycle.pending_work import is_pending, is_superseded
from goconductor.lifecycle.replay import replay
from goconductor.saga.definition import Definition, Step
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from goconductor.saga.retry import Retry
from goconductor.testing import Scenario, timer

ID = UUID(int=3)
PASSING, FINAL = Failure("TimeoutError", "slow"), Failure("RefusedError", "no", retryable=False)


def saga(*steps: Step, timeout_seconds: float | None = None) -> Definition:
    return Definition(name="order", steps=steps, timeout_seconds=timeout_seconds)


def step(id: str, *after: str, **more: object) -> Step:
    return Step(id=id, run=f"shop.{id}", after=after, **more)  # type: ignore[arg-type]


CHAIN = saga(step("a"), step("pivot", "a", pivot=True), step("z", "pivot"))
PAIR = saga(step("a"), step("b", "a"))


class TestTime:
    def test_a_live_saga_is_looked_at_within_the_patience_or_by_its_next_timer(self) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted(at=1000.0))
        assert scenario.state.wake_at == 1000.0 + PATIENCE_SECONDS
        scenario.given(e.ActionFailed("a", failure=PASSING, at=1001.0))
        assert scenario.state.wake_at == scenario.state.step("a").due_at

    def test_wake_at_is_not_moved_as_long_as_it_is_early_enough(self) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted(at=1000.0)).given(e.ActionSucceeded("a", at=1010.0))
        assert scenario.state.wake_at == 1000.0 + PATIENCE_SECONDS
        scenario.given(e.OutcomeUnknown("b", at=1031.0))
        assert scenario.state.wake_at == 1031.0 + PATIENCE_SECONDS

    def test_who_starts_a_saga_says_how_patient_it_is(self) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted(at=1000.0, patience_seconds=6.0))
        assert scenario.state.wake_at == 1006.0
        scenario.given(e.ActionSucceeded("a", at=1007.0))
        assert scenario.state.wake_at == 1013.0

    def test_the_deadline_comes_first_until_it_has_passed(self) -> None:
        scenario = Scenario(saga(step("a", retry=Retry(initial_seconds=60)), timeout_seconds=5)).given(e.SagaStarted(at=1000.0))
        assert scenario.state.wake_at == scenario.state.deadline_at == 1005.0

    def test_nobody_looks_at_a_saga_that_is_paused_stuck_or_ended(self) -> None:
        scenario = Scenario(saga(step("a", compensation_retry=Retry(attempts_max=1)))).given(e.SagaStarted(at=1000.0))
        assert scenario.given(e.PauseRequested()).state.wake_at is None
        scenario.given(e.ResumeRequested()).given(e.AbortRequested()).given(e.ActionSucceeded("a"))
        assert scenario.given(e.CompensationFailed("a")).expect_status("stuck").state.wake_at is None
        assert (
            scenario.given(e.OutcomeDeclared("a", happened=True, reason="seen")).expect_status("compensated").state.wake_at
            is None
        )

    def test_time_never_goes_back(self) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted(at=1000.0)).given(e.ActionSucceeded("a", at=900.0))
        assert scenario.state.at == 1000.0

    def test_a_step_may_ask_for_a_longer_wait_than_its_policy(self) -> None:
        start = Scenario(saga(step("a", retry=Retry(initial_seconds=1)))).given(e.SagaStarted())
        start.given(e.ActionFailed("a", failure=PASSING, delay_seconds=9.0)).expect(timer("a", after=9, jitter=0))

    def test_a_compensation_may_ask_for_a_longer_wait_too(self) -> None:
        scenario = Scenario(saga(step("a"))).given(e.SagaStarted()).given(e.AbortRequested()).given(e.ActionSucceeded("a"))
        scenario.given(e.CompensationFailed("a", delay_seconds=70.0))
        scenario.expect(timer("a", after="70s", jitter=0, direction=Direction.COMPENSATION))

    def test_the_owners_policy_counts_where_the_definition_leaves_it_open(self) -> None:
        once = Retry(attempts_max=1)
        scenario = Scenario(PAIR).given(e.SagaStarted()).given(e.ActionFailed("a", failure=PASSING, retry=once))
        scenario.expect(RunCompensation("a"))
        scenario.given(e.CompensationFailed("a", failure=PASSING, retry=once)).expect_nothing().expect_status("stuck")

    def test_a_deadline_of_a_paused_saga_turns_it_back_but_starts_nothing_until_it_is_resumed(self) -> None:
        scenario = Scenario(saga(step("a"), step("b", "a"), timeout_seconds=60)).given(e.SagaStarted())
        scenario.given(e.ActionSucceeded("a")).given(e.ActionFailed("b", failure=PASSING)).given(e.PauseRequested())
        scenario.given(e.DeadlinePassed()).expect_nothing().expect_status("paused")
        scenario.given(e.ResumeRequested()).expect(RunCompensation("b")).expect_status("compensating")


class TestForward:
    def test_a_proven_failure_is_final_whatever_the_policy_says(self) -> None:
        """Its key stands in the journal as failed: another attempt would only read that."""
        scenario = Scenario(PAIR).given(e.SagaStarted())
        scenario.given(e.ActionFailed("a", failure=PASSING, proven=True)).expect(EndSaga(SagaStatus.COMPENSATED))

    def test_a_condition_that_fails_beside_a_step_that_was_sent_waits_for_it(self) -> None:
        scenario = Scenario(saga(step("a"), step("b", when="input.missing"))).given(e.SagaStarted(input={}))
        scenario.expect_status("compensating").expect(RunAction("a"))
        scenario.given(e.OutcomeUnknown("a")).expect(RunCompensation("a"))

    def test_a_saga_whose_steps_are_all_skipped_completes_at_once(self) -> None:
        scenario = Scenario(saga(step("a", when="input.no"), step("b", "a", when="input.no")))
        scenario.given(e.SagaStarted(input={"no": False})).expect(EndSaga(SagaStatus.COMPLETED))
        assert scenario.state.referable() == {"a": None, "b": None}
        assert scenario.state.outputs() == {}

    def test_a_join_waits_for_all_its_predecessors(self) -> None:
        scenario = Scenario(saga(step("a"), step("b"), step("c", "a", "b"))).given(e.SagaStarted())
        scenario.expect(RunAction("b"), RunAction("a"))
        scenario.given(e.ActionSucceeded("a", output=1)).expect_nothing()
        scenario.given(e.ActionSucceeded("b", output=2)).expect(RunAction("c"))
        assert scenario.state.outputs() == {"a": 1, "b": 2}

    def test_a_condition_of_a_retriable_step_that_cannot_be_evaluated_waits_for_a_person(self) -> None:
        start = saga(step("pivot", pivot=True), step("z", "pivot", when="input.missing"))
        stuck = Scenario(start).given(e.SagaStarted(input={})).given(e.ActionSucceeded("pivot")).expect_status("stuck")
        stuck.given(e.ActionSucceeded("z")).expect_refused("never sent")
        stuck.given(e.OutcomeDeclared("z", happened=True, output=1, reason="done by hand")).expect(EndSaga(SagaStatus.COMPLETED))

    def test_a_retriable_step_that_was_never_sent_is_skipped_without_a_fence(self) -> None:
        start = saga(step("pivot", pivot=True), step("z", "pivot", when="input.missing"))
        scenario = Scenario(start).given(e.SagaStarted(input={})).given(e.ActionSucceeded("pivot"))
        scenario.given(e.SkipRequested("z", reason="not needed")).expect(EndSaga(SagaStatus.COMPLETED))
        assert not scenario.state.late_effects

    def test_the_reason_of_an_abort_is_forgotten_when_the_pivot_had_happened(self) -> None:
        scenario = Scenario(CHAIN).given(e.SagaStarted()).given(e.ActionSucceeded("a"))
        scenario.given(e.ActionFailed("pivot", failure=PASSING)).given(e.AbortRequested(reason="late")).expect(Settle("pivot"))
        scenario.given(e.ActionSettled("pivot", happened=True)).expect(RunAction("z"))
        assert scenario.state.reason == ""

    @pytest.mark.parametrize(
        "event", [e.OutcomeUnknown("a", direction=Direction.SETTLE), e.TimerFired("a", direction=Direction.SETTLE)]
    )
    def test_a_settlement_has_no_attempts_to_lose_or_to_wait_for(self, event: e.Event) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted()).given(e.OutcomeUnknown("a"))
        scenario.given(event).expect_refused("settlement")


class TestBackward:
    def test_a_resumed_saga_on_its_way_back_does_not_run_an_action_again(self) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted()).given(e.AbortRequested()).given(e.PauseRequested())
        scenario.given(e.ResumeRequested()).expect_nothing()
        assert not is_pending(scenario.state, "a", Direction.ACTION, 1, 0)
        scenario.given(e.OutcomeUnknown("a")).expect(RunCompensation("a"))

    def test_a_saga_can_be_terminated_while_it_compensates(self) -> None:
        scenario = Scenario(saga(step("a"), step("b"))).given(e.SagaStarted()).given(e.AbortRequested())
        scenario.given(e.ActionSucceeded("a")).given(e.TerminationRequested(reason="by hand")).expect(Settle("b"))
        scenario.given(e.ActionSettled("b")).expect(EndSaga(SagaStatus.TERMINATED))

    def test_a_saga_that_an_older_version_terminated_has_ended_at_once(self) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted()).given(e.TerminateRequested(reason="by hand"))
        scenario.expect(EndSaga(SagaStatus.TERMINATED))
        assert not scenario.state.late_effects

    def test_a_step_that_backs_off_when_the_saga_turns_back_is_compensated(self) -> None:
        scenario = Scenario(saga(step("a"), step("b"))).given(e.SagaStarted()).given(e.ActionFailed("a", failure=PASSING))
        scenario.given(e.ActionFailed("b", failure=FINAL)).expect(RunCompensation("a"), RunCompensation("b"))
        scenario.given(e.TimerFired("a", 2)).expect_refused()

    def test_a_failure_on_the_way_back_is_not_tried_again(self) -> None:
        scenario = Scenario(saga(step("a"))).given(e.SagaStarted()).given(e.AbortRequested())
        scenario.given(e.ActionFailed("a", failure=PASSING)).expect(RunCompensation("a"))

    def test_lost_compensations_have_their_own_maximum(self) -> None:
        lost = saga(step("a", unknowns_max=3))
        scenario = Scenario(lost).given(e.SagaStarted()).given(e.AbortRequested()).given(e.ActionSucceeded("a"))
        back = Direction.COMPENSATION
        scenario.given(e.OutcomeUnknown("a", direction=back)).expect(RunCompensation("a", 2))
        scenario.given(e.OutcomeUnknown("a", 2, direction=back)).expect(timer("a", direction=back)).wait(10).expect(
            RunCompensation("a", 3)
        )
        scenario.given(e.OutcomeUnknown("a", 3, direction=back)).expect_nothing().expect_status("stuck")
        scenario.given(e.OutcomeDeclared("a", reason="looked")).expect_refused("retry it, or skip it")

    @pytest.mark.parametrize(("direction", "losses_max", "then"), [("action", 3, "compensating"), ("compensation", 10, "stuck")])
    def test_a_crash_loop_is_waited_out_for_half_a_minute(self, direction: str, losses_max: int, then: str) -> None:
        scenario = Scenario(saga(step("a"))).given(e.SagaStarted(at=1000.0))
        if direction == "compensation":
            scenario.given(e.AbortRequested(at=1000.0)).given(e.ActionSucceeded("a", at=1000.0))
        side, losses = Direction(direction), 0
        while scenario.state.status != then:
            losses += 1
            scenario.given(e.OutcomeUnknown("a", losses, direction=side, at=scenario.state.at))
            if (due_at := scenario.state.step("a").due_at) is not None:
                scenario.given(e.TimerFired("a", losses + 1, direction=side, at=due_at))
        assert losses >= losses_max
        assert scenario.state.at - 1000.0 >= 30.0
        assert scenario.state.status == then

    def test_an_operators_retry_begins_to_count_again(self) -> None:
        scenario = Scenario(saga(step("a", compensation_retry=Retry(attempts_max=1)))).given(e.SagaStarted(at=1000.0))
        scenario.given(e.AbortRequested(at=1000.0)).given(e.ActionSucceeded("a", at=1000.0))
        back = Direction.COMPENSATION
        scenario.given(e.OutcomeUnknown("a", 1, direction=back, at=1000.0))
        scenario.given(e.CompensationFailed("a", 2, failure=FINAL, at=1001.0)).expect_status("stuck")
        scenario.given(e.RetryRequested("a", at=5000.0))
        assert (scenario.state.step("a").compensation.unknowns, scenario.state.step("a").compensation.lost_at) == (0, None)

    def test_had_the_compensation_happened_it_is_not_skipped(self) -> None:
        scenario = Scenario(saga(step("a"), step("b", "a", compensation_retry=Retry(attempts_max=1))))
        scenario.given(e.SagaStarted()).given(e.ActionSucceeded("a")).given(e.ActionFailed("b", failure=FINAL))
        scenario.given(e.CompensationFailed("b")).given(e.SkipRequested("b", reason="because")).expect(Settle("b"))
        scenario.given(e.CompensationSettled("b", happened=True)).expect(RunCompensation("a"))
        assert scenario.state.step("b").compensation.status is CompensationStatus.DONE

    def test_parallel_compensations_of_a_diamond_free_what_came_before_only_together(self) -> None:
        scenario = Scenario(saga(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")))
        for done in "abc":
            scenario.given(e.SagaStarted() if done == "a" else e.ActionSucceeded("a") if done == "b" else e.ActionSucceeded("b"))
        scenario.given(e.ActionSucceeded("c")).given(e.ActionFailed("d", failure=FINAL, proven=True))
        scenario.expect(RunCompensation("b"), RunCompensation("c"))
        scenario.given(e.PauseRequested()).given(e.CompensationSucceeded("b")).given(
            e.CompensationSucceeded("c")
        ).expect_nothing()
        scenario.given(e.ResumeRequested()).expect(RunCompensation("a"))


class TestRefusals:
    def test_an_event_about_an_unknown_step_or_another_round(self) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted())
        scenario.given(e.ActionSucceeded("nowhere")).expect_refused("has no step 'nowhere'")
        scenario.given(e.ActionSucceeded("a", round=1)).expect_refused("the event is of round 1 of step 'a', which is in round 0")

    def test_a_saga_starts_once(self) -> None:
        Scenario(PAIR).given(e.SagaStarted()).given(e.SagaStarted()).expect_refused()

    def test_what_does_not_wait_cannot_be_retried_skipped_or_declared(self) -> None:
        stuck_z = saga(step("pivot", pivot=True), step("y", "pivot"), step("z", "pivot", unknowns_max=1))
        scenario = Scenario(stuck_z).given(e.SagaStarted()).given(e.ActionSucceeded("pivot")).given(e.OutcomeUnknown("z"))
        for request in (e.RetryRequested("pivot"), e.SkipRequested("pivot", reason="x"), e.OutcomeDeclared("pivot", reason="x")):
            scenario.given(request).expect_refused("stuck steps: z")
        scenario.given(e.RetryRequested("y")).expect_refused("its action is sent")  # it is asked for already

    def test_an_abort_on_the_way_back_says_so(self) -> None:
        scenario = Scenario(PAIR).given(e.SagaStarted()).given(e.AbortRequested()).given(e.PauseRequested())
        scenario.given(e.AbortRequested()).expect_refused("compensating already")

    def test_a_request_that_the_status_does_not_allow_says_what_does(self) -> None:
        state = begin(plan(PAIR), ID, e.SagaStarted()).state
        with pytest.raises(RequestRefusedError, match="is queued; only paused sagas can be resumed"):
            decide(plan(PAIR), state, e.ResumeRequested())


class TestGuards:
    """Bugs of ours, were there any, stop at the tables and at the invariants."""

    def test_a_move_that_the_table_does_not_know(self) -> None:
        fold = Fold(plan(PAIR), begin(plan(PAIR), ID, e.SagaStarted()).state)
        with pytest.raises(InvariantError, match="from sent to skipped"):
            fold.set_action("a", e.ActionFailed, Side(ActionStatus.SKIPPED))
        with pytest.raises(UnexpectedEventError):
            fold.set_compensation("a", e.CompensationFailed, Side(CompensationStatus.STUCK))
        fold.set_compensation("a", transitions.Advance, Side(CompensationStatus.SENT))
        with pytest.raises(InvariantError, match="from sent to fencing"):
            fold.set_compensation("a", e.CompensationFailed, Side(CompensationStatus.FENCING))

    def test_a_status_that_the_table_does_not_know(self, monkeypatch: pytest.MonkeyPatch) -> None:
        state = begin(plan(saga(step("a"))), ID, e.SagaStarted()).state
        monkeypatch.setattr("goconductor.lifecycle.decide.SAGA_MOVES", {e.ActionSucceeded: {SagaStatus.QUEUED: frozenset()}})
        with pytest.raises(InvariantError, match="from queued to completed"):
            decide(plan(saga(step("a"))), state, e.ActionSucceeded("a"))

    def test_a_first_status_that_the_table_does_not_know(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("goconductor.lifecycle.decide.FIRST_STATUSES", frozenset())
        with pytest.raises(InvariantError, match="SagaStarted led to queued"):
            begin(plan(PAIR), ID, e.SagaStarted())

    def test_a_log_that_does_not_begin_with_its_beginning(self) -> None:
        for log in ([], [e.ActionSucceeded("a")]):
            with pytest.raises(InvariantError, match="not with SagaStarted"):
                replay(plan(PAIR), ID, log)

    def test_a_state_that_must_not_exist_is_refused(self) -> None:
        state = SagaState(saga_id=ID, version="", phase=SagaStatus.COMPLETED, steps={"a": StepState(Side(ActionStatus.SENT))})
        with pytest.raises(InvariantError, match="completed, but work is open"):
            check(Fold(plan(PAIR), state))

    @pytest.mark.parametrize(
        ("changes", "steps", "found"),
        [
            ({"remaining": 1}, {}, "1 steps are counted as remaining, 3 do"),
            ({"phase": "completed", "remaining": 3}, {}, "completed, but not every step"),
            ({"phase": "completed"}, {"a": {"action": {"status": "sent", "attempt": 1}}}, "completed, but work is open"),
            ({}, {"a": {"action": {"status": "sent", "attempt": 1}}}, "with open work, but wake_at is None"),
            ({"wake_at": 5.0}, {}, "with no work, but wake_at is 5.0"),
            ({"phase": "running"}, {}, "nothing will ever happen to it"),
            ({}, {"a": {"action": {"status": "sent"}}}, "is sent without an attempt"),
            ({}, {"pivot": {"action": {"status": "sent", "attempt": 1}}}, "was sent before 'a' was done"),
            ({}, {"a": {"action": {"status": "stuck"}}}, "compensatable step 'a' is stuck"),
            ({}, {"a": {"action": {"status": "backoff", "attempt": 1}}}, "with due_at None"),
            ({}, {"a": {"action": {"status": "sent", "attempt": 1, "due_at": 1.0}}}, "with due_at 1.0"),
            (
                {"phase": "compensating"},
                {"pivot": {"action": {"status": "succeeded", "attempt": 1}}},
                "after its pivot 'pivot' succeeded",
            ),
            (
                {"phase": "compensating"},
                {"z": {"action": {"status": "sent", "attempt": 1}}},
                "after the retriable step 'z' was sent",
            ),
            ({"phase": "compensated"}, {"a": {"action": {"status": "failed", "attempt": 1}}}, "compensated, but step 'a' is not"),
            ({"phase": "compensating"}, {"pivot": {"compensation": {"status": "sent"}}}, "(pivot, pending) is being compensated"),
            (
                {"phase": "running"},
                {"a": {"action": {"status": "succeeded"}, "compensation": {"status": "sent"}}},
                "while the saga is running",
            ),
            (
                {"phase": "compensated"},
                {"a": {"action": {"status": "unknown"}, "compensation": {"status": "stuck"}}},
                "compensation of step 'a' is stuck",
            ),
        ],
    )
    def test_what_must_not_be(self, changes: dict[str, object], steps: dict[str, object], found: str) -> None:
        raw = {"saga_id": str(ID), "version": "", "remaining": 3, "steps": steps} | changes
        state = msgspec.convert(raw, SagaState)
        assert any(found in violation for violation in violations(plan(CHAIN), state)), list(violations(plan(CHAIN), state))

    def test_compensating_out_of_order(self) -> None:
        both = {"action": {"status": "succeeded", "attempt": 1}}
        raw = {
            "saga_id": str(ID),
            "version": "",
            "phase": "compensating",
            "steps": {"a": both | {"compensation": {"status": "sent"}}, "b": both},
        }
        found = list(violations(plan(PAIR), msgspec.convert(raw, SagaState)))
        assert any("before 'b', which came after it" in violation for violation in found)


def test_each_piece_of_work_belongs_to_a_lease() -> None:
    assert [w.direction for w in (RunAction("a"), RunCompensation("a"), Settle("a"), SettleUndo("a"))] == list(Direction)


def test_work_of_another_round_or_of_an_ended_saga_is_not_due() -> None:
    scenario = Scenario(PAIR).given(e.SagaStarted())
    assert is_pending(scenario.state, "a", Direction.ACTION, 1, 0)
    assert not is_pending(scenario.state, "a", Direction.ACTION, 1, 1)
    scenario.given(e.TerminationRequested(reason="because", forced=True))
    assert not is_pending(scenario.state, "a", Direction.ACTION, 1, 0)


def test_an_event_that_a_newer_version_wrote_cannot_be_read() -> None:
    with pytest.raises(KeyError):
        bodies.event("SagaTeleported", b"{}")
    with pytest.raises(msgspec.ValidationError):
        bodies.event("ActionFailed", b'{"failure": 3}')


def test_a_failure_reads_as_a_sentence() -> None:
    assert str(Failure("TimeoutError", "slow")) == "TimeoutError: slow"
    assert str(Failure("TimeoutError")) == "TimeoutError"


def test_a_pause_makes_actions_and_compensations_not_due_but_settlements_stay_due() -> None:
    scenario = Scenario(CHAIN).given(e.SagaStarted()).given(e.PauseRequested())
    assert not is_pending(scenario.state, "a", Direction.ACTION, 1, 0)
    scenario.given(e.ResumeRequested()).given(e.ActionSucceeded("a")).given(e.PauseRequested())
    scenario.given(e.ActionFailed("pivot", failure=FINAL)).expect(Settle("pivot"))
    assert is_pending(scenario.state, "pivot", Direction.SETTLE, 1, 0)
    scenario.given(e.ActionSettled("pivot")).expect_nothing().given(e.ResumeRequested()).expect(RunCompensation("a"))
    assert is_pending(scenario.state, "a", Direction.COMPENSATION, 1, 0)
    scenario.given(e.PauseRequested())
    assert not is_pending(scenario.state, "a", Direction.COMPENSATION, 1, 0)


def test_an_action_that_was_sent_before_the_saga_turned_back_is_superseded() -> None:
    scenario = Scenario(PAIR).given(e.SagaStarted())
    assert not is_superseded(scenario.state, "a", 1, 0)
    scenario.given(e.AbortRequested())
    assert is_superseded(scenario.state, "a", 1, 0)
    assert not is_superseded(scenario.state, "a", 2, 0)
    assert not is_superseded(scenario.state, "a", 1, 1)
    assert not is_superseded(scenario.state, "b", 1, 0)
