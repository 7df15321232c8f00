"""The election by etcd when holders die or stand still, its server is restarted or loses its data, and lines are cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.contracts.election_faults import ElectionServerFaults
from tests.servers.child import Child
from tests.servers.etcd import EtcdServer

pytestmark = [pytest.mark.etcd, pytest.mark.postgres]


class TestEtcdFaults(ElectionServerFaults):
    kind = "etcd"

    @pytest.fixture
    def server(self, etcd_to_break: EtcdServer) -> Child:
        return etcd_to_break

    def options_at(self, port: int) -> Mapping[str, Any]:
        return {"endpoints": f"http://127.0.0.1:{port}"}

    def port(self, server: Child) -> int:
        assert isinstance(server, EtcdServer)
        return server.port

    def forget(self, server: Child) -> None:
        assert isinstance(server, EtcdServer)
        server.forget()
