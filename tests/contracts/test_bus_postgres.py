import pytest

from goconductor.buses.postgres import PostgresBus
from goconductor.testing.contracts.bus import BusContract, NewBus

pytestmark = pytest.mark.postgres


class TestPostgresBus(BusContract):
    @pytest.fixture
    def new_bus(self, postgres_url: str) -> NewBus:
        return lambda: PostgresBus(postgres_url, poll_interval_seconds=0.2)
