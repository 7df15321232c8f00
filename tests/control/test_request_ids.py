"""A request with an id, sent again because its answer was lost: it is done once, and answered like the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from goconductor.control.actor import ANYBODY
from goconductor.control.faults import RequestInvalidError
from goconductor.control.models import SagaDetail
from goconductor.control.sagas import requests
from goconductor.control.sagas.requests import Precautions
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    InputEdited,
    OutcomeDeclared,
    PauseRequested,
    ResumeRequested,
    RetryRequested,
    SkipRequested,
    TerminationRequested,
)
from goconductor.testing.clock import settle
from tests.control.conftest import Bench

Ask = Callable[[Node, UUID], Awaitable[SagaDetail]]


async def test_an_abort_sent_again_after_the_saga_has_ended_is_answered_like_the_first(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    await requests.ask(ANYBODY, bench.node, saga_id, AbortRequested(reason="the customer left"), Precautions(request_id="a-1"))
    await bench.world.end_of(saga_id)
    before = await bench.world.events(saga_id)
    again = await requests.ask(
        ANYBODY, bench.node, saga_id, AbortRequested(reason="the customer left"), Precautions(request_id="a-1")
    )
    assert (again.status, again.reason) == ("compensated", "aborted: the customer left")
    assert await bench.world.events(saga_id) == before
    with pytest.raises(requests.RefusedNowError, match="allowed now: restart_as_new"):
        await requests.ask(
            ANYBODY, bench.node, saga_id, AbortRequested(reason="the customer left"), Precautions(request_id="a-2")
        )


@pytest.mark.parametrize(
    ("event", "ask"),
    [
        (
            "PauseRequested",
            lambda node, saga: requests.ask(ANYBODY, node, saga, PauseRequested(reason="lunch"), Precautions(request_id="r")),
        ),
        ("AbortRequested", lambda node, saga: requests.ask(ANYBODY, node, saga, AbortRequested(), Precautions(request_id="r"))),
        (
            "TerminationRequested",
            lambda node, saga: requests.ask(
                ANYBODY, node, saga, TerminationRequested(reason="enough"), Precautions(request_id="r")
            ),
        ),
        (
            "InputEdited charge",
            lambda node, saga: requests.ask(
                ANYBODY, node, saga, InputEdited("charge", inputs={"card": "1"}, reason="typo"), Precautions(request_id="r")
            ),
        ),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_request_that_came_twice_is_done_once(bench: Bench, event: str, ask: Ask, *, at_once: bool) -> None:
    saga_id = await bench.start(card="busy")
    if at_once:
        await asyncio.gather(ask(bench.node, saga_id), ask(bench.node, saga_id))
    else:
        await ask(bench.node, saga_id)
        await ask(bench.node, saga_id)
    assert (await bench.world.events(saga_id)).count(event) == 1


@pytest.mark.parametrize(
    ("event", "ask"),
    [
        (
            "RetryRequested reserve",
            lambda node, saga: requests.ask(ANYBODY, node, saga, RetryRequested("reserve"), Precautions(request_id="r")),
        ),
        (
            "SkipRequested reserve",
            lambda node, saga: requests.ask(
                ANYBODY, node, saga, SkipRequested("reserve", reason="lost", forced=True), Precautions(request_id="r")
            ),
        ),
        (
            "OutcomeDeclared reserve",
            lambda node, saga: requests.ask(
                ANYBODY, node, saga, OutcomeDeclared("reserve", happened=True, reason="seen"), Precautions(request_id="r")
            ),
        ),
    ],
)
async def test_a_button_pressed_twice_is_pressed_once(bench: Bench, event: str, ask: Ask) -> None:
    saga_id = await bench.stuck()
    await ask(bench.node, saga_id)
    await settle()
    await ask(bench.node, saga_id)
    assert (await bench.world.events(saga_id)).count(event) == 1


async def test_a_resume_sent_again_after_another_pause_does_not_lift_that_one(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    await requests.ask(ANYBODY, bench.node, saga_id, PauseRequested(), Precautions(request_id="p-1"))
    await requests.ask(ANYBODY, bench.node, saga_id, ResumeRequested(), Precautions(request_id="r-1"))
    await requests.ask(ANYBODY, bench.node, saga_id, PauseRequested(), Precautions(request_id="p-2"))
    assert (await requests.ask(ANYBODY, bench.node, saga_id, ResumeRequested(), Precautions(request_id="r-1"))).status == "paused"


async def test_an_id_that_stands_for_another_request_is_refused(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    await requests.ask(ANYBODY, bench.node, saga_id, PauseRequested(reason="lunch"), Precautions(request_id="p-1"))
    with pytest.raises(requests.RequestIdReusedError):
        await requests.ask(ANYBODY, bench.node, saga_id, ResumeRequested(), Precautions(request_id="p-1"))
    with pytest.raises(requests.RequestIdReusedError):
        await requests.ask(ANYBODY, bench.node, saga_id, PauseRequested(reason="dinner"), Precautions(request_id="p-1"))


async def test_two_requests_under_one_id_at_the_same_moment_are_not_both_confirmed(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    asked = [
        requests.ask(ANYBODY, bench.node, saga_id, PauseRequested(reason=reason), Precautions(request_id="p-1"))
        for reason in ("lunch", "dinner")
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["RequestIdReusedError", "SagaDetail"]
    assert (await bench.world.events(saga_id)).count("PauseRequested") == 1


async def test_the_same_id_names_different_requests_of_different_sagas(bench: Bench) -> None:
    one, other = await bench.start(card="busy"), await bench.start(card="busy")
    await requests.ask(ANYBODY, bench.node, one, PauseRequested(), Precautions(request_id="p-1"))
    assert (await requests.ask(ANYBODY, bench.node, other, PauseRequested(), Precautions(request_id="p-1"))).status == "paused"


@pytest.mark.parametrize("request_id", ["", "a" * 256, "caf\xe9", "a\0"])
async def test_what_cannot_be_an_id_is_refused_by_its_place(bench: Bench, request_id: str) -> None:
    saga_id = await bench.start(card="busy")
    with pytest.raises(RequestInvalidError, match="request_id should be 1 to 255 printable ASCII characters"):
        await requests.ask(ANYBODY, bench.node, saga_id, PauseRequested(), Precautions(request_id=request_id))
