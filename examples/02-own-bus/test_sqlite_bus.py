"""The suite that every bus passes, ours as well."""

from pathlib import Path

import pytest
from sqlite_bus import SqliteBus

from goconductor.testing import BusContract, NewBus


class TestSqliteBus(BusContract):
    @pytest.fixture
    def new_bus(self, tmp_path: Path) -> NewBus:
        return lambda: SqliteBus(f"sqlite://{tmp_path}/messages.db")
