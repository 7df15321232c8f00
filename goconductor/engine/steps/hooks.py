"""What the engine and a runner of its own tell each other about a participant's steps."""

from __future__ import annotations

from collections.abc import Callable

from goconductor.ports.store import Lease


def _nobody() -> None:
    """Tell nobody."""


class Hooks:
    """Two calls; whoever is called sets them.

    Attributes:
        has_grown: to be called by whoever has raised a concurrency while its steps run, so that what waits for room looks again.
        on_kept: called with the lease of each outcome that was brought into the log, and whether the log has taken it.
    """

    def __init__(self) -> None:
        self.has_grown: Callable[[], None] = _nobody
        self.on_kept: Callable[[Lease, bool], None] | None = None
