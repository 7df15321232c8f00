"""The REST door while its real database comes and goes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from goconductor import app
from goconductor.control.settings.settings import Settings
from goconductor.rest.app import create_app
from goconductor.testing.postgres import PostgresServer
from tests.contracts.clerk import clerk
from tests.doors.conftest import INPUT, ORDER

pytestmark = pytest.mark.postgres

URN = "urn:goconductor:problem:"


@asynccontextmanager
async def door(url: str, **environ: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url, **environ})
    await app.migrate(settings)
    async with (
        app.server(settings) as node,
        httpx.AsyncClient(transport=httpx.ASGITransport(create_app(node, settings)), base_url="http://localhost") as client,
    ):
        assert (await client.put("/v1/definitions/order", json=ORDER)).status_code == 200
        yield client


async def test_while_the_database_is_away_requests_are_told_to_come_back_and_then_served(
    postgres_to_break: PostgresServer,
) -> None:
    url = postgres_to_break.create_database("sagas")
    async with door(url) as client:
        assert (await client.get("/readyz")).json() == {"ready": True, "parts": {"store": "ready", "bus": "ready"}}
        postgres_to_break._end("immediate")  # stop() would take the data with it
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["type"], ready.headers["retry-after"]) == (503, f"{URN}not-ready", "1")
        assert ready.json()["errors"][0]["path"] == "store"
        for answer in (
            await client.post("/v1/sagas/order", json=INPUT),
            await client.get("/v1/sagas"),
            await client.get("/v1/sagas/01920000-0000-7000-8000-000000000000"),
            await client.get("/v1/definitions"),
            await client.put("/v1/definitions/order", json=ORDER),
        ):
            assert (answer.status_code, answer.json()["type"]) == (503, f"{URN}unavailable"), answer.text
            assert answer.headers["retry-after"] == "1"
        assert (await client.get("/livez")).status_code == 200
        postgres_to_break._launch()
        while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110  (a real server's return has no event)
            await asyncio.sleep(0.05)
        assert (await client.post("/v1/sagas/order", json=INPUT, headers={"Idempotency-Key": "1"})).status_code == 202


async def test_a_right_that_is_revoked_is_told_with_table_and_grant(postgres_url: str) -> None:
    owner = await asyncpg.connect(postgres_url, ssl=False)
    try:
        await app.migrate(Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url}))
        async with clerk(postgres_url) as (role, url):
            settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_BUS_URL": postgres_url})
            async with (
                app.server(settings) as node,
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(create_app(node, settings)), base_url="http://localhost"
                ) as client,
            ):
                assert (await client.put("/v1/definitions/order", json=ORDER)).status_code == 200
                await owner.execute(f"REVOKE INSERT ON goconductor.saga_log FROM {role}")
                answer = await client.post("/v1/sagas/order", json=INPUT)
                assert (answer.status_code, answer.json()["type"]) == (503, f"{URN}rights-missing"), answer.text
                assert f"GRANT INSERT ON goconductor.saga_log TO {role}" in answer.json()["detail"]
                await owner.execute(f"GRANT INSERT ON goconductor.saga_log TO {role}")
                assert (await client.post("/v1/sagas/order", json=INPUT)).status_code == 202
    finally:
        await owner.close()


async def test_a_schema_that_is_gone_is_told_with_its_remedy(postgres_url: str) -> None:
    async with door(postgres_url) as client:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("ALTER SCHEMA goconductor RENAME TO elsewhere")
        try:
            ready = await client.get("/readyz")
        finally:
            await connection.execute("ALTER SCHEMA elsewhere RENAME TO goconductor")
            await connection.close()
        assert ready.status_code == 503
        assert "goconductor migrate" in ready.json()["errors"][0]["problem"]


async def test_values_come_back_from_the_database_as_they_were_sent(postgres_url: str) -> None:
    async with door(postgres_url) as client:
        await client.put("/v1/definitions/any", json={"name": "any", "steps": [{"id": "wave", "run": "island.wave"}]})
        value: dict[str, Any] = {
            "text": 'é𝄞\n\t"\\',
            "numbers": [0, -(2**63), 2**63 - 1, 0.1, 1e-300],
            "none": None,
            "deep": [[[[{"a": []}]]]],
        }
        answer = await client.post("/v1/sagas/any", json=value, params={"label": "team=ü"})
        assert (answer.status_code, answer.json()["input"], answer.json()["labels"]) == (202, value, {"team": "ü"})
        assert answer.json()["steps"][0]["reason"] == "island has no live instance"
        history = (await client.get(f"{answer.headers['location']}/history")).json()
        assert history["entries"][0]["data"]["input"] == value


async def test_labels_that_are_no_texts_are_shown_and_found_and_hide_no_other_saga(postgres_url: str) -> None:
    """No door writes such labels, but a release before this one or a hand at the database may have."""
    async with door(postgres_url) as client:
        one, other, plain = [(await client.post("/v1/sagas/order", json=INPUT)).json()["saga_id"] for _ in range(3)]
        connection = await asyncpg.connect(postgres_url)
        change = "UPDATE goconductor.sagas SET labels = $2::text::jsonb WHERE saga_id = $1::text::uuid"
        await connection.execute(change, one, '{"customer": 17, "rate": 1.50, "vip": true, "note": null, "team": "é"}')
        await connection.execute(change, other, '["no", "names"]')
        await connection.close()
        listed = {each["saga_id"]: each["labels"] for each in (await client.get("/v1/sagas")).json()["sagas"]}
        shown = {"customer": "17", "rate": "1.50", "vip": "true", "note": "null", "team": "é"}
        assert listed == {one: shown, other: {}, plain: {}}
        for saga_id, labels in listed.items():
            answer = await client.get(f"/v1/sagas/{saga_id}")
            assert (answer.status_code, answer.json()["labels"]) == (200, labels)
        for label in ("customer=17", "rate=1.50", "vip=true", "team=é"):
            found = (await client.get("/v1/sagas", params={"label": label})).json()["sagas"]
            assert [each["saga_id"] for each in found] == [one]
        assert (await client.post(f"/v1/sagas/{one}/pause")).json()["status"] == "paused"


async def test_while_the_broker_is_absent_sagas_are_accepted_shown_and_paused(postgres_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"postgresql://127.0.0.1:{listener.getsockname()[1]}/x"
    async with door(postgres_url, GOCONDUCTOR_BUS_URL=nobody) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"], ready.json()["parts"]["store"]) == (200, True, "ready")
        assert ready.json()["parts"]["bus"] != "ready"
        answer = await client.post("/v1/sagas/order", json=INPUT)
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        assert (await client.post(f"{answer.headers['location']}/pause")).json()["status"] == "paused"
        assert len((await client.get("/v1/sagas", params={"status": "paused"})).json()["sagas"]) == 1


async def test_who_is_there_and_who_leads(postgres_url: str) -> None:
    async with door(postgres_url) as client:
        (server,) = (await client.get("/v1/participants")).json()["participants"]
        (instance,) = server["instances"]
        assert (server["participant"], instance["alive"]) == ("server", True)
        leader: dict[str, Any] = {}
        while not leader.get("last_sweep"):
            leader = (await client.get("/v1/leader")).json()
            await asyncio.sleep(0.05)
        assert leader["holder"] == instance["name"]
        assert leader["last_sweep"]["epoch"] == leader["epoch"] > 0
        assert leader["last_sweep"]["did"]["rounds"] >= 1
