"""What operators ask: accepted with who and why, refused with what is allowed, and never on top of what they had not seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.faults import RequestInvalidError
from goconductor.control.models import SagaDetail
from goconductor.control.sagas import requests
from goconductor.control.sagas.queries import saga_status
from goconductor.control.sagas.requests import Precautions
from goconductor.engine.node import Node
from goconductor.errors import (
    PayloadError,
    SagaChangedError,
    SagaNotFoundError,
    StoreUnavailableError,
)
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
from goconductor.lifecycle.requests.catalogue import Request
from tests.control.conftest import Bench

UNKNOWN = UUID("01920000-0000-7000-8000-000000000000")


def allowed(detail: SagaDetail) -> list[str]:
    return [request.value for request in detail.allowed]


async def test_a_waiting_saga_is_paused_and_resumed_and_says_who_and_why(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    paused = await requests.ask(Actor("ann"), bench.node, saga_id, PauseRequested(reason="stocktaking"))
    assert (paused.status, paused.reason) == ("paused", "stocktaking")
    assert await bench.last(saga_id) == ("PauseRequested", {"reason": "stocktaking", "by": "ann"})
    assert allowed(paused) == ["resume", "abort", "restart", "terminate", "retry", "declare", "edit_input"]
    assert (await requests.ask(Actor("ann"), bench.node, saga_id, ResumeRequested())).status == "running"
    assert await bench.last(saga_id) == ("ResumeRequested", {"by": "ann"})


async def test_an_aborted_saga_is_compensated(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    await requests.ask(ANYBODY, bench.node, saga_id, AbortRequested(reason="the customer left"))
    assert (await bench.world.end_of(saga_id)).phase == "compensated"
    assert (await saga_status(ANYBODY, bench.node, saga_id)).reason == "aborted: the customer left"


async def test_a_terminated_saga_stays_as_it_is(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    ended = await requests.ask(Actor("ann"), bench.node, saga_id, TerminationRequested(reason="a test of ours"))
    assert (ended.status, allowed(ended)) == ("terminating", ["terminate"])
    await bench.world.end_of(saga_id)
    ended = await saga_status(ANYBODY, bench.node, saga_id)
    assert (ended.status, ended.late_effects, allowed(ended)) == ("terminated", False, ["restart_as_new"])
    assert ("release", "tea") not in bench.seen


async def test_a_stuck_compensation_offers_its_buttons_and_is_retried_with_another_input(bench: Bench) -> None:
    saga_id = await bench.stuck()
    detail = await saga_status(ANYBODY, bench.node, saga_id)
    assert allowed(detail) == ["pause", "terminate", "retry", "skip", "declare", "edit_input"]
    assert [step.allowed for step in detail.steps if step.id == "reserve"] == [["retry", "skip", "declare", "edit_input"]]
    edited = await requests.ask(
        Actor("ann"), bench.node, saga_id, InputEdited("reserve", inputs={"stock": "loose"}, reason="soaked off")
    )
    assert (edited.status, edited.steps[0].edited) == ("stuck", {"stock": "loose"})
    await requests.ask(Actor("ann"), bench.node, saga_id, RetryRequested("reserve"))
    assert (await bench.world.end_of(saga_id)).phase == "compensated"
    assert bench.seen[-1] == ("release", "loose")


async def test_a_step_in_backoff_takes_the_edited_input_with_its_next_attempt(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    await requests.ask(ANYBODY, bench.node, saga_id, InputEdited("charge", inputs={"card": "4242"}, reason="another card"))
    await bench.world.clock.advance(120)
    assert (await bench.world.end_of(saga_id)).phase == "completed"
    assert [card for step, card in bench.seen if step == "charge"] == ["busy", "4242"]


async def test_a_stuck_step_is_skipped_by_force_or_declared(bench: Bench) -> None:
    skipped = await bench.stuck()
    detail = await requests.ask(Actor("ann"), bench.node, skipped, SkipRequested("reserve", reason="written off", forced=True))
    assert (detail.status, detail.late_effects) == ("compensated", True)
    declared = await bench.stuck()
    detail = await requests.ask(
        ANYBODY, bench.node, declared, OutcomeDeclared("reserve", happened=True, reason="seen on the shelf")
    )
    assert (detail.status, detail.late_effects) == ("compensated", False)


async def test_a_refusal_says_what_is_allowed_instead(bench: Bench) -> None:
    done = await bench.start()
    await bench.world.end_of(done)
    with pytest.raises(requests.RefusedNowError, match=r"is completed; only .* allowed now: restart_as_new") as refused:
        await requests.ask(ANYBODY, bench.node, done, AbortRequested())
    assert refused.value.allowed == (Request.RESTART_AS_NEW,)
    waiting = await bench.start(card="busy")
    with pytest.raises(
        requests.RefusedNowError, match="allowed now: pause, abort, restart, terminate, retry, declare, edit_input"
    ) as refused:
        await requests.ask(ANYBODY, bench.node, waiting, ResumeRequested())
    assert refused.value.allowed == (
        Request.PAUSE,
        Request.ABORT,
        Request.RESTART,
        Request.TERMINATE,
        Request.RETRY,
        Request.DECLARE,
        Request.EDIT_INPUT,
    )
    with pytest.raises(requests.RefusedNowError, match="cannot be retried: its action is failed"):
        await requests.ask(ANYBODY, bench.node, await bench.stuck(), RetryRequested("charge"))


async def test_of_two_operators_who_saw_the_same_only_one_succeeds(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    seen = requests.expected_of((await saga_status(ANYBODY, bench.node, saga_id)).revision)
    other = await bench.world.node()
    answers = await asyncio.gather(
        requests.ask(Actor("ann"), bench.node, saga_id, PauseRequested(), Precautions(expected=seen)),
        requests.ask(Actor("bob"), other, saga_id, AbortRequested(), Precautions(expected=seen)),
        requests.ask(Actor("cid"), bench.node, saga_id, TerminationRequested(reason="no"), Precautions(expected=seen)),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["SagaChangedError", "SagaChangedError", "SagaDetail"]
    assert (await bench.world.events(saga_id)).count("PauseRequested") <= 1


async def test_a_request_on_an_old_sight_is_refused_and_one_on_the_present_accepted(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    old = requests.expected_of((await saga_status(ANYBODY, bench.node, saga_id)).revision)
    now = requests.expected_of((await requests.ask(ANYBODY, bench.node, saga_id, PauseRequested())).revision)
    with pytest.raises(SagaChangedError, match="look again"):
        await requests.ask(ANYBODY, bench.node, saga_id, ResumeRequested(), Precautions(expected=old))
    assert (await requests.ask(ANYBODY, bench.node, saga_id, ResumeRequested(), Precautions(expected=now))).status == "running"


Ask = Callable[[Node, UUID], Awaitable[object]]


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (
            lambda node, saga: requests.ask(ANYBODY, node, saga, TerminationRequested(reason=" ")),
            RequestInvalidError,
            "reason is missing",
        ),
        (
            lambda node, saga: requests.ask(ANYBODY, node, saga, SkipRequested("reserve", reason="")),
            RequestInvalidError,
            "reason is missing",
        ),
        (
            lambda node, saga: requests.ask(ANYBODY, node, saga, OutcomeDeclared("reserve", happened=True, reason="")),
            RequestInvalidError,
            "reason",
        ),
        (
            lambda node, saga: requests.ask(ANYBODY, node, saga, PauseRequested(reason="x" * 2001)),
            RequestInvalidError,
            "at most 2,000 are kept",
        ),
        (lambda node, saga: requests.ask(Actor("a\x00b"), node, saga, PauseRequested()), RequestInvalidError, "by "),
        (
            lambda node, saga: requests.ask(ANYBODY, node, saga, RetryRequested("reserv")),
            requests.StepNotFoundError,
            "did you mean reserve",
        ),
        (
            lambda node, saga: requests.ask(ANYBODY, node, saga, InputEdited("reserve", inputs={}, reason="so")),
            RequestInvalidError,
            "inputs are empty",
        ),
        (
            lambda node, saga: requests.ask(ANYBODY, node, saga, InputEdited("reserve", inputs={"stok": 1}, reason="so")),
            requests.RefusedNowError,
            "has no input 'stok'; its inputs are: stock",
        ),
        (
            lambda node, saga: requests.ask(ANYBODY, node, saga, InputEdited("reserve", inputs={"stock": "\x00"}, reason="so")),
            PayloadError,
            "inputs.stock",
        ),
        (
            lambda node, saga: requests.ask(
                ANYBODY, node, saga, OutcomeDeclared("reserve", happened=True, output=float("nan"), reason="so")
            ),
            PayloadError,
            "output",
        ),
        (lambda node, _: requests.ask(ANYBODY, node, UNKNOWN, PauseRequested()), SagaNotFoundError, str(UNKNOWN)),
        (lambda node, _: requests.ask(ANYBODY, node, UNKNOWN, RetryRequested("reserve")), SagaNotFoundError, str(UNKNOWN)),
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

    monkeypatch.setattr(bench.world.store.log, "append", away)
    monkeypatch.setattr(requests, "ANSWER_SECONDS", 0.05)
    with pytest.raises(StoreUnavailableError, match="may have been recorded"):
        await requests.ask(ANYBODY, bench.node, saga_id, PauseRequested())
    monkeypatch.setattr(bench.world.store.log, "read", away)
    with pytest.raises(StoreUnavailableError):
        await requests.ask(ANYBODY, bench.node, saga_id, PauseRequested())
