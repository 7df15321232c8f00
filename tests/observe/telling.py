"""A service in a process of its own, observed as its settings say: ``python -m tests.observe.telling warehouse``."""

from __future__ import annotations

import asyncio
import sys

from goconductor import Participant
from tests.observe import services

if __name__ == "__main__":
    steps = {"warehouse": services.warehouse, "cards": services.cards}[sys.argv[1]]()
    participant = Participant(steps.name)
    participant.steps.update(steps.steps)
    asyncio.run(participant.run())
