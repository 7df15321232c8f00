"""Who hosts the steps of ``system``: servers and participants whose settings say so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from goconductor import ConfigurationError, Participant, Saga, Settings, connect, http_step
from goconductor import app as application
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.leaves import make_system
from tests.system.conftest import CANARY
from tests.system.server import Server, answer

UNFIT = "it is empty, or has other than printable ASCII characters; write it on one line of {file}"
NOWHERE = {"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}


def settings_for(url: str, server: Server) -> Settings:
    return Settings.load(
        environ={
            "GOCONDUCTOR_DATABASE_URL": url,
            "GOCONDUCTOR_SYSTEM_ENABLED": "true",
            "GOCONDUCTOR_SYSTEM_HOSTS": f"localhost:{server.port}",
            "GOCONDUCTOR_SYSTEM_NETWORKS": "127.0.0.0/8, ::1/128",
            "GOCONDUCTOR_SYSTEM_SECRETS": "{token: {variable: SHOP_TOKEN, hosts: [localhost], plaintext: true}}",
        }
    )


def order_of(server: Server) -> Saga[Any, Any]:
    order: Saga[Any, Any] = Saga("order")
    called = http_step(order, "POST", server.url, body=order.input, headers={"x-token": "${secret:token}"})
    return order.returns(called.output.body)


@pytest.mark.postgres
@pytest.mark.parametrize("host", ["server", "participant"])
async def test_a_process_hosts_them_where_its_settings_say_so(
    postgres_url: str, server: Server, host: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    caplog.set_level("INFO", "goconductor")
    settings, shop = settings_for(postgres_url, server), Participant("shop")
    server.answers = [answer(200, '{"id": 7}')]
    await application.migrate(settings)
    async with application.server(settings) if host == "server" else shop.running(settings), connect(settings) as conductor:
        started = await conductor.start(order_of(server), {"sku": "tea"})
        assert await asyncio.wait_for(started.result(), 600) == {"id": 7}
    (asked,) = server.asked
    assert asked.headers["x-token"] == CANARY
    assert "participant 'system' runs http" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"HOSTS": "api.example.com, http://x"}, "'http://x' names no host; write it as api.example.com"),
        ({"NETWORKS": "10.0.0.0/33"}, "value is not a valid IPv4 or IPv6 network"),
        ({"SECRETS": "{t: {variable: A}}"}, "system.secrets.t.hosts: is not set"),
        ({"SECRETS": "{t: {variable: A, hosts: []}}"}, "should name in 'hosts' at least one host"),
        ({"SECRETS": "{t: {hosts: [a.example]}}"}, "should have one of 'variable', 'file' and 'value'"),
        ({"SECRETS": "{t: {variable: A, file: b, hosts: [a.example]}}"}, "should have one of 'variable', 'file' and 'value'"),
        ({"SECRETS": "{t: {value: hunter2-canary, hosts: [a.example]}}"}, "should be ${secret:NAME}"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(environ=NOWHERE | {f"GOCONDUCTOR_SYSTEM_{name}": value for name, value in given.items()})
    assert problem in str(refused.value)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("where", "content", "problem"),
    [
        ("variable: MISSING_TOKEN", None, "the variable MISSING_TOKEN is not set; set it for this process"),
        ("file: {file}", None, "{file}: No such file or directory; correct the path, or the file's rights"),
        ("file: {file}", "", UNFIT),
        ("file: {file}", f"{CANARY}\nx", UNFIT),
    ],
)
def test_a_secret_that_cannot_be_read_keeps_a_process_from_beginning(
    where: str, content: str | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    secrets = f"{{token: {{{where.format(file=file)}, hosts: [a.example]}}}}"
    settings = Settings.load(environ=NOWHERE | {"GOCONDUCTOR_SYSTEM_SECRETS": secrets})
    with pytest.raises(ConfigurationError) as refused:
        make_system(settings, MemoryBus(MemoryBroker()).send)
    assert str(refused.value) == f"system.secrets.token cannot be read: {problem.format(file=file)}"


async def test_no_participant_can_have_that_name() -> None:
    with pytest.raises(ConfigurationError, match="a participant cannot be named 'system', as goconductor's own is"):
        async with Participant("system").running(Settings.load(environ=NOWHERE)):
            pass


@pytest.mark.parametrize(("missing", "extra"), [("h11", "system"), ("grpc", "grpc")])
def test_without_its_extra_it_says_what_to_install(missing: str, extra: str) -> None:
    environ = NOWHERE | {"GOCONDUCTOR_SYSTEM_GRPC": "shop.binpb"}
    script = f"""
import sys
sys.modules[{missing!r}] = None
from goconductor import Settings
from goconductor.errors import PluginNotFoundError
from goconductor.leaves import make_system
try:
    make_system(Settings.load(environ={environ!r}), print)
except PluginNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"the steps of system need a library that is not installed ({missing}")
    assert done.stdout.endswith(f"pip install 'goconductor[{extra}]'\n")
