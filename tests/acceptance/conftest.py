"""A bank of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from goconductor.testing.postgres import PostgresAddress
from tests.acceptance.bank import Bank, opened


@pytest.fixture
async def bank(postgres_server: PostgresAddress, tmp_path: Path) -> AsyncIterator[Bank]:
    async with opened(postgres_server, f"acceptance_{secrets.token_hex(4)}", tmp_path) as made:
        yield made
