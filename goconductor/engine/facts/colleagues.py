"""Who else could run a step, and how long to wait before one of them is asked again.

While instances are replaced one by one, some have a step and others do not, and some know the *features* of a saga
(:mod:`goconductor.saga.features`) and others do not. A message of the bus comes to any of them. Whoever cannot take it hands it
to an instance that offers the step and knows the features, on the topic of that instance alone (:func:`topics_of`).
Where it knows of none that hears it, it passes the message on; how soon it should come to the next one depends on whether there
is somebody who can. If there is, it is a matter of a few hops. If nobody can, it waits longer each time, for an instance that is
still to start.

**Who hears.** A topic for each instance is a cost that only a rolling deploy is worth. So an instance hears its own topic only if
it finds one at its start that lacks a step of its own, or does not know a feature that it knows. An instance hands over to those
alone that began after it, by their serials: those have seen it. A message that is handed from one to the next so comes to an end.

**Who leaves.** An instance that begins to drain offers nothing from that moment on, and so nobody chooses it. Others believe what
they have read for :data:`LOOK_SECONDS`. So it hears its own topic for as long, and hands on what comes there. No word on the bus
would do more: it would have to reach each instance, and each would need a topic for that.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection

from goconductor.aio.backoff import doubled
from goconductor.errors import StoreUnavailableError
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.pending_work import pending_work
from goconductor.messages.topics import replies_topic, steps_topic
from goconductor.ports.clock import Clock
from goconductor.ports.store import Instance
from goconductor.saga.features import unknown_to
from goconductor.saga.plan import Plan

LOOK_SECONDS = 1.0
"""Seconds for which the instances of a participant are believed after they were read."""
SOON_SECONDS = 0.1
"""Seconds before a message comes to another instance that can take it."""
SOON_GROWTH = 1.3
"""Factor by which these seconds grow with each delivery."""
SOON_SECONDS_MAX = 2.0
"""Greatest number of these seconds."""
NOBODY_SECONDS = 1.0
"""Seconds before a message comes again that no living instance can take; they double with each delivery."""
NOBODY_SECONDS_MAX = 60.0
"""Greatest number of these seconds."""


class Colleagues:
    """The living instances of participants, as the store has them.

    Args:
        instances: reads the instances of a participant from the store.
        clock: measures for how long they are believed.
    """

    def __init__(self, instances: Callable[[str], Awaitable[list[Instance]]], clock: Clock) -> None:
        self._instances = instances
        self._clock = clock
        self._living: dict[str, tuple[float, list[Instance]]] = {}
        self._turns = itertools.count()
        self._looking = asyncio.Lock()

    async def wait_seconds(self, participant: str, step: str, features: Collection[str], deliveries: int) -> float:
        """Return how many seconds a message that we cannot take should stay away.

        Args:
            participant: the owner of the step.
            step: the name of its code.
            features: what its saga uses.
            deliveries: number of deliveries of the message so far.
        """
        if any(takes(each, step, features) for each in await self._known(participant)):
            return soon_seconds(deliveries)
        return nobody_seconds(deliveries)

    async def successor(self, participant: str, step: str, features: Collection[str], serial: int) -> Instance | None:
        """Return an instance that can run a step and hears what we hand to it, another one each time; None where we know of none.

        Args:
            participant: the owner of the step.
            step: the name of its code.
            features: what its saga uses.
            serial: our own.
        """
        able = [each for each in await self._known(participant) if each.serial > serial and takes(each, step, features)]
        return able[next(self._turns) % len(able)] if able else None

    async def _known(self, participant: str) -> list[Instance]:
        async with self._looking:  # messages come in crowds: one of them looks
            until, living = self._living.get(participant, (0.0, list[Instance]()))
            if self._clock.monotonic() < until:
                return living
            try:
                instances = await self._instances(participant)
            except StoreUnavailableError:
                return living
            living = [each for each in instances if each.dead_at is None]
            self._living[participant] = self._clock.monotonic() + LOOK_SECONDS, living
            return living


def takes(instance: Instance, step: str, features: Collection[str]) -> bool:
    """Return whether an instance offers a step, and knows what the saga uses.

    Args:
        instance: as it is registered.
        step: the name of the step's code.
        features: of the saga.
    """
    return step in instance.steps and not unknown_to(features, instance.features)


async def topics_of(instance: Instance, instances: Callable[[str], Awaitable[list[Instance]]]) -> list[str]:
    """Return the topics on which an instance gets steps: that of its participant, and perhaps one of its own. One without steps
    has none.

    Args:
        instance: as it is registered.
        instances: asks the store for those of a participant.
    """
    if not instance.steps:
        return []
    shared, own = steps_topic(instance.participant), replies_topic(instance.name)
    try:
        others = await instances(instance.participant)
    except StoreUnavailableError:  # in doubt it hears
        return [shared, own]
    return [shared, own] if any(hands_over(each, instance) for each in others) else [shared]


def hands_over(older: Instance, instance: Instance) -> bool:
    """Return whether one instance may hand messages to another. One that offers nothing takes none that it could hand on.

    Args:
        older: perhaps lacks what the other one has.
        instance: the other one.
    """
    if older.dead_at is not None or older.serial >= instance.serial or not older.steps:
        return False
    return not older.steps.keys() >= instance.steps.keys() or bool(unknown_to(instance.features, older.features))


async def unoffered(
    plan_of: Callable[[SagaState], Awaitable[Plan]],
    instances: Callable[[str], Awaitable[list[Instance]]],
    state: SagaState,
) -> dict[str, str]:
    """Find the steps that a saga waits for and that no living instance offers that knows its features, and what they run.

    Args:
        plan_of: finds the definition that it runs by.
        instances: asks the store for those of a participant.
        state: where it stands.

    Raises:
        SagaNotFoundError: there is no such saga any more.
        StoreUnavailableError: the store cannot be asked now.
    """
    plan = await plan_of(state)
    waiting = {
        work.step: (plan.owners_of[work.direction][work.step], plan.code[work.direction][work.step])
        for work in pending_work(state.steps)
        if work.step in plan.owners_of[work.direction]
    }
    features = (*plan.features, *state.features)
    offered = {
        (participant, step)
        for participant in {participant for (participant, _), _ in waiting.values()}
        for each in await instances(participant)
        if each.dead_at is None and not unknown_to(features, each.features)
        for step in each.steps
    }
    return {step: code for step, (owner, code) in waiting.items() if owner not in offered}


def soon_seconds(deliveries: int) -> float:
    """Return how many seconds a message should stay away that another instance can take."""
    return float(min(SOON_SECONDS * SOON_GROWTH ** min(deliveries - 1, 40), SOON_SECONDS_MAX))


def nobody_seconds(deliveries: int) -> float:
    """Return how many seconds a message should stay away that no known instance can take."""
    return doubled(NOBODY_SECONDS, deliveries - 1, seconds_max=NOBODY_SECONDS_MAX)
