"""The services of a simulation: participants whose steps do what the seed says, and write down what they did."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Annotated, Any

from goconductor.engine.steps.action import Action
from goconductor.engine.steps.context import StepContext
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.steps.signature import Output
from goconductor.errors import PermanentError, RefusedError, TemporaryError
from goconductor.journals.memory import MemoryTransaction
from goconductor.saga.ids import Direction
from goconductor.saga.retry import Retry
from tests.simulation.simulated.faults import Fault, Faults
from tests.simulation.simulated.leaves.journal import ServiceDatabase
from tests.simulation.simulated.outside import Outside

PARTICIPANTS = ("stock", "payments")
CODE = ("plain", "bare", "booked", "booked_bare")
"""What each participant offers: plain and transactional steps, with a compensation and without."""

Done = Annotated[dict[str, Any] | None, Output]
"""What an action gave, as its compensation gets it."""

Ran = Callable[[StepContext, str], None]
"""Called with what code of a step does: ``begins`` and ``returns``."""


class Script:
    """Decides what each run of a step's code does.

    Args:
        seed: the run's.
        faults: how often something goes wrong.
        name_of: names a saga, the same in every run of the seed.
        ran: called with each run.
        outside: ends what is handed out.
    """

    def __init__(self, seed: int, faults: Faults, name_of: Callable[[Any], str], ran: Ran, outside: Outside) -> None:
        self._seed, self._faults, self._name_of, self._ran = seed, faults, name_of, ran
        self.outside = outside
        self._runs: dict[str, int] = {}

    async def play(self, context: StepContext) -> None:
        """Do what one run of an action or a compensation does before its effect."""
        self._ran(context, "begins")
        about = f"{self._name_of(context.saga_id)} {context.step} {context.direction} {context.round} {context.attempt}"
        self._runs[about] = run = self._runs.get(about, 0) + 1  # two runs of one attempt may end differently
        chance = random.Random(f"{self._seed} {about} {run}")
        await asyncio.sleep(chance.choice([0.0, 0.001, 0.05, 0.5, 2.0]))
        if self._faults.strikes(Fault.STEP_HANGS):
            await asyncio.sleep(chance.choice([3.0, 9.9, 10.1, 25.0, 400.0]))
        if self._faults.strikes(Fault.STEP_FAILS):
            raise chance.choice(
                [
                    *(ValueError("no"), ConnectionError("gone"), ConnectionError("gone")),
                    *(
                        TemporaryError("later", delay_seconds=chance.choice([0.1, 7.0])),
                        PermanentError("never"),
                        RefusedError("card"),
                    ),
                ]
            )

    def may_hand_out(self, context: StepContext) -> None:
        """Leave the outcome to somebody outside, perhaps."""
        if self._faults.strikes(Fault.STEP_HANDED_OUT):
            self._ran(context, "returns")
            acts = context.direction is Direction.ACTION
            context.hand_out(ask_after=self.outside.take(context) if acts else self.outside.take_undo(context))


def limits_of(seed: int, participant: str) -> dict[str, dict[str, Any]]:
    """Draw the limits over all instances: in half of the runs, some of the code has them."""
    chance = random.Random(f"{seed} limits of {participant}")
    drawn: list[dict[str, Any]] = [
        *({"concurrency_total": 1}, {"concurrency_total": 2}),
        *({"rate": "2/s"}, {"concurrency_total": 1, "rate": "30/m"}),
    ]
    return {name: chance.choice(drawn) for name in CODE if chance.random() < 0.4} if chance.random() < 0.5 else {}


def service(
    participant: str, script: Script, database: ServiceDatabase, limits: dict[str, dict[str, Any]] | None = None
) -> StepRegistry:
    """Make a participant's steps.

    Args:
        participant: its name.
        script: what its code does.
        database: the service's own, with its journal.
        limits: options of some of its code.
    """
    offered = StepRegistry(participant)
    patient = Retry(attempts_max=4, initial_seconds=0.2, max_seconds=8.0)

    async def plain(context: StepContext, value: Any = None) -> dict[str, Any]:
        await script.play(context)
        script.may_hand_out(context)
        script._ran(context, "returns")
        return {"of": context.step, "value": str(value)[:20]}

    async def booked(tx: MemoryTransaction, context: StepContext, value: Any = None) -> dict[str, Any]:
        del value
        await script.play(context)
        for side in ("effect", "posted"):  # an entry and its counter-entry: what is there in one is there in the other
            key = f"{side} {context.idempotency_key}"
            tx[key] = tx.get(key, 0) + 1
        script._ran(context, "returns")
        return {"of": context.step}

    async def undo_plain(
        context: StepContext, value: Any = None, output: Annotated[dict[str, Any] | None, Output] = None
    ) -> None:
        await plain(context, value)
        if output is not None:
            script.outside.undo(context.action_key)

    async def undo_booked(tx: MemoryTransaction, context: StepContext, value: Any = None) -> None:
        await booked(tx, context, value)

    for name in CODE:
        action: Action[..., Any]
        limited = (limits or {}).get(name, {})
        if with_journal := name.startswith("booked"):
            action = offered.step(name=name, transaction=database, compensation_retry=patient, **limited)(booked)
        else:
            action = offered.step(name=name, compensation_retry=patient, **limited)(plain)
        if not name.endswith("bare"):
            action.compensation(undo_booked if with_journal else undo_plain)
    return offered
