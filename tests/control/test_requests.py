"""What operators ask: accepted with who and why, refused with what is allowed, and never on top of what they had not seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from goconductor.control import requests
from goconductor.control.commands import RequestInvalidError
from goconductor.control.models import SagaDetail
from goconductor.control.queries import saga_status
from goconductor.errors import (
    PayloadError,
    SagaChangedError,
    SagaNotFoundError,
    StoreUnavailableError,
)
from goconductor.lifecycle.allowed import Request
from goconductor.participant.node import Node
from tests.control.conftest import Bench

UNKNOWN = UUID("01920000-0000-7000-8000-000000000000")


def allowed(detail: SagaDetail) -> list[str]:
    return [request.value for request in detail.allowed]


async def test_a_waiting_saga_is_paused_and_resumed_and_says_who_and_why(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    paused = await requests.pause(bench.node, saga_id, reason="stocktaking", by="ann")
    assert (paused.status, paused.reason) == ("paused", "stocktaking")
    assert await bench.last(saga_id) == ("PauseRequested", {"reason": "stocktaking", "by": "ann"})
    assert allowed(paused) == ["resume", "abort", "terminate", "retry", "declare", "edit_input"]
    assert (await requests.resume(bench.node, saga_id, by="ann")).status == "running"
    assert await bench.last(saga_id) == ("ResumeRequested", {"by": "ann"})


async def test_an_aborted_saga_is_compensated(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    await requests.abort(bench.node, saga_id, reason="the customer left")
    assert (await bench.world.end_of(saga_id)).phase == "compensated"
    assert (await saga_status(bench.node, saga_id)).reason == "aborted: the customer left"


async def test_a_terminated_saga_stays_as_it_is(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    ended = await requests.terminate(bench.node, saga_id, reason="a test of ours", by="ann")
    assert (ended.status, allowed(ended)) == ("terminated", [])
    assert ("release", "tea") not in bench.seen


async def test_a_stuck_compensation_offers_its_buttons_and_is_retried_with_another_input(bench: Bench) -> None:
    saga_id = await bench.stuck()
    detail = await saga_status(bench.node, saga_id)
    assert allowed(detail) == ["pause", "terminate", "retry", "skip", "declare", "edit_input"]
    assert [step.allowed for step in detail.steps if step.id == "reserve"] == [["retry", "skip", "declare", "edit_input"]]
    edited = await requests.edit_input(bench.node, saga_id, "reserve", inputs={"stock": "loose"}, reason="soaked off", by="ann")
    assert (edited.status, edited.steps[0].edited) == ("stuck", {"stock": "loose"})
    await requests.retry(bench.node, saga_id, "reserve", by="ann")
    assert (await bench.world.end_of(saga_id)).phase == "compensated"
    assert bench.seen[-1] == ("release", "loose")


async def test_a_step_in_backoff_takes_the_edited_input_with_its_next_attempt(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    await requests.edit_input(bench.node, saga_id, "charge", inputs={"card": "4242"}, reason="another card")
    await bench.world.clock.advance(120)
    assert (await bench.world.end_of(saga_id)).phase == "completed"
    assert [card for step, card in bench.seen if step == "charge"] == ["busy", "4242"]


async def test_a_stuck_step_is_skipped_by_force_or_declared(bench: Bench) -> None:
    skipped = await bench.stuck()
    detail = await requests.skip(bench.node, skipped, "reserve", reason="written off", forced=True, by="ann")
    assert (detail.status, detail.late_effects) == ("compensated", True)
    declared = await bench.stuck()
    detail = await requests.declare(bench.node, declared, "reserve", happened=True, reason="seen on the shelf")
    assert (detail.status, detail.late_effects) == ("compensated", False)


async def test_a_refusal_says_what_is_allowed_instead(bench: Bench) -> None:
    done = await bench.start()
    await bench.world.end_of(done)
    with pytest.raises(
        requests.RefusedNowError, match=r"is completed; only .* it has ended, nothing is allowed any more"
    ) as refused:
        await requests.abort(bench.node, done)
    assert refused.value.allowed == ()
    waiting = await bench.start(card="busy")
    with pytest.raises(
        requests.RefusedNowError, match="allowed now: pause, abort, terminate, retry, declare, edit_input"
    ) as refused:
        await requests.resume(bench.node, waiting)
    assert refused.value.allowed == (
        Request.PAUSE,
        Request.ABORT,
        Request.TERMINATE,
        Request.RETRY,
        Request.DECLARE,
        Request.EDIT_INPUT,
    )
    with pytest.raises(requests.RefusedNowError, match="cannot be retried: its action is failed"):
        await requests.retry(bench.node, await bench.stuck(), "charge")


async def test_of_two_operators_who_saw_the_same_only_one_succeeds(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    seen = requests.expected_of((await saga_status(bench.node, saga_id)).revision)
    other = await bench.world.node()
    answers = await asyncio.gather(
        requests.pause(bench.node, saga_id, by="ann", expected=seen),
        requests.abort(other, saga_id, by="bob", expected=seen),
        requests.terminate(bench.node, saga_id, reason="no", by="cid", expected=seen),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["SagaChangedError", "SagaChangedError", "SagaDetail"]
    assert (await bench.world.events(saga_id)).count("PauseRequested") <= 1


async def test_a_request_on_an_old_sight_is_refused_and_one_on_the_present_accepted(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    old = requests.expected_of((await saga_status(bench.node, saga_id)).revision)
    now = requests.expected_of((await requests.pause(bench.node, saga_id)).revision)
    with pytest.raises(SagaChangedError, match="look again"):
        await requests.resume(bench.node, saga_id, expected=old)
    assert (await requests.resume(bench.node, saga_id, expected=now)).status == "running"


Ask = Callable[[Node, UUID], Awaitable[object]]


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda node, saga: requests.terminate(node, saga, reason=" "), RequestInvalidError, "reason is missing"),
        (lambda node, saga: requests.skip(node, saga, "reserve", reason=""), RequestInvalidError, "reason is missing"),
        (lambda node, saga: requests.declare(node, saga, "reserve", happened=True, reason=""), RequestInvalidError, "reason"),
        (lambda node, saga: requests.pause(node, saga, reason="x" * 2001), RequestInvalidError, "at most 2,000 are kept"),
        (lambda node, saga: requests.pause(node, saga, by="a\0b"), RequestInvalidError, "by "),
        (lambda node, saga: requests.retry(node, saga, "reserv"), requests.StepNotFoundError, "did you mean reserve"),
        (
            lambda node, saga: requests.edit_input(node, saga, "reserve", inputs={}, reason="so"),
            RequestInvalidError,
            "inputs are empty",
        ),
        (
            lambda node, saga: requests.edit_input(node, saga, "reserve", inputs={"stok": 1}, reason="so"),
            requests.RefusedNowError,
            "has no input 'stok'; its inputs are: stock",
        ),
        (
            lambda node, saga: requests.edit_input(node, saga, "reserve", inputs={"stock": "\0"}, reason="so"),
            PayloadError,
            "inputs.stock",
        ),
        (
            lambda node, saga: requests.declare(node, saga, "reserve", happened=True, output=float("nan"), reason="so"),
            PayloadError,
            "output",
        ),
        (lambda node, _: requests.pause(node, UNKNOWN), SagaNotFoundError, str(UNKNOWN)),
        (lambda node, _: requests.retry(node, UNKNOWN, "reserve"), SagaNotFoundError, str(UNKNOWN)),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_place(bench: Bench, ask: Ask, error: type[Exception], says: str) -> None:
    saga_id = await bench.stuck()
    before = await bench.world.events(saga_id)
    with pytest.raises(error, match=says.replace("(", r"\(")):
        await ask(bench.node, saga_id)
    assert await bench.world.events(saga_id) == before


@pytest.mark.parametrize("text", ["", "7", "7-", "-1f", "7-G", "7-1f-2", "9" * 30 + "-1", "seven"])
def test_what_is_no_revision_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalidError, match="no revision of a saga"):
        requests.expected_of(text)


async def test_while_the_database_is_away_a_request_is_told_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    saga_id = await bench.start(card="busy")

    async def away(*_: object) -> None:
        raise StoreUnavailableError

    monkeypatch.setattr(bench.world.store, "append", away)
    monkeypatch.setattr(requests, "ANSWER_SECONDS", 0.05)
    with pytest.raises(StoreUnavailableError, match="may have been recorded"):
        await requests.pause(bench.node, saga_id)
    monkeypatch.setattr(bench.world.store, "read", away)
    with pytest.raises(StoreUnavailableError):
        await requests.pause(bench.node, saga_id)
