"""What a page of another site asks over REST: it may change nothing (cross-site request forgery)."""

from __future__ import annotations

import pytest

from tests.doors.conftest import INPUT, Shop
from tests.doors.test_rest_problems import problem


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://[evil"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://localhost@evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/sagas/order"),
        ("POST", "/v1/schedules/nightly/fire"),
        ("PUT", "/v1/schedules/nightly"),
        ("DELETE", "/v1/schedules/nightly"),
        ("POST", "/v1/dead-letters/1/redrive"),
        ("POST", "/v1/nothing"),
    ],
)
async def test_a_page_of_another_site_changes_nothing(shop: Shop, method: str, path: str, headers: dict[str, str]) -> None:
    schedule = {"saga": "order", "input": INPUT, "every_seconds": 86_400}
    assert (await shop.client.post("/v1/schedules/nightly", json=schedule)).status_code == 201
    before = (await shop.client.get("/v1/schedules/nightly")).json()
    answer = await shop.client.request(method, path, headers={"host": "localhost", **headers})
    assert "this very host and port" in problem(answer, 403, "cross-site")["detail"]
    assert (await shop.client.get("/v1/schedules/nightly")).json() == before
    assert (await shop.client.get("/v1/sagas")).json()["sagas"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:8080"},
        {"origin": "https://LOCALHOST:8080", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_a_page_of_this_host_and_a_program_may_change_something(shop: Shop, headers: dict[str, str]) -> None:
    headers = {"host": "localhost:8080", **headers}
    assert (await shop.client.post("/v1/sagas/order", json=INPUT, headers=headers)).status_code == 202


async def test_a_page_of_another_site_may_ask_for_what_it_cannot_read(shop: Shop) -> None:
    answer = await shop.client.get("/v1/sagas", headers={"origin": "http://evil.example", "sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
