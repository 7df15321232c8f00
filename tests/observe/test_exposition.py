"""Metrics as Prometheus reads them: every name that a dashboard, an alert or the documentation has is exported, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from goconductor import Saga
from goconductor.buses.memory import MemoryBus
from goconductor.control.settings.settings import Settings
from goconductor.errors import ConfigurationError
from goconductor.observe.exposition import Door, Exposition, text_of
from goconductor.observe.leader import LeaderMetrics
from goconductor.observe.metrics import Latent, Metrics
from goconductor.ports.bus_metrics import Statistic
from goconductor.ports.store import FeedLag, LeaseKey, WebhookQueue
from goconductor.recovery.resent import Resent
from goconductor.rest.app import create_app
from goconductor.saga.ids import Direction
from tests.observe.services import Services, scraped
from tests.servers.child import answers

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "helm" / "goconductor" / "files" / "dashboard.json"
ALERTS = ROOT / "helm" / "goconductor" / "files" / "alerts.yml"
NAME = re.compile(r"goconductor_[a-z0-9_]+")


class CountingBus(MemoryBus):
    def statistics(self) -> list[Statistic]:
        return [
            Statistic("memory_reconnects", {"client": "one"}, 2.0, counter=True),
            Statistic("memory_reconnects", {"client": "two"}, 3.0, counter=True),
            Statistic("memory_waiting_messages", {"client": "one"}, 5.0, counter=False),
        ]


async def lived(services: Services) -> Metrics:
    """All that can be seen of two services after sagas that completed, were compensated and became stuck; they lead as well."""
    bus = CountingBus(services.world.broker, clock=services.world.clock)
    leader = await services.world.node(bus=bus, observer=services.metrics)
    await services.open()
    services.metrics.watch(leader)
    for way in ("pays", "refused", "stuck"):
        await services.run(way)
    resent = Resent(leader.clock)
    resent.saw(LeaseKey(UUID(int=1), "ship", Direction.ACTION, 0), ("couriers", "ship"))
    collected = services.metrics.leader = LeaderMetrics(
        leader,
        waiting=resent.waiting,
        unpublished=lambda: FeedLag(entries=2, seconds=1.5),
        webhooks=lambda: [WebhookQueue(webhook_id=1, waiting=2, oldest_seconds=1.5, dead=1)],
    )
    collected.epoch = 3
    await collected.collect()
    leader.observer.swept(1, 0.01)
    return services.metrics


async def names(services: Services) -> set[str]:
    return {name for name, _ in scraped(text_of(await lived(services))[0].decode())}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


async def test_what_the_buss_client_counts_has_its_own_names_and_labels(services: Services) -> None:
    seen = scraped(text_of(await lived(services))[0].decode())
    assert seen["goconductor_bus_memory_reconnects_total", frozenset({("client", "two")})] == 3
    assert seen["goconductor_bus_memory_waiting_messages", frozenset({("client", "one")})] == 5


async def test_each_metric_that_an_alert_names_is_exported(services: Services) -> None:
    named = {name for rule in alerts() for name in NAME.findall(rule["expr"])}
    assert len(named) > 10
    assert named - await names(services) == set()


async def test_each_metric_that_the_dashboard_names_is_exported(services: Services) -> None:
    named = {name for panel in panels() for target in panel["targets"] for name in NAME.findall(target["expr"])}
    assert len(named) > 30
    assert named - await names(services) == set()


async def test_each_label_that_an_alert_or_the_dashboard_chooses_by_exists(services: Services) -> None:
    found: dict[str, set[str]] = {}
    for name, labels in scraped(text_of(await lived(services))[0].decode()):
        found.setdefault(name, set()).update(label for label, _ in labels)
    expressions = [rule["expr"] for rule in alerts()] + [target["expr"] for panel in panels() for target in panel["targets"]]
    chosen = [
        (name, label) for each in expressions for name, by in re.findall(r"(goconductor_\w+)\{([^}]*)\}", each)
        for label in re.findall(r"(\w+)=~?\"", by)
    ]  # fmt: skip
    assert chosen
    assert [(name, label) for name, label in chosen if label != "job" and label not in found[name]] == []


async def test_each_metric_is_documented_and_each_that_is_documented_is_exported(services: Services) -> None:
    families = {each.name: each for each in text_string_to_metric_families(text_of(await lived(services))[0].decode())}
    exported = {f"{name}_total" if family.type == "counter" else name for name, family in families.items()}
    exported = {name for name in exported if not name.startswith("goconductor_bus_memory_")}  # this test's own bus counts these
    lines = (ROOT / "docs" / "observability.md").read_text().splitlines()
    documented = {match[1] for line in lines if (match := re.match(r"\| `(goconductor_\w+)`", line))}
    assert not exported - documented, f"these have no line in docs/observability.md: {sorted(exported - documented)}"
    assert not documented - exported, f"nobody exports these of docs/observability.md: {sorted(documented - exported)}"


async def test_names_follow_prometheus_conventions(services: Services) -> None:
    for family in text_string_to_metric_families(text_of(await lived(services))[0].decode()):
        assert family.documentation.endswith("."), family.name
        match family.type:
            case "counter":
                assert all(sample.name.endswith("_total") for sample in family.samples)
            case "histogram":
                assert family.name.endswith(("_seconds", "_items"))
            case other:
                assert other == "gauge"
                assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))


async def test_open_metrics_is_spoken_to_who_asks_for_it(services: Services) -> None:
    text, media_type = text_of(await lived(services), "application/openmetrics-text; version=1.0.0, text/plain;q=0.5")
    assert media_type.startswith("application/openmetrics-text")
    families = open_metrics(text.decode())  # type: ignore[no-untyped-call]
    assert {family.name for family in families} > {"goconductor_steps", "goconductor_leader"}


def test_each_alert_says_what_it_is_and_what_to_do() -> None:
    rules = alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["alert"].startswith("Goconductor")
        assert set(rule["annotations"]) == {"summary", "description", "remedy"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_each_panel_of_the_dashboard_has_a_place_and_an_id_of_its_own() -> None:
    shown = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in shown]
    assert len(set(places)) == len(places)
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"].count("(") == target["expr"].count(")") for target in panel["targets"])


async def test_a_program_may_have_them_in_a_registry_of_its_own(services: Services) -> None:
    own = CollectorRegistry()
    Counter("shop_visits", "Visits.", registry=own)
    own.register(Exposition(await lived(services)))
    assert {family.name for family in own.collect()} > {"shop_visits", "goconductor_sagas_started"}


async def test_a_port_of_its_own_serves_them(services: Services) -> None:
    door = Door(await lived(services), host="127.0.0.1", port=0)
    try:
        async with httpx.AsyncClient(timeout=300) as client:
            answer = await client.get(f"http://127.0.0.1:{door.port}/metrics")
        assert scraped(answer.text)["goconductor_sagas_started_total", frozenset({("saga", "order")})] == 3
        with pytest.raises(ConfigurationError, match=r"port \d+ \(it is taken\); choose another metrics.host or metrics.port"):
            Door(services.metrics, host="127.0.0.1", port=door.port)
    finally:
        door.close()
    assert not answers(door.port)


async def test_the_rest_door_serves_them_if_it_is_given_any(services: Services) -> None:
    node = await services.world.node()
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@nowhere/nothing"})
    measured, unmeasured = create_app(node, settings, metrics=await lived(services)), create_app(node, settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(measured), base_url="http://127.0.0.1") as client:
        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        assert scraped(answer.text)["goconductor_leader", frozenset()] == 1
        assert "/metrics" not in (await client.get("/openapi.json")).json()["paths"]
        foreign = await client.get("/metrics", headers={"host": "evil.example"})
        assert foreign.status_code == 421
    async with httpx.AsyncClient(transport=httpx.ASGITransport(unmeasured), base_url="http://127.0.0.1") as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_a_node_that_measured_nothing_begins_when_an_application_is_put_on_it(services: Services) -> None:
    latent = Latent()
    node = await services.world.node(observer=latent)
    latent.metrics.watch(node)
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@nowhere/nothing"})
    saga: Saga[Any] = Saga("empty-handed")
    saga.step("nobody.home")
    await services.world.start(saga, node=node)
    assert not latent.measures
    app = create_app(node, settings)
    await services.world.start(saga, node=node)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        seen = scraped((await client.get("/metrics")).text)
    assert seen["goconductor_sagas_started_total", frozenset({("saga", "empty-handed")})] == 1
    assert seen["goconductor_batch_items_count", frozenset({("kind", "start")})] == 1
    assert create_app(node, settings) is not app  # and a second one tells the same metrics
    assert node.observer is latent


def test_each_metric_that_an_alert_names_is_on_the_dashboard() -> None:
    shown = {name for panel in panels() for target in panel["targets"] for name in NAME.findall(target["expr"])}
    assert {name for rule in alerts() for name in NAME.findall(rule["expr"])} - shown == set()
