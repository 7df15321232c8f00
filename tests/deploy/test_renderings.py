"""What the chart becomes, as it was last rendered and looked at: right for Kubernetes, our settings and itself. Needs no Helm."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from goconductor import Settings
from tests.deploy.helm import CHART, MADE_OF, NAMES, Document, kept, sources, values_of
from tests.docs.test_deploy_page import BEYOND_THE_DRAIN_SECONDS

VERSIONS = ("1.27", "1.37")
"""Of Kubernetes: the oldest that the chart takes, and the newest that is known."""
OF_THE_OPERATOR = {"PodMonitor": {"selector", "podTargetLabels", "podMetricsEndpoints"}, "PrometheusRule": set[str]()}
"""Kinds of the Prometheus operator, which Kubernetes does not know, and the names in them that we use."""
SECRETS = {"url": "postgresql://sagas:secret@db.example/sagas", "database-url": "postgresql://sagas:secret@db.example/sagas"}

FOR_A_SERVICE = {
    "GOCONDUCTOR_PORT": "tcp://10.0.0.1:80",
    "GOCONDUCTOR_PORT_80_TCP": "tcp://10.0.0.1:80",
    "GOCONDUCTOR_PORT_80_TCP_PROTO": "tcp",
    "GOCONDUCTOR_PORT_80_TCP_PORT": "80",
    "GOCONDUCTOR_PORT_80_TCP_ADDR": "10.0.0.1",
    "GOCONDUCTOR_SERVICE_HOST": "10.0.0.1",
    "GOCONDUCTOR_SERVICE_PORT": "80",
    "GOCONDUCTOR_SERVICE_PORT_REST": "80",
}
"""What Kubernetes writes for a Service called goconductor, where service links are on."""


def of_kind(name: str, *kinds: str) -> list[Document]:
    return [each for each in kept(name) if each["kind"] in kinds]


def pod_of(document: Document) -> Document:
    pod: Document = document["spec"]["template"]
    return pod


def container_of(document: Document) -> Document:
    (container,) = pod_of(document)["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def variables_of(document: Document) -> dict[str, str]:
    """What a container finds in its environment, with a Secret's value for each reference."""
    return {each["name"]: each.get("value") or secret(each) for each in container_of(document)["env"]}


def secret(variable: Document) -> str:
    if variable["name"] == "GOCONDUCTOR_DATABASE_URL":
        return SECRETS[variable["valueFrom"]["secretKeyRef"]["key"]]
    kafka, collector = "kafka://kafka.example:9092", "http://collector.example:4318/v1/traces"
    return kafka if variable["name"] == "GOCONDUCTOR_BUS_URL" else collector


def settings_of(name: str, document: Document, folder: Path, more: dict[str, str] | None = None) -> Settings:
    """The settings that a workload's process loads."""
    (mounted,) = (each["configMap"]["name"] for each in pod_of(document)["spec"]["volumes"] if "configMap" in each)
    (text,) = (each["data"]["goconductor.yaml"] for each in of_kind(name, "ConfigMap") if each["metadata"]["name"] == mounted)
    path = folder / "goconductor.yaml"
    path.write_text(text)
    variables = variables_of(document)
    (place,) = (each["mountPath"] for each in container_of(document)["volumeMounts"] if each["name"] == "settings")
    assert variables["GOCONDUCTOR_CONFIG"] == f"{place}/goconductor.yaml"
    return Settings.load(environ={**variables, "GOCONDUCTOR_CONFIG": str(path), **(more or {})})


WORKLOADS = [(name, each["metadata"]["name"]) for name in NAMES for each in of_kind(name, "Deployment")]
EACH_WORKLOAD = pytest.mark.parametrize(("name", "workload"), WORKLOADS)
EACH = pytest.mark.parametrize("name", NAMES)


def deployment(name: str, workload: str) -> Document:
    (found,) = (each for each in of_kind(name, "Deployment") if each["metadata"]["name"] == workload)
    return found


def test_they_are_made_of_the_chart_as_it_is_now() -> None:
    """Where Helm is missing, this notices a change of the chart that nobody rendered: tests/deploy/test_chart.py says how."""
    assert MADE_OF.read_text() == sources()


def test_there_are_enough_sets_of_values_and_each_option_is_in_one() -> None:
    assert len(NAMES) >= 6
    kinds = {each["kind"] for name in NAMES for each in kept(name)}
    assert kinds == {
        *("ConfigMap", "Deployment", "Job", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"),
        *OF_THE_OPERATOR,
    }


@EACH
def test_the_values_fit_their_schema(name: str) -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text("utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    for path in (CHART / "values.yaml", values_of(name)):
        jsonschema.Draft7Validator(schema).validate(yaml.safe_load(path.read_text("utf-8")))


def test_the_schema_knows_each_value_and_no_other() -> None:
    """On the first two levels; what is below belongs to Kubernetes, or is refused by the schema itself."""
    schema = yaml.safe_load((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert set(schema["properties"]) - {"global"} == set(values)
    of_defaults = set(values["defaults"])
    assert set(schema["properties"]["defaults"]["properties"]) == of_defaults
    own = {"settings", "env", "secretVariables", "volumes", "volumeMounts"}
    assert set(schema["properties"]["server"]["properties"]) == of_defaults | own | set(values["server"])


@pytest.mark.parametrize("version", VERSIONS)
@EACH
def test_kubernetes_takes_them(name: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = functools.cache(kubernetes_validate.utils.schema_contents)
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", read)  # 2 MB of definitions for each object otherwise
    for each in kept(name):
        if each["kind"] in OF_THE_OPERATOR:
            assert each["apiVersion"] == "monitoring.coreos.com/v1"
            assert set(each["spec"]) == OF_THE_OPERATOR[each["kind"]] or each["spec"] == "files/alerts.yml"
        else:
            assert kubernetes_validate.validate(each, version, strict=True) == version


@EACH
def test_no_pod_may_do_more_than_it_needs(name: str) -> None:
    for each in of_kind(name, "Deployment", "Job"):
        pod, container = pod_of(each)["spec"], container_of(each)
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert container["resources"]["limits"]["memory"]


@EACH
def test_no_secret_is_written_down(name: str) -> None:
    for each in of_kind(name, "Deployment", "Job"):
        for variable in container_of(each)["env"]:
            if variable["name"].endswith(("_URL", "_ENDPOINT")):
                assert "secretKeyRef" in variable["valueFrom"]


@EACH_WORKLOAD
def test_what_a_process_is_given_are_settings(name: str, workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside a Service called goconductor, in a pod that somebody made with service links."""
    settings = settings_of(name, deployment(name, workload), tmp_path, FOR_A_SERVICE)
    assert settings.warnings == []


@EACH_WORKLOAD
def test_probes_ask_what_they_mean_where_the_process_listens(name: str, workload: str, tmp_path: Path) -> None:
    """A database that is away makes a pod not ready, and never restarts it: /livez is the event loop's alone."""
    document = deployment(name, workload)
    container, settings = container_of(document), settings_of(name, document, tmp_path)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert len(set(ports.values())) == len(ports)
    assert (settings.health.host, settings.health.port) == ("0.0.0.0", ports["health"])
    assert settings.metrics.port == ports.get("metrics")
    asked = {probe: container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {
        "startupProbe": {"path": "/livez", "port": "health"},
        "livenessProbe": {"path": "/livez", "port": "health"},
        "readinessProbe": {"path": "/readyz", "port": "health"},
    }


@EACH_WORKLOAD
def test_the_drain_fits_the_time_until_the_kill(name: str, workload: str, tmp_path: Path) -> None:
    document = deployment(name, workload)
    before = container_of(document).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])[1]
    drain = settings_of(name, document, tmp_path).participant.drain_seconds
    assert pod_of(document)["spec"]["terminationGracePeriodSeconds"] > drain + float(before) + BEYOND_THE_DRAIN_SECONDS


@EACH_WORKLOAD
def test_rest_is_on_loopback_unless_the_values_say_otherwise(name: str, workload: str, tmp_path: Path) -> None:
    values = yaml.safe_load(values_of(name).read_text("utf-8"))
    exposed = values.get("server", {}).get("rest", {}).get("exposed", False) and workload.endswith("-server")
    settings = settings_of(name, deployment(name, workload), tmp_path)
    assert (settings.rest.host, settings.rest.insecure) == (("0.0.0.0", True) if exposed else ("127.0.0.1", False))


def test_a_migration_needs_no_other_object_of_the_release_as_it_runs_before_them() -> None:
    for name in set(NAMES) - {"joined"}:
        (job,) = of_kind(name, "Job")
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert {"emptyDir"} == {kind for each in pod_of(job)["spec"]["volumes"] for kind in each if kind != "name"}
        assert container_of(job)["command"][:2] == ["goconductor", "migrate"]
        assert Settings.load(environ=variables_of(job)).warnings == []


def test_who_joins_an_installation_migrates_nothing() -> None:
    assert {each["kind"] for each in kept("joined")} == {"ConfigMap", "Deployment"}


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@EACH
def test_each_selector_finds_the_pods_that_are_meant(name: str) -> None:
    workloads = of_kind(name, "Deployment")
    labels = {each["metadata"]["name"]: pod_of(each)["metadata"]["labels"] for each in workloads}
    for each in workloads:
        (found,) = [other for other, has in labels.items() if matches(each["spec"]["selector"]["matchLabels"], has)]
        assert found == each["metadata"]["name"]
        for constraint in pod_of(each)["spec"].get("topologySpreadConstraints", []):
            assert matches(constraint["labelSelector"]["matchLabels"], labels[found])
    for each in of_kind(name, "PodDisruptionBudget"):
        selector = each["spec"]["selector"]["matchLabels"]
        assert [other for other, has in labels.items() if matches(selector, has)] == [each["metadata"]["name"]]
    for each in of_kind(name, "HorizontalPodAutoscaler"):
        assert each["spec"]["scaleTargetRef"]["name"] in labels
        assert "replicas" not in deployment(name, each["spec"]["scaleTargetRef"]["name"])["spec"]


@EACH
def test_each_port_that_is_let_in_or_served_is_one_of_a_container(name: str) -> None:
    pods = [(pod_of(each)["metadata"]["labels"], container_of(each)["ports"]) for each in of_kind(name, "Deployment")]
    asked: list[tuple[dict[str, str], Any]] = [
        (each["spec"]["selector"], port["targetPort"]) for each in of_kind(name, "Service") for port in each["spec"]["ports"]
    ]
    asked += [
        (each["spec"]["podSelector"]["matchLabels"], port["port"])
        for each in of_kind(name, "NetworkPolicy")
        for rule in each["spec"]["ingress"]
        for port in rule["ports"]
    ]
    for selector, port in asked:
        found = [ports for labels, ports in pods if matches(selector, labels)]
        assert found
        assert all(port in {each["name"] for each in ports} for ports in found)


def test_by_default_nobody_is_let_in() -> None:
    (policy,) = of_kind("minimal", "NetworkPolicy")
    assert policy["spec"]["ingress"] == []
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (migration,) = of_kind("minimal", "Job")
    assert matches(policy["spec"]["podSelector"]["matchLabels"], pod_of(migration)["metadata"]["labels"])


def test_a_wrong_value_is_seen_by_the_checks_above() -> None:
    """The schemas are there and strict: a name that Kubernetes does not know is refused."""
    (job,) = of_kind("minimal", "Job")
    job["spec"]["template"]["spec"]["hostNetwrok"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="hostNetwrok"):
        kubernetes_validate.validate(job, VERSIONS[-1], strict=True)
