"""Operators who move sagas to other versions of their definitions, while everything goes wrong."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.requests import ask
from goconductor.errors import DefinitionError
from goconductor.lifecycle.facts.events import SagaMigrated
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Definition, Step
from goconductor.saga.plan import Plan, plan
from tests.simulation.simulated.process import Process

if TYPE_CHECKING:
    from tests.simulation.simulated.simulation import Simulation

EDITS = 3
"""Other versions of each definition."""
PAUSE_SECONDS = 1.5


def edited(definition: Definition, chance: random.Random) -> Definition:
    """Return another version: a step is gone, a value is new, or steps that have not begun are skipped."""
    steps = [*definition.steps]
    place = chance.randrange(len(steps))
    step = steps[place]
    match chance.choice(["add", "add", "remove", "condition", "order"]):
        case "remove" if len(steps) > 1:
            del steps[place]
            steps = [replace(each, after=tuple(name for name in each.after if name != step.id)) for each in steps]
        case "condition" if not step.pivot and step.when is None:
            steps[place] = replace(step, when="true")
        case "order":
            chance.shuffle(steps)
        case _:
            steps.append(Step(id=f"new{chance.randrange(1000)}", value="1", after=(step.id,)))
    made = replace(definition, steps=tuple(steps))
    try:
        check(made)
    except DefinitionError:
        return definition
    return made


class Migrations:
    """The operators, and the versions to which they move sagas: also back, and on again.

    Args:
        simulation: with its sagas.
        chance: decides what they ask for.
    """

    def __init__(self, simulation: Simulation, chance: random.Random) -> None:
        self._simulation, self._chance = simulation, chance
        self._versions: dict[str, list[Definition]] = {}
        for definition in simulation.definitions:
            versions = [definition]
            while len(versions) <= EDITS:
                versions.append(edited(chance.choice(versions), chance))
            self._versions[definition.name] = versions
        self.plans: dict[str, Plan] = {each.version: plan(each) for versions in self._versions.values() for each in versions}

    async def interfere(self, seconds: float) -> None:
        """Ask for migrations, whether or not they are proven."""
        simulation = self._simulation
        until = simulation.loop.time() + seconds
        while simulation.loop.time() < until:
            await asyncio.sleep(self._chance.random() * PAUSE_SECONDS)
            if not (sagas := [*simulation.watch.sagas]):
                continue
            saga_id = self._chance.choice(sagas)
            watched = simulation.watch.sagas[saga_id]
            wanted = self._chance.choice(self._versions[watched.plan.name])

            async def asked(process: Process) -> None:
                registered = await process.node.definitions.register(wanted)  # noqa: B023  (it is awaited in this turn)
                event = SagaMigrated(version=registered.version, reason="simulated")
                await ask(ANYBODY, process.node, saga_id, event)  # noqa: B023
                simulation.operators.accepted["SagaMigrated"] += 1

            simulation.tell("operator", f"asks {watched.plan.name} for version {wanted.version[:8]}")
            await simulation.ask(asked)
