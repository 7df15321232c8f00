"""Time. Only the database's clock and a monotonic one that counts suspension decide anything."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Where the time comes from; tests put a clock of their own here and move it by hand."""

    def monotonic(self) -> float:
        """Return the seconds since some fixed moment, never falling, suspension of the machine included (CLOCK_BOOTTIME)."""
        ...

    def now(self) -> float:
        """Estimated database time, in seconds since 1970, never falling within a process."""
        ...

    def observe(self, database_seconds: float) -> None:
        """Correct the estimate of :meth:`now` by a reading of the database's clock that was just received."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
