"""A leader leads while it may, stops in time, and campaigns again; time is moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from goconductor.errors import ElectionError, FencedError, StoreUnavailableError
from goconductor.ports.store import Term
from goconductor.recovery.leadership import TRUST, Leadership, LeadTerm

TERM_SECONDS = 12.0
TURNS = 30
"""How often the event loop is turned until everybody waits for the clock again."""


class HandClock:
    """Stands still until it is moved; who sleeps wakes in the order of time."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> float:
        return self.seconds

    def observe(self, database_seconds: float) -> None: ...

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.seconds + seconds, next(self._numbers), awake))
        await awake

    async def advance(self, seconds: float) -> None:
        end = self.seconds + seconds
        await self.turn()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.seconds, _, awake = heapq.heappop(self._sleepers)
            if not awake.done():
                awake.set_result(None)
            await self.turn()
        self.seconds = end

    async def leap(self, seconds: float) -> None:
        """The machine was asleep: everybody wakes at once, late."""
        self.seconds += seconds
        await self.advance(0)

    async def turn(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)


class Ballot:
    """One election in memory for several candidates; a term that runs denies the others."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.term: Term | None = None
        self.asked: list[tuple[str, float]] = []
        self.fault: Exception | None = None
        self.answer = asyncio.Event()
        self.answer.set()

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def campaign(self, candidate: str, term_seconds: float) -> Term | None:
        await self._request("campaign")
        if self.term is not None and self.term.ends_at > self.clock.seconds:
            return None
        epoch = self.term.epoch + 1 if self.term else 1
        self.term = Term(epoch=epoch, holder=candidate, ends_at=self.clock.seconds + term_seconds)
        return self.term

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        await self._request("renew")
        if self.term is None or self.term.epoch != term.epoch:
            return None
        self.term = Term(epoch=term.epoch, holder=term.holder, ends_at=self.clock.seconds + term_seconds)
        return self.term

    async def resign(self, term: Term) -> None:
        await self._request("resign")
        if self.term is not None and self.term.epoch == term.epoch:
            self.term = Term(epoch=term.epoch, holder=term.holder, ends_at=self.clock.seconds)

    def usurp(self) -> None:
        """Another candidate has raised the epoch."""
        assert self.term is not None
        self.term = Term(epoch=self.term.epoch + 1, holder="usurper", ends_at=self.clock.seconds + TERM_SECONDS)

    def times(self, request: str) -> list[float]:
        return [at for name, at in self.asked if name == request]

    async def _request(self, name: str) -> None:
        self.asked.append((name, self.clock.seconds))
        await self.answer.wait()
        if self.fault is not None:
            raise self.fault


class Candidate:
    """A leadership that is running, and what can be seen of it."""

    def __init__(self, ballot: Ballot, name: str) -> None:
        self.clock = ballot.clock
        self.began: list[LeadTerm] = []
        self.changes: list[int | None] = []
        self.stopped_at: list[float] = []
        self.fault: BaseException | None = None
        self.failing = asyncio.Event()
        self.leadership = Leadership(
            ballot,
            candidate=name,
            lead=self.lead,
            clock=ballot.clock,
            term_seconds=TERM_SECONDS,
            on_change=lambda term: self.changes.append(None if term is None else term.epoch),
        )
        self.running = asyncio.create_task(self.leadership.run())

    async def lead(self, term: LeadTerm) -> None:
        self.began.append(term)
        try:
            await self.failing.wait()
            if self.fault is not None:
                raise self.fault
        finally:
            self.stopped_at.append(self.clock.seconds)

    async def stop(self) -> None:
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running

    def leads(self) -> bool:
        return self.leadership.current is not None


Enter = Callable[[str], Candidate]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ballot(clock: HandClock) -> Ballot:
    return Ballot(clock)


@pytest.fixture
async def enter(ballot: Ballot) -> AsyncIterator[Enter]:
    """Puts up candidates, who are stopped in the end."""
    candidates: list[Candidate] = []

    def one(name: str) -> Candidate:
        candidates.append(Candidate(ballot, name))
        return candidates[-1]

    yield one
    ballot.fault = None
    ballot.answer.set()
    for candidate in candidates:
        await candidate.stop()


async def test_the_only_candidate_leads_and_renews_every_third_of_its_term(
    enter: Enter, ballot: Ballot, clock: HandClock
) -> None:
    anna, begin = enter("anna"), clock.seconds
    await clock.advance(5 * TERM_SECONDS + 1)
    assert anna.changes == [1]
    assert ballot.times("renew") == [begin + TERM_SECONDS / 3 * i for i in range(1, 16)]
    assert anna.began[0].trusted
    assert anna.began[0].term == ballot.term


async def test_a_follower_asks_twice_a_second_and_takes_over_when_the_leader_stops(
    enter: Enter, ballot: Ballot, clock: HandClock
) -> None:
    anna = enter("anna")
    await clock.turn()
    bert = enter("bert")
    await clock.advance(100)
    assert len(ballot.times("campaign")) == 1 + 201
    assert not bert.leads()
    await anna.stop()
    assert not anna.leads()
    await clock.advance(0.5)
    assert bert.leads()
    assert bert.changes == [2]


async def test_the_work_has_ended_before_the_term_is_given_back(enter: Enter, ballot: Ballot, clock: HandClock) -> None:
    anna = enter("anna")
    await clock.turn()
    ballot.answer.clear()
    anna.running.cancel()
    await clock.turn()
    assert ballot.times("resign"), "it has been asked for"
    assert anna.stopped_at == [clock.seconds]
    assert anna.changes == [1, None]


async def test_trust_is_counted_from_before_the_renewal_was_sent(enter: Enter, ballot: Ballot, clock: HandClock) -> None:
    anna = enter("anna")
    await clock.advance(TERM_SECONDS / 3 - 1)
    ballot.answer.clear()
    await clock.advance(1)
    sent = clock.seconds
    await clock.advance(2)
    ballot.answer.set()
    await clock.turn()
    assert anna.began[0].trusted_until == sent + TERM_SECONDS * TRUST
    assert ballot.term is not None
    assert ballot.term.ends_at == sent + 2 + TERM_SECONDS


@pytest.mark.parametrize("fault", [StoreUnavailableError(), ElectionError()])
async def test_a_leader_that_cannot_renew_stops_before_its_term_ends(
    enter: Enter, ballot: Ballot, clock: HandClock, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    anna, begin = enter("anna"), clock.seconds
    await clock.advance(1)
    assert ballot.term is not None
    ends_at = ballot.term.ends_at
    ballot.fault = fault
    await clock.advance(TERM_SECONDS * TRUST - 1.1)
    assert anna.leads()
    await clock.advance(0.2)
    assert not anna.leads()
    assert anna.stopped_at == [begin + TERM_SECONDS * TRUST]
    assert anna.stopped_at[0] < ends_at
    assert not anna.began[0].trusted
    assert len(ballot.times("renew")) > 5, "it tried more often than every third of a term"
    assert "its last renewal is too long ago" in caplog.text


async def test_a_leader_whose_renewal_is_not_answered_stops_in_time(enter: Enter, ballot: Ballot, clock: HandClock) -> None:
    anna, begin = enter("anna"), clock.seconds
    await clock.advance(1)
    ballot.answer.clear()
    await clock.advance(TERM_SECONDS)
    assert anna.stopped_at == [begin + TERM_SECONDS * TRUST]


async def test_one_failed_renewal_is_made_good_by_the_next(enter: Enter, ballot: Ballot, clock: HandClock) -> None:
    anna = enter("anna")
    await clock.advance(1)
    ballot.fault = StoreUnavailableError()
    await clock.advance(TERM_SECONDS / 3)
    ballot.fault = None
    await clock.advance(3 * TERM_SECONDS)
    assert anna.changes == [1]


async def test_a_denied_renewal_ends_the_work_at_once(
    enter: Enter, ballot: Ballot, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    anna, begin = enter("anna"), clock.seconds
    await clock.advance(1)
    ballot.usurp()
    await clock.advance(TERM_SECONDS / 3)
    assert anna.stopped_at == [begin + TERM_SECONDS / 3]
    assert "its term is lost" in caplog.text
    assert ballot.term is not None
    assert ballot.term.holder == "usurper", "the late resignation changed nothing"
    await clock.advance(TERM_SECONDS)
    assert anna.changes == [1, None, 3], "it campaigns again"


async def test_a_leader_that_was_fenced_steps_down_and_campaigns_again(
    enter: Enter, ballot: Ballot, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    anna = enter("anna")
    await clock.advance(1)
    ballot.usurp()
    anna.fault = FencedError()
    anna.failing.set()
    await clock.turn()
    assert anna.changes == [1, None]
    assert "higher epoch" in caplog.text
    anna.failing.clear()
    await clock.advance(TERM_SECONDS + 1)
    assert anna.changes == [1, None, 3]


async def test_a_leader_whose_work_fails_lets_another_one_lead(
    enter: Enter, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    anna = enter("anna")
    await clock.advance(0.1)
    bert = enter("bert")
    await clock.advance(0.6)
    anna.fault = ZeroDivisionError("a sweep that cannot be")
    anna.failing.set()
    await clock.advance(0.45)
    assert not anna.leads()
    assert bert.leads()
    assert "a sweep that cannot be" in caplog.text


async def test_a_machine_that_slept_steps_down_on_waking(enter: Enter, ballot: Ballot, clock: HandClock) -> None:
    anna = enter("anna")
    await clock.advance(1)
    ballot.answer.clear()  # the renewal is on its way, and the answer not yet here
    term = anna.began[0]
    await clock.leap(3600)
    assert not term.trusted
    assert anna.changes == [1, None]
    ballot.answer.set()
    await clock.advance(1)
    assert anna.changes == [1, None, 2]


async def test_an_election_that_fails_is_asked_less_often_and_never_given_up(
    enter: Enter, ballot: Ballot, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    ballot.fault = ElectionError("no quorum")
    anna, begin = enter("anna"), clock.seconds
    await clock.advance(40)
    assert ballot.times("campaign") == [begin + after for after in (0, 1, 3, 7, 15, 27, 39)]
    await clock.advance(TERM_SECONDS * 2000)
    assert TERM_SECONDS * 2000 / 100 < caplog.text.count("anna cannot campaign: no quorum") < TERM_SECONDS * 2000 / 50
    ballot.fault = None
    await clock.advance(TERM_SECONDS)
    assert anna.leads()


async def test_an_error_that_nobody_foresaw_does_not_end_the_candidacy(
    enter: Enter, ballot: Ballot, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    ballot.fault = ZeroDivisionError("a bug of the leaf")
    anna = enter("anna")
    await clock.turn()
    assert "a bug of the leaf" in caplog.text
    ballot.fault = None
    await clock.advance(2)
    assert anna.leads()


async def test_a_term_that_cannot_be_given_back_ends_by_itself(
    enter: Enter, ballot: Ballot, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    anna = enter("anna")
    await clock.turn()
    ballot.fault = StoreUnavailableError()
    await anna.stop()
    assert anna.running.cancelled()
    assert "ends by itself" in caplog.text


async def test_what_happens_is_logged(enter: Enter, clock: HandClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "goconductor.recovery")
    enter("anna")
    await clock.turn()
    assert [record.getMessage() for record in caplog.records] == ["anna leads, epoch 1"]
