"""Each checker finds the fault that it is for, planted into what else is a sound run."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from goconductor import Participant, Saga, Settings, migrate
from goconductor.engine.facts import log
from goconductor.lifecycle.facts.events import (
    ActionFailed,
    ActionSucceeded,
    CompensationFailed,
    CompensationSucceeded,
    Event,
    OutcomeDeclared,
    OutcomeUnknown,
    RestartRequested,
    SagaStarted,
    SkipRequested,
)
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.replay import replay
from goconductor.ports.store import Head, Lease, LeaseKey
from goconductor.saga.definition import Definition, Map, Savepoint, Step
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from goconductor.testing import broken_promises, checkers
from goconductor.testing.checkers import Recorded
from tests.acceptance import holdings, tally, witness
from tests.acceptance.sagas import TRANSACTIONAL, transfer
from tests.acceptance.tally import Movement
from tests.acceptance.witness import LeaderWrite

PLAN = plan(transfer.definition)
SAGA_ID = UUID("01900000-0000-7000-8000-000000000001")
STARTED = SagaStarted(at=1.0, input={"payer": "a", "payee": "b", "amount": 5})
BACK: list[Event] = [
    STARTED,
    ActionSucceeded("debit", at=2.0),
    ActionSucceeded("screen", at=3.0),
    ActionFailed("reserve", at=4.0, failure=Failure("RefusedError", retryable=False), proven=True),
    CompensationSucceeded("screen", at=5.0),
    CompensationSucceeded("debit", at=6.0),
]
FORWARD: list[Event] = [
    STARTED,
    *(ActionSucceeded(step, at=2.0) for step in ("debit", "screen", "reserve", "credit", "book", "notify")),
]
ASKING = Definition(
    name="parcel",
    steps=(
        Step(id="ask", map=Map(over="$.input.shops", join="any", do=(Step(id="quote", run="shop.quote"),))),
        Step(id="send", run="post.send", after=("ask",)),
    ),
)
LOST: list[Event] = [
    SagaStarted(at=1.0, input={"shops": ["a", "b"]}),
    ActionSucceeded("ask[0].quote", at=2.0),
    ActionSucceeded("ask[1].quote", at=2.0),
    CompensationSucceeded("ask[1].quote", at=3.0),
    ActionSucceeded("send", at=4.0),
    RestartRequested(at=5.0, from_step="ask", reason="a better price"),
]
UNDONE: list[Event] = [CompensationSucceeded("send", at=6.0), CompensationSucceeded("ask[0].quote", at=7.0)]


def recorded(events: Sequence[Event]) -> Recorded:
    """A saga in the database that took these events; its head has what those up to the first illegal one add up to."""
    entries = [
        msgspec.structs.replace(log.entry(event, uuid4(), participant="bank"), seq=seq, tag=seq)
        for seq, event in enumerate(events, 1)
    ]
    state = replay(PLAN, SAGA_ID, BACK if any(isinstance(event, CompensationSucceeded) for event in events) else events)
    head = Head(
        saga_id=SAGA_ID, saga="transfer", version=PLAN.version, status=state.status.value, seq=len(entries), tag=len(entries),
        wake_at=state.wake_at,
    )  # fmt: skip
    return Recorded(head, PLAN, entries)


def keys(*steps: str) -> list[str]:
    return [f"{SAGA_ID}/{step}" for step in steps]


COMPENSATED_KEYS = keys("debit/action/0", "debit/compensation/0", "screen/action/0", "screen/compensation/0")


@pytest.mark.parametrize("events", [BACK, FORWARD, FORWARD[:4]], ids=["compensated", "completed", "running"])
def test_a_sound_history_has_no_violations(events: list[Event]) -> None:
    saga = recorded(events)
    assert [*checkers.legal_history(saga), *checkers.compensation_order(saga)] == []


def test_a_gap_in_the_log_is_found() -> None:
    saga = recorded(BACK)
    gap = Recorded(saga.head, PLAN, [*saga.entries[:2], *saga.entries[3:]])
    assert any("numbers [1, 2, 4, 5, 6]" in problem for problem in checkers.legal_history(gap))


def test_an_event_that_could_not_have_been_accepted_is_found() -> None:
    assert any("could not have come about" in problem for problem in checkers.legal_history(recorded([*BACK, BACK[1]])))


def test_a_head_that_contradicts_its_log_is_found() -> None:
    saga = recorded(BACK)
    lying = Recorded(msgspec.structs.replace(saga.head, status="completed"), PLAN, saga.entries)
    assert any("its head has completed" in problem for problem in checkers.legal_history(lying))


def test_an_event_that_is_older_than_the_one_before_is_found() -> None:
    early = msgspec.structs.replace(BACK[1], at=0.5)
    assert any("is older" in problem for problem in checkers.legal_history(recorded([STARTED, early])))


def test_compensating_in_the_order_of_the_graph_is_found() -> None:
    swapped = recorded([*BACK[:4], BACK[5], BACK[4]])
    assert any("'debit' was compensated before 'screen'" in problem for problem in checkers.compensation_order(swapped))


def test_an_item_that_was_not_needed_is_undone_before_what_came_after_its_map_also_in_a_round_that_is_over() -> None:
    """It was undone on the way forward. That stands in no state any more, once a restart has let the map grow anew."""
    asking = plan(ASKING)

    def found(events: Sequence[Event]) -> list[str]:
        entries = [msgspec.structs.replace(log.entry(event, uuid4(), participant="shop"), seq=1, tag=1) for event in events]
        return list(checkers.compensation_order(Recorded(recorded(FORWARD[:1]).head, asking, entries)))

    assert found([*LOST, *UNDONE]) == []
    assert any("'ask[0].quote' was compensated before 'send'" in problem for problem in found([*LOST, *UNDONE[::-1]]))


def test_what_a_map_did_on_a_way_that_was_given_up_does_not_count_as_undone_behind_the_pivot() -> None:
    paying = plan(
        Definition(
            name="pay",
            steps=(
                Step(id="way", savepoint=Savepoint(first="each", otherwise=("all",))),
                Step(
                    id="each",
                    map=Map(over="$.input.shops", do=(Step(id="hold", run="bank.hold"),)),
                    after=("way",),
                    when="steps.way.output == 'each'",
                ),
                Step(id="all", run="bank.hold", after=("way",), when="steps.way.output == 'all'"),
                Step(id="pay", run="bank.pay", after=("each", "all"), pivot=True),
            ),
        )
    )
    events: list[Event] = [
        SagaStarted(at=1.0, input={"shops": ["a", "b"]}),
        ActionSucceeded("each[0].hold", at=2.0),
        ActionFailed("each[1].hold", at=3.0, failure=Failure("RefusedError", retryable=False), proven=True),
        CompensationSucceeded("each[0].hold", at=4.0),
        ActionSucceeded("all", at=5.0, round=1),
        ActionSucceeded("pay", at=6.0, round=1),
    ]
    entries = [msgspec.structs.replace(log.entry(event, uuid4(), participant="bank"), seq=1, tag=1) for event in events]
    head = msgspec.structs.replace(recorded(FORWARD).head, status="completed")

    saga = Recorded(head, paying, entries)
    assert saga.steps()["pay"].round == 1
    assert list(checkers.compensation_order(saga)) == []


@pytest.mark.parametrize(
    "request_",
    [SkipRequested("screen", at=5.5, reason="by hand", forced=True), OutcomeDeclared("screen", at=5.5, happened=True)],
    ids=["skipped by force", "declared"],
)
def test_a_compensation_that_a_person_has_ended_holds_nothing_up(request_: Event) -> None:
    failed = CompensationFailed("screen", at=5.0, failure=Failure("Error", retryable=False))
    assert list(checkers.compensation_order(recorded([*BACK[:4], failed, request_, BACK[-1]]))) == []


def test_a_success_that_was_not_compensated_is_found() -> None:
    assert any("['debit']" in problem for problem in checkers.compensation_order(recorded(BACK[:5])))


def test_compensating_after_the_pivot_is_found() -> None:
    after = recorded([*BACK[:3], ActionSucceeded("reserve"), ActionSucceeded("credit"), CompensationSucceeded("debit")])
    assert any("though the pivot succeeded" in problem for problem in checkers.compensation_order(after))


def test_a_saga_that_has_not_ended_is_found() -> None:
    lost = recorded([STARTED, OutcomeUnknown("debit", at=2.0)])
    assert [*checkers.ended(recorded(BACK))] == []
    assert any("OutcomeUnknown debit" in problem for problem in checkers.ended(lost))


@pytest.mark.parametrize(
    ("effects", "problem"),
    [
        (dict.fromkeys(COMPENSATED_KEYS, 1), None),
        (dict.fromkeys(COMPENSATED_KEYS, 1) | {COMPENSATED_KEYS[0]: 2}, "2 effects, 1 compensations"),
        (dict.fromkeys(COMPENSATED_KEYS[1:], 1), "0 effects, 1 compensations"),
        (dict.fromkeys(COMPENSATED_KEYS[:3], 1), "1 effects, 0 compensations"),
        (dict.fromkeys([*COMPENSATED_KEYS, f"{uuid4()}/debit/action/0"], 1), "no saga knows"),
    ],
    ids=["sound", "twice", "missing", "not compensated", "of nobody"],
)
def test_an_effect_too_many_or_too_few_is_found(effects: dict[str, int], problem: str | None) -> None:
    journal = dict.fromkeys(COMPENSATED_KEYS, "done")
    found = list(tally.one_effect([recorded(BACK)], effects, journal, TRANSACTIONAL))
    assert (not found) if problem is None else any(problem in each for each in found)


@pytest.mark.parametrize(
    ("now", "movement", "problem"),
    [
        ({"a": 7, "b": 3}, Movement("k", "b", 3, 3), None),
        ({"a": 7, "b": 4}, Movement("k", "b", 3, 3), "there were 10, and there are 11"),
        ({"a": 8, "b": 2}, Movement("k", "b", 3, 3), "account a holds 8"),
        ({"a": 7, "b": 3}, Movement("k", "b", 3, -1), "was at -1"),
    ],
    ids=["sound", "made", "moved without a record", "below zero"],
)
def test_money_that_appears_or_goes_is_found(now: dict[str, int], movement: Movement, problem: str | None) -> None:
    found = list(tally.money({"a": 10, "b": 0}, now, [Movement("l", "a", -3, 7), movement]))
    assert (not found) if problem is None else any(problem in each for each in found)


def test_a_write_under_an_old_epoch_or_by_another_is_found() -> None:
    sound = [LeaderWrite("term", 1, "x", "x"), LeaderWrite("put off", 1, "x", "x"), LeaderWrite("term", 2, "y", "y")]
    assert list(witness.leader_writes(sound)) == []
    assert any("epoch 1 after 2" in problem for problem in witness.leader_writes([*sound, sound[1]]))
    assert any("while 'y' led" in each for each in witness.leader_writes([*sound, LeaderWrite("put off", 2, "y", "x")]))


def test_a_key_with_two_sagas_and_an_accepted_start_without_one_are_found() -> None:
    saga, other = recorded(BACK), uuid4()
    assert list(checkers.same_start([saga], {"k": SAGA_ID}, [("k", SAGA_ID)])) == []
    assert any("was answered by" in problem for problem in checkers.same_start([saga], {"k": SAGA_ID}, [("k", other)]))
    assert any("without a key" in problem for problem in checkers.same_start([saga], {}, []))
    assert list(checkers.accepted([saga], [SAGA_ID, other])) == [f"saga {other} was accepted and is not there"]


def test_a_lease_and_a_place_that_stayed_behind_are_found() -> None:
    lease = Lease(key=LeaseKey(SAGA_ID, "debit", Direction.ACTION), instance=7, token=1)
    places = {"bank-a 12": {"goconductor_steps_running": 1.0, "goconductor_threads_lost": 0.0}}
    assert list(holdings.nothing_held([], {"bank-a 12": {"goconductor_steps_running": 0.0}})) == []
    one, other = holdings.nothing_held([lease], places)
    assert "instance 7 has a lease on the action of step 'debit'" in one
    assert other == "bank-a 12 holds 1 of goconductor_steps_running"


@pytest.mark.postgres
async def test_broken_promises_are_found_in_the_database_itself(postgres_url: str) -> None:
    settings = Settings.model_validate({"database": {"url": postgres_url}})
    await migrate(settings)
    shop = Participant("shop")
    order = Saga("order")
    order.step(shop.step(reserve), inputs={})
    async with shop.running(settings) as conductor:
        await (await conductor.start(order, {})).result(timeout_seconds=300)
    assert await broken_promises(postgres_url) == []
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("DELETE FROM goconductor.saga_log WHERE event = 'ActionSucceeded'")
    await connection.close()
    assert any("its log has the numbers" in wrong or "not the same" in wrong for wrong in await broken_promises(postgres_url))


async def reserve() -> None:
    pass
