"""The versions of the servers that the tests start, and of Helm, where they are ours to choose: they are pinned nowhere else.

PostgreSQL, RabbitMQ, etcd and ZooKeeper are the machine's own, from its packages; only where a container must stand in for them
is there something to choose.
"""

from pathlib import Path

SERVICES = Path(__file__).parents[2] / ".services"
"""Where servers that were fetched are kept."""

ELASTICMQ = "1.6.12"
HELM = "3.22.0"
KAFKA = "4.4.0"
KINESIS = "0.6.2"
NATS = "2.15.2"

ETCD_IMAGE = "gcr.io/etcd-development/etcd:v3.6.0"
KAFKA_IMAGE = f"apache/kafka:{KAFKA}"
NATS_IMAGE = f"nats:{NATS}-alpine"
POSTGRES_IMAGE = "postgres:17"
RABBITMQ_IMAGE = "rabbitmq:4-alpine"
ZOOKEEPER_IMAGE = "zookeeper:3.9"
