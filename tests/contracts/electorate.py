"""Candidates in processes of their own, the store that they write to, and the witness that notes whose writes it accepts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from goconductor.ports.store import Term
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.material import Saga
from tests.acceptance import witness
from tests.servers.pausing import pause

ROOT = Path(__file__).parents[2]


class Voter:
    """One candidate's process."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self.said: list[dict[str, Any]] = []
        self._process = process
        self._log = log
        self._heard = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._heard:
                self.said.append(json.loads(line))
                self._heard.notify_all()

    async def says(self, what: str, *, above: int = 0, within_seconds: float = 300.0) -> Any:
        """Wait until it says this, with a number above the given one if it is a number; what it says."""

        def found() -> list[Any]:
            values = [each[what] for each in self.said if what in each]
            return [value for value in values if isinstance(value, dict) or value > above]

        try:
            async with asyncio.timeout(within_seconds), self._heard:
                await self._heard.wait_for(found)
        except TimeoutError as error:
            raise AssertionError(f"{self.name} never said {what!r}\n{self.words()}") from error
        return found()[-1]

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        self._process.send_signal(number)

    def pause(self) -> None:
        """SIGSTOP, until it stands."""
        pause(self._process.pid)

    async def end(self) -> None:
        """SIGKILL, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._listening

    def words(self) -> str:
        """What it said, and logged last."""
        return f"{self.said}\n{self._log.read_text()[-3000:]}"


class Electorate:
    """Made by :func:`electorate`."""

    def __init__(self, url: str, kind: str, store: PostgresStore, saga: Saga, folder: Path, term_seconds: float) -> None:
        self.store = store
        self.term_seconds = term_seconds
        self.voters: list[Voter] = []
        self._url = url
        self._kind = kind
        self._saga = json.dumps([str(saga.saga_id), saga.seq, saga.tag])
        self._folder = folder

    async def add(self, name: str, options: Mapping[str, Any], **environment: str) -> Voter:
        """Start a candidate."""
        log = self._folder / f"{name}.log"
        arguments = (name, self._kind, json.dumps(options), self._url, self._saga, str(self.term_seconds))
        with log.open("ab") as stream:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.contracts.candidate", *arguments),
                cwd=ROOT,
                env=os.environ | environment,
                stdout=PIPE,
                stderr=stream,
            )
        voter = Voter(name, process, log)
        self.voters.append(voter)
        await voter.says("ready")
        return voter

    async def leader_after(self, epoch: int, *, holder: str = "", within_seconds: float = 300.0) -> Term:
        """Wait until a term with a higher epoch is running, and is this one's if he is named; it."""
        give_up = time.monotonic() + within_seconds
        while time.monotonic() < give_up:
            term = await self.store.terms.current()
            wanted = term is not None and term.epoch > epoch and term.holder and holder in {"", term.holder}
            if term is not None and wanted and term.ends_at > await self.store.terms.database_time():
                return term
            await asyncio.sleep(0.01)
        raise AssertionError("\n".join(["nobody leads", *(f"--- {voter.name} {voter.words()}" for voter in self.voters)]))

    async def prolonged(self, holder: str) -> bool:
        """Wait until a term of his was prolonged by a whole one; False once somebody else leads."""
        first: Term | None = None
        while (term := await self.store.terms.current()) is not None and term.holder in {"", holder}:
            if first is None or term.epoch != first.epoch:
                first = term
            if term.ends_at > first.ends_at + self.term_seconds:
                return True
            await asyncio.sleep(0.05)
        return False

    async def writers(self, epoch: int) -> set[str]:
        """Who wrote under this epoch, or prolonged its term, or ended it."""
        return {write.writer for write in await witness.witnessed(self._url) if write.epoch == epoch}

    async def accepted(self, epoch: int) -> int:
        """How many writes the store took under this epoch or a later one."""
        return sum(write.what == "put off" and write.epoch >= epoch for write in await witness.witnessed(self._url))

    async def writes_go_on(self, epoch: int, more: int = 3) -> None:
        """Wait until more writes than by now are accepted."""
        wanted = await self.accepted(epoch) + more
        give_up = time.monotonic() + 300
        while await self.accepted(epoch) < wanted:
            assert time.monotonic() < give_up, "\n".join(voter.words() for voter in self.voters)
            await asyncio.sleep(0.05)

    async def violations(self) -> list[str]:
        """What the witness saw that must not be: two writers accepted at once, or an epoch that fell."""
        writes = await witness.witnessed(self._url)
        assert sum(write.what == "put off" for write in writes) > 0
        return list(witness.leader_writes(writes))


@asynccontextmanager
async def electorate(url: str, kind: str, folder: Path, term_seconds: float = 3.0) -> AsyncIterator[Electorate]:
    """A migrated store with one saga and the witness, and no candidate yet."""
    await migrate(url)
    connection = await asyncpg.connect(url)
    await connection.execute(witness.WITNESS)
    await connection.close()
    store = PostgresStore(url)
    await store.open()
    saga = Saga()
    start = saga.start()
    await store.starts.start([start])
    saga.seq, saga.tag = 1, start.new_tag
    made = Electorate(url, kind, store, saga, folder, term_seconds)
    try:
        yield made
    finally:
        await asyncio.gather(*(voter.end() for voter in made.voters))
        await store.close()
