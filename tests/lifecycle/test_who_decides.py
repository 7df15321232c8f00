"""Which file decides about an event: each belongs to one union, and a refused request is named by its verb."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

import pytest

from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.decide import decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.definition import Definition, Step
from goconductor.saga.plan import plan

UNIONS = [get_args(union) for union in (e.ForwardEvent, e.BackwardEvent, e.SideEvent, e.LockEvent, e.OperatorRequest)]


def test_each_event_belongs_to_one_union() -> None:
    classes = [kind.__name__ for union in UNIONS for kind in union]
    others = ["SagaStarted", "SignalReceived", "Released", "UndoRequested", "PausedWithParent", "ResumedWithParent"]
    assert sorted([*classes, *others, "TerminateRequested"]) == sorted(e.EVENTS)


def test_a_request_about_a_step_is_no_outcome_of_it() -> None:
    requests = {each for each in get_args(e.OperatorRequest) if issubclass(each, e.StepEvent)}
    assert set(e.STEP_REQUESTS) == requests == {e.RetryRequested, e.SkipRequested, e.OutcomeDeclared, e.InputEdited}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (e.PauseRequested(), "queued or running or stuck or waiting sagas can be paused"),
        (e.ResumeRequested(), "only paused sagas can be resumed"),
        (e.AbortRequested(), "only paused or queued or running or stuck or waiting sagas can be aborted"),
        (e.SignalDropped(signal="1", reason="because"), "sagas can be rid of a signal"),
        (e.SagaMigrated(version="another"), "sagas can be migrated"),
        (e.TerminationRequested(reason="because"), "sagas can be terminated"),
        (e.RetryRequested("a"), "sagas can be retried"),
        (e.SkipRequested("a", reason="because"), "sagas can be skipped"),
        (e.OutcomeDeclared("a", reason="looked"), "sagas can be declared"),
        (e.InputEdited("a", reason="because"), "sagas can be given other inputs"),
    ],
)
def test_a_request_to_a_saga_that_has_ended_says_which_sagas_accept_it(request_: e.OperatorRequest, words: str) -> None:
    ended = SagaState(UUID(int=1), "v", phase=SagaStatus.COMPLETED)
    with pytest.raises(RequestRefusedError, match=words):
        decide(plan(Definition(name="order", steps=(Step(id="a", run="service.a"),))), ended, request_)
