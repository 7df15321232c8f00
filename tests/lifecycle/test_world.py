"""A small world around the core: services with journals, workers that are stopped and go on at any time, a bus that repeats.

Any message that was ever asked for may be acted on at any later time, any number of times; any report may be lost, late or
repeated; the leader may call any outcome unknown at any time. With a journal that does what its port says, no schedule may
leave an effect standing that is said to be compensated. What is not simulated: services without a journal, forced skips and
declarations by hand, for which nothing of the kind is promised.
"""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, SetTimer, Settle, SettleUndo
from goconductor.lifecycle.facts.events import Event, SagaStarted
from goconductor.lifecycle.facts.lock import Held
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.pending_work import pending_work, wishes_of
from goconductor.saga.definition import Definition, Step, StepRole
from goconductor.saga.graph import reachable
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from goconductor.saga.retry import Retry
from tests.lifecycle.sagas import FINAL, INPUT, PASSING, definitions, many_examples

Message = RunAction | RunCompensation | tuple[Settle, Direction]


class World:
    """One saga, its services' journals, and what really happened."""

    def __init__(self, definition: Definition) -> None:
        self.plan = plan(definition)
        self.action_keys: dict[str, str] = {}
        self.compensation_keys: dict[str, str] = {}
        self.applied: Counter[str] = Counter()
        self.undone: Counter[str] = Counter()
        self.messages: list[Message] = []
        self.reports: list[Event] = []
        self.story: list[object] = []
        self.state = begin(self.plan, UUID(int=1), SagaStarted(input=INPUT)).state
        self.remember()

    def remember(self) -> None:
        """All pending work is on the bus by now, and stays there."""
        for work in pending_work(self.state.steps):
            if isinstance(work, SetTimer) or self.state.phase.ended or self.state.paused:
                continue
            message: Message = work if not isinstance(work, Settle) else (work, self.settled_side(work.step))
            if message not in self.messages and not (isinstance(work, RunAction) and self.going_back):
                self.messages.append(message)

    @property
    def going_back(self) -> bool:
        return self.state.phase is SagaStatus.COMPENSATING

    def settled_side(self, step: str) -> Direction:
        now = self.state.step(step)
        settling = now.action.status is ActionStatus.SETTLING or now.compensation.status is CompensationStatus.SETTLING
        return Direction.ACTION if settling else Direction.COMPENSATION

    def tell(self, event: Event) -> None:
        self.story.append(event)
        try:
            self.state = decide(self.plan, self.state, event).state
        except (UnexpectedEventError, RequestRefusedError):
            self.story[-1] = ("refused", event)
        self.remember()
        self.look()

    def act(self, message: Message, *, fail: bool, final: bool, proof: bool) -> None:
        """A worker does what a message asks for, by the rules of the journal."""
        self.story.append(("acts", message, fail, final, proof))
        match message:
            case RunAction(step, attempt, round):
                report = self.run_action(step, attempt, round, fail=fail, final=final, proof=proof)
            case RunCompensation(step, attempt, round):
                report = self.run_compensation(step, attempt, round, fail=fail, final=final)
            case SettleUndo(step, round), _:
                self.compensation_keys.setdefault(step, "skipped")
                report = e.CompensationSettled(step, 1, round, happened=self.compensation_keys[step] == "done")
            case Settle(step, round), Direction.ACTION:
                self.action_keys.setdefault(step, "refused")
                report = e.ActionSettled(step, 1, round, happened=self.action_keys[step] == "done", output=1)
            case Settle(step, round), _:
                self.action_keys.setdefault(step, "refused")
                self.compensation_keys.setdefault(step, "skipped")
                report = e.CompensationSettled(step, 1, round, happened=self.compensation_keys[step] == "done")
        self.reports.append(report)
        self.look()

    def run_action(self, step: str, attempt: int, round: int, *, fail: bool, final: bool, proof: bool) -> Event:
        key = self.action_keys.get(step)
        if key == "done":
            return e.ActionSucceeded(step, attempt, round, output=1)
        if key is not None:
            return e.ActionFailed(step, attempt, round, failure=FINAL, proven=True)
        if not fail:
            self.action_keys[step] = "done"
            self.applied[step] += 1
            now = self.state.step(step)
            fenced = now.compensation.status is CompensationStatus.SKIPPED or now.action.status is ActionStatus.SKIPPED
            assert not fenced, f"{step} takes effect after it was skipped: {self.story}"
            return e.ActionSucceeded(step, attempt, round, output=1)
        if final and proof and self.plan.roles[step] is not StepRole.RETRIABLE:
            self.action_keys[step] = "failed"
            return e.ActionFailed(step, attempt, round, failure=FINAL, proven=True)
        return e.ActionFailed(step, attempt, round, failure=FINAL if final else PASSING)

    def run_compensation(self, step: str, attempt: int, round: int, *, fail: bool, final: bool) -> Event:
        key = self.compensation_keys.get(step)
        if key is None and fail:
            return e.CompensationFailed(step, attempt, round, failure=FINAL if final else PASSING)
        if key is None:
            self.compensation_keys[step] = "done"
            if step in self.plan.undoes or self.action_keys.setdefault(step, "refused") == "done":  # an undo asks nobody
                self.undone[step] += 1
                self.in_order(step)
        if self.compensation_keys[step] == "skipped":
            return e.CompensationFailed(step, attempt, round, failure=FINAL)
        return e.CompensationSucceeded(step, attempt, round)

    def in_order(self, step: str) -> None:
        for later in reachable(self.plan.successors, step):
            skipped = self.state.step(later).compensation.status is CompensationStatus.SKIPPED
            kept = skipped or later not in self.plan.undoable
            assert kept or not self.stands(later), f"{step} is compensated while {later} stands: {self.story}"
        for earlier in self.plan.order:
            if step in reachable(self.plan.successors, earlier):
                assert not self.undone[earlier], f"{step} is compensated after {earlier}: {self.story}"

    def stands(self, step: str) -> bool:
        return self.applied[step] > self.undone[step]

    def look(self) -> None:
        for step in self.plan.order:
            assert self.applied[step] <= 1, f"the action of {step} took effect twice: {self.story}"
            assert self.undone[step] <= self.applied[step], f"{step} was undone without having been done: {self.story}"
            now = self.state.step(step)
            if self.state.phase is SagaStatus.COMPENSATED:
                kept = now.compensation.status is CompensationStatus.SKIPPED or step not in self.plan.undoable
                assert kept or not self.stands(step), f"compensated, but {step} stands: {self.story}"
            if self.state.phase is SagaStatus.COMPLETED:
                wanted = now.action.status is ActionStatus.SUCCEEDED and step in self.plan.owners
                assert self.stands(step) == wanted, (
                    f"completed, {step} is {now.action.status}, stands={self.stands(step)}: {self.story}"
                )
            if now.action.status is ActionStatus.PREVENTED:
                assert not self.applied[step], f"{step} is said to be prevented, but it happened: {self.story}"

    def step(self, what: int, which: int) -> None:
        """One draw: somebody does something."""
        owing = [w for w in pending_work(self.state.steps) if not self.state.phase.ended]
        match what:
            case 0 | 1 | 2 | 3 if self.messages:
                self.act(
                    self.messages[-1 - which // 2 % len(self.messages)], fail=what in {1, 2}, final=what == 2, proof=which % 2 > 0
                )
            case 4 | 5 | 6 | 7 if self.reports:
                self.tell(self.reports[-1 - which % len(self.reports)])
            case 8 if owing:
                match owing[which % len(owing)]:
                    case RunAction(step, attempt, round):
                        self.tell(e.OutcomeUnknown(step, attempt, round))
                    case RunCompensation(step, attempt, round):
                        self.tell(e.OutcomeUnknown(step, attempt, round, direction=Direction.COMPENSATION))
                    case SetTimer(step, direction, attempt, round):
                        self.tell(e.TimerFired(step, attempt, round, direction=direction))
                    case Settle():
                        pass
            case 9 if self.state.stuck_steps:
                stuck = self.state.stuck_steps[which % len(self.state.stuck_steps)]
                self.tell(e.SkipRequested(stuck, reason="because") if which % 2 else e.RetryRequested(stuck))
            case 10:
                requests: list[Event] = [e.AbortRequested(), e.PauseRequested(), e.ResumeRequested(), e.DeadlinePassed()]
                self.tell(requests[which % 4])
            case 11 | 12 if owing:
                self.do(owing[which % len(owing)])
            case _:
                pass

    def heal(self) -> None:
        """No more faults: all pending work is done and reported, what nobody may begin is called unknown."""
        for _ in range(40 * len(self.plan.order)):
            if self.state.phase.ended:
                return
            if self.state.paused:
                self.tell(e.ResumeRequested())
            for name in self.state.stuck_steps:
                self.tell(e.RetryRequested(name) if name in self.plan.owners else e.SkipRequested(name, reason="nobody comes"))
            if wished := [wish.key for wishes in wishes_of(self.state).values() for wish in wishes]:
                self.tell(e.LocksGranted(keys={each: Held(1) for each in wished}))
            for name, step in self.state.steps.items():
                if step.action.status is ActionStatus.WAITING and name not in self.plan.owners:
                    self.tell(e.OutcomeDeclared(name, happened=True, reason="it came"))
            for work in list(pending_work(self.state.steps)):
                self.do(work)
        pytest.fail(f"it does not end: {self.state} {self.story}")

    def do(self, work: RunAction | RunCompensation | Settle | SetTimer) -> None:
        """All is well for once: pending work is done, and reported."""
        match work:
            case SetTimer(step, direction, attempt, round):
                self.tell(e.TimerFired(step, attempt, round, direction=direction))
            case RunAction(step, attempt, round) if self.going_back:
                self.tell(e.OutcomeUnknown(step, attempt, round))
            case RunAction() | RunCompensation():
                self.act(work, fail=False, final=False, proof=False)
                self.tell(self.reports[-1])
            case Settle(step):
                self.act((work, self.settled_side(step)), fail=False, final=False, proof=False)
                self.tell(self.reports[-1])


draws = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 20)), max_size=60)


@many_examples
@given(definitions(steps_max=5), draws, draws)
def test_no_schedule_leaves_an_effect_that_is_said_to_be_compensated(
    definition: Definition, before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    world = World(definition)
    for what, which in before:
        world.step(what, which)
    world.heal()
    for what, which in after:  # workers that were stopped all the time go on now
        world.step(what, which)
    assert world.state.phase.ended


def test_a_compensation_that_was_skipped_cannot_land_later() -> None:
    once = Retry(attempts_max=1)
    first, second = Step(id="first", run="x.f"), Step(id="second", run="x.s", after=("first",), compensation_retry=once)
    world = World(Definition(name="two", steps=(first, second)))
    world.do(RunAction("first"))
    world.tell(e.OutcomeUnknown("second"))
    world.act(RunAction("second"), fail=False, final=False, proof=False)
    world.tell(e.AbortRequested())
    world.tell(e.OutcomeUnknown("second", 2))
    stopped = RunCompensation("second")
    world.tell(e.CompensationFailed("second", failure=FINAL))
    world.tell(e.SkipRequested("second", reason="because"))
    world.heal()
    world.act(stopped, fail=False, final=False, proof=False)
    assert world.state.status is SagaStatus.COMPENSATED
    assert not world.undone["second"]


def test_an_action_that_was_skipped_cannot_land_later() -> None:
    pivot, after = Step(id="pivot", run="x.p", pivot=True), Step(id="after", run="x.a", after=("pivot",), unknowns_max=1)
    world = World(Definition(name="two", steps=(pivot, after)))
    world.do(RunAction("pivot"))
    world.tell(e.OutcomeUnknown("after"))
    world.tell(e.SkipRequested("after", reason="because"))
    world.heal()
    world.act(RunAction("after"), fail=False, final=False, proof=False)
    assert world.state.status is SagaStatus.COMPLETED
    assert not world.applied["after"]
