"""Two services in processes of their own over PostgreSQL, observed from outside: their logs, their metrics, and one trace."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from goconductor import CompensatedError, Participant, Saga, Settings, app
from goconductor.engine.node import Node
from goconductor.engine.observer import Observer
from goconductor.engine.steps.registry import StepRegistry
from goconductor.leaves import make_store, makes_of_buses
from goconductor.observe.exposition import text_of
from goconductor.observe.leader import LeaderMetrics
from goconductor.observe.metrics import Metrics
from goconductor.ports.bus_metrics import MeasuredBus
from goconductor.ports.store import Store
from goconductor.rest.app import create_app
from goconductor.testing.loopback import free_port
from tests.observe.services import Spans, cards, ids, linked, order, scraped, warehouse
from tests.servers.child import Child, answers

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]


class Collector:
    """Takes what OTLP over HTTP brings, as a collector does."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.came = threading.Condition()
        collector = self

        class Taking(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = ExportTraceServiceRequest()
                request.ParseFromString(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                with collector.came:
                    for of_service in request.resource_spans:
                        (service,) = [a.value.string_value for a in of_service.resource.attributes if a.key == "service.name"]
                        collector.spans += [(service, span) for scope in of_service.scope_spans for span in scope.spans]
                    collector.came.notify_all()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.endpoint = f"http://collector:s3cret@127.0.0.1:{self.server.server_port}/v1/traces"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def environment(url: str, collector: Collector, **more: str) -> dict[str, str]:
    return {
        "GOCONDUCTOR_DATABASE_URL": url,
        "GOCONDUCTOR_LOG_FORMAT": "json",
        "GOCONDUCTOR_TRACES_ENABLED": "true",
        "GOCONDUCTOR_TRACES_ENDPOINT": collector.endpoint,
        **more,
    }


async def test_a_saga_over_three_processes_is_one_trace_one_log_and_counted(
    postgres_url: str, collector: Collector, tmp_path: Path
) -> None:
    ours = Settings.load(environ=environment(postgres_url, collector))
    await app.migrate(ours)
    ports = {name: free_port() for name in ("warehouse", "cards")}
    children = [
        Child(
            name,
            folder=tmp_path,
            command=[sys.executable, "-m", "tests.observe.telling", name],
            ready=lambda port=port: answers(port),  # type: ignore[misc]
            environment=os.environ
            | environment(postgres_url, collector, GOCONDUCTOR_METRICS_PORT=str(port), PYTHONPATH=str(ROOT)),
        )
        for name, port in ports.items()
    ]
    try:
        for child in children:
            child.start()
        async with app.connect(ours) as conductor:
            saga = await conductor.start(order(), {"way": "refused"})
            with pytest.raises(CompensatedError):
                await saga.result(timeout_seconds=300)
        async with httpx.AsyncClient(timeout=300) as client:
            seen = {name: scraped((await client.get(f"http://127.0.0.1:{port}/metrics")).text) for name, port in ports.items()}
    finally:
        for child in children:
            child.stop()
    spans = {span.name: (service, span) for service, span in collector.spans}
    assert {name: service for name, (service, _) in spans.items()} == {
        "start order": "client",
        "action warehouse.reserve": "warehouse",
        "action cards.charge": "cards",
        "compensation cards.charge": "cards",
        "compensation warehouse.reserve": "warehouse",
    }
    start = spans["start order"][1]
    assert {span.trace_id for _, span in spans.values()} == {start.trace_id}
    assert {span.parent_span_id for name, (_, span) in spans.items() if name != "start order"} == {start.span_id}
    for step in ("warehouse.reserve", "cards.charge"):
        (link,) = spans[f"compensation {step}"][1].links
        assert (link.trace_id, link.span_id) == (start.trace_id, spans[f"action {step}"][1].span_id)

    done = {"direction": "compensation", "outcome": "succeeded"}
    for name, step in (("warehouse", "warehouse.reserve"), ("cards", "cards.charge")):
        assert seen[name]["goconductor_steps_total", frozenset({"step": step, **done}.items())] == 1
    assert sum(each.get(("goconductor_leader", frozenset()), 0.0) for each in seen.values()) <= 1

    lines = [json.loads(line) for child in children for line in child.log.read_text().splitlines()]
    about = [line for line in lines if line.get("saga_id") == str(saga.saga_id)]
    assert {line["participant"] for line in about} == {"warehouse", "cards"}
    assert {line["trace_id"] for line in about} == {start.trace_id.hex()}
    assert {"reserving refused", "charging in a thread", "releasing"} <= {line["message"] for line in about}
    assert not [line for line in lines if "s3cret" in json.dumps(line)]


async def test_a_server_serves_metrics_beside_rest_and_tells_of_the_whole_as_it_leads(postgres_url: str, tmp_path: Path) -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_LOG_FORMAT": "json"}
    settings = Settings.load(environ=environ)
    await app.migrate(settings)
    port = free_port()
    server = Child(
        "server",
        folder=tmp_path,
        command=[sys.executable, "-c", "from goconductor.cli import main; main()", "serve"],
        ready=lambda: answers(port),
        environment=os.environ | environ | {"GOCONDUCTOR_REST_PORT": str(port)},
    )
    server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as client, asyncio.timeout(300):
            while (await client.get("/readyz")).status_code != httpx.codes.OK:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)
            while ("goconductor_sagas", frozenset({("status", "running")})) not in (  # noqa: ASYNC110
                seen := scraped((await client.get("/metrics")).text)
            ):
                await asyncio.sleep(0.05)
    finally:
        server.stop()
    assert seen["goconductor_leader", frozenset()] == 1
    assert seen["goconductor_sagas", frozenset({("status", "running")})] == 0
    assert seen["goconductor_saga_overdue_seconds", frozenset()] == 0
    leads, *_ = [json.loads(line) for line in server.log.read_text().splitlines() if "leads, epoch" in line]
    assert leads["logger"] == "goconductor.recovery"


async def test_a_program_tells_the_metrics_of_its_participant_itself(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await app.migrate(settings)
    stock, metrics = Participant("warehouse"), Metrics()
    stock.steps.update(warehouse().steps)
    saga: Saga[Any] = Saga("alone")
    saga.step("warehouse.reserve", id="reserve", inputs={"way": saga.input["way"]})
    async with stock.running(settings, metrics=metrics) as conductor:
        await (await conductor.start(saga, {"way": "pays"})).result(timeout_seconds=300)
        seen = scraped(text_of(metrics)[0].decode())
    assert seen["goconductor_sagas_ended_total", frozenset({"saga": "alone", "status": "completed"}.items())] == 1
    assert ("goconductor_leader", frozenset()) in seen


async def nodes(url: str, *registries: tuple[StepRegistry, Observer]) -> list[Node]:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})
    await app.migrate(settings)

    def store(name: str) -> Store:
        return make_store(settings, name)

    return [
        Node(
            store=store(registry.name),
            bus=makes_of_buses(settings)["postgres"](),
            open_store=lambda: store("renewal"),
            registry=registry,
            observer=observer,
        )
        for registry, observer in registries
    ]


@pytest.fixture
async def pair(postgres_url: str) -> AsyncIterator[tuple[list[Node], Spans, Spans]]:
    stock, paying = Spans(), Spans()
    opened = await nodes(postgres_url, (warehouse(), stock.observer), (cards(), paying.observer))
    try:
        for node in opened:
            await node.open()
        yield opened, stock, paying
    finally:
        for node in opened:
            await node.close()


async def test_two_services_with_providers_of_their_own_share_a_trace(pair: tuple[list[Node], Spans, Spans]) -> None:
    (node, _), stock, paying = pair
    plan = await node.definitions.register(order().definition)
    started = await node.starting.start(plan.name, {"way": "refused"}, version=plan.version)
    assert (await node.wait_for_end(started.saga_id, 300)).phase == "compensated"
    start = stock.named("start order")
    assert {ids(span)[0] for span in (*stock.finished, *paying.finished)} == {ids(start)[0]}
    assert linked(stock.named("compensation warehouse.reserve")) == [ids(stock.named("action warehouse.reserve"))]
    assert linked(paying.named("compensation cards.charge")) == [ids(paying.named("action cards.charge"))]


async def test_postgres_tells_what_the_leader_asks(pair: tuple[list[Node], Spans, Spans]) -> None:
    (node, paying), _, _ = pair
    assert node.store.metrics is not None
    assert isinstance(node.bus, MeasuredBus)
    plan = await node.definitions.register(order().definition)
    for way in ("pays", "refused", "stuck"):
        started = await node.starting.start(plan.name, {"way": way}, version=plan.version)
        await node.wait_for_end(started.saga_id, 300)
    await paying.close()
    waiting = await node.starting.start(plan.name, {"way": "pays"}, version=plan.version)
    while (lag := await node.bus.lag("goconductor.steps.cards", "cards")) is None or not lag.messages:
        await node.view(waiting.saga_id)
    assert lag.messages == 1
    assert lag.oldest_seconds >= 0
    assert await node.bus.lag("goconductor.steps.nobody", "nobody") is None
    leader = LeaderMetrics(node, page=3)
    await leader.collect()  # a page of three
    await leader.collect()
    assert leader.sagas == {"completed": 1, "compensated": 1, "stuck": 1, "running": 1}
    assert leader.store_metrics is not None
    assert (leader.store_metrics.live, leader.store_metrics.overdue, leader.store_metrics.dead_letters) == (1, 0, 0)
    assert leader.store_metrics.participants == ["cards", "warehouse"]
    assert set(leader.lags) == {"cards", "warehouse"}


async def test_a_mounted_door_serves_metrics_beside_a_port_of_their_own_and_without_one(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_METRICS_PORT": str(free_port())}
    settings = Settings.load(environ=environ)
    await app.migrate(settings)
    told = Metrics()
    async with (
        Participant("first").running(settings) as with_port,
        Participant("second").running(settings) as without_port,
        Participant("third").running(
            Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url}), metrics=told
        ) as by_program,
    ):
        assert "Its metrics are at /metrics of its REST door" in caplog.text  # of the second, whose port the first has
        for conductor in (with_port, without_port, by_program):
            transport = httpx.ASGITransport(create_app(conductor, settings))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                answer = await client.get("/metrics")
            assert answer.status_code == httpx.codes.OK
            assert ("goconductor_leader", frozenset()) in scraped(answer.text)
