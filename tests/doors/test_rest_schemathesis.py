"""A stranger reads our OpenAPI document and tries everything: what it allows, what it forbids, and what it does not mention.

Schemathesis runs as the program that it is, against a real server with a real participant and a real database, so that sagas,
steps and definitions are there to be asked for. Left out is one check of its own: that everything the document allows is
accepted; a document cannot say that a saga may be resumed only while it is paused.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from goconductor.buses.postgres import PostgresBus
from goconductor.engine.node import Node
from goconductor.keyrings.environment import VARIABLE
from goconductor.ports.store import DeadLetter
from goconductor.stores.postgres import PostgresStore, migrate
from tests.contracts.wrapping_keys import text_of
from tests.doors.conftest import INPUT, ORDER, Shop
from tests.doors.test_rest_reference import document

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

EXAMPLES = 3
SEED = 20

SETTINGS = """
[parameters]
"path.saga_id" = "{stuck}"
"path.step" = "reserve"
"path.letter_id" = 1

[[operations]]
include-name = "POST /v1/sagas/{{saga}}"
parameters = {{ "path.saga" = "order" }}

[[operations]]
include-name = "GET /v1/sagas/{{saga}}"
parameters = {{ "path.saga" = "{stuck}" }}

[[operations]]
include-path = "/v1/sagas/{{saga_id}}/events"
parameters = {{ "path.saga_id" = "{done}" }}

[[operations]]
include-path = "/v1/events"
enabled = false

[[operations]]
include-path-regex = "^/v1/definitions/"
parameters = {{ "path.name" = "order", "path.version" = "active" }}

[[operations]]
include-path-regex = "^/v1/flows/[^/]+(/steps.*)?$"
parameters = {{ "path.name" = "basket" }}

[[operations]]
include-path-regex = "^/v1/flows/[^/]+/executions/[^/]+(/steps.*|/pause|/resume|/abort)?$"
parameters = {{ "path.name" = "basket", "path.saga_id" = "{executed}" }}

[[operations]]
include-path-regex = "^/v1/flows/[^/]+/executions(/[^/]+/stop)?$"
parameters = {{ "path.name" = "basket", "path.saga_id" = "{executed}", "query.wait_seconds" = 0 }}
"""


@asynccontextmanager
async def serving(folder: Path, url: str) -> AsyncIterator[str]:
    """``goconductor serve`` as a process."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GOCONDUCTOR_")}
    environ |= {"GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_REST_PORT": "0", "PYTHONUNBUFFERED": "1"}
    environ |= {"GOCONDUCTOR_SECRETS_KIND": "environment", VARIABLE: text_of(["k1"])}
    program = [sys.executable, "-c", "from goconductor.cli import main; main()", "serve"]
    process = await asyncio.create_subprocess_exec(*program, cwd=folder, env=environ, stdout=PIPE)
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().split()[2].removesuffix("/v1,")
    finally:
        process.terminate()
        await process.wait()


async def started(client: httpx.AsyncClient, **input: Any) -> str:
    answer = await client.post("/v1/sagas/order", params={"wait_seconds": 300}, json={**INPUT, **input})
    saga_id: str = answer.json()["saga_id"]
    return saga_id


async def test_schemathesis_finds_nothing(postgres_url: str, tmp_path: Path) -> None:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url)
    bus, steps = PostgresBus(postgres_url), Shop().steps()
    node = Node(store=store, bus=bus, open_store=lambda: PostgresStore(postgres_url), registry=steps)
    await node.open()
    try:
        await store.dead_letters.put(DeadLetter(topic="elsewhere", payload=b"1", reason="not ours"))
        async with serving(tmp_path, postgres_url) as base_url:
            async with httpx.AsyncClient(base_url=base_url, timeout=300) as client:
                assert (await client.put("/v1/definitions/order", json=ORDER)).status_code == 200
                reserve = {"id": "reserve", "run": "shop.reserve", "inputs": {"sku": {"value": "tea"}, "quantity": {"value": 1}}}
                assert (await client.post("/v1/flows/basket/steps", json={"step": reserve})).status_code == 200
                executed = (await client.post("/v1/flows/basket/executions", json={})).json()["saga_id"]
                done, stuck = await started(client), await started(client, sku="glued", card="declined")
            settings = tmp_path / "schemathesis.toml"
            settings.write_text(SETTINGS.format(stuck=stuck, done=done, executed=executed))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run", f"{base_url}/openapi.json"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", str(SEED)),
                *("--generation-deterministic", "--continue-on-failure", "--request-timeout", "60"),
                *("--exclude-checks", "positive_data_acceptance", "--warnings", "off", "--no-color"),
                cwd=tmp_path,
                stdout=PIPE,
                stderr=STDOUT,
            )
            told = (await process.communicate())[0].decode()
    finally:
        await node.close()
    assert process.returncode == 0, told
    count = sum(len(methods) for methods in document()["paths"].values())
    assert f"{count - 1} selected / {count} total" in told, told  # all but the stream of all events, which never ends
