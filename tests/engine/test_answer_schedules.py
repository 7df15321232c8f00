"""Three processes whose conditions answer at random, over one log: after any append all of them read the same."""

from __future__ import annotations

import random
from uuid import UUID

import msgspec
import pytest

from goconductor.engine.facts import log
from goconductor.engine.facts.log import View
from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import apply, begin
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.replay import replay
from goconductor.ports.store import Head, Known, Tail
from goconductor.saga.definition import Definition, Step
from goconductor.saga.expressions.conditions import compile_condition
from goconductor.saga.plan import Plan
from tests.lifecycle.sagas import INPUT, sensible

ID = UUID(int=5)
ANSWERS = [compile_condition(source) for source in ("input.yes", "input.no", "input.missing")]
SCHEDULES = 25


class Process:
    """What one process knows; each of its conditions answers as chance will have it, and always so."""

    def __init__(self, definition: Definition, chance: random.Random) -> None:
        self.plan = Plan(definition)
        self.plan.conditions = {step: chance.choice(ANSWERS) for step in self.plan.conditions}
        self.view: View | None = None

    def look(self, kept: list[tuple[Event, int]]) -> View:
        known = Known(ID) if self.view is None else self.view.known
        entries = [
            msgspec.structs.replace(log.entry(event, UUID(int=seq), participant="shop"), seq=seq, tag=tag)
            for seq, (event, tag) in enumerate(kept, 1)
        ]
        head = Head(saga_id=ID, saga="drawn", version="", seq=len(kept), tag=kept[-1][1], status="running")
        self.view = log.brought_up(self.plan, self.view, ID, Tail(head=head, entries=entries[known.seq :]))
        assert self.view is not None
        return self.view

    def append(self, event: Event, kept: list[tuple[Event, int]], tag: int) -> bool:
        """On top of what it knows, as the head's seq and tag allow; False if another was first, or the event is not legal."""
        assert self.view is not None
        fold = Fold(self.plan, self.view.state)
        try:
            apply(fold, event)
        except (UnexpectedEventError, RequestRefusedError):
            return False
        if (self.view.seq, self.view.tag) != (len(kept), kept[-1][1]):
            return False
        kept.append((fold.keep(event), tag))
        self.view = View(fold.state, len(kept), tag)
        return True


def drawn(chance: random.Random) -> Definition:
    """Up to six steps, each after some of those before it; most have a condition."""
    count = chance.randint(2, 6)
    return Definition(
        name="drawn",
        steps=tuple(
            Step(
                id=f"s{i}",
                run=f"shop.s{i}",
                after=tuple(f"s{j}" for j in range(i) if chance.random() < 0.5),
                when=None if chance.random() < 0.4 else "input.yes",
            )
            for i in range(count)
        ),
    )


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_after_each_append_all_read_the_same(seed: int, older: bool) -> None:
    """``older``: a version that kept no answers began the saga, so that the processes differ until the first of them appends."""
    chance = random.Random(seed)
    appended = 0
    for _ in range(SCHEDULES):
        definition = drawn(chance)
        processes = [Process(definition, chance) for _ in range(3)]
        started = begin(processes[0].plan, ID, e.SagaStarted(input=INPUT, at=1.0)).event
        kept: list[tuple[Event, int]] = [(msgspec.structs.replace(started, answers=None) if older else started, 1)]
        for turn in range(chance.randint(1, 14)):
            process = chance.choice(processes)
            view = process.view
            if view is None or chance.random() < 0.5:
                view = process.look(kept)
            candidates = [] if view.state.phase.ended else sensible(view.state)
            if not candidates:
                continue
            event: Event = msgspec.structs.replace(chance.choice(candidates), at=view.state.at)
            if process.append(event, kept, turn + 2):
                appended += 1
                assert process.view is not None
                for each in processes:
                    assert replay(each.plan, ID, [event for event, _ in kept]) == process.view.state
    assert appended > SCHEDULES
