"""What the sweep does about a saga, by examples: a state, the leases, who is dead, and what follows."""

from __future__ import annotations

import pytest

from goconductor import Retry, Saga
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, Work
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    ActionFailed,
    ActionSucceeded,
    DeadlinePassed,
    OutcomeUnknown,
    SagaStarted,
    TimerFired,
)
from goconductor.lifecycle.facts.state import Failure
from goconductor.ports.store import Lease, LeaseKey
from goconductor.recovery.triage import TIMER_GRACE_SECONDS, Look, Repairs, key_of, triage
from goconductor.testing import Scenario

LEASE_SECONDS = 10.0
HERE, THERE = 1, 2


@pytest.fixture
def trip() -> Scenario:
    """Hotel and flight are booked side by side; both were sent."""
    saga = Saga[object]("trip", timeout="1h")
    saga.step("hotel.book", retry=Retry(initial_seconds=10.0, jitter=0.0))
    saga.step("flight.book", id="fly")
    return Scenario(saga).given(SagaStarted())


def leased(scenario: Scenario, work: Work, *, instance: int = HERE, expires_in: float = LEASE_SECONDS) -> Lease:
    key = key_of(scenario.state.saga_id, work)
    return Lease(key=key, instance=instance, token=1, expires_at=scenario.now + expires_in)


def look(scenario: Scenario, *leases: Lease, dead: int | None = None, may_judge: bool = True) -> Repairs:
    held: dict[LeaseKey, Lease] = {lease.key: lease for lease in leases}
    return triage(
        scenario.state, Look(scenario.now, 1, held, frozenset() if dead is None else frozenset({dead}), may_judge, LEASE_SECONDS)
    )


HOTEL, FLIGHT = RunAction("book"), RunAction("fly")


def test_what_is_leased_is_left_alone_until_its_lease_would_run_out(trip: Scenario) -> None:
    found = look(trip, leased(trip, HOTEL), leased(trip, FLIGHT, expires_in=3.0))
    assert found == Repairs((), (), (), (), (), trip.now + 3.0 + TIMER_GRACE_SECONDS)


def test_work_that_nobody_has_is_sent_again(trip: Scenario) -> None:
    found = look(trip, leased(trip, HOTEL))
    assert found.unheld == (FLIGHT,)
    assert (found.due, found.lost, found.free) == ((), (), ())


@pytest.mark.parametrize(("expires_in", "dead"), [(-0.1, None), (LEASE_SECONDS, THERE)])
def test_work_is_lost_when_its_lease_ran_out_or_its_holder_is_dead(trip: Scenario, expires_in: float, dead: int | None) -> None:
    lease = leased(trip, FLIGHT, instance=THERE, expires_in=expires_in)
    found = look(trip, leased(trip, HOTEL), lease, dead=dead)
    assert found.lost == ((FLIGHT, lease),)
    assert not found.unheld


def test_after_the_database_was_away_nobody_is_judged_for_a_leases_life(trip: Scenario) -> None:
    found = look(trip, leased(trip, HOTEL, expires_in=-1.0), dead=THERE, may_judge=False)
    assert found == Repairs((), (), (), (), (), trip.now + LEASE_SECONDS)


def test_a_timer_is_fired_only_a_little_after_its_participant_would_have(trip: Scenario) -> None:
    trip.given(ActionFailed("book", failure=Failure("TimeoutError", "full")))
    trip.now += 10.0
    early = look(trip, leased(trip, FLIGHT, expires_in=60.0))
    assert early.due == ()
    assert early.next_look == trip.now + TIMER_GRACE_SECONDS
    trip.now += TIMER_GRACE_SECONDS
    assert look(trip, leased(trip, FLIGHT, expires_in=60.0)).due == (TimerFired("book", 2),)


def test_a_deadline_that_has_passed_comes_alone(trip: Scenario) -> None:
    trip.now += 3600.0
    assert look(trip) == Repairs((DeadlinePassed(),), (), (), (), (), None)


def test_on_the_way_back_a_sent_action_is_lost_also_without_a_lease(trip: Scenario) -> None:
    """Whether it began is never inferred from a row that is not there."""
    trip.given(ActionSucceeded("book")).given(AbortRequested())
    assert look(trip).lost == ((FLIGHT, None),)


def test_on_the_way_back_a_compensation_that_nobody_has_is_sent_again(trip: Scenario) -> None:
    trip.given(ActionSucceeded("book")).given(AbortRequested()).given(OutcomeUnknown("fly", 1))
    found = look(trip)
    assert found.unheld == (RunCompensation("book"), RunCompensation("fly"))
    assert found.lost == ()


def test_a_saga_that_has_ended_wants_nothing(trip: Scenario) -> None:
    trip.given(ActionSucceeded("book")).given(ActionSucceeded("fly"))
    found = look(trip)
    assert (found.due, found.lost, found.unheld, found.free) == ((), (), (), ())
