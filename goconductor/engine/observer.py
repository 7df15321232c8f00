"""What the engine reports about its work, for metrics and traces.

The methods of an observer are called on the hot path, in the event loop. They do not wait, and they must not raise. The base
class does nothing, so a process that measures nothing pays for a call and no more. What users observe is in
:class:`goconductor.engine.steps.listeners.Listener`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from uuid import UUID

from goconductor.engine.facts.log import View
from goconductor.engine.steps.context import StepContext
from goconductor.engine.work.granted import Granted
from goconductor.lifecycle.facts.events import Event
from goconductor.messages.envelope import Body, Envelope
from goconductor.saga.plan import Plan


class Starting:
    """The start of one saga. The saga keeps ``traceparent`` for ever (W3C trace context; empty where it is not traced)."""

    traceparent = ""

    def started(self, saga_id: UUID, *, existing: bool) -> None:
        """Note that the saga was started, or that its key had started it before."""


UNOBSERVED: AbstractContextManager[Starting] = nullcontext(Starting())


class Observer:
    """Subclass it, override the methods of interest, and pass it to :class:`goconductor.engine.node.Node`."""

    def starting(self, saga: str) -> AbstractContextManager[Starting]:  # noqa: ARG002  (for others)
        """Enter a context in which this process starts a saga. It ends when the start is durable, or has failed."""
        return UNOBSERVED

    def step_begins(self, work: Granted, context: StepContext) -> None:
        """Note that one side of a step is about to run, in this task."""

    def step_raised(self, context: StepContext, error: BaseException) -> None:
        """Note what the user's code raised, in this task."""

    def step_ended(self, work: Granted, event: Event | None) -> Event | None:  # noqa: ARG002  (for others)
        """Note the event in which granted work ended. It is called in the task in which the work began, if it began.

        Args:
            work: the granted work.
            event: how it ended; None where another process decides.

        Returns:
            The event, with the id of its span if the observer traces.
        """
        return event

    def appended(self, plan: Plan, before: View | None, after: View) -> None:
        """Note an append that this process won."""

    def saga_ended(self, plan: Plan, view: View) -> None:
        """Note a saga that an append of this process ended."""

    def received(self, envelope: Envelope, body: Body) -> None:
        """Note a message that was received and decoded."""

    def sent(self, messages: int, seconds: float) -> None:
        """Note how many messages the bus accepted in one call."""

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        """Note a batch that the store answered: ``append``, ``acquire`` or ``start``."""

    def swept(self, sagas: int, seconds: float) -> None:
        """Note a sweep of the leader, and how many due sagas it looked at."""

    def forgot(self, kind: str, count: int) -> None:
        """Note what the leader deleted: ``start_keys``, ``sagas``, ``entries`` of the log, ``dead_letters`` or ``instances``."""


SILENT = Observer()


class Observers(Observer):
    """Several observers as one.

    Args:
        observers: called one after the other. The context of ``starting`` is the last one's.
    """

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def starting(self, saga: str) -> AbstractContextManager[Starting]:
        """Enter the context of the last observer, which is the one that traces."""
        return self._observers[-1].starting(saga)

    def step_begins(self, work: Granted, context: StepContext) -> None:
        """Call all."""
        for observer in self._observers:
            observer.step_begins(work, context)

    def step_raised(self, context: StepContext, error: BaseException) -> None:
        """Call all."""
        for observer in self._observers:
            observer.step_raised(context, error)

    def step_ended(self, work: Granted, event: Event | None) -> Event | None:
        """Call all, in the reverse order."""
        for observer in reversed(self._observers):
            event = observer.step_ended(work, event)
        return event

    def appended(self, plan: Plan, before: View | None, after: View) -> None:
        """Call all."""
        for observer in self._observers:
            observer.appended(plan, before, after)

    def saga_ended(self, plan: Plan, view: View) -> None:
        """Call all."""
        for observer in self._observers:
            observer.saga_ended(plan, view)

    def received(self, envelope: Envelope, body: Body) -> None:
        """Call all."""
        for observer in self._observers:
            observer.received(envelope, body)

    def sent(self, messages: int, seconds: float) -> None:
        """Call all."""
        for observer in self._observers:
            observer.sent(messages, seconds)

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        """Call all."""
        for observer in self._observers:
            observer.flushed(kind, items, seconds)

    def swept(self, sagas: int, seconds: float) -> None:
        """Call all."""
        for observer in self._observers:
            observer.swept(sagas, seconds)

    def forgot(self, kind: str, count: int) -> None:
        """Call all."""
        for observer in self._observers:
            observer.forgot(kind, count)
