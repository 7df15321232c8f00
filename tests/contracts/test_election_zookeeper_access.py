"""Who may elect by ZooKeeper, and over what lines; and what is said to those who may not."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from goconductor.elections.zookeeper import ZooKeeperElection
from goconductor.engine.facts.clock import SystemClock
from goconductor.errors import ConfigurationError, ElectionError
from goconductor.stores.memory import MemoryStore
from tests.certificates import Authority
from tests.servers.zookeeper import ZooKeeperServer

pytestmark = pytest.mark.zookeeper

PASSWORD = "canary-in-the-mine"


@asynccontextmanager
async def elector(**options: Any) -> AsyncIterator[ZooKeeperElection]:
    election = ZooKeeperElection(MemoryStore(SystemClock()).terms, **({"timeout_seconds": 15.0} | options))
    try:
        yield election
    finally:
        await election.close()


async def test_nodes_of_a_user_are_its_alone_and_its_password_is_told_nowhere(
    zookeeper_host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    group = {"hosts": zookeeper_host, "group": "access"}
    async with elector(**group, user="anna", password=PASSWORD) as anna, elector(**group, user="bert", password="x") as bert:
        await anna.open()
        term = await anna.campaign("anna", 60)
        assert term is not None
        with pytest.raises(ElectionError, match="grant it create, delete and read") as caught:
            await bert.campaign("bert", 60)
        await anna.resign(term)
        assert await anna.campaign("anna", 60) is not None
    assert PASSWORD not in str(caught.value) + caplog.text


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def encrypted(authority: Authority, tmp_path: Path) -> Iterator[ZooKeeperServer]:
    with ExitStack() as stack:
        server = ZooKeeperServer(tmp_path / "zookeeper", tls=(authority.pair("server").both, authority.file))
        server.start()
        stack.callback(server.stop)
        yield server


async def test_it_elects_over_tls_with_a_certificate_of_ours(encrypted: ZooKeeperServer, authority: Authority) -> None:
    client = authority.pair("client")
    files = {"ca_file": str(authority.file), "cert_file": str(client.cert), "key_file": str(client.key)}
    async with elector(hosts=f"127.0.0.1:{encrypted.tls_port}", **files) as anna:
        await anna.open()
        assert await anna.campaign("anna", 60) is not None


async def test_a_server_whose_signer_is_not_trusted_is_not_talked_to(encrypted: ZooKeeperServer) -> None:
    async with elector(hosts=f"127.0.0.1:{encrypted.tls_port}", tls=True, timeout_seconds=2.0) as anna:
        with pytest.raises(ElectionError, match="ca_file"):
            await anna.open()
    gc.collect()  # no socket is left to it


async def test_of_several_hosts_one_that_answers_is_found(zookeeper_host: str, unused_tcp_port: int) -> None:
    async with elector(hosts=[f"127.0.0.1:{unused_tcp_port}", zookeeper_host], group="several") as anna:
        await anna.open()
        assert await anna.campaign("anna", 60) is not None


async def test_a_root_below_which_all_is_kept_may_be_given(zookeeper_host: str) -> None:
    async with elector(hosts=zookeeper_host, group="rooted") as plain, elector(hosts=f"{zookeeper_host}/rooted") as rooted:
        await plain.open()
        for election in (plain, rooted):
            await election.open()
            assert await election.campaign("anna", 60) is not None


async def test_a_server_that_is_not_there_is_an_election_error(unused_tcp_port: int) -> None:
    async with elector(hosts=f"127.0.0.1:{unused_tcp_port}", timeout_seconds=0.5) as anna:
        with pytest.raises(ElectionError, match="check that it is up"):
            await anna.open()
        with pytest.raises(ElectionError, match="check that it is up"):
            await anna.campaign("anna", 60)


async def test_a_file_that_cannot_be_read_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    async with elector(hosts="127.0.0.1:1", ca_file=str(tmp_path / "missing.pem")) as anna:
        with pytest.raises(ConfigurationError, match=r"No such file.*correct its options ca_file"):
            await anna.open()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hosts": f"anna:{PASSWORD}@127.0.0.1:2181"}, "should look like zk-1:2181"),
        ({"user": "anna"}, "user or a password only"),
        ({"cert_file": "cert.pem"}, "cert_file or key_file only"),
    ],
)
def test_options_that_contradict_one_another_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        ZooKeeperElection(MemoryStore(SystemClock()).terms, **options)
    assert PASSWORD not in str(caught.value)
