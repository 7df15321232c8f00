"""The choice among several buses, or elections: one row each, which all processes follow.

A process may name several buses in its settings. One of them is *chosen*, and all processes send over it. During a change a
second bus stands *beside* it, which is read as well. There are three phases. Each begins when every living process has reported
that it arrived in the one before:

======== ================= ============================= ==========================================================
phase    sent over         read                          it ends when
======== ================= ============================= ==========================================================
joining  the old one       both                          all processes read the new one
draining the new one       both                          all processes send over the new one, and nothing comes from the old
settled  the new one       the new one                   the next change
======== ================= ============================= ==========================================================

Processes campaign in the chosen election. A mistake in all this can only delay sagas: messages may be lost, since the log is the
outbox, and a leader's writes are fenced by its epoch.
"""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec

BUS = "bus"
ELECTION = "election"
JOURNAL = "journal"
"""Kind of a report on a journal that a process cannot use; followed by ``:`` and a step of it. There is nothing to choose."""
OUTBOX = "outbox"
"""Kind of a report on an outbox that a process reads; followed by ``:``, its table and its database. Nothing is chosen."""
INSTALLATION = "installation"
"""Kind of the installation's id, which is chosen once and marks its messages on a bus. Settings do not name it."""


class Phase(enum.StrEnum):
    """How far a change is."""

    JOINING = "joining"
    DRAINING = "draining"
    SETTLED = "settled"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is chosen now.

    Args:
        kind: of what: :data:`BUS`, :data:`ELECTION` or :data:`INSTALLATION`.
        chosen: the name of the one that is used.
        beside: the other one while a change is under way; else empty.
        phase: how far a change is.
        number: grows by one with each phase; 0 where nothing was ever changed, and each process uses the first that it names.
        since: when this phase began.
        by: who asked.
    """

    kind: str
    chosen: str
    beside: str = ""
    phase: Phase = Phase.SETTLED
    number: int = 0
    since: float = 0.0
    by: str = ""

    @property
    def in_use(self) -> tuple[str, ...]:
        """What is to be read, or to be ready: the chosen one first."""
        return (self.chosen, self.beside) if self.beside else (self.chosen,)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report of one process about one kind.

    Args:
        names: the names in its settings, its own first.
        uses: the bus over which it sends, or the election in which it campaigns.
        number: the number of the last choice that it has followed.
        problem: why it cannot follow further; empty where nothing hinders it.
        quiet: whether nothing has come lately from the bus that is left.
        at: the time of the report by the database's clock; 0 where that does not matter.
    """

    names: list[str]
    uses: str
    number: int
    problem: str = ""
    quiet: bool = False
    at: float = 0.0


class Choices(Protocol):
    """The store's part of a choice.

    1. **Current** is the row of that kind as the database has it now, or None if nothing was ever changed.
    2. **Choose** accepts a choice whose number is one above the present one (1 above none), and gives it its time. Of two that
       choose at once, one gets False and has changed nothing.
    3. **Report** keeps the report of an instance on one kind, and leaves its others. They are found in ``Instance.reports``.
    """

    async def current(self, kind: str) -> Choice | None: ...
    async def choose(self, choice: Choice) -> bool: ...
    async def report(self, serial: int, kind: str, report: Report) -> bool: ...
