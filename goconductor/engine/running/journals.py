"""What is in the way of the journals of this process's steps: one line of the log at growing intervals, and a word in the store.

A step whose journal cannot be used is no attempt: it waits, and the log of its saga says nothing of it. So the process says it
of itself, where its other words stand, and whoever shows the saga reads it there. A word grows old: it is said again while the
trouble lasts, and one that was not is not believed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context

from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import Tasks
from goconductor.engine.steps.registry import Action, StepRegistry
from goconductor.errors import StoreError
from goconductor.ports.choices import JOURNAL, Spoken
from goconductor.ports.clock import Clock
from goconductor.ports.store import Instance
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

REMINDER_SECONDS = (10.0, 600.0)
"""Between the first line and the second, and the longest time between two."""
SAY_SECONDS = 15.0
"""So often a trouble that lasts is told to the store again."""
BELIEVED_SECONDS = 45.0
"""For so long a word counts: whoever said it may have died, or have nothing to do with that journal any more."""

Say = Callable[[str, Spoken], Awaitable[bool]]


class _Trouble:
    def __init__(self, steps: list[str], clock: Clock) -> None:
        self.steps = steps
        self.reminder = Reminder(*REMINDER_SECONDS, monotonic=clock.monotonic)
        self.began = clock.monotonic()
        self.reason = ""
        self.said_at: float | None = None


class Journals:
    """The journals that cannot be used now.

    Args:
        registry: the steps, and their journals.
        clock: the time.
        say: keeps a word of this process.
    """

    def __init__(self, registry: StepRegistry, clock: Clock, say: Say) -> None:
        self._registry = registry
        self._clock = clock
        self._say = say
        self._troubles: dict[int, _Trouble] = {}
        self._words: dict[str, Spoken] = {}
        self._saying = Tasks()

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
        if reason != trouble.reason or trouble.said_at is None or now - trouble.said_at >= SAY_SECONDS:
            trouble.reason, trouble.said_at = reason, now
            self._tell(trouble)

    def worked(self, action: Action[..., object]) -> None:
        """Note that a step's journal was used."""
        trouble = self._troubles.pop(id(action.journal), None) if self._troubles else None
        if trouble is not None:
            seconds = self._clock.monotonic() - trouble.began
            logger.info("the journal of the steps %s is back, after %.0f s", ", ".join(trouble.steps), seconds)
            trouble.reason = ""
            self._tell(trouble)

    async def close(self) -> None:
        """Tell nothing more."""
        await self._saying.close()

    def _tell(self, trouble: _Trouble) -> None:
        """Tell the store, one word after the other."""
        spoken = Spoken(names=trouble.steps, uses="", number=0, problem=trouble.reason, at=self._clock.now())
        self._words[f"{JOURNAL}:{trouble.steps[0]}"] = spoken
        if not self._saying:
            self._saying.start(self._tell_all(), name="telling of a journal", context=Context())

    async def _tell_all(self) -> None:
        while self._words:
            kind, spoken = self._words.popitem()
            try:
                await self._say(kind, spoken)
            except StoreError as error:  # it is told again while it lasts
                logger.debug("cannot tell of a journal: %s", error)


def troubles(instances: Iterable[Instance], now: float) -> dict[tuple[int, str], str]:
    """What living instances have lately said of their steps' journals, by serial and step.

    Args:
        instances: who is asked.
        now: the database's time.
    """
    return {
        (instance.serial, step): spoken.problem
        for instance in instances
        for kind, spoken in instance.speaks.items()
        if kind.startswith(f"{JOURNAL}:") and spoken.problem and now - spoken.at < BELIEVED_SECONDS
        for step in spoken.names
    }
