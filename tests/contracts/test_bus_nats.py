import pytest

from goconductor.buses.nats import NatsBus
from goconductor.testing.contracts.bus import BusContract, NewBus

pytestmark = pytest.mark.nats


class TestNatsBus(BusContract):
    @pytest.fixture
    def new_bus(self, nats_url: str, nats_prefix: str) -> NewBus:
        return lambda: NatsBus(nats_url, prefix=nats_prefix, send_timeout_seconds=60.0)
