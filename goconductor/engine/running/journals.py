"""Reports on the journals of this process's steps: a log line at growing intervals, and a report in the store.

A step whose journal cannot be used is no attempt: it waits, and the log of its saga has nothing about it. So the process reports
it beside its other reports, and a view of the saga reads it there. A report gets old: it is repeated while the trouble lasts, and
an old one is not believed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextvars import Context

from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import Tasks
from goconductor.engine.steps.action import Action
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import StoreError
from goconductor.lifecycle.facts.events import ActionSettled, ActionSucceeded, CompensationSettled, CompensationSucceeded
from goconductor.ports.clock import Clock
from goconductor.ports.store import Instance
from goconductor.ports.store.leading.choices import JOURNAL, Report
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

REMINDER_SECONDS = (10.0, 600.0)
"""The first and the longest seconds between two log lines."""
REPORT_SECONDS = 15.0
"""Seconds between two reports of a trouble that lasts."""
BELIEVED_SECONDS = 45.0
"""Seconds for which a report counts: its process may have died, or no longer use that journal."""

BY_JOURNAL = (ActionSucceeded, CompensationSucceeded, ActionSettled, CompensationSettled)
"""Events that show that the journal of their step was used."""

Keep = Callable[[str, Report], Awaitable[bool]]


class _Trouble:
    def __init__(self, steps: list[str], clock: Clock) -> None:
        self.steps = steps
        self.reminder = Reminder(*REMINDER_SECONDS, monotonic=clock.monotonic)
        self.began = clock.monotonic()
        self.reason = ""
        self.reported_at: float | None = None


class Journals:
    """The journals that cannot be used now.

    Args:
        registry: the steps, and their journals.
        clock: the time.
        keep: keeps a report of this process.
    """

    def __init__(self, registry: StepRegistry, clock: Clock, keep: Keep) -> None:
        self._registry = registry
        self._clock = clock
        self._keep = keep
        self._troubles: dict[int, _Trouble] = {}
        self._reports: dict[str, Report] = {}
        self._reporting = Tasks()

    def failed(self, action: Action[..., object], reason: str) -> None:
        """Note that a step waits for its journal.

        Args:
            action: the step's code.
            reason: what is in the way, and the remedy.
        """
        trouble = self._troubles.get(id(action.journal))
        if trouble is None:
            steps = sorted(name for name, each in self._registry.steps.items() if each.journal is action.journal)
            trouble = self._troubles[id(action.journal)] = _Trouble(steps, self._clock)
        if trouble.reminder.is_due():
            logger.warning("the steps %s wait for their journal, and it is tried again: %s", ", ".join(trouble.steps), reason)
        now = self._clock.monotonic()
        if reason != trouble.reason or trouble.reported_at is None or now - trouble.reported_at >= REPORT_SECONDS:
            trouble.reason, trouble.reported_at = reason, now
            self._report(trouble)

    def worked(self, action: Action[..., object]) -> None:
        """Note that a step's journal was used."""
        trouble = self._troubles.pop(id(action.journal), None) if self._troubles else None
        if trouble is not None:
            seconds = self._clock.monotonic() - trouble.began
            logger.info("the journal of the steps %s is back, after %.0f s", ", ".join(trouble.steps), seconds)
            trouble.reason = ""
            self._report(trouble)

    async def close(self) -> None:
        """Report nothing more."""
        await self._reporting.close()

    def _report(self, trouble: _Trouble) -> None:
        """Report to the store, one report after the other."""
        report = Report(names=trouble.steps, uses="", number=0, problem=trouble.reason, at=self._clock.now())
        self._reports[f"{JOURNAL}:{trouble.steps[0]}"] = report
        if not self._reporting:
            self._reporting.start(self._report_all(), name="report on a journal", context=Context())

    async def _report_all(self) -> None:
        while self._reports:
            kind, report = self._reports.popitem()
            try:
                await self._keep(kind, report)
            except StoreError as error:  # it is reported again while it lasts
                logger.debug("cannot report on a journal: %s", error)


def believed(instances: Iterable[Instance], kind: str, now: float) -> Iterator[tuple[Instance, Report]]:
    """Yield the latest reports of one kind that are young enough to be believed, each with the instance that made it.

    Args:
        instances: the instances.
        kind: what is reported on, as a report's key begins: ``JOURNAL`` or ``OUTBOX``.
        now: the database's time.
    """
    for instance in instances:
        for key, report in instance.reports.items():
            if key.startswith(f"{kind}:") and now - report.at < BELIEVED_SECONDS:
                yield instance, report


def troubles(instances: Iterable[Instance], now: float) -> dict[tuple[int, str], str]:
    """Return the latest reports of living instances on their steps' journals, by serial and step.

    Args:
        instances: the instances.
        now: the database's time.
    """
    return {
        (instance.serial, step): report.problem
        for instance, report in believed(instances, JOURNAL, now)
        if report.problem
        for step in report.names
    }
