"""People who ask for something: at any time while things go wrong, and afterwards where a saga needs a person."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.requests import Precautions, ask
from goconductor.control.sagas.signals import signal
from goconductor.lifecycle.facts.events import RestartRequested, StepEvent
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.moves.kinds import undo_wait
from goconductor.lifecycle.requests.allowed import of_saga, of_steps
from goconductor.lifecycle.requests.catalogue import CATALOGUE, Asked, Operation, Request
from goconductor.saga.growth import split
from goconductor.saga.plan import Plan
from tests.simulation.simulated.faults import Fault
from tests.simulation.simulated.process import Process

if TYPE_CHECKING:
    from tests.simulation.simulated.simulation import Simulation

ASKS_MAX = 12
_OPERATIONS: dict[Request, Operation] = {operation.request: operation for operation in CATALOGUE}
_HARMLESS = (Request.PAUSE, Request.RESUME, Request.ABORT, Request.RETRY)


class Operators:
    """The operators of a simulation.

    Args:
        simulation: with its sagas.
        chance: decides what they ask for.
    """

    def __init__(self, simulation: Simulation, chance: random.Random) -> None:
        self._simulation, self._chance = simulation, chance
        self._retried: dict[tuple[UUID, str], int] = {}
        self.accepted: Counter[str] = Counter()
        """The requests that were accepted, by name; those about steps in maps and about sagas with such also by names of their
        own."""

    async def interfere(self, seconds: float) -> None:
        """Ask for this and that, whether or not it is allowed."""
        simulation, chance = self._simulation, self._chance
        for _ in range(ASKS_MAX):
            await asyncio.sleep(chance.random() * seconds / ASKS_MAX * 2)
            sagas = list(simulation.watch.sagas)
            if simulation.faults.healed or not sagas or not simulation.faults.strikes(Fault.OPERATOR):
                continue
            grown = [saga_id for saga_id in sagas if self._has_grown(saga_id)]
            saga_id = chance.choice(grown if grown and chance.random() < 0.5 else sagas)
            watched = simulation.watch.sagas[saga_id]
            await self._ask(saga_id, self._any(watched.plan, watched.state))

    def _has_grown(self, saga_id: UUID) -> bool:
        state = self._simulation.watch.sagas[saga_id].state
        return not state.phase.ended and any(split(step) is not None for step in state.steps)

    def _any(self, plan: Plan, state: SagaState) -> Asked:
        """Draw a request: mostly one that the saga would accept."""
        allowed = [(request, "") for request in of_saga(plan, state)]
        for step, requests in of_steps(plan, state).items():
            allowed += [(request, step) for request in requests]
        allowed = [
            (request, step)
            for request, step in allowed
            if request not in (Request.TERMINATE, Request.RESTART_AS_NEW) or self._chance.random() < 0.1
        ]
        if (in_maps := [each for each in allowed if split(each[1]) is not None]) and self._chance.random() < 0.5:
            allowed = in_maps
        if not allowed or self._chance.random() < 0.1:
            allowed = [(request, self._chance.choice([*plan.order, *state.steps])) for request in _HARMLESS]
        request, step = self._chance.choice(allowed)
        return self._made(plan, request, step, state, forced=self._chance.random() < 0.3)

    def _made(self, plan: Plan, request: Request, step: str, state: SagaState, *, forced: bool) -> Asked:
        is_map = step != "" and plan.steps[step].map is not None
        edited = (
            {"over": [self._chance.randrange(9)] * self._chance.randrange(4)}
            if is_map
            else {"value": self._chance.randrange(1000)}
        )
        values: dict[Request, dict[str, Any]] = {
            Request.SKIP: {"forced": forced},
            Request.TERMINATE: {"forced": forced},
            Request.PAUSE: {"children": forced},
            Request.RESTART_AS_NEW: {"despite_effects": True},
            Request.DECLARE: {"happened": self._chance.random() < 0.5},
            Request.RESTART: {"from_step": self._chance.choice(["", *state.steps]), "inputs": None},
            Request.EDIT_INPUT: {"inputs": edited},
        }
        return _OPERATIONS[request].asked(
            step=step, round=state.step(step).round, reason="simulated", values=values.get(request, {})
        )

    async def help(self) -> None:
        """Do what only a person can: resume, retry, and skip what has been retried in vain."""
        for saga_id, watched in list(self._simulation.watch.sagas.items()):
            state = watched.state
            if state.phase.ended:
                continue
            if state.paused:
                await self._ask(saga_id, self._made(watched.plan, Request.RESUME, "", state, forced=False))
            if watched.plan.undo_waits:
                await self._say(saga_id, watched.plan, state)
            for step in state.stuck_steps:
                tries = self._retried[saga_id, step] = self._retried.get((saga_id, step), 0) + 1
                last = Request.DECLARE if step == watched.plan.pivot else Request.SKIP
                request = Request.RETRY if tries < 4 else last
                await self._ask(saga_id, self._made(watched.plan, request, step, state, forced=tries > 5))

    async def _say(self, saga_id: UUID, plan: Plan, state: SagaState) -> None:
        """Say of an undo that waits for word that it is done."""
        if undo_wait.of_signal(plan, state.steps, "undone"):
            said_as = f"{self._chance.getrandbits(64):x}"

            async def said(process: Process) -> None:
                await signal(ANYBODY, process.node, saga_id, "undone", precautions=Precautions(request_id=said_as))
                self.accepted["word of an undo"] += 1

            self._simulation.tell("operator", f"says to {self._simulation._name_of(saga_id)} that something is undone")
            await self._simulation.ask(said)

    async def _ask(self, saga_id: UUID, event: Asked) -> None:
        async def asked(process: Process) -> None:
            has_grown = self._has_grown(saga_id)
            await ask(ANYBODY, process.node, saga_id, event)
            name = type(event).__name__.removesuffix("Requested")
            self.accepted[name] += 1
            self.accepted[f"{name} of a saga with steps in maps"] += has_grown
            about = event.from_step if isinstance(event, RestartRequested) else event.step if isinstance(event, StepEvent) else ""
            self.accepted[f"{name} in a map"] += split(about) is not None

        self._simulation.tell("operator", f"asks {self._simulation._name_of(saga_id)} for {event}")
        await self._simulation.ask(asked)
