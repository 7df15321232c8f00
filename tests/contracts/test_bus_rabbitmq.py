import pytest

from goconductor.buses.rabbitmq import RabbitmqBus
from goconductor.testing.contracts.bus import BusContract, NewBus

pytestmark = pytest.mark.rabbitmq


class TestRabbitmqBus(BusContract):
    @pytest.fixture
    def new_bus(self, rabbitmq_url: str, rabbitmq_prefix: str) -> NewBus:
        return lambda: RabbitmqBus(rabbitmq_url, prefix=rabbitmq_prefix, send_timeout_seconds=60.0)
