"""What may be set, and that nothing secret is told."""

from typing import Any

import pytest

from goconductor.buses.kafka import KafkaBus
from goconductor.buses.kafka.configuration import RESERVED, servers
from goconductor.control.settings.settings import Settings
from goconductor.errors import ConfigurationError
from goconductor.leaves import makes_of_buses


@pytest.mark.parametrize(
    ("url", "bootstrap"),
    [
        ("kafka://one.example:9092,two.example:9093", "one.example:9092,two.example:9093"),
        ("kafka://one.example:9092/", "one.example:9092"),
        ("one.example, [::1]:9092", "one.example,[::1]:9092"),
    ],
)
def test_a_url_is_a_bootstrap_list(url: str, bootstrap: str) -> None:
    assert servers(url) == bootstrap


@pytest.mark.parametrize("url", ["", "kafka://", "postgresql://u:hunter2@h/d", "kafka://u:hunter2@h:9092", "kafka://h:port"])
def test_another_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="kafka://host:port") as raised:
        KafkaBus(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("name", RESERVED)
def test_a_setting_that_would_break_a_promise_is_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        KafkaBus("kafka://h:9092", librdkafka={name: "hunter2"})
    assert repr(name) in str(raised.value)
    assert RESERVED[name] in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("options", [{"linger.m": 1}, {"security.protocol": "hunter2"}])
async def test_a_setting_that_librdkafka_refuses_is_named_without_its_value(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))) as raised:
        await KafkaBus("kafka://h:9092", librdkafka=options).open()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"partitions": 0},
        {"replication": 0},
        {"session_timeout_seconds": 0},
        {"drain_seconds": -1},
        {"group_protocol": "newest"},
        {"librdkafka": {"linger.ms": None}},
    ],
)
def test_a_number_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        KafkaBus("kafka://h:9092", **options)


def test_every_setting_of_librdkafka_can_be_reached_from_the_environment() -> None:
    settings = Settings.load(
        environ={
            "GOCONDUCTOR_DATABASE_URL": "postgresql://h/d",
            "GOCONDUCTOR_BUS_KIND": "kafka",
            "GOCONDUCTOR_BUS_URL": "kafka://h:9092",
            "GOCONDUCTOR_BUS_OPTIONS__LIBRDKAFKA": "{linger.ms: 5, sasl.username: me, sasl.password: hunter2}",
        }
    )
    bus = makes_of_buses(settings)["kafka"]()
    assert isinstance(bus, KafkaBus)
    producer = bus._configuration.producer()
    assert (producer["linger.ms"], producer["sasl.username"], producer["sasl.password"]) == (5, "me", "hunter2")
    assert (producer["acks"], producer["enable.idempotence"]) == ("all", True)
    assert "hunter2" not in f"{settings!r} {settings.shown()} {bus!r}"
