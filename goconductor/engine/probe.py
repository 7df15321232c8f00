"""What the engine tells of itself while it works, for metrics and traces.

A probe is called on the hot path, in the event loop: its methods do not wait, and must not raise. All of them do nothing here,
so that a process which measures nothing pays for a call and no more. What users want to hear of is
:class:`goconductor.engine.steps.listeners.Listener`'s.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from uuid import UUID

from goconductor.engine.facts.log import View
from goconductor.engine.steps.context import StepContext
from goconductor.engine.work.granted import Granted
from goconductor.lifecycle.events import Event
from goconductor.messages.envelope import Body, Envelope
from goconductor.saga.plan import Plan


class Starting:
    """A saga that is being started. ``traceparent`` goes with it for ever (W3C trace context; empty: it is not traced)."""

    traceparent = ""

    def started(self, saga_id: UUID, *, existing: bool) -> None:
        """It was, or its key had started it before."""


UNTOLD: AbstractContextManager[Starting] = nullcontext(Starting())


class Probe:
    """Subclass, override what you want to be told of, and give it to :class:`goconductor.engine.node.Node`."""

    def starting(self, saga: str) -> AbstractContextManager[Starting]:  # noqa: ARG002  (for others)
        """A saga is about to be started by this process; the context ends when that is durable, or has failed."""
        return UNTOLD

    def step_begins(self, work: Granted, context: StepContext) -> None:
        """One side of a step is about to run, in this task."""

    def step_raised(self, context: StepContext, error: BaseException) -> None:
        """User code raised, in this task."""

    def step_ended(self, work: Granted, event: Event | None) -> Event | None:  # noqa: ARG002  (for others)
        """Granted work has come to this event, in the task in which it began, if it began at all; None is for another to say.

        Returns:
            The event, perhaps with the id of its span noted in it.
        """
        return event

    def appended(self, plan: Plan, before: View | None, after: View) -> None:
        """An append of ours was won."""

    def saga_ended(self, plan: Plan, view: View) -> None:
        """An append of ours ended a saga."""

    def received(self, envelope: Envelope, body: Body) -> None:
        """A message came in and could be read."""

    def sent(self, messages: int, seconds: float) -> None:
        """So many messages were taken by the bus in one call."""

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        """A batch came back from the store: ``append``, ``acquire`` or ``start``."""

    def swept(self, sagas: int, seconds: float) -> None:
        """The leader has looked once at so many sagas that were due."""

    def forgot(self, kind: str, count: int) -> None:
        """The leader let go of so many: ``start_keys``, ``sagas``, ``entries`` of the log, ``dead_letters`` or ``instances``."""


SILENT = Probe()


class Probes(Probe):
    """Several probes as one.

    Args:
        probes: told one after the other. What ``starting`` answers is the last one's.
    """

    def __init__(self, *probes: Probe) -> None:
        self._probes = probes

    def starting(self, saga: str) -> AbstractContextManager[Starting]:
        """Of the one that gives a trace, so it should be the last."""
        return self._probes[-1].starting(saga)

    def step_begins(self, work: Granted, context: StepContext) -> None:
        """All."""
        for probe in self._probes:
            probe.step_begins(work, context)

    def step_raised(self, context: StepContext, error: BaseException) -> None:
        """All."""
        for probe in self._probes:
            probe.step_raised(context, error)

    def step_ended(self, work: Granted, event: Event | None) -> Event | None:
        """All, in the reverse order."""
        for probe in reversed(self._probes):
            event = probe.step_ended(work, event)
        return event

    def appended(self, plan: Plan, before: View | None, after: View) -> None:
        """All."""
        for probe in self._probes:
            probe.appended(plan, before, after)

    def saga_ended(self, plan: Plan, view: View) -> None:
        """All."""
        for probe in self._probes:
            probe.saga_ended(plan, view)

    def received(self, envelope: Envelope, body: Body) -> None:
        """All."""
        for probe in self._probes:
            probe.received(envelope, body)

    def sent(self, messages: int, seconds: float) -> None:
        """All."""
        for probe in self._probes:
            probe.sent(messages, seconds)

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        """All."""
        for probe in self._probes:
            probe.flushed(kind, items, seconds)

    def swept(self, sagas: int, seconds: float) -> None:
        """All."""
        for probe in self._probes:
            probe.swept(sagas, seconds)

    def forgot(self, kind: str, count: int) -> None:
        """All."""
        for probe in self._probes:
            probe.forgot(kind, count)
