"""REST and gRPC over TLS, and with certificates of clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import uvicorn

from goconductor.control.settings.doors import GrpcSettings, RestSettings, TlsSettings
from goconductor.control.settings.settings import Settings
from goconductor.control.settings.tls import tls_of
from goconductor.errors import ConfigurationError, StoreUnavailableError
from goconductor.grpc import Client
from goconductor.grpc.door import Door
from goconductor.rest.app import create_app
from tests.certificates import Authority, Pair
from tests.doors.auth import asking, bearer, key_of
from tests.doors.conftest import INPUT, Shop


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    return authority.pair("server")


def settings_of(pair: Pair, authority: Authority | None = None) -> dict[str, Any]:
    files = {"certificate": str(pair.cert), "certificate_key": str(pair.key)}
    return files if authority is None else {**files, "client_authority": str(authority.file)}


async def test_grpc_speaks_tls_and_asks_for_a_certificate(shop: Shop, authority: Authority, server: Pair) -> None:
    grpc_settings = GrpcSettings(port=0, **settings_of(server, authority))
    door = Door(asking(shop.settings).model_copy(update={"grpc": grpc_settings}))
    await door.start()
    door.serve(shop.server)
    target, key = door.address.replace("127.0.0.1", "localhost"), await key_of(shop.server)
    root, mine = authority.file.read_bytes(), authority.pair("client")
    known = grpc.ssl_channel_credentials(root, mine.key.read_bytes(), mine.cert.read_bytes())
    async with Client(target, credentials=known, api_key=key) as client:
        assert (await client.start("order", INPUT, wait_seconds=300)).status == "completed"
    for credentials in (grpc.ssl_channel_credentials(root), None):
        async with Client(target, credentials=credentials, api_key=key, timeout_seconds=0.5) as client:
            with pytest.raises(StoreUnavailableError):
                await client.start("order", INPUT)
    await door.stop(0)


@pytest.fixture
async def https(shop: Shop, authority: Authority, server: Pair) -> AsyncIterator[str]:
    """REST on uvicorn, as `goconductor serve` gives it its TLS."""
    tls = tls_of("rest", RestSettings(**settings_of(server, authority)))
    assert tls is not None
    config = uvicorn.Config(create_app(shop.server, asking(shop.settings)), port=0, log_config=None, lifespan="off")
    config.load()
    config.ssl = tls.context
    served = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    serving = asyncio.create_task(served.serve(sockets=[listener]))
    yield f"https://localhost:{listener.getsockname()[1]}"
    served.should_exit = True
    await serving


async def test_rest_speaks_tls_and_asks_for_a_certificate(shop: Shop, https: str, authority: Authority, server: Pair) -> None:
    trusting = ssl.create_default_context(cafile=str(authority.file))
    async with httpx.AsyncClient(verify=trusting) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"{https}/livez")
    mine = authority.pair("client")
    trusting.load_cert_chain(mine.cert, mine.key)
    async with httpx.AsyncClient(verify=trusting, headers=bearer(await key_of(shop.server))) as client:
        assert (await client.get(f"{https}/v1/sagas")).status_code == 200
        with pytest.raises(httpx.TransportError):
            await client.get(https.replace("https", "http") + "/livez")


def test_files_that_are_none_are_named(tmp_path: Path, authority: Authority, server: Pair) -> None:
    assert tls_of("rest", TlsSettings()) is None
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("secret-canary")
    other = authority.pair("other")
    wrong = [
        ({"certificate": str(tmp_path / "gone"), "certificate_key": str(server.key)}, "rest.certificate: cannot be read"),
        ({"certificate": "\0", "certificate_key": str(server.key)}, "rest.certificate: cannot be read"),
        ({"certificate": str(server.cert), "certificate_key": str(tmp_path)}, "rest.certificate_key: cannot be read"),
        ({"certificate": str(nonsense), "certificate_key": str(server.key)}, "are no certificate and its key"),
        ({"certificate": str(server.cert), "certificate_key": str(other.key)}, "are no certificate and its key"),
        (settings_of(server) | {"client_authority": str(nonsense)}, "rest.client_authority: is no certificate"),
    ]
    for given, says in wrong:
        with pytest.raises(ConfigurationError, match=says) as refused:
            tls_of("rest", TlsSettings(**given))
        assert "canary" not in str(refused.value)


@pytest.mark.parametrize("given", [{"certificate": "a"}, {"certificate_key": "a"}, {"client_authority": "a"}])
def test_half_of_it_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="certificate_key"):
        Settings.model_validate({"database": {"url": "postgresql://h/d"}, "rest": given})
