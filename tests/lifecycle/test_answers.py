"""What a condition answered stands in the log: whoever replays it need not agree with whoever decided."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from goconductor.errors import ConditionError
from goconductor.lifecycle.answers import NOT_KEPT, Log, asked
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import bodies
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction
from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.lifecycle.replay import extend, replay
from goconductor.saga.definition import Definition, Step
from goconductor.saga.expressions.conditions import Condition, compile_condition
from goconductor.saga.plan import Plan
from tests.lifecycle.sagas import INPUT, Move, definitions, many_examples, moves
from tests.lifecycle.test_properties import ID, Life

ALWAYS, NEVER, BROKEN = (compile_condition(source) for source in ("input.yes", "input.no", "input.missing"))


def step(id: str, *after: str, when: str | None = None, pivot: bool = False) -> Step:
    return Step(id=id, run=f"shop.{id}", after=after, when=when, pivot=pivot)


GIFT = Definition(name="order", steps=(step("first"), step("gift", "first", when="input.no"), step("ship", "gift")))


def with_answer(definition: Definition, answer: Condition) -> Plan:
    """The same saga in a process in which every condition answers like this one."""
    plan = Plan(definition)
    plan.conditions = dict.fromkeys(plan.conditions, answer)
    return plan


def older(log: list[Event]) -> list[Event]:
    """The log as it is when a version wrote it that kept no answers."""
    return [msgspec.structs.replace(event, answers=None) for event in log]


def lived(definition: Definition, *happened: Event) -> tuple[SagaState, list[Event]]:
    decision = begin(Plan(definition), ID, e.SagaStarted(input=INPUT, at=1.0))
    log = [decision.event]
    for event in happened:
        decision = decide(Plan(definition), decision.state, event)
        log.append(decision.event)
    return decision.state, log


class TestKept:
    def test_a_step_that_was_skipped_is_skipped_in_every_replay(self) -> None:
        """Its process was killed while the step after it ran; the next process answers otherwise."""
        state, log = lived(GIFT, e.ActionSucceeded("first"))
        assert state.step("gift").action.status is ActionStatus.SKIPPED
        assert [event.answers for event in log] == [None, {"gift": False}]
        for answer in (ALWAYS, NEVER, BROKEN):
            assert replay(with_answer(GIFT, answer), ID, log) == state

    @pytest.mark.parametrize("when", ["input.yes", "input.no", "input.missing"])
    def test_the_first_event_keeps_answers_too(self, when: str) -> None:
        definition = Definition(name="order", steps=(step("gift", when=when), step("ship")))
        state, log = lived(definition)
        for answer in (ALWAYS, NEVER, BROKEN):
            assert replay(with_answer(definition, answer), ID, log) == state

    def test_what_could_not_be_evaluated_keeps_its_reason(self) -> None:
        definition = Definition(name="order", steps=(step("a", pivot=True), step("b", "a", when="input.missing")))
        state, log = lived(definition, e.ActionSucceeded("a"))
        assert state.step("b").action.status is ActionStatus.STUCK
        again = replay(with_answer(definition, ALWAYS), ID, log)
        assert again == state
        assert again.step("b").failure == state.step("b").failure
        with pytest.raises(ConditionError) as caught:
            BROKEN.holds({"input": INPUT})
        assert log[-1].answers == {"b": str(caught.value)}

    def test_a_saga_without_conditions_carries_nothing(self) -> None:
        state, log = lived(Definition(name="order", steps=(step("a"), step("b", "a"))), e.ActionSucceeded("a"))
        assert (state.unkept, [bodies.body(event) for event in log[1:]]) == (None, [b"{}"])
        assert b"unkept" not in msgspec.json.encode(state)

    def test_what_is_asked_on_resume_stands_in_the_resume(self) -> None:
        state, log = lived(GIFT, e.PauseRequested(), e.ActionSucceeded("first"), e.ResumeRequested())
        assert [event.answers for event in log] == [None, None, None, {"gift": False}]
        assert replay(with_answer(GIFT, ALWAYS), ID, log) == state


class TestOlder:
    """Logs without answers: they are asked once, and the next event keeps them."""

    def test_the_next_event_carries_what_a_replay_had_to_ask(self) -> None:
        state, log = lived(GIFT, e.ActionSucceeded("first"))
        log = older(log)
        read = replay(Plan(GIFT), ID, log)
        assert read.unkept == {"gift": False}
        assert msgspec.structs.replace(read, unkept={}) == state
        decision = decide(Plan(GIFT), read, e.PauseRequested(at=5.0))
        assert decision.event.answers == {"gift": False}
        assert decision.state.unkept == {}
        log.append(decision.event)
        for answer in (ALWAYS, BROKEN):
            assert replay(with_answer(GIFT, answer), ID, log) == decision.state

    def test_who_answered_otherwise_and_lost_reads_what_won(self) -> None:
        log = older(lived(GIFT, e.ActionSucceeded("first"))[1])
        other = with_answer(GIFT, ALWAYS)
        loser = replay(other, ID, log)
        assert loser.step("gift").action.status is ActionStatus.SENT
        won = decide(Plan(GIFT), replay(Plan(GIFT), ID, log), e.ActionFailed("ship", at=5.0))
        assert replay(other, ID, [*log, won.event], otherwise=loser.unkept) == won.state

    @pytest.mark.parametrize(
        ("happened", "answer"),
        [(e.ActionSucceeded("ship"), False), (e.OutcomeUnknown("ship"), False), (e.ActionSucceeded("gift"), True)],
    )
    def test_what_happened_since_says_what_was_answered(self, happened: Event, answer: bool) -> None:
        definition = msgspec.structs.replace(
            GIFT, steps=(step("first"), step("gift", "first", when="input.yes" if answer else "input.no"), step("ship", "gift"))
        )
        state, log = lived(definition, e.ActionSucceeded("first"), happened)
        for wrong in (ALWAYS, NEVER, BROKEN):
            read = replay(with_answer(definition, wrong), ID, older(log), otherwise={"gift": not answer})
            assert read.unkept == {"gift": answer}
            assert msgspec.structs.replace(read, unkept={}) == state

    def test_who_is_met_by_an_operator_first_had_not_been_sent(self) -> None:
        definition = Definition(name="order", steps=(step("a", pivot=True), step("b", "a", when="input.missing")))
        state, log = lived(definition, e.ActionSucceeded("a"), e.RetryRequested("b"))
        read = replay(with_answer(definition, ALWAYS), ID, older(log))
        assert read.unkept == {"b": NOT_KEPT}
        assert read.step("b").action.status is state.step("b").action.status is ActionStatus.SENT

    def test_a_state_of_an_older_version_tells_what_was_answered(self) -> None:
        steps = (step("first"), *(step(w, "first", when=f"input.{w}") for w in ("yes", "no", "missing")), step("ship", "no"))
        state, _ = lived(Definition(name="order", steps=steps), e.ActionSucceeded("first"))
        found = asked(Plan(Definition(name="order", steps=steps)), state)
        failure = state.step("missing").failure
        assert failure is not None
        assert found == {"yes": True, "no": False, "missing": failure.message}

    def test_conditions_may_walk_over_maps_only_in_a_log_that_keeps_no_answers(self) -> None:
        """Older versions let them; a log that keeps the answer of another step is of a version that does not."""
        walks = "input.map.filter(key, key == 'a').size() == 1"
        steps = (step("first"), step("gift", "first", when="input.no"), step("ship", "gift", when=walks))
        definition = Definition(name="order", steps=steps)
        started = e.SagaStarted(input={"no": False, "map": {"a": 1}}, at=1.0)
        old: list[Event] = [started, e.ActionSucceeded("first", at=2.0)]
        assert replay(Plan(definition), ID, old).step("ship").action.status is ActionStatus.SENT
        newer: list[Event] = [started, e.ActionSucceeded("first", at=2.0, answers={"gift": False})]
        assert replay(Plan(definition), ID, newer).step("ship").action.status is ActionStatus.PREVENTED

    def test_of_two_answers_the_first_counts(self) -> None:
        log = Log(Plan(GIFT), [e.PauseRequested(answers={"gift": True}), e.ResumeRequested(answers={"gift": False})])
        assert log.kept == {"gift": True}


@many_examples
@given(definitions(), st.lists(moves(), max_size=25), st.sampled_from([ALWAYS, NEVER, BROKEN]))
def test_any_life_is_replayed_alike_by_whoever_would_have_decided_otherwise(
    definition: Definition, drawn: list[Move], answer: Condition
) -> None:
    life = Life(definition)
    life.live(drawn)
    other = with_answer(definition, answer)
    assert replay(other, ID, life.log) == life.state
    for length in range(1, len(life.log), 3):
        assert extend(other, life.states[length - 1], life.log[length:]) == life.state


@many_examples
@given(definitions(tolerated=False), st.lists(moves(), max_size=25), st.sampled_from([ALWAYS, NEVER, BROKEN]))
def test_an_older_log_that_was_read_once_and_went_on_is_settled(
    definition: Definition, drawn: list[Move], answer: Condition
) -> None:
    """Such a log has only steps with code, and older requests: versions that kept no answers did not know the others."""
    assume(all(step.run for step in definition.steps))
    life = Life(definition)
    life.live(drawn)
    assume(not any(isinstance(event, e.RestartRequested | e.TerminationRequested) for event in life.log))
    log = older(life.log)
    read = replay(life.plan, ID, log)
    assert msgspec.structs.replace(read, unkept=life.state.unkept) == life.state
    if read.status in (SagaStatus.PAUSED, SagaStatus.TERMINATING, *(s for s in SagaStatus if s.ended)):
        return
    paused = decide(life.plan, read, e.PauseRequested(at=read.at))
    assert replay(with_answer(definition, answer), ID, [*log, paused.event]) == paused.state
    tail = extend(with_answer(definition, answer), read, [paused.event])
    assert tail == paused.state


def test_forty_sagas_whose_next_process_answers_otherwise() -> None:
    """The schedule that showed it: killed while ``ship`` runs; nobody may ask for ``gift`` any more, in none of them."""
    for number in range(40):
        saga_id = UUID(int=number + 1)
        begun = begin(Plan(GIFT), saga_id, e.SagaStarted(input=INPUT, at=1.0))
        shipping = decide(Plan(GIFT), begun.state, e.ActionSucceeded("first", at=2.0))
        assert shipping.effects == (RunAction("ship"),)
        other = with_answer(GIFT, ALWAYS)
        read = replay(other, saga_id, [begun.event, shipping.event])
        retried = decide(other, read, e.OutcomeUnknown("ship", at=3.0))
        assert retried.effects == (RunAction("ship", 2),)
