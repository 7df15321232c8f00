"""Waiting for the database, and logging that we do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from goconductor.aio.backoff import Backoff
from goconductor.aio.reminders import Reminder
from goconductor.errors import GoConductorError
from goconductor.postgres.dialling import Address
from goconductor.redaction import logger_of

logger = logger_of("goconductor.postgres")

PAUSE_SECONDS = (0.1, 2.0)
"""The first and the longest pause between two tries, in seconds."""
REMINDER_SECONDS = 30.0
"""Seconds between two log lines while the database is absent."""


async def wait_for(attempt: Callable[[], Awaitable[None]], address: Address, on_trouble: Callable[[str], None]) -> None:
    """Try until it works; wait and log while the database is absent.

    Args:
        attempt: connects; what it has done before, it does not do again.
        address: its name is in the log lines.
        on_trouble: called after each failure with the reason.

    Raises:
        as the attempt does, but for the address's ``unavailable``.
    """
    began = time.monotonic()
    absence = Reminder(REMINDER_SECONDS, REMINDER_SECONDS)
    backoff = Backoff(*PAUSE_SECONDS)
    while True:
        try:
            await attempt()
        except GoConductorError as error:
            if not isinstance(error, address.unavailable):
                raise
            on_trouble(str(error))
            if absence.is_due():
                logger.warning("waiting for PostgreSQL: %s. It goes on as soon as it is there", error)
            await asyncio.sleep(backoff.next())
        else:
            if absence.end():
                logger.info("PostgreSQL at %s is there, after %.1f seconds", address.where, time.monotonic() - began)
            return
