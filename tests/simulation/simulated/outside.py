"""Somebody outside, who ends steps and compensations that were handed out, reports until he is answered, and undoes what came too
late.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.signals import report
from goconductor.engine.steps.context import StepContext
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.events import OutcomeDeclared, SkipRequested
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from tests.simulation.simulated.process import Process

if TYPE_CHECKING:
    from tests.simulation.simulated.simulation import Simulation


class Outside:
    """Acts once for a key, whatever number of attempts he is given.

    Args:
        simulation: with its processes.
        chance: decides what becomes of what he is given.
    """

    def __init__(self, simulation: Simulation, chance: random.Random) -> None:
        self._simulation, self._chance = simulation, chance
        self._given: asyncio.Queue[Callable[[], Coroutine[Any, Any, None]]] = asyncio.Queue()
        self._stands: dict[str, tuple[UUID, str, int]] = {}
        """What he has done and not undone, by its key."""
        self._acted: set[str] = set()
        """Keys that he has acted for: he does not act again for one, also where it was undone meanwhile, but says what he did."""
        self._about: dict[str, tuple[UUID, str, int]] = {}

    def take(self, context: StepContext) -> float | None:
        """Take a step, and return after how many seconds he is to be asked."""
        key = context.action_key
        self._about[key] = (context.saga_id, context.step, context.round)
        self._given.put_nowait(partial(self._end, key, context.task_token))
        return self._chance.choice([None, 0.5, 5.0, 40.0])

    def take_undo(self, context: StepContext) -> float | None:
        """Take a compensation, and return after how many seconds he is to be asked."""
        self._given.put_nowait(partial(self._end_undo, context.action_key, context.task_token))
        return self._chance.choice([None, 0.5, 5.0, 40.0])

    def undo(self, key: str) -> None:
        """Undo what was done for a key: a compensation asks for that which knows of it."""
        self._stands.pop(key, None)

    async def work(self) -> None:
        """Do what is given, for ever."""
        async with asyncio.TaskGroup() as all_of_it:
            while True:
                end = await self._given.get()
                all_of_it.create_task(end())

    async def _end(self, key: str, token: str) -> None:
        await asyncio.sleep(self._chance.choice([0.0, 0.01, 1.0, 10.0, 60.0]))
        failure = "" if key in self._acted or self._chance.random() < 0.7 else "declined"
        if not failure and key not in self._acted:
            self._acted.add(key)
            self._stands[key] = self._about[key]
        output = None if failure else {"outside": key}
        final = self._chance.random() < 0.5 or not failure

        async def reported(process: Process) -> bool:
            try:
                await report(ANYBODY, process.node, token, output=output, failure=failure, final=final)
            except RequestRefusedError as error:
                self._simulation.tell("outside", f"is refused: {error}")
                return False
            return True

        for _ in range(self._chance.choice([1, 1, 2])):
            self._simulation.tell("outside", f"reports {token}: {failure or 'done'}")
            if not await self._until_answered(reported) and not failure:
                self.undo(key)

    async def _end_undo(self, key: str, token: str) -> None:
        await asyncio.sleep(self._chance.choice([0.0, 0.01, 1.0, 10.0, 60.0]))
        failure = "" if self._chance.random() < 0.7 else "closed"
        if not failure:
            self.undo(key)
        final = self._chance.random() < 0.3 and bool(failure)

        async def reported(process: Process) -> bool:
            try:
                await report(ANYBODY, process.node, token, failure=failure, final=final or not failure)
            except RequestRefusedError as error:
                self._simulation.tell("outside", f"is refused: {error}")
                return False
            return True

        for _ in range(self._chance.choice([1, 1, 2])):
            self._simulation.tell("outside", f"reports {token}: {failure or 'undone'}")
            await self._until_answered(reported)

    async def _until_answered(self, reported: Callable[[Process], Awaitable[bool]]) -> bool:
        while True:
            taken: bool | None = await self._simulation.ask(reported)
            if taken is not None:
                return taken
            await asyncio.sleep(1.0)

    def wrong(self) -> Iterator[str]:
        """Find what stands outside of which the saga does not know."""
        for saga_id, name, round in self._stands.values():
            saga = self._simulation.watch.sagas[saga_id]
            step = saga.state.step(name)
            knows = step.action.status is ActionStatus.SUCCEEDED and step.round == round
            gone = step.compensation.status is CompensationStatus.DONE
            undoes = not saga.plan.owners[name][1].endswith("bare") and name in saga.plan.undoable - saga.plan.undoes.keys()
            if undoes and (gone or not knows) and not saga.has(SkipRequested, OutcomeDeclared):
                yield f"I1: {saga.plan.name}.{name} ({saga.state.status}, {step.action.status}) stands outside, in round {round}"
