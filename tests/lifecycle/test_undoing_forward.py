"""A step that may fail and cannot be undone while the saga goes forward: the saga's deadline still counts."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.state import Failure, SagaState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.replay import replay
from goconductor.recovery.triage import Look, triage
from goconductor.saga.definition import Definition, Step
from goconductor.saga.plan import Plan, plan
from goconductor.saga.retry import Retry

ID = UUID(int=9)
NO = Failure("RefusedError", "no", retryable=False)


def stuck(timeout_seconds: float | None) -> tuple[Plan, SagaState, list[e.Event]]:
    """The second step failed, may fail, and its compensation gave up."""
    steps = (
        Step(id="reserve", run="shop.reserve"),
        Step(id="gift", run="shop.gift", allow_fail=True, after=("reserve",), compensation_retry=Retry(attempts_max=1)),
        Step(id="pay", run="shop.pay", after=("gift",), pivot=True),
    )
    compiled = plan(Definition(name="order", steps=steps, timeout_seconds=timeout_seconds))
    decision = begin(compiled, ID, e.SagaStarted(at=1000.0))
    log = [decision.event]
    for event in (
        e.ActionSucceeded("reserve", at=1001.0),
        e.ActionFailed("gift", failure=NO, at=1002.0),
        e.SettleUnavailable("gift", at=1003.0),
        e.CompensationFailed("gift", failure=NO, at=1004.0),
    ):
        decision = decide(compiled, decision.state, event)
        log.append(decision.event)
    assert (decision.state.status, decision.state.phase) == (SagaStatus.STUCK, SagaStatus.RUNNING)
    return compiled, decision.state, log


def test_it_is_looked_at_when_its_deadline_comes_which_turns_it_back() -> None:
    compiled, state, log = stuck(60.0)
    assert (state.wake_at, violations(compiled, state)) == (1060.0, [])
    look = Look(now=1010.0, epoch=1, leases={}, dead=frozenset(), may_judge=True, lease_seconds=10.0)
    assert triage(state, look).next_look == 1060.0
    (passed,) = triage(state, replace(look, now=1060.0)).due
    after = decide(compiled, state, e.DeadlinePassed(at=1060.0))
    assert (type(passed), after.state.phase, after.state.wake_at) == (e.DeadlinePassed, SagaStatus.COMPENSATING, None)
    assert violations(compiled, after.state) == []
    assert replay(compiled, ID, [*log, after.event]) == after.state
    mended = decide(compiled, after.state, e.SkipRequested("gift", reason="gone", forced=True, at=1070.0)).state
    assert mended.step("gift").compensation.status is CompensationStatus.SKIPPED
    assert mended.step("reserve").compensation.status is CompensationStatus.SENT
    assert mended.step("pay").action.status is ActionStatus.PENDING


def test_without_a_deadline_and_while_it_is_paused_nobody_looks() -> None:
    compiled, state, _ = stuck(None)
    assert (state.wake_at, violations(compiled, state)) == (None, [])
    compiled, state, _ = stuck(60.0)
    paused = decide(compiled, state, e.PauseRequested(at=1010.0)).state
    assert (paused.wake_at, violations(compiled, paused)) == (None, [])
    resumed = decide(compiled, paused, e.ResumeRequested(at=1020.0)).state
    assert (resumed.wake_at, resumed.status) == (1060.0, SagaStatus.STUCK)
