"""What several decisions of one append ask for, and what comes too late for any of them."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from goconductor.engine.facts.log import View
from goconductor.engine.log.continuation import still_due
from goconductor.engine.log.folding import tell_late
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import Effect, RunAction, Settle
from goconductor.lifecycle.facts.state import SagaState
from goconductor.saga.definition import Definition, Step
from goconductor.saga.plan import plan

CHARGE = Definition(name="order", steps=(Step(id="charge", run="payments.charge", pivot=True, unknowns_max=1),))


def lived(definition: Definition, *events: e.Event) -> tuple[SagaState, list[Effect]]:
    compiled = plan(definition)
    decided = begin(compiled, UUID(int=1), e.SagaStarted(input=None))
    asked = [*decided.effects]
    for event in events:
        decided = decide(compiled, decided.state, event)
        asked += decided.effects
    return decided.state, asked


def test_work_that_two_decisions_of_an_append_asked_for_is_due_once() -> None:
    state, asked = lived(CHARGE, e.OutcomeUnknown("charge", reason="lost"), e.TerminationRequested(reason="because"))
    assert asked.count(Settle("charge")) == 2
    assert still_due(asked, View(state, 3, 1)) == [Settle("charge")]
    state, asked = lived(CHARGE, e.PauseRequested(), e.ResumeRequested())
    assert still_due([*asked, *asked], View(state, 3, 1)) == [RunAction("charge")]


def test_a_success_of_a_round_that_was_undone_is_told_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    pack = Definition(name="order", steps=(Step(id="pack", run="shop.pack", unknowns_max=1),))
    state, _ = lived(
        pack,
        e.RestartRequested(from_step="pack", reason="other size"),
        e.OutcomeUnknown("pack", reason="lost"),
        e.CompensationSucceeded("pack"),
    )
    assert state.step("pack").round == 1
    counts: Counter[str] = Counter()
    tell_late(e.ActionSucceeded("pack", round=1), state, counts)
    assert counts["late_effects"] == 0
    tell_late(e.ActionSucceeded("pack", round=0), state, counts)
    assert counts["late_effects"] == 1
    assert "'pack'" in caplog.text
    assert "in round 0, and the step is in round 1" in caplog.text
