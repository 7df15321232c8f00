"""A process that is a candidate: it leads when it may, and while it leads it puts one saga off, again and again.

That is a leader's write without a guard of its own, and each one that the store accepts is noted by the witness. Upon SIGUSR1 the
candidate does what no honest one does: it goes on writing under its last epoch, and counts what the store makes of it.

    python -m tests.contracts.candidate <name> <kind> <options as JSON> <store's DSN> <saga as JSON> <term in seconds>

It says what happens as lines of JSON: ``{"ready": its clock}``, ``{"leads": epoch}``,
``{"stopped": epoch}``, ``{"late": {"accepted": 0, "refused": 5}}``.
Of the kind ``several`` it names several elections, by their kinds; its options are those of each.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID

from goconductor import plugins
from goconductor.engine.facts.clock import SystemClock
from goconductor.errors import FencedError, StoreError
from goconductor.ports.election import Election
from goconductor.ports.store import Known, Terms
from goconductor.ports.store.leading.choices import ELECTION
from goconductor.recovery.leadership import Leadership, LeadTerm
from goconductor.stores.postgres import PostgresStore
from goconductor.switchover.election import SwitchableElection
from goconductor.switchover.follower import Follower

LATE_WRITES = 5
FAR = 4_000_000_000.0


class Candidate:
    def __init__(self, store: PostgresStore, saga: Known) -> None:
        self._store = store
        self._saga = saga
        self._writes = 0
        self._epoch = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def changed(self, term: LeadTerm | None) -> None:
        say({"stopped": self._epoch} if term is None else {"leads": term.epoch})

    async def lead(self, term: LeadTerm) -> None:
        self._epoch = term.epoch
        while True:
            await self.write(term.epoch)
            await asyncio.sleep(0.02)

    async def write(self, epoch: int) -> None:
        self._writes += 1
        await self._store.recovery.postpone([(self._saga, FAR + self._writes)], epoch=epoch)

    def write_late(self) -> None:
        task = asyncio.create_task(self._write_late())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_late(self) -> None:
        counted, epoch = Counter({"accepted": 0, "refused": 0}), self._epoch  # which it may win anew meanwhile
        for _ in range(LATE_WRITES):
            try:
                await self.write(epoch)
                counted["accepted"] += 1
            except FencedError:
                counted["refused"] += 1
            except StoreError as error:  # its connections were gone: ask again
                logging.getLogger().warning("asked again: %s", error)
        say({"late": counted})


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201


async def main(name: str, kind: str, options: str, url: str, saga: str, term_seconds: str) -> None:
    store = PostgresStore(url, name=name)
    await store.open()
    instance = await store.instances.register("candidate", name, {})
    named = json.loads(options) if kind == "several" else {kind: json.loads(options)}

    def make(kind: str, terms: Terms) -> Election:
        given = {"url": url} if kind == "postgres" else {}
        made: Election = plugins.load("election", kind)(terms=terms, **given, **named[kind])
        return made

    clock = SystemClock()
    makes = {kind: partial(make, kind) for kind in named}
    follower = Follower(ELECTION, list(makes), choices=store.choices, instance=lambda: instance.serial, clock=clock, strict=True)
    election = SwitchableElection(makes, terms=store.terms, follower=follower)
    saga_id, seq, tag = json.loads(saga)
    candidate = Candidate(store, Known(UUID(saga_id), seq, tag))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, candidate.write_late)
    leadership = Leadership(
        election,
        candidate=name,
        lead=election.while_chosen(candidate.lead),
        clock=clock,
        term_seconds=float(term_seconds),
        campaign_interval_seconds=0.2,
        on_change=candidate.changed,
    )
    say({"ready": time.time()})
    await leadership.open()
    await leadership.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(main(*sys.argv[1:]))
