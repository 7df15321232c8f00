"""Which of several buses, or elections, an installation uses: one row each, which all processes follow.

A process may name several buses in its settings; one at a time is *chosen*, and all send over that one. While it is changed a
second one stands *beside* it, which is read as well. Three phases, each begun only when every living process has said that it has
arrived in the one before:

======== ================= ============================= ==========================================================
phase    sent over         read                          it ends when
======== ================= ============================= ==========================================================
joining  the old one       both                          everybody reads the new one
draining the new one       both                          everybody sends over the new one, and nothing comes from the old
settled  the new one       the new one                   the next change
======== ================= ============================= ==========================================================

Of elections the chosen one is campaigned in. What a mistake in all this could do to a saga is nothing but delay: messages may be
lost, for the log is the outbox, and a leader's writes are fenced by its epoch.
"""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec

BUS = "bus"
ELECTION = "election"
JOURNAL = "journal"
"""Not of several either: what a process says of a journal that it cannot use, followed by ``:`` and a step of it."""
INSTALLATION = "installation"
"""Not of several that settings name: an id, which is chosen once and says whose messages are on a bus."""


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


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """What one process says of itself.

    Args:
        names: those that its settings name, its own first.
        uses: the one that it sends over, or campaigns in.
        number: the choice up to which it has followed.
        problem: why it cannot follow further; empty while nothing is in its way.
        quiet: whether nothing has come lately from the one that is left.
        at: when it was said, by the database's clock; 0 where that does not matter.
    """

    names: list[str]
    uses: str
    number: int
    problem: str = ""
    quiet: bool = False
    at: float = 0.0


class Choices(Protocol):
    """The store's part.

    1. **Choice** is the row of that kind as the database has it now, or None if nothing was ever changed.
    2. **Choose** accepts a choice whose number is one above the present one (1 above none), and gives it its time; of two who
       choose at once, one is told False, and has changed nothing.
    3. **Tell** keeps what an instance says of one kind; what it said of another kind stays. It is found in ``Instance.speaks``.
    """

    async def choice(self, kind: str) -> Choice | None: ...
    async def choose(self, choice: Choice) -> bool: ...
    async def tell(self, serial: int, kind: str, spoken: Spoken) -> bool: ...
