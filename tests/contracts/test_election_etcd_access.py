"""Who may elect by etcd, and over what lines; and what is said to those who may not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from aetcd import rpc

from goconductor.elections.etcd import EtcdElection
from goconductor.engine.facts.clock import SystemClock
from goconductor.errors import ConfigurationError, ElectionError
from goconductor.stores.memory import MemoryStore
from tests.certificates import Authority, Pair
from tests.servers.etcd import EtcdServer

pytestmark = pytest.mark.etcd

PASSWORD = "canary-in-the-mine"


@asynccontextmanager
async def elector(**options: Any) -> AsyncIterator[EtcdElection]:
    election = EtcdElection(MemoryStore(SystemClock()).terms, timeout_seconds=15.0, **options)
    try:
        yield election
    finally:
        await election.close()


@pytest.fixture
async def guarded(etcd_to_break: EtcdServer) -> EtcdServer:
    """It has the user *anna*, who may use the election's key, *bert*, who may not, and *root*."""
    async with grpc.aio.insecure_channel(etcd_to_break.endpoint.removeprefix("http://")) as channel:
        auth = rpc.AuthStub(channel)
        for user in ("root", "anna", "bert"):
            await auth.UserAdd(rpc.AuthUserAddRequest(name=user, password=PASSWORD))
        for role in ("root", "elector"):
            await auth.RoleAdd(rpc.AuthRoleAddRequest(name=role))
        key = rpc.Permission(permType=rpc.Permission.READWRITE, key=b"/goconductor/leader")
        await auth.RoleGrantPermission(rpc.AuthRoleGrantPermissionRequest(name="elector", perm=key))
        for user, role in (("root", "root"), ("anna", "elector")):
            await auth.UserGrantRole(rpc.AuthUserGrantRoleRequest(user=user, role=role))
        await auth.AuthEnable(rpc.AuthEnableRequest())
    return etcd_to_break


async def test_a_role_on_the_one_key_is_enough(guarded: EtcdServer) -> None:
    async with elector(endpoints=guarded.endpoint, user="anna", password=PASSWORD) as anna:
        await anna.open()
        term = await anna.campaign("anna", 60)
        assert term is not None
        assert await anna.renew(term, 60) is not None
        await anna.resign(term)
        assert await anna.campaign("anna", 60) is not None


async def test_a_token_that_the_server_no_longer_knows_is_asked_for_again(guarded: EtcdServer) -> None:
    async with elector(endpoints=guarded.endpoint, user="anna", password=PASSWORD) as anna:
        term = await anna.campaign("anna", 60)
        assert term is not None
        await asyncio.to_thread(guarded.stop)
        await asyncio.to_thread(guarded.start)
        with contextlib.suppress(ElectionError):
            await anna.renew(term, 60)  # it may try the old connection
        assert await anna.renew(term, 60) is not None


@pytest.mark.parametrize(
    ("user", "password", "told"),
    [
        ("bert", PASSWORD, "grant its role readwrite on the election's key"),
        ("anna", f"{PASSWORD}!", "check the options user and password"),
        (None, None, "check the options user and password"),
    ],
)
async def test_who_may_not_is_told_the_remedy_and_no_password(
    guarded: EtcdServer, user: str | None, password: str | None, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with elector(endpoints=guarded.endpoint, user=user, password=password) as election:
        with pytest.raises(ElectionError, match=told) as caught:
            await election.open()
    assert PASSWORD not in str(caught.value) + caplog.text


async def test_where_the_space_is_used_up_the_remedy_is_told_and_helps(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = EtcdServer(tmp_path / "etcd", quota_bytes=1 << 20)
        server.start()
        stack.callback(server.stop)
        async with grpc.aio.insecure_channel(server.endpoint.removeprefix("http://")) as channel:
            kv, maintenance = rpc.KVStub(channel), rpc.MaintenanceStub(channel)
            written = None
            with contextlib.suppress(grpc.aio.AioRpcError):
                while True:
                    written = await kv.Put(rpc.PutRequest(key=b"other", value=bytes(100_000)))
            assert written is not None
            async with elector(endpoints=server.endpoint) as anna:
                with pytest.raises(ElectionError, match=r"etcdctl compact .* etcdctl defrag .* etcdctl alarm disarm"):
                    await anna.campaign("anna", 60)
                await kv.Compact(rpc.CompactionRequest(revision=written.header.revision, physical=True))
                await maintenance.Defragment(rpc.DefragmentRequest())
                for alarm in (await maintenance.Alarm(rpc.AlarmRequest(action=rpc.AlarmRequest.GET))).alarms:
                    off = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=alarm.memberID, alarm=alarm.alarm)
                    await maintenance.Alarm(off)
                assert await anna.campaign("anna", 60) is not None


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def encrypted(authority: Authority, tmp_path: Path) -> Iterator[EtcdServer]:
    pair = authority.pair("server")
    with ExitStack() as stack:
        server = EtcdServer(tmp_path / "etcd", tls=(pair.cert, pair.key, authority.file))
        server.start()
        stack.callback(server.stop)
        yield server


@pytest.fixture
def client(authority: Authority) -> Pair:
    return authority.pair("client")


async def test_it_elects_over_tls_with_a_certificate_of_ours(encrypted: EtcdServer, authority: Authority, client: Pair) -> None:
    files = {"ca_file": str(authority.file), "cert_file": str(client.cert), "key_file": str(client.key)}
    async with elector(endpoints=encrypted.endpoint, **files) as anna:
        await anna.open()
        assert await anna.campaign("anna", 60) is not None


async def test_a_server_whose_signer_is_not_trusted_is_not_talked_to(encrypted: EtcdServer, client: Pair) -> None:
    files = {"cert_file": str(client.cert), "key_file": str(client.key)}
    async with elector(endpoints=encrypted.endpoint, **files) as anna:
        with pytest.raises(ElectionError, match="ca_file"):
            await anna.open()


async def test_of_several_endpoints_one_that_answers_is_found(etcd_endpoint: str, unused_tcp_port: int) -> None:
    async with elector(endpoints=[f"http://127.0.0.1:{unused_tcp_port}", etcd_endpoint], group="several") as anna:
        await anna.open()
        term = await anna.campaign("anna", 60)
        assert term is not None
        await anna.resign(term)


async def test_a_server_that_is_not_there_is_an_election_error(unused_tcp_port: int) -> None:
    async with elector(endpoints=f"127.0.0.1:{unused_tcp_port}") as anna:
        for _ in range(2):
            with pytest.raises(ElectionError, match="does not answer"):
                await anna.open()
            with pytest.raises(ElectionError, match="check that it is up"):
                await anna.campaign("anna", 60)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"endpoints": f"http://anna:{PASSWORD}@127.0.0.1:2379"}, "user and password are options of their own"),
        ({"endpoints": ""}, "should look like https://host:2379"),
        ({"endpoints": ["http://a:1", "https://b:2"]}, "write all alike"),
        ({"endpoints": "http://a:1", "ca_file": "ca.pem"}, "write https"),
        ({"user": "anna"}, "user or a password only"),
        ({"endpoints": "https://a:1", "cert_file": "cert.pem"}, "cert_file or key_file only"),
    ],
)
def test_options_that_contradict_one_another_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        EtcdElection(MemoryStore(SystemClock()).terms, **options)
    assert PASSWORD not in str(caught.value)


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    async with elector(endpoints="https://127.0.0.1:1", ca_file=str(tmp_path / "missing.pem")) as anna:
        with pytest.raises(ConfigurationError, match=r"cannot read .*missing\.pem"):
            await anna.open()
