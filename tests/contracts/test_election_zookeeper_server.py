"""The election by ZooKeeper when holders die or stand still, its server is restarted or loses its data, and lines are cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.contracts.election_faults import ElectionServerFaults
from tests.servers.child import Child
from tests.servers.zookeeper import ZooKeeperServer

pytestmark = [pytest.mark.zookeeper, pytest.mark.postgres]


class TestZooKeeperFaults(ElectionServerFaults):
    kind = "zookeeper"

    @pytest.fixture
    def server(self, zookeeper_to_break: ZooKeeperServer) -> Child:
        return zookeeper_to_break

    def options_at(self, port: int) -> Mapping[str, Any]:
        return {"hosts": f"127.0.0.1:{port}", "session_seconds": 3}

    def port(self, server: Child) -> int:
        assert isinstance(server, ZooKeeperServer)
        return server.port

    def forget(self, server: Child) -> None:
        assert isinstance(server, ZooKeeperServer)
        server.forget()
