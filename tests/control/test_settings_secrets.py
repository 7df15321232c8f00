"""References to secrets in settings: where one may stand, what it becomes, and how it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from goconductor.control.settings.settings import Settings
from goconductor.errors import ConfigurationError

URL = "postgresql://app:pw@db.example/sagas"
CANARY = "CaNaRyInTheMine"
DOCUMENT = """
bus:
  kind: rabbitmq
  url: amqp://shop:${secret:rabbit}@mq.example/${secret:vhost}
  others:
    kafka:
      kind: kafka
      url: 'k:9092'
      options: {librdkafka: {sasl.password: '${secret:kafka}', acks: 1}, names: ['${secret:a}']}
election: {kind: etcd, options: {password: 'x-${secret:etcd}-y', user: shop}}
traces: {enabled: true, endpoint: '${secret:traces}'}
system: {secrets: {pay: {value: '${secret:pay}', hosts: [pay.example]}}}
"""
VALUES = {
    "rabbit": "p@:/?#[]ä%",
    "vhost": "a/b",
    "kafka": "it's",
    "a": "${secret:b}",
    "etcd": "p@",
    "traces": "http://collector/v1/traces",
    "pay": "token",
}


def loaded(path: Path, document: str = DOCUMENT, **environ: str) -> Settings:
    path.write_text(document)
    return Settings.load(path, environ={"GOCONDUCTOR_DATABASE_URL": URL, **environ})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def test_every_reference_is_found_with_its_place(file: Path) -> None:
    assert {reference.name: ".".join(reference.place) for reference in loaded(file).references} == {
        "rabbit": "bus.url",
        "vhost": "bus.url",
        "kafka": "bus.others.kafka.options.librdkafka.sasl.password",
        "a": "bus.others.kafka.options.names",
        "etcd": "election.options.password",
        "traces": "traces.endpoint",
        "pay": "system.secrets.pay.value",
    }


def test_values_take_the_place_of_references_and_are_escaped_inside_of_urls(file: Path) -> None:
    settings = loaded(file, GOCONDUCTOR_RECOVERY_BATCH="7").filled(VALUES)
    assert settings.bus.url is not None
    assert settings.bus.url.get_secret_value() == "amqp://shop:p%40%3A%2F%3F%23%5B%5D%C3%A4%25@mq.example/a%2Fb"
    kafka = settings.bus.others["kafka"].options
    assert kafka == {"librdkafka": {"sasl.password": "it's", "acks": 1}, "names": ["${secret:b}"]}
    assert settings.election.options == {"password": "x-p@-y", "user": "shop"}
    assert settings.traces.endpoint is not None
    assert settings.traces.endpoint.get_secret_value() == "http://collector/v1/traces"
    secret = settings.system.secrets["pay"].value
    assert secret is not None
    assert secret.get_secret_value() == "token"
    assert settings.recovery.batch == 7
    assert settings.origins("recovery", "batch") == ["GOCONDUCTOR_RECOVERY_BATCH"]
    assert settings.references == []  # what a value looks like does not matter


def test_a_reference_is_shown_and_what_stands_around_it_is_not(file: Path) -> None:
    shown = loaded(file).shown()
    assert shown["bus"]["url"] == "${secret:rabbit} ${secret:vhost}"
    assert shown["bus"]["others"]["kafka"]["options"] == {"librdkafka": "${secret:kafka}", "names": "${secret:a}"}
    assert shown["election"]["options"] == {"password": "${secret:etcd}", "user": "**********"}
    assert shown["system"]["secrets"]["pay"]["value"] == "${secret:pay}"
    assert shown["bus"]["others"]["kafka"]["url"] == "**********"


def test_no_value_is_shown(file: Path) -> None:
    settings = loaded(file).filled(dict.fromkeys(VALUES, CANARY) | {"traces": f"http://{CANARY}/"})
    assert CANARY not in repr(settings) + str(settings) + str(settings.shown()) + settings.model_dump_json(
        exclude={"bus", "election"}
    )


def test_a_value_that_a_setting_cannot_have_is_refused_and_not_quoted(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"traces\.endpoint: should look like") as refused:
        loaded(file).filled(VALUES | {"traces": CANARY})
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("DATABASE_URL", "postgresql://app:${secret:pw}@db/sagas", "secrets are kept in this very database"),
        ("DATABASE_URL", "${secret:url}", "secrets are kept in this very database"),
        ("DATABASE_SCHEMA_NAME", "${secret:s}", "DATABASE_SCHEMA_NAME"),
        ("SECRETS_OPTIONS__PATH", "${secret:path}", "where the keys are that decrypt secrets"),
        ("RECOVERY_BATCH", "${secret:n}", "RECOVERY_BATCH: should be a whole number"),
        ("BUS_URL", "${secret:}", r"should refer to a secret as \$\{secret:NAME\}"),
        ("BUS_URL", "${secret:a b}", r"should refer to a secret as \$\{secret:NAME\}"),
        ("BUS_URL", "${secret:a", r"should refer to a secret as \$\{secret:NAME\}"),
        ("BUS_URL", f"${{secret:{'a' * 61}}}", r"should refer to a secret as \$\{secret:NAME\}"),
        ("BUS_URL", "${secret:${secret:a}}", r"should refer to a secret as \$\{secret:NAME\}"),
        ("SYSTEM_SECRETS", f"{{a: {{value: {CANARY}, hosts: [a.example]}}}}", r"should be \$\{secret:NAME\}"),
        ("SYSTEM_SECRETS", f"{{a: {{value: 'x${{secret:a}}{CANARY}', hosts: [a.example]}}}}", r"should be \$\{secret:NAME\}"),
        ("SYSTEM_SECRETS", "{a: {value: '${secret:a}', file: b, hosts: [a.example]}}", "one of 'variable', 'file' and 'value'"),
        ("EVENTS_TOPIC", "${secret:t}", "EVENTS_TOPIC"),
    ],
)
def test_where_none_may_stand_it_is_refused_with_the_reason(file: Path, variable: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refused:
        loaded(file, "", **{f"GOCONDUCTOR_{variable}": value})
    assert CANARY not in str(refused.value)


def test_what_is_shown_in_logs_takes_no_secret(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"rest\.certificate.*cannot refer to a secret, as its value is shown"):
        loaded(file, "rest: {certificate: '${secret:c}', certificate_key: k.pem}")
    with pytest.raises(ConfigurationError, match=r"bus\.name: should match"):
        loaded(file, "bus: {name: '${secret:c}'}")


def test_settings_made_by_hand_are_checked_alike() -> None:
    given: Any = {"database": {"url": URL}, "bus": {"url": "${secret:bus}"}}
    assert [reference.name for reference in Settings(**given).references] == ["bus"]
    with pytest.raises(ConfigurationError, match=r"bus\.url: should refer to a secret"):
        Settings(**given | {"bus": {"url": "${secret:}"}})
