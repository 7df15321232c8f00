"""SQS breaks, and what is SQS's own. ElasticMQ keeps its messages over a restart; it checks no credentials, which moto does."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from goconductor.buses.sqs import SqsBus
from goconductor.testing.servers.elasticmq import ElasticmqServer
from tests.contracts.amazon_rights import AmazonRights
from tests.contracts.bus_on_a_server import KeepsItsMessages

pytestmark = pytest.mark.sqs

OPTIONS: dict[str, Any] = {
    "wait_seconds": 1,
    "groups_cache_seconds": 0.2,
    "connect_timeout_seconds": 5.0,
    "send_timeout_seconds": 60.0,
}


class TestSqsBusOnAServer(KeepsItsMessages):
    kind = SqsBus
    many = 5_000
    backlog = 600, 20_000
    load = 500
    dies_soon: ClassVar[Mapping[str, Any]] = {"visibility_seconds": 6}

    @pytest.fixture
    def server(self, sqs_to_break: ElasticmqServer) -> ElasticmqServer:
        return sqs_to_break

    @pytest.fixture
    def options(self, amazon_prefix: str) -> dict[str, Any]:
        return {"prefix": amazon_prefix, **OPTIONS}


class TestSqsBusAndItsRights(AmazonRights):
    kind = SqsBus
    service = "sqs"

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {**OPTIONS}
