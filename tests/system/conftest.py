"""A server that steps may call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from goconductor.system.http.steps import HttpSteps
from goconductor.system.secrets import Secret, Secrets
from tests.system.server import Server, serving

CANARY = "hunter2-canary"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
def http(server: Server, monkeypatch: pytest.MonkeyPatch) -> HttpSteps:
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    secrets = Secrets(
        {
            "token": Secret(("localhost",), variable="SHOP_TOKEN", plaintext=True),
            "bank": Secret(("bank.example",), variable="SHOP_TOKEN", plaintext=True),
            "over_tls": Secret(("localhost",), variable="SHOP_TOKEN"),
        }
    )
    return HttpSteps(server.guard(), secrets, answer_bytes_max=10_000)
