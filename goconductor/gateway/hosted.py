"""A participant whose steps workers run: its node, its desk, and what others are told that it offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry, facts, hooks
from goconductor.gateway.desk import Desk
from goconductor.gateway.protocol import Registration
from goconductor.gateway.runner import WorkerRunner, fence_of
from goconductor.gateway.steps import WorkerAction
from goconductor.messages.topics import replies_topic
from goconductor.ports.store import Lease


class Hosted:
    """A participant whose steps workers run, and the node that holds its leases.

    Args:
        name: the participant's.
        make_node: makes the engine of its steps, not open.
    """

    def __init__(self, name: str, make_node: Callable[[StepRegistry], Node]) -> None:
        self.desk = Desk(self._room_changed)
        self.registry = StepRegistry(name)
        self.registry.concurrency = 0
        hooks(self.registry).on_kept = self._kept
        self.node = make_node(self.registry)
        self.left_at: float | None = None
        self._runner = WorkerRunner(self.desk)
        self._offered: dict[str, dict[str, object]] = {}

    def describe(self, registration: Registration) -> None:
        """Take the steps in that a worker offers."""
        for step in registration.steps:
            action = self.registry.steps.get(step.name)
            if action is None:
                action = self.registry.steps[step.name] = WorkerAction(self.registry.name, step.name, self._runner)
            assert isinstance(action, WorkerAction)  # noqa: S101  (made here)
            action.describe(step)

    async def offer(self) -> None:
        """Tell others which steps there are now. One that no worker offers is told as offered no more."""
        there = {name for session in self.desk.sessions.values() for name in session.steps}
        for name, action in self.registry.steps.items():
            action.offered = name in there
        told = facts(self.registry)
        if told != self._offered:
            await self.node.store.instances.offer(self.node.instance.serial, told)
            self.node.membership.hear(replies_topic(self.node.name))  # on it come tasks from instances that lack a step
            self._offered = told

    def _room_changed(self, more: Mapping[str, int], in_all: int) -> None:
        for step, change in more.items():
            action = self.registry.steps[step]
            action.concurrency = (action.concurrency or 0) + change
        self.registry.concurrency += in_all
        if in_all > 0:
            hooks(self.registry).has_grown()

    def _kept(self, lease: Lease, taken: bool) -> None:
        self.desk.kept(fence_of(lease.token), taken=taken)
