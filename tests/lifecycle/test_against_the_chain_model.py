"""The lifecycle beside the model: every event in every state that a short chain can reach, breadth first."""

from __future__ import annotations

from uuid import UUID

import pytest

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus as A
from goconductor.lifecycle.facts.status import CompensationStatus as C
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.definition import Definition, Step
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan, plan
from goconductor.saga.retry import Retry
from tests.lifecycle.chain_model import Model, Rules, first, fold
from tests.lifecycle.sagas import PASSING

MODES = {
    SagaStatus.QUEUED: "F",
    SagaStatus.RUNNING: "F",
    SagaStatus.COMPENSATING: "R",
    SagaStatus.COMPLETED: "E",
    SagaStatus.COMPENSATED: "X",
    SagaStatus.TERMINATING: "t",
    SagaStatus.TERMINATED: "T",
}
ACTIONS = {A.PENDING: "-", A.SENT: "D", A.BACKOFF: "B", A.SUCCEEDED: "S", A.FAILED: "F", A.PREVENTED: "f", A.UNKNOWN: "U"}
ACTIONS |= {A.SETTLING: "P", A.STUCK: "K", A.SKIPPED: "N"}
COMPENSATIONS = {C.NONE: "-", C.SENT: "D", C.BACKOFF: "B", C.DONE: "C", C.STUCK: "K", C.FENCING: "Z", C.SKIPPED: "N"}
BACK = Direction.COMPENSATION


def events_of(rules: Rules) -> list[tuple[str, int, int, Event]]:
    """The model's word, the step, the attempt, and the lifecycle's event."""
    found: list[tuple[str, int, int, Event]] = [
        ("pause", 0, 1, e.PauseRequested()),
        ("resume", 0, 1, e.ResumeRequested()),
        ("abort", 0, 1, e.AbortRequested()),
        ("deadline", 0, 1, e.DeadlinePassed()),
        ("terminate at once", 0, 1, e.TerminateRequested(reason="because")),
        ("terminate", 0, 1, e.TerminationRequested(reason="because")),
        ("terminate by force", 0, 1, e.TerminationRequested(reason="because", forced=True)),
    ]
    for i in range(len(rules.roles)):
        s = f"s{i}"
        found += [
            ("succeeded", i, 1, e.ActionSucceeded(s)),
            ("happened", i, 1, e.ActionSettled(s, happened=True)),
            ("never", i, 1, e.ActionSettled(s)),
            ("no journal", i, 1, e.SettleUnavailable(s)),
            ("compensated", i, 1, e.CompensationSucceeded(s)),
            ("compensation happened", i, 1, e.CompensationSettled(s, happened=True)),
            ("compensation never", i, 1, e.CompensationSettled(s)),
            ("retry", i, 1, e.RetryRequested(s)),
            ("skip", i, 1, e.SkipRequested(s, reason="because")),
            ("force", i, 1, e.SkipRequested(s, reason="because", forced=True)),
            ("it happened", i, 1, e.OutcomeDeclared(s, happened=True, reason="seen")),
            ("it did not", i, 1, e.OutcomeDeclared(s, reason="looked")),
        ]
        for n in (1, 2, 3):
            found += [
                ("failed", i, n, e.ActionFailed(s, n, failure=PASSING)),
                ("proven", i, n, e.ActionFailed(s, n, failure=PASSING, proven=True)),
                ("unknown", i, n, e.OutcomeUnknown(s, n)),
                ("timer", i, n, e.TimerFired(s, n)),
                ("compensation failed", i, n, e.CompensationFailed(s, n, failure=PASSING)),
                ("compensation unknown", i, n, e.OutcomeUnknown(s, n, direction=BACK)),
                ("compensation timer", i, n, e.TimerFired(s, n, direction=BACK)),
            ]
    return found


def seen(rules: Rules, state: SagaState) -> Model:
    """The lifecycle's state in the model's letters."""
    steps = [state.step(f"s{i}") for i in range(len(rules.roles))]
    return Model(
        MODES[state.phase],
        state.paused,
        "".join("Z" if step.skipping else ACTIONS[step.action.status] for step in steps),
        tuple(step.action.attempt for step in steps),
        "".join(COMPENSATIONS[step.compensation.status] for step in steps),
        tuple(step.compensation.attempt for step in steps),
        tuple((step.compensation if step.compensation.attempt else step.action).unknowns for step in steps),
    )


def chain(rules: Rules) -> Plan:
    pivot = rules.roles.find("p")
    steps = tuple(
        Step(
            id=f"s{i}",
            run=f"service.step{i}",
            after=(f"s{i - 1}",) if i else (),
            pivot=i == pivot,
            retry=Retry(attempts_max=rules.attempts),
            compensation_retry=Retry(attempts_max=rules.compensation_attempts),
            unknowns_max=rules.unknowns,
        )
        for i in range(len(rules.roles))
    )
    return plan(Definition(name="chain", steps=steps))


@pytest.mark.parametrize(
    ("roles", "attempts", "unknowns", "depth"),
    [
        ("c", 3, 3, 12),
        ("cc", 2, 2, 8),
        ("cp", 2, 2, 9),
        ("pr", 2, 2, 10),
        ("cpr", 1, 2, 9),
        ("ccp", 1, 1, 9),
        ("ccc", 1, 1, 8),
    ],
)
def test_lifecycle_and_model_agree_on_every_event_in_every_state(roles: str, attempts: int, unknowns: int, depth: int) -> None:
    rules = Rules(roles, attempts, attempts, unknowns)
    compiled, events = chain(rules), events_of(rules)
    start = begin(compiled, UUID(int=5), e.SagaStarted()).state
    assert seen(rules, start) == first(rules)
    level, known = [start], {(first(rules), False)}
    for _ in range(depth):
        reached: list[SagaState] = []
        for state in level:
            model = seen(rules, state)
            for word, i, attempt, event in events:
                expected = fold(rules, model, word, i, attempt)
                try:
                    after = decide(compiled, state, event).state
                except (UnexpectedEventError, RequestRefusedError):
                    assert expected is None or expected == model, f"refused {event} in {model}, the model goes to {expected}"
                    continue
                if word == "deadline" and expected is None:
                    expected = model  # it is only reported
                assert seen(rules, after) == expected, f"{event} in {model}"
                key = (expected, after.deadline_passed)
                if max(expected.attempt + expected.comp_attempt) <= 3 and key not in known:
                    known.add(key)
                    reached.append(after)
        level = reached
    assert len(known) > 30
