"""librdkafka's statistics, reduced to what a dashboard shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from goconductor.ports.bus_metrics import Statistic

CLIENT = {
    "msg_cnt": ("kafka_client_waiting_messages", False),
    "msg_size": ("kafka_client_waiting_bytes", False),
    "txmsgs": ("kafka_client_sent_messages", True),
    "txmsg_bytes": ("kafka_client_sent_bytes", True),
    "rxmsgs": ("kafka_client_received_messages", True),
    "rxmsg_bytes": ("kafka_client_received_bytes", True),
}
BROKER = {
    "txerrs": ("kafka_broker_send_errors", True),
    "rxerrs": ("kafka_broker_receive_errors", True),
    "txretries": ("kafka_broker_retries", True),
    "req_timeouts": ("kafka_broker_timeouts", True),
    "disconnects": ("kafka_broker_disconnects", True),
}


def reduced(text: str | bytes) -> list[Statistic]:
    """Return the values of one report of a client."""
    return list(_values(msgspec.json.decode(text)))


def _values(report: dict[str, Any]) -> Iterator[Statistic]:
    client = {"client": f"{report['type']} {report['name'].rpartition('-')[2]}"}
    for key, (name, counter) in CLIENT.items():
        yield Statistic(name, client, float(report.get(key, 0)), counter)
    for broker in report.get("brokers", {}).values():
        if broker.get("nodeid", -1) < 0:
            continue  # a bootstrap address, or the group's coordinator again
        labels = {**client, "broker": str(broker["nodeid"])}
        for key, (name, counter) in BROKER.items():
            yield Statistic(name, labels, float(broker.get(key, 0)), counter)
        yield Statistic("kafka_broker_roundtrip_p99_seconds", labels, broker.get("rtt", {}).get("p99", 0) / 1e6, counter=False)
    group = report.get("cgrp")
    if group is not None:
        yield Statistic("kafka_group_rebalances", client, float(group.get("rebalance_cnt", 0)), counter=True)
        yield Statistic("kafka_group_partitions", client, float(group.get("assignment_size", 0)), counter=False)
        yield from _lags(report, client)


def _lags(report: dict[str, Any], client: dict[str, str]) -> Iterator[Statistic]:
    for topic, known in report.get("topics", {}).items():
        for partition, about in known.get("partitions", {}).items():
            if int(partition) >= 0 and about.get("consumer_lag_stored", -1) >= 0:
                labels = {**client, "topic": topic, "partition": partition}
                yield Statistic("kafka_group_lag_messages", labels, float(about["consumer_lag_stored"]), counter=False)
