"""A fleet under load while a real Patroni fails over. Synchronous: nothing is lost, and nobody is told what is not true.

Asynchronous: what was lost is named. What is measured is told, not asserted: run it with ``-s``, or read the line of each test.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from goconductor import connect
from goconductor.app import migrate
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.testing import checkers
from goconductor.testing.checkers import Recorded
from goconductor.testing.contracts.store.material import eventually
from tests.acceptance import movers, tally
from tests.acceptance.chaos import say
from tests.failover.callers import PROBE, PROBING, Callers, Told, longest
from tests.failover.conftest import Driven
from tests.failover.fleet import Fleet, sailing
from tests.failover.shop import TRANSACTIONAL, noted
from tests.servers.patroni import Member

pytestmark = pytest.mark.slow

synchronous = pytest.mark.parametrize("driven", [pytest.param(True, id="synchronous")], indirect=True)
asynchronous = pytest.mark.parametrize("driven", [pytest.param(False, id="asynchronous")], indirect=True)

LEFT = f"""
SELECT NOT EXISTS (
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND application_name <> '{PROBING}' AND wait_event IS DISTINCT FROM 'SyncRep'
)
"""
"""Whether no session of ours does anything here. One that waits for a standby goes on waiting when nobody is at its other end."""
AWAY_SECONDS = 10.0
"""For so long nothing can be done where etcd is away, after the primary has given up."""


@dataclass
class Scene:
    """A fleet under load on a cluster that is whole."""

    driven: Driven
    database: str
    fleet: Fleet
    callers: Callers
    old: Member
    times: dict[str, float] = field(default_factory=dict)

    @property
    def told(self) -> Told:
        """What callers were told."""
        return self.callers.told

    @property
    def new(self) -> Member:
        """The one that is the standby at the beginning."""
        return self.driven.cluster.other(self.old)

    def url_of(self, member: Member) -> str:
        """The DSN of one server."""
        return self.driven.cluster.url(self.database, port=member.port)

    async def left(self, member: Member) -> None:
        """Wait until nobody of ours has a session on this server."""
        connection = await asyncpg.connect(self.url_of(member))
        try:
            await eventually(lambda: connection.fetchval(LEFT))
        finally:
            await connection.close()


@asynccontextmanager
async def scene(driven: Driven, way: str, database: str, folder: Path) -> AsyncIterator[Scene]:
    cluster = driven.cluster
    await driven.do(cluster.heal)
    old = await driven.do(cluster.primary)
    assert old is not None
    direct = cluster.url(database, port=old.port)
    await execute(cluster.url(port=old.port), f'CREATE DATABASE "{database}"')
    await movers.create(direct)
    await execute(direct, PROBE)
    url = driven.url(way, database)
    async with sailing(url, folder) as fleet:
        await migrate(fleet.settings)
        async with connect(fleet.settings) as conductor, connect(fleet.settings) as reader:
            members = [cluster.url(database, port=member.port) for member in cluster.members]
            callers = Callers(conductor, reader, members if way == "hosts" else [url])
            made = Scene(driven, database, fleet, callers, old)
            try:
                await callers.goes_on(20)
                yield made
            except BaseException:
                say(fleet.words())
                say(await driven.do(cluster.words))
                raise
            finally:
                callers.stop()
        assert await fleet.end() == [0, 0, 0], fleet.words()
    await driven.do(cluster.heal)
    primary = await driven.do(cluster.primary)
    assert primary is not None
    with suppress(OSError, asyncpg.PostgresError):
        await execute(cluster.url(port=primary.port), f'DROP DATABASE "{database}" WITH (FORCE)')


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def switched_over(at: Scene) -> None:
    """``patronictl switchover``: the primary is stopped in good order."""
    await at.driven.do(at.driven.cluster.switch_over)


async def postgres_killed(at: Scene) -> None:
    """Kill -9 of PostgreSQL alone: Patroni starts it again where it was."""
    before = at.old.postgres_pid
    await at.driven.do(at.old.kill_postgres)

    async def started_again() -> bool:
        return at.old.postgres_pid not in (0, before)

    await eventually(started_again)
    await at.driven.do(lambda: at.driven.cluster.await_primary(at.old))


async def both_killed(at: Scene) -> None:
    """The primary's machine is gone."""
    await at.driven.do(at.old.kill_all)
    await at.driven.do(lambda: at.driven.cluster.await_primary(at.new))


async def killed_while_the_standby_lags(at: Scene) -> None:
    """Commits that the standby has not received are lost. Nobody waits for it, and callers are told of ends meanwhile."""
    connection = await asyncpg.connect(at.url_of(at.old))
    senders = [row["pid"] for row in await connection.fetch("SELECT pid FROM pg_stat_replication")]
    await connection.close()
    assert senders
    for pid in senders:
        os.kill(pid, signal.SIGSTOP)
    await at.callers.goes_on(10)
    await at.driven.do(lambda: at.old.kill_all(*senders))
    await at.driven.do(lambda: at.driven.cluster.await_primary(at.new))


async def etcd_away(at: Scene) -> None:
    """Nobody knows any more who is the primary, so nobody may be it."""
    cluster = at.driven.cluster

    async def nobody() -> bool:
        return await at.driven.do(cluster.primary) is None

    async def somebody() -> bool:
        return not await nobody()

    await at.driven.do(cluster.etcd.kill)
    await eventually(nobody)
    await asyncio.sleep(AWAY_SECONDS)
    await at.driven.do(cluster.etcd.start)
    await eventually(somebody)


async def patroni_stands_still(at: Scene) -> None:
    """Two primaries: the standby is promoted, and nobody stops the old one, until its Patroni goes on."""
    await at.driven.do(at.old.pause)
    try:
        await at.driven.do(lambda: at.driven.cluster.await_primary(at.new))
        await at.left(at.old)
        await at.callers.goes_on()
    finally:
        await at.driven.do(at.old.go_on)


async def patroni_killed(at: Scene) -> None:
    """The same, until Patroni is started again and finds its server."""
    await at.driven.do(at.old.kill)
    await at.driven.do(lambda: at.driven.cluster.await_primary(at.new))
    await at.left(at.old)
    await at.callers.goes_on()
    await at.driven.do(at.old.start)


Trouble = Callable[[Scene], Awaitable[None]]
TROUBLES: list[Trouble] = [switched_over, postgres_killed, both_killed, etcd_away, patroni_stands_still, patroni_killed]


def name(trouble: Any) -> str:
    return str(getattr(trouble, "__name__", trouble))


async def brought(at: Scene, trouble: Trouble) -> list[Recorded]:
    """Bring the trouble, let all heal and all sagas end; what the log has then."""
    began = asyncio.get_running_loop().time()
    await trouble(at)
    at.times["trouble"] = asyncio.get_running_loop().time() - began
    await at.callers.goes_on()
    await at.driven.do(at.driven.cluster.heal)
    await at.callers.goes_on()
    await at.callers.enough()
    primary = await at.driven.do(at.driven.cluster.primary)
    assert primary is not None
    while True:
        sagas = await checkers.recorded(at.url_of(primary))
        if not [saga for saga in sagas if list(checkers.ended(saga))]:
            return sagas
        await asyncio.sleep(0.5)


def report(at: Scene, way: str, trouble: Trouble, sagas: list[Recorded], more: str) -> None:
    pause, stopped, again = longest(at.told.accepts())
    closed, shut, opened = longest(at.told.writable)
    say(f"\n{name(trouble)}, {way}: {len(sagas)} sagas; no start accepted for {pause:.1f} s, no write possible for "
        f"{closed:.1f} s; first start {again - opened:+.1f} s after the first write ({stopped - shut:+.1f} s at the beginning); "
        f"{at.told.refused} starts told unavailable; {more}")  # fmt: skip


def plain(saga: Recorded) -> list[str]:
    """The keys of the actions of a saga's plain steps."""
    steps = [step for step, definition in saga.plan.steps.items() if definition.run not in TRANSACTIONAL]
    return [idempotency_key(saga.head.saga_id, step, Direction.ACTION, 0) for step in steps]


def repeats(at: Scene, sagas: list[Recorded]) -> dict[str, int]:
    """The plain steps that ran more than once, and how often."""
    runs = noted(at.fleet.runs)
    return {key: runs[key] for saga in sagas for key in plain(saga) if runs[key] > 1}


async def wrong(at: Scene, sagas: list[Recorded], lost: Collection[UUID] = ()) -> list[str]:
    """What is wrong with what is in the databases. A step under way may have its effect although its saga is lost."""
    primary = await at.driven.do(at.driven.cluster.primary)
    assert primary is not None
    effects, journal = await movers.kept(at.url_of(primary))
    runs, gone = noted(at.fleet.runs), set(map(str, lost))
    known = {saga.head.saga_id for saga in sagas}
    ends = {saga.head.saga_id: str(saga.head.status) for saga in sagas}
    return [
        *(problem for saga in sagas for problem in checkers.compensation_order(saga)),
        *(problem for saga in sagas for problem in checkers.legal_history(saga)),
        *tally.one_effect(sagas, {key: times for key, times in effects.items() if key[:36] not in gone}, journal, TRANSACTIONAL),
        *(
            f"{key} never ran, and its saga completed"
            for saga in sagas
            if saga.head.status == "completed"
            for key in plain(saga)
            if not runs[key]
        ),
        *(
            f"saga {saga_id} was told as {status}, it is {ends[saga_id]}"
            for saga_id, (status, _) in at.told.ended.items()
            if saga_id in known and ends[saga_id] != status
        ),
    ]


@synchronous
@pytest.mark.parametrize("way", ["hosts", "haproxy", "pgbouncer"])
@pytest.mark.parametrize("trouble", TROUBLES, ids=name)
async def test_with_a_synchronous_standby_nothing_is_lost(
    driven: Driven, way: str, trouble: Trouble, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with scene(driven, way, database, tmp_path) as at:
        sagas = await brought(at, trouble)
        again = repeats(at, sagas)
        with capsys.disabled():
            report(at, way, trouble, sagas, f"{len(again)} plain steps ran again, {max(again.values(), default=1)} times at most")
        accepted = [(key, saga_id) for saga_id, (key, _) in at.told.accepted.items()]
        primary = await at.driven.do(driven.cluster.primary)
        assert primary is not None
        keys = await keys_of(at.url_of(primary))
        assert [
            *(await wrong(at, sagas)),
            *checkers.accepted(sagas, [saga_id for _, saga_id in accepted]),
            *checkers.same_start(sagas, keys, accepted),
            *(f"somebody was told that there is no saga {saga_id}, and it was accepted" for saga_id in at.told.unknown),
            *at.told.undone,
        ] == []
        assert at.fleet.all_live
        assert await at.fleet.metric("goconductor_commits_missing_total") == 0


@asynchronous
@pytest.mark.parametrize(
    ("way", "trouble"),
    [("hosts", killed_while_the_standby_lags), ("haproxy", killed_while_the_standby_lags), ("hosts", patroni_stands_still)],
    ids=name,
)
async def test_with_an_asynchronous_standby_what_is_lost_is_named(
    driven: Driven, way: str, trouble: Trouble, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with scene(driven, way, database, tmp_path) as at:
        sagas = await brought(at, trouble)
        lost = at.told.accepted.keys() - {saga.head.saga_id for saga in sagas}
        ended = len(lost & at.told.ended.keys())
        with capsys.disabled():
            report(at, way, trouble, sagas, f"{len(lost)} sagas are lost, {ended} of which were told as ended")
        primary = await at.driven.do(driven.cluster.primary)
        assert primary is not None
        assert await wrong(at, sagas, lost) == []
        assert at.fleet.all_live
        named = await column_of(at.url_of(primary), "SELECT DISTINCT saga_id FROM goconductor.losses")
        assert lost <= set(named)
        assert set(at.told.unknown) <= lost
        if trouble is killed_while_the_standby_lags:
            assert ended >= 10
        if lost:
            code, said = await at.fleet.told("doctor")
            assert code != 0
            assert "a failover lost" in said
            assert at.fleet.logged("a failover lost")
            assert await at.fleet.metric("goconductor_commits_missing_total") > 0


async def column_of(url: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def keys_of(url: str) -> dict[str, UUID]:
    connection = await asyncpg.connect(url)
    try:
        return {row["key"]: row["saga_id"] for row in await connection.fetch("SELECT key, saga_id FROM goconductor.start_keys")}
    finally:
        await connection.close()
