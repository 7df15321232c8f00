"""Timers: a deadline of a wait, a delay, a back-off, the saga's own deadline, and an undo that the outside ends.

One saga with up to three steps side by side. Processes keep timers in memory, where they may be old; the leader's sweep looks at
a saga whose ``wake_at`` the database's clock has passed. A timer's event names step, round and attempt, and is appended only if
the database's clock has passed the due time that the *head* has.

A step: ``G`` sent, ``B`` backs off, ``W`` waits, ``S`` succeeded, ``f`` failed, ``D`` its undo is open outside, ``C`` undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.explorer import FAULT, MESSAGE, OPERATOR, SWEEP, WORK, Kind, Move, Promise
from tests.protocol.runs import put

CALL, WAIT, OPEN_WAIT, DELAY = "call", "wait", "open wait", "delay"  # an open wait has no deadline
SAGA = -1  # in place of a step: the saga's own deadline
ATTEMPTS_MAX = 3


class Faults(NamedTuple):
    """How often each thing may still happen."""

    failures: int = 0
    pauses: int = 0
    rewinds: int = 0
    crashes: int = 0


NO_FAULTS = Faults()


class Step(NamedTuple):
    status: str
    attempt: int = 1
    round: int = 0
    timer: str = "-"  # - none, n not due, d due


class InMemory(NamedTuple):
    """A timer that a process keeps. It goes off when its own time has come, whatever has become of the saga."""

    step: int
    attempt: int
    round: int
    ripe: bool = False  # its process believes that its time has come
    passed: bool = False  # by the database's clock it has


class State(NamedTuple):
    mode: str  # F forward, R turning back, E ended well, X compensated
    paused: bool
    steps: tuple[Step, ...]
    deadline: str  # the saga's own: - none, n, d
    wake: str  # the head's wake_at: - null, n ahead, d passed
    signals: tuple[bool, ...]  # whether the signal for a wait has come
    memory: tuple[InMemory, ...]
    left: Faults


@dataclass(frozen=True)
class Timers:
    """The world and its rules. A rule's first value is the one that holds."""

    kinds: tuple[str, ...]
    deadline: bool = False  # the saga has one of its own
    undone_outside: tuple[int, ...] = ()  # steps whose undo waits for the outside
    signals_come: bool = True
    left: Faults = NO_FAULTS

    due_of: str = "head"  # whose due time the append compares with the database's clock: the head's | memory | nothing
    names_attempt: bool = True  # a timer's event names its attempt
    names_round: bool = True
    fires_once: bool = True  # the event of a timer that has fired changes nothing
    wake: str = "earliest"  # wake_at is the earliest of all timers | first: of the first step's only | never
    wake_keeps: bool = False  # mistake: an append leaves wake_at as it was
    resume_wakes: bool = True
    backoff_fires_paused: bool = True  # a back-off's timer is legal while paused
    wait_rests_paused: bool = True  # a wait's, a delay's and the saga's are not
    deadline_in_undo: bool = False  # mistake: the saga's deadline counts while only an undo outside is open

    def begin(self) -> State:
        steps = tuple(self.begun(Step("-"), kind) for kind in self.kinds)
        state = State("F", False, steps, "n" if self.deadline else "-", "-", (False,) * len(steps), (), self.left)
        return self.remembered(self.appended(state))

    @staticmethod
    def begun(step: Step, kind: str) -> Step:
        if kind == CALL:
            return Step("G", 1, step.round)
        return Step("W", 1, step.round, "-" if kind == OPEN_WAIT else "n")

    # what the saga decides

    def appended(self, state: State, old: State | None = None) -> State:
        steps = state.steps
        if state.mode == "F" and any(step.status == "f" for step in steps):
            state = state._replace(mode="R")
        elif state.mode == "F" and all(step.status == "S" for step in steps):
            state = state._replace(mode="E")
        if state.mode == "R":
            steps = tuple(self.turned_back(place, step) for place, step in enumerate(steps))
            ended = all(step.status in "fC" for step in steps)
            state = state._replace(steps=steps, mode="X" if ended else "R")
        if state.mode in "EX" or (state.mode == "R" and not self.deadline_in_undo):
            state = state._replace(deadline="-")
        if self.wake_keeps and old is not None:
            return state._replace(wake=old.wake)
        return state._replace(wake=self.earliest(state))

    def turned_back(self, place: int, step: Step) -> Step:
        """Waits, delays and back-offs are withdrawn; what was sent is awaited; what stands is undone."""
        if step.status in "WB":
            return step._replace(status="f", timer="-")
        if step.status == "S" and place in self.undone_outside:
            return step._replace(status="D", timer="-")
        return step._replace(status="C", timer="-") if step.status == "S" else step

    def timers(self, state: State) -> list[tuple[int, str]]:
        """What counts towards wake_at: the timers that are legal now."""
        running = [(place, step.timer) for place, step in enumerate(state.steps) if step.timer != "-"]
        if state.deadline != "-":
            running.append((SAGA, state.deadline))
        return [(place, timer) for place, timer in running if self.legal(state, place)]

    def legal(self, state: State, place: int) -> bool:
        backoff = place != SAGA and state.steps[place].status == "B"
        return not state.paused or (self.backoff_fires_paused if backoff else not self.wait_rests_paused)

    def earliest(self, state: State) -> str:
        timers = [timer for place, timer in self.timers(state) if self.wake == "earliest" or place == 0]
        if not timers or self.wake == "never" or state.paused:  # a paused saga is woken by its resume
            return "-"
        return "d" if "d" in timers else "n"

    def fire(self, state: State, place: int, attempt: int, round_: int) -> State | None:
        """A timer's event: the next state, or None where it changes nothing."""
        if place == SAGA:
            if state.deadline == "-" or state.mode != "F":
                return None
            steps = tuple(step._replace(status="f", timer="-") if step.status in "WB" else step for step in state.steps)
            return self.appended(state._replace(mode="R", deadline="-", steps=steps), state)
        step = state.steps[place]
        if (self.names_attempt and attempt != step.attempt) or (self.names_round and round_ != step.round):
            return None
        if step.status == "B":
            after = step._replace(status="G", timer="-")
        elif step.status == "W" and step.timer != "-":
            after = step._replace(status="S" if self.kinds[place] == DELAY else "f", timer="-")
        elif step.status == "G" and not self.fires_once:
            after = step._replace(attempt=min(step.attempt + 1, ATTEMPTS_MAX))
        else:
            return None
        return self.appended(state._replace(steps=put(state.steps, place, after)), state)

    # what happens

    def moves(self, state: State) -> Iterator[Move[State]]:
        for move in self.all_moves(state):
            yield move._replace(state=self.remembered(move.state))

    @staticmethod
    def remembered(state: State) -> State:
        """Whoever appends keeps the new timers in memory, as long as there is room."""
        known = {(timer.step, timer.attempt, timer.round) for timer in state.memory}
        new = [
            InMemory(place, step.attempt, step.round)
            for place, step in enumerate(state.steps)
            if step.timer == "n" and (place, step.attempt, step.round) not in known
        ]
        memory = (*state.memory, *new)[:3]
        return state._replace(memory=tuple(sorted(memory))) if state.mode in "FR" else state._replace(memory=())

    def all_moves(self, state: State) -> Iterator[Move[State]]:
        if state.mode in "EX":
            return
        yield from self.time_passes(state)
        for timer in state.memory:
            if timer.ripe:
                idle = state._replace(memory=tuple(other for other in state.memory if other != timer))
                yield from self.fires(idle, timer, "a memory", MESSAGE)
        if state.wake == "d":
            for place, timer_of in self.timers(state):
                step = state.steps[place]
                attempt, round_ = (0, 0) if place == SAGA else (step.attempt, step.round)
                if timer_of == "d":
                    yield from self.fires(state, InMemory(place, attempt, round_, passed=True), "the sweep", SWEEP)
        for place, step in enumerate(state.steps):
            yield from self.step_moves(state, place, step)
        yield from self.operators_ask(state)
        if state.left.crashes and state.memory:
            left = state.left._replace(crashes=state.left.crashes - 1)
            yield Move("the processes crash", FAULT, state._replace(memory=(), left=left))

    def fires(self, state: State, timer: InMemory, who: str, kind: Kind) -> Iterator[Move[State]]:
        place = timer.step
        label = f"{who} fires the timer of {'the saga' if place == SAGA else f'step {place}, attempt {timer.attempt}'}"
        after = self.fire(state, place, timer.attempt, timer.round)
        if after is None or not self.legal(state, place):
            if who == "a memory":
                yield Move(label + ": changes nothing", WORK, state)
            return
        due = state.deadline if place == SAGA else state.steps[place].timer
        passed = {"head": due == "d" or (due == "-" and not self.fires_once), "memory": timer.passed, "nothing": True}[
            self.due_of
        ]
        if not passed and who == "a memory":
            yield Move(label + ": not due by the database's clock", WORK, state)
            return
        broken = "a timer fired early" if due == "n" else "a timer fired twice" if due == "-" else None
        if broken is None and state.paused and (place == SAGA or state.steps[place].status == "W"):
            broken = "a wait timed out while its saga was paused"
        yield Move(label, kind, after, broken)

    def time_passes(self, state: State) -> Iterator[Move[State]]:
        for place, step in enumerate(state.steps):
            if step.timer == "n":
                passed = state._replace(steps=put(state.steps, place, step._replace(timer="d")))
                memory = (
                    timer._replace(ripe=True, passed=True) if timer[:3] == (place, step.attempt, step.round) else timer
                    for timer in state.memory
                )
                passed = passed._replace(memory=tuple(sorted(memory)), wake=self.passed(state, passed))
                yield Move(f"time passes: the timer of step {place} is due", WORK, passed)
        for timer in state.memory:
            others = tuple(other for other in state.memory if other != timer)
            step = state.steps[timer.step]
            if not timer.ripe:
                early = tuple(sorted((*others, timer._replace(ripe=True))))
                yield Move(f"a memory's clock runs fast for step {timer.step}", FAULT, state._replace(memory=early))
            if not timer.passed and (timer.attempt, timer.round) != (step.attempt, step.round):
                late = tuple(sorted((*others, timer._replace(ripe=True, passed=True))))
                yield Move(f"time passes: an old timer of step {timer.step} is due", WORK, state._replace(memory=late))
        if state.deadline == "n":
            passed = state._replace(deadline="d")
            yield Move("time passes: the saga's deadline is due", WORK, passed._replace(wake=self.passed(state, passed)))

    def passed(self, state: State, passed: State) -> str:
        """A wake_at that stood for a timer passes with it."""
        return "-" if state.wake == "-" else self.earliest(passed) if not self.wake_keeps else state.wake

    def step_moves(self, state: State, place: int, step: Step) -> Iterator[Move[State]]:
        def then(after: Step, **other: object) -> State:
            return self.appended(state._replace(steps=put(state.steps, place, after)), state)

        if step.status == "G":
            yield Move(f"step {place} succeeds", WORK, then(step._replace(status="S")))
            if state.left.failures:
                left = state.left._replace(failures=state.left.failures - 1)
                more = step.attempt < ATTEMPTS_MAX and state.mode == "F"
                after = step._replace(status="B", attempt=step.attempt + 1, timer="n") if more else step._replace(status="f")
                yield Move(f"step {place} fails, attempt {step.attempt}", FAULT, then(after)._replace(left=left))
        if step.status == "W" and self.kinds[place] in (WAIT, OPEN_WAIT) and not state.signals[place] and self.signals_come:
            come = state._replace(signals=put(state.signals, place, True))
            come = come._replace(steps=put(state.steps, place, step._replace(status="S", timer="-")))
            yield Move(f"the signal for step {place} comes", WORK, self.appended(come, state))
        if step.status == "D":
            yield Move(f"the outside has undone step {place}", WORK, then(step._replace(status="C")))

    def operators_ask(self, state: State) -> Iterator[Move[State]]:
        left = state.left
        if left.pauses and not state.paused:
            paused = state._replace(paused=True, left=left._replace(pauses=left.pauses - 1))
            yield Move("operator pauses", OPERATOR, self.appended(paused, state))
        if state.paused:  # whoever paused a saga resumes it one day
            resumed = self.appended(state._replace(paused=False), None)
            yield Move("operator resumes", WORK, resumed if self.resume_wakes else resumed._replace(wake="-"))
        for place, step in enumerate(state.steps) if left.rewinds and state.mode == "F" else ():
            if step.status in "BW" or (step.status == "S" and self.kinds[place] != CALL):
                again = self.begun(step._replace(round=step.round + 1), self.kinds[place])
                rewound = state._replace(
                    steps=put(state.steps, place, again),
                    signals=put(state.signals, place, False),
                    left=left._replace(rewinds=left.rewinds - 1),
                )
                yield Move(f"operator rewinds step {place}", OPERATOR, self.appended(rewound, state))

    # what must never be

    def broken(self, state: State) -> str | None:
        due = [timer for _, timer in self.timers(state)]
        if state.mode in "FR" and not state.paused:
            if due and state.wake == "-":
                return "a timer runs, and wake_at is null"
            if "d" in due and state.wake == "n":
                return "a timer is due, and wake_at is later"
        if not due and state.wake != "-":
            return "no timer runs, and wake_at is set"
        if state.mode == "R" and state.deadline != "-":
            return "a saga that turns back has a deadline"
        return None

    def promises(self) -> tuple[Promise[State], ...]:
        """Only the sweep is counted on: memories are for speed."""
        ended = Promise[State]("the saga ends", frozenset({WORK, SWEEP}), lambda state: state.mode in "EX")
        rests = Promise[State](
            "the saga ends, or waits for the outside alone",
            frozenset({WORK, SWEEP}),
            lambda state: state.mode in "EX" or all(step.timer == "-" and step.status in "WSfCD" for step in state.steps),
        )
        return (ended,) if self.signals_come else (rests,)
