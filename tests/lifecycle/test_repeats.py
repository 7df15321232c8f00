"""A repeat behaves as the same steps written one turn after the other, in random definitions; and what is told of it apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import Decision, RunAction, RunCompensation, SetTimer
from goconductor.lifecycle.facts.lock import Held
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.replay import extend, replay
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Binding, Definition, Lock, Map, Repeat, Step, Wait, with_body
from goconductor.saga.expressions.conditions import Condition
from goconductor.saga.plan import plan
from tests.lifecycle.sagas import Move, definitions, many_examples, moves
from tests.lifecycle.test_properties import ID, Life
from tests.lifecycle.written_out import coded, live_alike

LISTS = {"$.input.one": 1, "$.input.two": 2}
REFUSED = Failure("RefusedError", "no", retryable=False)


@st.composite
def repeating(draw: st.DrawFn) -> Definition:
    """A definition in which some steps have become repeats of one to three turns, at times with a map or a repeat in them."""
    drawn = draw(definitions(steps_max=4))
    stands_in = {step.fallback for step in drawn.steps}
    steps = [
        _repeated(draw, step)
        if step.run and not step.pivot and not step.tolerated and step.id not in stands_in and draw(st.booleans())
        else step
        for step in drawn.steps
    ]
    definition = msgspec.structs.replace(drawn, steps=tuple(steps), locks=())
    check(definition)
    return definition


def _repeated(draw: st.DrawFn, step: Step) -> Step:
    inner = draw(st.sampled_from(["none", "none", "map", "repeat", "around"]))
    second = draw(st.none() | st.just(("a",)) | st.just(()))
    do = (coded(step, "a"), *([] if second is None else [coded(step, "b", second)]))
    turns = draw(st.integers(1, 3))
    if inner == "around":  # the repeat is in a map
        over = draw(st.sampled_from(sorted(LISTS)))
        return Step(id=step.id, after=step.after, map=Map(over=over, do=(_turns("in", (), do, turns),)))
    if inner == "map":
        do = (*do, Step(id="in", map=Map(over="$.input.two", do=(coded(step, "x"),))))
    elif inner == "repeat":
        do = (*do, _turns("in", ("a",), (coded(step, "x"),), 2))
    return _turns(step.id, step.after, do, turns)


def _turns(name: str, after: tuple[str, ...], do: tuple[Step, ...], turns: int) -> Step:
    """A repeat of so many turns; it ends by its condition, or by what may be at most."""
    if turns < 3:
        return Step(id=name, after=after, repeat=Repeat(do=do, until=f"index == {turns - 1}", max=turns))
    return Step(id=name, after=after, repeat=Repeat(do=do, until="index > 4", max=turns, at_max="go_on"))


def written(definition: Definition) -> Definition:
    """The same saga without maps and repeats: what they do is written out."""
    ends: dict[str, tuple[str, ...]] = {}
    steps = [each for step in definition.steps for each in _written("", step, step.after, ends)]

    def resolved(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(last for name in names for last in (resolved(ends[name]) if name in ends else (name,))))

    return msgspec.structs.replace(
        definition, steps=tuple(msgspec.structs.replace(step, after=resolved(step.after)) for step in steps)
    )


def _written(scope: str, step: Step, after: tuple[str, ...], ends: dict[str, tuple[str, ...]]) -> Iterator[Step]:
    name = scope + step.id
    if not step.body:
        yield msgspec.structs.replace(step, id=name, after=after)
        return
    named = {each for inner in step.body for each in inner.after}
    last = [each.id for each in step.body if each.id not in named]
    before, found = after, list[str]()
    for place in range(LISTS[step.map.over] if step.map is not None else step.repeat.max):  # type: ignore[union-attr]
        item = f"{name}[{place}]."
        for inner in step.body:
            yield from _written(item, inner, tuple(item + each for each in inner.after) or before, ends)
        if step.map is None:
            before, found = tuple(item + each for each in last), []
        found += [item + each for each in last]
    ends[name] = tuple(found)


@many_examples
@given(repeating(), st.lists(moves(), max_size=40))
def test_a_repeat_behaves_as_its_turns_written_one_after_the_other(definition: Definition, drawn: list[Move]) -> None:
    live_alike(definition, written(definition), drawn)


@many_examples
@given(repeating(), st.lists(moves(), max_size=40))
def test_the_log_of_a_saga_with_repeats_gives_its_state_again(definition: Definition, drawn: list[Move]) -> None:
    life = Life(definition)
    life.live(drawn)
    assert replay(life.plan, ID, life.log) == life.state
    for length, state in enumerate(life.states, start=1):
        assert violations(life.plan, state) == []
        assert extend(life.plan, state, life.log[length:]) == life.state


class Told:
    """A saga, told by one event after the other.

    Args:
        steps: of its definition.
        input: the saga's.
    """

    def __init__(self, *steps: Step, input: Any = None, **fields: Any) -> None:
        definition = Definition(name="order", steps=steps, **fields)
        check(definition)
        self.plan, self.log = plan(definition), list[e.Event]()
        self._take(begin(self.plan, ID, e.SagaStarted(input=input, at=1000.0)))

    def _take(self, decision: Decision) -> None:
        self.log.append(decision.event)
        self.state, self.effects = decision.state, decision.effects
        assert violations(self.plan, self.state) == []

    def tell(self, event: e.Event) -> Told:
        """Let something happen."""
        self._take(decide(self.plan, self.state, event))
        assert replay(self.plan, ID, self.log) == self.state
        return self

    def done(self, step: str, output: Any = None, **fields: Any) -> Told:
        """Let a step succeed."""
        return self.tell(e.ActionSucceeded(step, output=output, at=self.state.at + 1, **fields))

    @property
    def runs(self) -> list[str]:
        """The actions that the last event asked for."""
        return [each.step for each in self.effects if isinstance(each, RunAction)]

    @property
    def undoes(self) -> list[str]:
        """The compensations that the last event asked for."""
        return [each.step for each in self.effects if isinstance(each, RunCompensation)]

    def inputs(self, step: str) -> dict[str, Any]:
        """What a step is given."""
        return self.plan.inputs(step, self.state.input, self.state.referable())


ASK = Step(id="ask", run="bank.ask")


def poll(*do: Step, until: str = "steps.ask.output.ready", max: int = 3, **fields: Any) -> Step:
    """A repeat that asks until there is an answer."""
    after = fields.pop("after", ())
    return Step(id="poll", after=after, repeat=Repeat(do=do or (ASK,), until=until, max=max, **fields))


USE = Step(id="use", run="shop.use", inputs={"answer": Binding(ref="$.steps.poll.output.n")})


def test_steps_see_the_number_of_their_turn_and_what_the_one_before_gave_and_who_comes_after_sees_the_last() -> None:
    ask = msgspec.structs.replace(
        ASK, inputs={"n": Binding(ref="$.index"), "from": Binding(ref="$.previous.next"), "all": Binding(ref="$.previous")}
    )
    saga = Told(poll(ask, until="steps.ask.output.next == null"), USE)
    assert saga.inputs("poll[0].ask") == {"n": 0, "from": None, "all": None}
    saga.done("poll[0].ask", {"next": "b", "n": 7})
    assert saga.runs == ["poll[1].ask"]
    assert saga.inputs("poll[1].ask") == {"n": 1, "from": "b", "all": {"next": "b", "n": 7}}
    saga.done("poll[1].ask", {"next": None, "n": 8})
    assert saga.inputs("use") == {"answer": 8}
    assert saga.plan.output(None, saga.done("use").state.referable()) == {"poll": {"next": None, "n": 8}, "use": None}


def test_a_condition_sees_the_last_turns_output_and_how_many_there_were() -> None:
    after = Step(id="late", run="shop.late", after=("poll",), when="steps.poll.turns == 2 && steps.poll.output.ready")
    saga = Told(poll(), after)
    assert saga.done("poll[0].ask", {"ready": False}).done("poll[1].ask", {"ready": True}).runs == ["late"]


def test_a_repeat_sees_its_item_in_a_map_and_the_turn_in_a_map_within() -> None:
    inner = Step(id="each", map=Map(over="$.input.two", do=(Step(id="x", run="a.x", inputs={"was": Binding(ref="$.previous")}),)))
    turns = Repeat(do=(inner,), until="item == 1 || previous != null", max=3)
    saga = Told(Step(id="m", map=Map(over="$.input.two", do=(Step(id="r", repeat=turns),))), input={"two": [1, 2]})
    for name in ("m[0].r[0].each[0].x", "m[0].r[0].each[1].x"):
        saga.done(name, "y")
    assert saga.runs == []  # of item 1 the first turn is the last
    saga.done("m[1].r[0].each[0].x", "p").done("m[1].r[0].each[1].x", "q")
    assert saga.runs == ["m[1].r[1].each[0].x", "m[1].r[1].each[1].x"]
    assert saga.inputs("m[1].r[1].each[0].x") == {"was": ["p", "q"]}
    saga.done("m[1].r[1].each[0].x", "s").done("m[1].r[1].each[1].x", "t")
    assert saga.state.status == "completed"
    assert saga.plan.output(saga.state.input, saga.state.referable()) == {"m": [["y", "y"], ["s", "t"]]}


@pytest.mark.parametrize("paused", [False, True])
def test_time_passes_between_two_turns(paused: bool) -> None:
    saga = Told(poll(delay_seconds=30.0), USE).done("poll[0].ask", {"ready": False})
    (timer,) = saga.effects
    assert isinstance(timer, SetTimer)
    assert (saga.state.status, timer.due_at, saga.state.wake_at) == ("waiting", 1031.0, 1031.0)
    fired = e.TimerFired("poll", 1, at=1031.0)
    if paused:
        saga.tell(e.PauseRequested())
        with pytest.raises(UnexpectedEventError, match="the saga is paused"):
            saga.tell(fired)
        assert saga.tell(e.ResumeRequested()).effects == (timer,)
    assert saga.tell(fired).runs == ["poll[1].ask"]
    with pytest.raises(UnexpectedEventError):
        saga.tell(fired)  # it comes once
    assert saga.done("poll[1].ask", {"ready": False}).state.step("poll").action.attempt == 2
    with pytest.raises(UnexpectedEventError, match="names attempt 1"):
        saga.tell(fired)


def test_the_pause_between_two_turns_ends_with_the_saga() -> None:
    saga = Told(poll(delay_seconds=30.0), timeout_seconds=20.0).done("poll[0].ask", {"ready": False})
    saga.tell(e.DeadlinePassed(at=1020.0))
    assert (saga.state.status, saga.undoes) == ("compensating", ["poll[0].ask"])


def test_turns_are_undone_one_by_one_the_last_first_each_with_what_it_was_given() -> None:
    saga = Told(Step(id="open", run="shop.open"), poll(after=("open",)), USE)
    saga.done("open").done("poll[0].ask", {"ready": False, "n": 1}).done("poll[1].ask", {"ready": True, "n": 2})
    saga.tell(e.ActionFailed("use", failure=REFUSED))
    found = []
    while saga.undoes:
        found += saga.undoes
        saga.tell(e.CompensationSucceeded(saga.undoes[0]))
    assert (found, saga.state.status) == (["use", "poll[1].ask", "poll[0].ask", "open"], "compensated")


@pytest.mark.parametrize(
    ("until", "output", "reason"),
    [
        ("steps.ask.output.ready", {"ready": False}, "TooManyTurnsError: after 1 turn its condition is still false: steps.ask"),
        ("steps.ask.output.ready", {}, "steps.ask.output.ready is not there; where it may be missing, ask has(…) first"),
    ],
)
def test_a_repeat_that_does_not_reach_its_end_fails(until: str, output: Any, reason: str) -> None:
    saga = Told(poll(until=until, max=1), USE).done("poll[0].ask", output)
    assert (saga.state.status, saga.undoes) == ("compensating", ["poll[0].ask"])
    assert reason in saga.state.reason


def test_a_repeat_goes_on_where_its_definition_says_so() -> None:
    saga = Told(poll(max=2, at_max="go_on"), USE).done("poll[0].ask", {"ready": False, "n": 1})
    assert saga.done("poll[1].ask", {"ready": False, "n": 2}).inputs("use") == {"answer": 2}


@pytest.mark.parametrize("way", ["retry", "skip", "declare", "take"])
def test_a_repeat_behind_the_pivot_is_stuck_and_an_operator_decides(way: str) -> None:
    pay = Step(id="pay", run="bank.pay", pivot=True)
    saga = Told(pay, poll(max=1, after=("pay",)), USE).done("pay").done("poll[0].ask", {"ready": False, "n": 1})
    assert (saga.state.status, saga.state.stuck_steps) == ("stuck", ["poll"])
    match way:
        case "retry":  # one turn more
            assert saga.tell(e.RetryRequested("poll")).runs == ["poll[1].ask"]
            assert saga.done("poll[1].ask", {"ready": False, "n": 2}).state.stuck_steps == ["poll"]
            saga.tell(e.RetryRequested("poll")).done("poll[2].ask", {"ready": True, "n": 3})
            assert saga.inputs("use") == {"answer": 3}
        case "skip":
            assert saga.tell(e.SkipRequested("poll", reason="enough")).inputs("use") == {"answer": None}
        case "declare":
            saga.tell(e.OutcomeDeclared("poll", happened=True, output={"n": 9}, reason="seen"))
            assert saga.inputs("use") == {"answer": 9}
        case _:  # as it is after the last turn
            assert saga.tell(e.OutcomeDeclared("poll", happened=True, reason="enough")).inputs("use") == {"answer": 1}
    assert saga.done("use").state.status == "completed"


def test_a_repeat_stands_in_for_a_step_that_has_failed_in_conditions_and_in_references() -> None:
    use = Step(id="use", run="shop.use", inputs={"n": Binding(ref="$.steps.first.output.n")}, when="steps.first.output.n == 5")
    saga = Told(Step(id="first", run="bank.know", fallback="poll"), poll(), use)
    saga.tell(e.ActionFailed("first", failure=REFUSED, proven=True))
    assert (saga.done("poll[0].ask", {"ready": True, "n": 5}).runs, saga.inputs("use")) == (["use"], {"n": 5})


def test_an_operator_takes_what_there_is_between_two_turns() -> None:
    saga = Told(poll(delay_seconds=30.0), USE).done("poll[0].ask", {"ready": False, "n": 1})
    saga.tell(e.OutcomeDeclared("poll", happened=True, reason="enough"))
    assert (saga.runs, saga.inputs("use")) == (["use"], {"answer": 1})


def test_a_restart_takes_back_all_turns_and_begins_with_the_first_in_another_round() -> None:
    saga = Told(poll(), USE).done("poll[0].ask", {"ready": False}).done("poll[1].ask", {"ready": True, "n": 1})
    saga.tell(e.RestartRequested(from_step="poll[1].ask", reason="stale"))
    for name in ("use", "poll[1].ask", "poll[0].ask"):
        if name == "use":
            saga.tell(e.OutcomeUnknown("use", reason="gone"))
        saga.tell(e.CompensationSucceeded(name))
    assert saga.effects == (RunAction("poll[0].ask", 1, 1),)
    saga.done("poll[0].ask", {"ready": False}, round=1)
    assert saga.effects == (RunAction("poll[1].ask", 1, 1),)
    with pytest.raises(UnexpectedEventError, match="is in round 1"):
        saga.done("poll[1].ask", {"ready": True})
    assert saga.done("poll[1].ask", {"ready": True, "n": 3}, round=1).inputs("use") == {"answer": 3}


def test_a_turn_of_values_only_ends_in_one_decision_and_is_bounded() -> None:
    count = Step(id="n", value="index == 0 ? 1 : previous + 1")
    saga = Told(poll(count, until="steps.n.output >= 5", max=10), Step(id="use", value="steps.poll.output", after=("poll",)))
    assert saga.plan.output(None, saga.state.referable()) == {"poll": 5, "use": 5}
    never = Told(poll(count, until="false", max=1_000))
    assert never.state.status == "compensated"


def test_a_signal_for_each_turn() -> None:
    wait = Step(id="said", wait=Wait(event="word"))
    saga = Told(poll(wait, until="steps.said.output.over", max=5))
    for number, over in enumerate((False, False, True)):
        assert saga.state.status == "waiting"
        saga.tell(e.SignalReceived(name="word", id=str(number), payload={"over": over}))
    assert saga.state.status == "completed"


def test_a_replay_grows_what_the_log_says_and_not_what_a_condition_would_say_now(monkeypatch: pytest.MonkeyPatch) -> None:
    saga = Told(poll(), USE).done("poll[0].ask", {"ready": False}).done("poll[1].ask", {"ready": True, "n": 1})
    monkeypatch.setattr(Condition, "holds", lambda *_, **__: True)
    assert replay(saga.plan, ID, saga.log) == saga.state
    assert saga.state.step("poll").length == 2
    assert Log(saga.plan, saga.log).kept == {"poll/0/1": False, "poll/0/2": True}


USE_LATER = Step(id="use", run="shop.use", after=("m",))


def test_an_item_that_is_lost_is_undone_turn_by_turn() -> None:
    turn = Step(id="r", repeat=Repeat(do=(ASK,), until="steps.ask.output == 1", max=3))
    saga = Told(Step(id="m", map=Map(over="$.input", do=(turn,), join="any", concurrency=2)), USE_LATER, input=[1, 2])
    saga.done("m[0].r[0].ask", 0).done("m[0].r[1].ask", 0)
    saga.done("m[1].r[0].ask", 1)  # enough, so the first item goes back: its third turn is waited for
    saga.done("m[0].r[2].ask", 0)
    for place in (2, 1, 0):
        assert saga.undoes == [f"m[0].r[{place}].ask"]
        saga.tell(e.CompensationSucceeded(f"m[0].r[{place}].ask"))
    assert saga.runs == ["use"]


def test_a_repeat_has_no_room_for_a_turn_where_maps_have_taken_it() -> None:
    body = Step(id="each", map=Map(over="$.input", do=(Step(id="n", value="1"),)))
    saga = Told(poll(body, until="index == 1"), input=[0] * 19_998)
    assert "with turn 2 the saga would have 20,001 steps; at most 20,000 are allowed" in saga.state.reason


def test_a_repeat_asks_for_its_locks_once_before_its_first_turn() -> None:
    saga = Told(msgspec.structs.replace(poll(), locks=(Lock("till"),)), USE)
    assert (saga.state.status, saga.runs) == ("waiting", [])
    assert saga.tell(e.LocksGranted(keys={"till": Held(7)})).runs == ["poll[0].ask"]
    assert saga.done("poll[0].ask", {"ready": False}).runs == ["poll[1].ask"]
    assert saga.state.locks == {"till": Held(7)}


def test_a_saga_is_terminated_between_two_turns() -> None:
    saga = Told(poll(delay_seconds=30.0), USE).done("poll[0].ask", {"ready": False})
    assert saga.tell(e.TerminationRequested(reason="over")).state.status == "terminated"


def test_a_body_is_replaced_in_maps_and_repeats_only() -> None:
    other = Step(id="other", run="a.b")
    assert with_body(poll(), [other]).body == (other,)
    assert with_body(ASK, [other]) is ASK
