"""The bank with its leader elected by another system: the leader dies, another takes over, and what had stalled ends."""

from __future__ import annotations

from uuid import UUID

import pytest

from goconductor import connect
from tests.acceptance import witness
from tests.acceptance.bank import MODULES, Bank
from tests.acceptance.sagas import Transfer, transfer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TRANSFERS = 20


@pytest.mark.etcd
async def test_a_leader_elected_by_etcd_dies_and_what_stalled_ends(bank: Bank, etcd_endpoint: str) -> None:
    await leader_dies(bank, "etcd", GOCONDUCTOR_ELECTION_OPTIONS__ENDPOINTS=etcd_endpoint)


@pytest.mark.zookeeper
async def test_a_leader_elected_by_zookeeper_dies_and_what_stalled_ends(bank: Bank, zookeeper_host: str) -> None:
    await leader_dies(bank, "zookeeper", GOCONDUCTOR_ELECTION_OPTIONS__HOSTS=zookeeper_host)


async def leader_dies(bank: Bank, kind: str, **options: str) -> None:
    group = {"GOCONDUCTOR_ELECTION_OPTIONS__GROUP": bank.folder.name}
    services = [await bank.service(module, GOCONDUCTOR_ELECTION_KIND=kind, **group, **options) for module in MODULES]
    for service in services:
        await bank.registered(service)
    await bank.until("SELECT evidence IS NOT NULL AND ends_at > clock_timestamp() AND holder <> '' FROM goconductor.leadership")
    answers: list[tuple[str, UUID]] = []
    async with connect(bank.settings) as conductor:

        async def more() -> None:
            for number in range(len(answers), len(answers) + TRANSFERS):
                key = f"transfer {number}"
                handle = await conductor.start(transfer, Transfer(f"payer {number % 10}", "payee 1", 1), key=key)
                answers.append((key, handle.saga_id))

        leader = await bank.leader()
        assert leader is not None, bank.words()
        await bank.until_in_hand(
            "SELECT EXISTS (SELECT FROM goconductor.leases JOIN goconductor.participants ON serial = instance "
            "WHERE name LIKE $1)",
            f"{leader.name}-%-{leader.pid}-%",
            more=more,
        )
        epoch = await bank.store.fetchval("SELECT epoch FROM goconductor.leadership")
        await leader.end()
        await leader.start()
        await bank.until("SELECT epoch > $1 FROM goconductor.leadership", epoch)
        await bank.all_ended()

    assert await bank.violations(answers) == []
    terms = [write for write in await witness.witnessed(bank.urls["store"]) if write.what == "term"]
    assert len({write.epoch for write in terms}) >= 2
