"""Signals: a saga that waits, senders that repeat, deadlines, pause, rewind.

One saga whose steps all wait, in a row or together. Each sender has one signal and sends it until it is told an answer, and once
more, as answers are lost. A signal that serves no waiting step is kept. An approval names the step and the round of the question
that its sender saw; it serves no other.

The steps: ``-`` not begun, ``W`` waiting, ``S`` succeeded, ``f`` failed, ``g`` given up (its deadline was tolerated).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.explorer import FAULT, OPERATOR, SWEEP, WORK, Move, Promise
from tests.protocol.runs import put


class Sender(NamedTuple):
    """Somebody with one signal."""

    id: int
    fits: tuple[int, ...]  # the steps whose `where` is true for it
    approves: int | None = None  # the step whose question its sender saw


class Signal(NamedTuple):
    sender: int
    step: int = -1  # what an approval names
    round: int = -1


class Taken(NamedTuple):
    """What became of a signal: the step and round that it served; neither, where a person dropped it."""

    sender: int
    step: int = -1
    round: int = -1


class Asked(NamedTuple):
    """What a sender knows."""

    told: str = ""  # accepted, refused, differs
    times: int = 0  # how often it has sent
    round: int = -1  # of the question that it saw


class Faults(NamedTuple):
    """How often each thing may still happen."""

    lost_answers: int = 0
    pauses: int = 0
    rewinds: int = 0
    drops: int = 0
    crashes: int = 0


NO_FAULTS = Faults()


class Arrived(NamedTuple):
    """A signal that a process has in hand. A process without the guard decides on the state that it saw."""

    signal: Signal
    seen: State | None = None


class State(NamedTuple):
    mode: str  # F forward, E ended well, X turned back
    paused: bool
    steps: str
    rounds: tuple[int, ...]
    timers: str  # - none, n not due, d due by the database's clock
    kept: tuple[Signal, ...]
    ids: tuple[tuple[int, int], ...]  # (id, sender): the table beside the log
    taken: tuple[Taken, ...]
    asked: tuple[Asked, ...]
    arrived: tuple[Arrived, ...]
    wake: bool  # the head has a wake_at
    left: Faults


@dataclass(frozen=True)
class Signals:
    """The world and its rules. A rule's first value is the one that holds."""

    senders: tuple[Sender, ...]
    together: bool = False  # the steps wait together, not in a row
    deadlines: tuple[bool, bool] = (True, False)
    tolerated: bool = False  # a step whose deadline passes is given up, and the saga goes on
    left: Faults = NO_FAULTS
    times_max: int = 2
    ends: bool = False  # the senders' signals are enough, so that the saga must end

    id_first: bool = True  # a known id is answered as before, also by a saga that has ended
    known_ids: bool = True  # a known id is not taken again
    compares: bool = True  # a known id with other data is refused
    ids_in_append: bool = True  # ids are written in the append
    keeps: bool = True  # what serves no waiting step is kept
    takes_kept: bool = True  # a step that begins to wait looks at what is kept
    guard: bool = True  # each append is judged on the true head
    kept_max: int = 9
    cap_counts_kept: bool = True  # the cap counts what would have to be kept, not what arrives
    names_round: bool = True
    names_step: bool = True
    door_corrects: bool = False  # the door puts the present round in on arrival
    wakes: bool = True  # each append computes wake_at
    resume_wakes: bool = True
    due_guard: bool = True  # the append asks the database's clock
    timer_rests: bool = True  # a deadline is not legal while the saga is paused

    def begin(self) -> State:
        return self.advanced(
            State("F", False, "--", (0, 0), "--", (), (), (), (Asked(),) * len(self.senders), (), False, self.left), None
        )

    # what the saga decides

    def serves(self, signal: Signal, step: int, state: State) -> bool:
        if signal.step >= 0 and self.names_step and signal.step != step:
            return False
        if signal.step >= 0 and self.names_round and signal.round != state.rounds[step]:
            return False
        return step in self.senders[signal.sender].fits

    def served_by(self, signal: Signal, state: State) -> int | None:
        """The waiting step, by its place in the definition."""
        if state.mode != "F":
            return None
        return next((step for step in (0, 1) if state.steps[step] == "W" and self.serves(signal, step, state)), None)

    def take(self, state: State, signal: Signal, step: int) -> State:
        taken = tuple(sorted((*state.taken, Taken(signal.sender, step, state.rounds[step]))))
        kept = tuple(other for other in state.kept if other != signal)
        return self.ended(state, step, "S")._replace(kept=kept, taken=taken)

    def ended(self, state: State, step: int, how: str) -> State:
        return state._replace(steps=put_char(state.steps, step, how), timers=put_char(state.timers, step, "-"))

    def advanced(self, state: State, old: State | None) -> State:
        """Begin what is due, and let it take what is kept."""
        while state.mode == "F":
            if "f" in state.steps:
                state = state._replace(mode="X", steps=state.steps.replace("W", "f"), timers="--")
                break
            if all(status in "Sg" for status in state.steps):
                state = state._replace(mode="E")
                break
            first = next((step for step in (0, 1) if state.steps[step] == "-"), None)
            if first is None or not (self.together or all(status in "Sg" for status in state.steps[:first])):
                break
            timer = "n" if self.deadlines[first] else "-"
            state = state._replace(steps=put_char(state.steps, first, "W"), timers=put_char(state.timers, first, timer))
            if self.takes_kept:
                signal = next((signal for signal in state.kept if self.serves(signal, first, state)), None)
                if signal is not None:
                    state = self.take(state, signal, first)
        wake = state.mode == "F" and state.timers != "--" and not state.paused
        return state._replace(wake=wake if self.wakes or old is None else old.wake)

    def receive(self, state: State, signal: Signal) -> tuple[State, str]:
        """The next state, and the answer."""
        sender = self.senders[signal.sender]
        known = dict(state.ids).get(sender.id)
        if state.mode != "F" and not (self.id_first and known is not None):
            return state, "refused"
        if known is not None and self.known_ids:
            return state, "accepted" if known == signal.sender or not self.compares else "differs"
        step = self.served_by(signal, state)
        if len(state.kept) >= self.kept_max and (step is None or not self.cap_counts_kept):
            return state, "refused"
        after = state._replace(ids=tuple(sorted({**dict(state.ids), sender.id: signal.sender}.items())))
        if step is not None:
            after = self.take(after, signal, step)
        elif self.keeps:
            after = after._replace(kept=(*after.kept, signal))
        return self.advanced(after, state), "accepted"

    # what happens

    def moves(self, state: State) -> Iterator[Move[State]]:
        yield from self.senders_send(state)
        for arrived in state.arrived:
            yield from self.handled(state, arrived)
        if state.mode == "F":
            yield from self.timers_fire(state)
            yield from self.operators_ask(state)

    def senders_send(self, state: State) -> Iterator[Move[State]]:
        for number, asked in enumerate(state.asked):
            again = asked.told == "refused" and self.senders[number].approves is None
            if asked.times >= self.times_max and not again:
                continue
            if len(state.arrived) == 2 or any(arrived.signal.sender == number for arrived in state.arrived):
                continue
            step = self.senders[number].approves
            seen = asked.round if asked.round >= 0 or step is None else state.rounds[step]
            signal = Signal(number) if step is None else Signal(number, step, seen)
            asks = Asked(asked.told, asked.times + (not again), seen)
            arrived = (*state.arrived, Arrived(signal, None if self.guard else state._replace(arrived=(), asked=())))
            yield Move(f"sender {number} sends", WORK, state._replace(asked=put(state.asked, number, asks), arrived=arrived))

    def handled(self, state: State, arrived: Arrived) -> Iterator[Move[State]]:
        signal, seen = arrived
        number, sender = signal.sender, self.senders[signal.sender]
        idle = state._replace(arrived=tuple(other for other in state.arrived if other is not arrived))
        if self.door_corrects and signal.step >= 0:
            signal = signal._replace(round=state.rounds[signal.step])
        if not self.ids_in_append and state.left.crashes and state.mode == "F" and sender.id not in dict(state.ids):
            ids = tuple(sorted((*state.ids, (sender.id, number))))
            left = state.left._replace(crashes=state.left.crashes - 1)
            yield Move(f"id {sender.id} is written, the process dies", FAULT, idle._replace(ids=ids, left=left))
        base = state if seen is None else seen._replace(arrived=state.arrived, asked=state.asked, left=state.left)
        after, answer = self.receive(base, signal)
        after = after._replace(arrived=idle.arrived)
        told = state.asked[number].told
        broken = None
        if answer != "accepted" and told == "accepted":
            broken = f"signal {sender.id} was accepted, and its repetition is refused"
        elif seen is not None and after.mode != "F" and state.mode not in ("F", after.mode):
            broken = "a saga that had ended was changed"
        elif seen is not None and set(dict(state.ids)) - set(dict(after.ids)):
            broken = "an accepted signal was overwritten"
        elif len(after.taken) != len({record.sender for record in after.taken}):
            broken = f"signal {sender.id} was taken twice"
        label = f"signal {sender.id} of sender {number}: {answer} -> {after.mode} {after.steps}"
        heard = put(state.asked, number, state.asked[number]._replace(told=answer))
        yield Move(label, WORK, after._replace(asked=heard), broken)
        if state.left.lost_answers:
            left = state.left._replace(lost_answers=state.left.lost_answers - 1)
            unheard = put(state.asked, number, state.asked[number]._replace(told="accepted" if answer == "accepted" else ""))
            yield Move(label + ", the answer is lost", FAULT, after._replace(asked=unheard, left=left), broken)

    def timers_fire(self, state: State) -> Iterator[Move[State]]:
        for step, timer in enumerate(state.timers):
            if timer == "n":
                yield Move(f"time passes: deadline {step} is due", WORK, state._replace(timers=put_char(state.timers, step, "d")))
            legal = not state.paused or not self.timer_rests
            if legal and (timer == "d" or (timer == "n" and not self.due_guard)) and (state.wake or state.paused):
                broken = "a deadline fired early" if timer == "n" else None
                broken = broken or ("a deadline fired while its saga was paused" if state.paused else None)
                how = "g" if self.tolerated else "f"
                after = self.advanced(self.ended(state, step, how), state)
                yield Move(f"deadline {step} fires -> {after.mode} {after.steps}", SWEEP, after, broken)

    def operators_ask(self, state: State) -> Iterator[Move[State]]:
        left = state.left
        if left.pauses and not state.paused:
            paused = state._replace(paused=True, wake=False, left=left._replace(pauses=left.pauses - 1))
            yield Move("operator pauses", OPERATOR, paused)
        if state.paused:  # whoever paused a saga resumes it one day
            after = self.advanced(state._replace(paused=False), None)
            yield Move("operator resumes", WORK, after if self.resume_wakes else after._replace(wake=False))
        for signal in state.kept if left.drops else ():
            kept = tuple(other for other in state.kept if other != signal)
            taken = tuple(sorted((*state.taken, Taken(signal.sender))))
            dropped = state._replace(kept=kept, taken=taken, left=left._replace(drops=left.drops - 1))
            yield Move(f"operator drops the kept signal of sender {signal.sender}", OPERATOR, dropped)
        for step in (0, 1) if left.rewinds else ():
            if state.steps[step] == "-":
                continue
            again = (step,) if self.together else tuple(range(step, 2))
            rewound = state._replace(left=left._replace(rewinds=left.rewinds - 1))
            for each in again:
                rewound = self.ended(rewound, each, "-")
                rewound = rewound._replace(rounds=put(rewound.rounds, each, rewound.rounds[each] + 1))
            yield Move(f"operator rewinds from step {step}", OPERATOR, self.advanced(rewound, state))

    # what must never be

    def broken(self, state: State) -> str | None:
        if state.mode == "F" and any(self.served_by(signal, state) is not None for signal in state.kept):
            return "a signal that serves a waiting step is kept"
        if state.mode == "F" and not state.paused and state.timers != "--" and not state.wake:
            return "a step waits with a deadline, and wake_at is null"
        recorded = {*(record.sender for record in state.taken), *(signal.sender for signal in state.kept)}
        for number, asked in enumerate(state.asked):
            if asked.told == "accepted" and number not in recorded:
                return f"sender {number} was told accepted, and its signal is nowhere"
        for number, step, served in state.taken:
            approves, seen = self.senders[number].approves, state.asked[number].round
            if step >= 0 and approves is not None and (step, served) != (approves, seen):
                return f"an approval of step {approves} round {seen} serves step {step} round {served}"
        return None

    def promises(self) -> tuple[Promise[State], ...]:
        if not self.ends:
            return ()
        return (Promise("the saga ends", frozenset({WORK, SWEEP}), lambda state: state.mode != "F"),)


def put_char(text: str, place: int, char: str) -> str:
    return text[:place] + char + text[place + 1 :]
