"""Identifies an installation: all processes on one saga log, and no others.

Two environments may share a broker by mistake, with the same names of participants. Then each takes messages of the other, about
sagas that its own log does not have. So each message has the id of its installation in a header. The receiver of a foreign
message leaves it, and logs the remedy. The sweep of the other installation sends again what is lost in this way.

The id is chosen once, by the first process that needs it, and all follow that choice. It stays when the database is restored or
moves; a copy of a database has the id of its original.
"""

from __future__ import annotations

import asyncio
import uuid

from goconductor.errors import StoreUnavailableError
from goconductor.ports.bus import Message
from goconductor.ports.clock import Clock
from goconductor.ports.store.leading.choices import INSTALLATION, Choice, Choices
from goconductor.redaction import logger_of

HEADER = "installation"
LOGGED_MAX = 100
"""Number of foreign senders that are logged, each once."""
AGAIN_SECONDS = 1.0
"""Seconds before the store is asked again for the installation's id."""
REFUSED_SECONDS = 300.0
"""Seconds after a failure, or a refusal, until the store is asked again."""

logger = logger_of("goconductor.engine")


class Installation:
    """The id of this installation, and the notice of others.

    Args:
        choices: where it is kept.
        clock: measures the pauses.
    """

    def __init__(self, choices: Choices, clock: Clock) -> None:
        self._choices = choices
        self._clock = clock
        self._asking = asyncio.Lock()
        self._id = ""
        self._ask_at = 0.0
        self._logged: set[str] = set()
        self.headers: dict[str, str] = {}
        """Headers of each message; empty until :meth:`learn` has succeeded."""

    async def learn(self) -> str:
        """Return the id; empty while the store does not have it. No message waits for that."""
        async with self._asking:
            if self._id or self._clock.monotonic() < self._ask_at:
                return self._id
            try:
                chosen = await self._choices.current(INSTALLATION)
                if chosen is None:
                    await self._choices.choose(Choice(kind=INSTALLATION, chosen=uuid.uuid4().hex, number=1))
                    chosen = await self._choices.current(INSTALLATION)  # ours, or that of a faster process
            except StoreUnavailableError:
                self._ask_at = self._clock.monotonic() + AGAIN_SECONDS
            except Exception:
                self._ask_at = self._clock.monotonic() + REFUSED_SECONDS
                logger.warning("the id of this installation cannot be kept; see to the rights on table choices", exc_info=True)
            else:
                if chosen is not None:
                    self._id, self.headers = chosen.chosen, {HEADER: chosen.chosen}
        return self._id

    async def is_foreign(self, message: Message) -> bool:
        """Return whether a message comes from another installation; the first one is logged. Older senders have no id."""
        sender = message.headers.get(HEADER, "")
        if not sender or sender == self._id:
            return False
        ours = await self.learn()
        if not ours or sender == ours:
            return False
        if sender not in self._logged and len(self._logged) < LOGGED_MAX:
            self._logged.add(sender)
            logger.error(
                "a message on %s is of another installation, %s; this one is %s: two environments share a broker and take each "
                "other's messages, which makes sagas slow; give one of them a broker of its own, or names of its own by "
                "bus.options (prefix; for PostgreSQL schema), or other names of participants",
                message.topic,
                sender,
                ours,
            )
        return True
