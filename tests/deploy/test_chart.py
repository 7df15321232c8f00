"""The chart as Helm renders it: what is kept is what it renders, and values that contradict each other are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.helm import (
    CHART,
    KUBERNETES,
    MADE_OF,
    NAMES,
    RENDERED,
    Document,
    Helm,
    RefusedValuesError,
    kept,
    shown,
    sources,
    values_of,
    written,
)
from tests.deploy.settings_schema import SCHEMA, text, with_settings

REWRITE = bool(os.environ.get("GOCONDUCTOR_TEST_REWRITE"))


@pytest.mark.parametrize("name", NAMES)
def test_it_renders_what_is_kept(helm: Helm, name: str) -> None:
    """To keep another rendering: GOCONDUCTOR_TEST_REWRITE=1 .venv/bin/pytest tests/deploy, then read the difference."""
    rendered = shown(helm.template(values_of(name)))
    if REWRITE:
        (RENDERED / f"{name}.yaml").write_text(written(rendered), "utf-8")
        MADE_OF.write_text(sources())
    assert rendered == kept(name)


@pytest.mark.parametrize("name", NAMES)
def test_an_upgrade_renders_the_same_as_an_installation(helm: Helm, name: str) -> None:
    """So a rollback to a chart and its values gives back what they were."""
    assert helm.template(values_of(name), options=("--is-upgrade",)) == helm.template(values_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_lint_finds_nothing(helm: Helm, name: str) -> None:
    printed = helm.run("lint", CHART, "--strict", "--quiet", "--kube-version", KUBERNETES, "--values", values_of(name))
    assert "[WARNING]" not in printed
    assert "[ERROR]" not in printed


def test_alert_rules_and_dashboard_are_the_files_of_the_chart(helm: Helm) -> None:
    documents = helm.template(values_of("observed"))
    (rules,) = (each for each in documents if each["kind"] == "PrometheusRule")
    assert rules["spec"] == yaml.safe_load((CHART / "files" / "alerts.yml").read_text("utf-8"))
    (dashboard,) = (each["data"] for each in documents if each["kind"] == "ConfigMap" and "goconductor.json" in each["data"])
    assert yaml.safe_load(dashboard["goconductor.json"]) == yaml.safe_load(
        (CHART / "files" / "dashboard.json").read_text("utf-8")
    )


def marks(documents: list[Document]) -> set[str]:
    return {each["metadata"]["name"] for each in documents if each["metadata"]["name"].startswith("goconductor-schema-")}


def test_two_releases_that_migrate_one_schema_have_one_mark_which_helm_installs_once(helm: Helm) -> None:
    first, second = (helm.template(values_of("minimal"), release=release) for release in ("shop", "another"))
    assert marks(first) == marks(second) != set()
    assert marks(helm.template(values_of("minimal"), options=("--set", "database.schema=other"))) & marks(first) == set()
    assert marks(helm.template(values_of("joined"))) == set()
    names = [{(each["kind"], each["metadata"]["name"]) for each in documents} for documents in (first, second)]
    assert {name for _, name in names[0] & names[1]} == marks(first)


@pytest.mark.parametrize(
    "auth", [{"settings": {"auth": {"enabled": True}}}, {"server": {"settings": {"auth": {"enabled": True}}}}]
)
def test_rest_that_asks_for_keys_is_exposed_and_not_told_to_be_insecure(helm: Helm, tmp_path: Path, auth: dict[str, Any]) -> None:
    values = {**auth, "server": {"rest": {"exposed": True}, **auth.get("server", {})}}
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump(values))
    documents = helm.template(values_of("minimal"), tmp_path / "keys.yaml")
    (server,) = (each for each in documents if each["kind"] == "Deployment" and each["metadata"]["name"].endswith("-server"))
    variables = {each["name"] for each in server["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert "GOCONDUCTOR_REST_HOST" in variables
    assert "GOCONDUCTOR_REST_INSECURE" not in variables


def test_the_schema_of_the_values_has_the_settings_as_they_are() -> None:
    """Then Helm refuses a setting that a process would refuse at its start. GOCONDUCTOR_TEST_REWRITE=1 writes it anew."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    if REWRITE:
        SCHEMA.write_text(text(with_settings(schema)), "utf-8")
    assert text(with_settings(schema)) == SCHEMA.read_text("utf-8")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no database": ({"database": {"secret": {"name": ""}}}, "database.secret.name is missing"),
    "no image": ({"image": {"repository": ""}}, "build one with the Dockerfile"),
    "an image without a version": ({"image": {"tag": ""}}, "set tag or digest beside registry.example/goconductor"),
    "a drain longer than the grace": (
        {"participants": {"payments": {"settings": {"participant": {"drain_seconds": 30}}}}},
        "participants.payments.terminationGracePeriodSeconds is 40, but the drain may take 30 s, leaving the Service 0 s",
    ),
    "a drain of all that is longer than the grace": (
        {"settings": {"participant": {"drain_seconds": 31.5}}},
        "server.terminationGracePeriodSeconds is 40, but the drain may take 31.5 s",
    ),
    "a drain and a Service that is left too slowly": (
        {"participants": {"payments": {"preStopSeconds": 10, "service": {"ports": [{"port": 80}]}}}},
        "leaving the Service 10 s",
    ),
    "REST beyond loopback without authentication": (
        {"server": {"rest": {"exposed": True}}},
        "server.rest.exposed: whoever reaches REST could start and abort every saga. Set settings.auth.enabled",
    ),
    "REST beyond loopback with keys for all but the server": (
        {
            "settings": {"auth": {"enabled": True}},
            "server": {"rest": {"exposed": True}, "settings": {"auth": {"enabled": False}}},
        },
        "server.rest.exposed: whoever reaches REST",
    ),
    "a URL with a password in the settings": (
        {"settings": {"bus": {"kind": "nats", "url": "nats://user:secret@host"}}},
        "settings.bus.url and settings.traces.endpoint are secrets",
    ),
    "a URL with a password for another bus": (
        {"settings": {"bus": {"others": {"kafka": {"kind": "kafka", "url": "kafka://user:secret@host"}}}}},
        "name it in secretVariables.GOCONDUCTOR_BUS_OTHERS__KAFKA__URL",
    ),
    "a URL with a password beside a reference": (
        {"settings": {"bus": {"kind": "rabbitmq", "url": "amqp://user:secret@host/${secret:vhost}"}}},
        "settings.bus.url and settings.traces.endpoint are secrets",
    ),
    "wrapping keys in two places": (
        {"wrappingKeys": {"secret": {"name": "keys"}}, "settings": {"secrets": {"kind": "environment"}}},
        "settings.secrets is the chart's where wrappingKeys.secret.name is set",
    ),
    "the database in the settings": ({"settings": {"database": {"url": "postgresql://x"}}}, "settings.database is the chart's"),
    "a port of ours in the settings": ({"settings": {"health": {"port": 1}}}, "settings.health is the chart's"),
    "the database among the secrets": (
        {"secretVariables": {"GOCONDUCTOR_DATABASE_URL": {"name": "sagas", "key": "url"}}},
        "name its Secret in database.secret",
    ),
    "scaling by metrics that nobody measures": (
        {"participants": {"payments": {"autoscaling": {"enabled": True, "stepsRunning": 5}}}},
        "set metrics.enabled, or scale by cpuPercent only",
    ),
    "scaling by nothing": (
        {"participants": {"payments": {"autoscaling": {"enabled": True, "cpuPercent": None}}}},
        "nothing to scale by",
    ),
    "fewer at most than at least": (
        {"participants": {"payments": {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}}}},
        "minReplicas is 5, more than maxReplicas, which is 4",
    ),
    "alerts on metrics that nobody measures": (
        {"metrics": {"alerts": {"enabled": True}}},
        "metrics.alerts.enabled needs metrics.enabled",
    ),
    "ports that are one": ({"metrics": {"enabled": True, "port": 8081}}, "must differ"),
    "a migration that ends before it waits": ({"migrations": {"waitSeconds": 600}}, "would end the Job while it still waits"),
    "a participant called server": ({"participants": {"server": {}}}, "the server has this name in the chart"),
    "nothing": ({"migrations": {"enabled": False}, "server": {"enabled": False}}, "nothing is to be run"),
    "a setting that there is not": (
        {"settings": {"participant": {"drain_second": 20}}},
        "drain_second",
    ),
    "a setting beyond its bounds": ({"settings": {"participant": {"lease_seconds": 0}}}, "lease_seconds"),
    "a setting of a wrong type": ({"settings": {"log": {"level": "loud"}}}, "level"),
    "a workload's setting that there is not": (
        {"participants": {"payments": {"settings": {"retention": {"saga_days": 3}}}}},
        "saga_days",
    ),
    "the server's setting beyond its bounds": (
        {"server": {"settings": {"limits": {"payload_bytes_max": 1}}}},
        "payload_bytes_max",
    ),
    "an unknown name": ({"server": {"replica": 3}}, "replica"),
    "a wrong type": ({"server": {"replicas": "three"}}, "server.replicas|/server/replicas"),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_values_that_cannot_be_are_refused_with_place_and_remedy(helm: Helm, tmp_path: Path, why: str) -> None:
    values, told = REFUSED[why]
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(RefusedValuesError) as refused:
        helm.template(values_of("minimal"), tmp_path / "wrong.yaml")
    assert any(each in str(refused.value) for each in told.split("|"))
    assert "secret@" not in str(refused.value)
