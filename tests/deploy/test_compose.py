"""compose.yaml: a file that Compose takes, whose parts fit; and what it runs, run here on a real PostgreSQL and a real Kafka."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import yaml
from compose_spec import PyCompose

from goconductor import Settings
from goconductor.testing.loopback import LOOPBACK, free_port
from goconductor.testing.postgres import PostgresServer
from tests.deploy.helm import ROOT
from tests.deploy.test_image import environment
from tests.servers import versions

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "goconductor:dev"}
PARTICIPANTS = ("inventory", "orders", "payments")
PAGE = (ROOT / "docs" / "how-to" / "image.md").read_text("utf-8")


def mounts(service: dict[str, Any]) -> list[tuple[Path, str]]:
    """What of ours a service sees, and where."""
    found = [volume.removesuffix(":ro").split(":") for volume in service.get("volumes", [])]
    return [(ROOT / source, target) for source, target in found if source.startswith("./")]


def test_compose_takes_it() -> None:
    resolved = yaml.safe_dump({name: part for name, part in COMPOSE.items() if not name.startswith("x-")})
    assert set(PyCompose.from_yaml(resolved).to_dict()["services"]) == set(SERVICES)
    with pytest.raises(ValueError, match="comand"):
        PyCompose.from_yaml("services: {server: {image: x, comand: y}}")


def test_what_is_mounted_is_there_and_nothing_is_published_beyond_loopback() -> None:
    for each in SERVICES.values():
        assert all(source.exists() for source, _ in mounts(each))
        assert all(port.startswith("127.0.0.1:") for port in each.get("ports", []))
        assert set(each.get("depends_on", [])) <= set(SERVICES)


def test_its_servers_are_those_that_the_tests_know() -> None:
    assert SERVICES["postgres"]["image"] == versions.POSTGRES_IMAGE
    assert SERVICES["kafka"]["image"] == versions.KAFKA_IMAGE


@pytest.mark.parametrize("name", OURS)
def test_ours_may_do_nothing_and_have_time_to_drain(name: str) -> None:
    each = OURS[name]
    assert (each["read_only"], each["cap_drop"], each["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    settings = Settings.load(environ=each["environment"] | environment())
    assert settings.warnings == []
    assert float(each["stop_grace_period"].removesuffix("s")) > settings.participant.drain_seconds + 10


def test_prometheus_asks_each_process_and_has_the_alert_rules_and_grafana_the_dashboard() -> None:
    config = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    ports = {name: each["environment"].get("GOCONDUCTOR_METRICS_PORT") for name, each in OURS.items()}
    (targets,) = (each["targets"] for each in job["static_configs"])
    assert sorted(targets) == sorted(f"{name}:{port}" for name, port in ports.items() if port)
    assert config["rule_files"] == [target for _, target in mounts(SERVICES["prometheus"]) if "alerts" in target]
    provider = yaml.safe_load((ROOT / "deploy/compose/grafana/dashboards.yml").read_text("utf-8"))["providers"][0]
    shown = {Path(target).parent.as_posix(): source.name for source, target in mounts(SERVICES["grafana"])}
    assert shown[provider["options"]["path"]] == "dashboard.json"
    (source,) = yaml.safe_load((ROOT / "deploy/compose/grafana/datasources.yml").read_text("utf-8"))["datasources"]
    assert urlsplit(source["url"]).hostname in SERVICES


def test_the_collector_listens_where_spans_are_sent() -> None:
    collector = yaml.safe_load((ROOT / "deploy/compose/collector.yml").read_text("utf-8"))
    (protocols,) = (each["protocols"] for each in collector["receivers"].values())
    sent = urlsplit(SERVICES["server"]["environment"]["GOCONDUCTOR_TRACES_ENDPOINT"])
    assert protocols["http"]["endpoint"] == f"0.0.0.0:{sent.port}"
    assert sent.hostname in SERVICES
    pipeline = collector["service"]["pipelines"]["traces"]
    assert (set(pipeline["receivers"]), set(pipeline["exporters"])) == (set(collector["receivers"]), set(collector["exporters"]))


@pytest.fixture
def collector() -> Iterator[tuple[int, list[str]]]:
    """Takes whatever is sent by HTTP: its port, and the paths so far."""
    paths: list[str] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Taking) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], paths
        server.shutdown()
        thread.join()


class Machine:
    """Stands for the network and the hosts of Compose: each host of a service is a port of this machine."""

    def __init__(self, postgres: PostgresServer, kafka: str, collector: int) -> None:
        self.hosts = {"@postgres:5432": f"@{LOOPBACK}:{postgres.port}", "kafka://kafka:9092": kafka}
        self.hosts["http://collector:4318"] = f"http://{LOOPBACK}:{collector}"
        self.ports: dict[tuple[str, str], int] = {}
        own = urlsplit(postgres.url())
        self._user = f"{own.username}:{own.password}" if own.password else f"{own.username}"

    def variables(self, name: str) -> dict[str, str]:
        variables = {**environment(), **SERVICES[name].get("environment", {})}
        if name == "server":
            variables["GOCONDUCTOR_REST_PORT"] = "8080"
        for variable, value in variables.items():
            here = value.replace("goconductor:goconductor", self._user)
            for host, ours in self.hosts.items():
                here = here.replace(host, ours)
            if variable.endswith("_PORT"):
                self.ports[name, variable] = free_port()
                here = str(self.ports[name, variable])
            variables[variable] = here
        return variables | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    @asynccontextmanager
    async def running(self, name: str, log: Path) -> AsyncIterator[Process]:
        """The command of a service, where it is run; asked to stop in the end."""
        service = SERVICES[name]
        folder = next((source for source, target in mounts(service) if target == service.get("working_dir")), log)
        command = service.get("command", ["goconductor", "serve"])
        with (log / f"{name}.log").open("wb") as written:
            process = await create_subprocess_exec(
                *command, cwd=folder, env=self.variables(name), stdout=written, stderr=written, stdin=PIPE
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()

    async def done(self, name: str, log: Path) -> None:
        """A service that ends by itself."""
        async with self.running(name, log) as process:
            assert await process.wait() == 0, (log / f"{name}.log").read_text()


async def execute(postgres: PostgresServer, database: str, statement: str) -> None:
    connection = await asyncpg.connect(postgres.url(database))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.kafka
async def test_the_shop_sells_as_the_page_says_until_the_money_is_spent_and_all_of_it_is_seen(
    postgres_to_break: PostgresServer, kafka_server: str, collector: tuple[int, list[str]], tmp_path: Path
) -> None:
    machine = Machine(postgres_to_break, kafka_server, collector[0])
    postgres_to_break.create_database(SERVICES["postgres"]["environment"]["POSTGRES_DB"])
    for statement in (ROOT / "deploy/compose/databases.sql").read_text("utf-8").split(";")[:-1]:
        await execute(postgres_to_break, "postgres", statement)
    await machine.done("migrate", tmp_path)
    await machine.done("definition", tmp_path)
    async with (
        machine.running("server", tmp_path) as server,
        machine.running("inventory", tmp_path) as inventory,
        machine.running("orders", tmp_path) as orders,
        machine.running("payments", tmp_path) as payments,
        httpx.AsyncClient(timeout=600) as client,
    ):
        processes = {"server": server, "inventory": inventory, "orders": orders, "payments": payments}
        for name, process in processes.items():
            ready = f"http://{LOOPBACK}:{machine.ports[name, 'GOCONDUCTOR_HEALTH_PORT']}/readyz"
            while not await answers(client, ready):
                assert process.returncode is None, (tmp_path / f"{name}.log").read_text()
        for database, statement in re.findall(r'psql -U goconductor (\w+) -c "(.*)"$', PAGE, re.MULTILINE):
            await execute(postgres_to_break, database, statement)
        ((path, key, body),) = re.findall(
            r"http://127\.0\.0\.1:8080(/\S+)' .*\n.*-H '(Idempotency-Key: .*)' .*\n.*-d '(.*)'$", PAGE, re.MULTILINE
        )
        url = f"http://{LOOPBACK}:{machine.ports['server', 'GOCONDUCTOR_REST_PORT']}{path}".replace("=30", "=300")
        header, _, first = key.partition(": ")
        assert json.loads(body)["id"] == first
        ends = []
        for number in (first, "order-2", "order-3"):
            answer = await client.post(url, headers={header: number}, json=json.loads(body) | {"id": number})
            ends.append(answer.json())
        assert [end["status"] for end in ends] == ["completed", "completed", "compensated"], ends
        for name in processes:
            metrics = f"http://{LOOPBACK}:{machine.ports[name, 'GOCONDUCTOR_METRICS_PORT']}/metrics"
            assert "goconductor_build_info" in (await client.get(metrics)).text
    assert [process.returncode for process in processes.values()] == [0, 0, 0, 0]
    assert "/v1/traces" in collector[1]


async def answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False
