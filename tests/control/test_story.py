"""A saga's log as a story: what happened, who did it, how long it took, and what followed from what."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from goconductor.control.definitions.loading import load_definition
from goconductor.control.sagas.story import Story, story
from goconductor.control.wording import NAMES_MAX, spell, together
from goconductor.engine.facts import log
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import EVENTS, Event, StepEvent
from goconductor.lifecycle.facts.state import Failure
from goconductor.ports.store import LogEntry
from goconductor.saga.definition import Binding, Definition, Delay, Step, Wait
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from goconductor.saga.retry import Retry
from tests.scenarios.transcript import parse

SAGA = UUID("01900000-0000-7000-8000-000000000001")
START = 1_767_322_800.0
BUSY = Failure("TemporaryError", "the bank is busy")
NO = Failure("RefusedError", "the card was declined", retryable=False)
ORDER = Definition(
    name="order",
    steps=(
        Step(id="reserve", run="stock.reserve"),
        Step(id="gift", run="stock.gift", when="input.gift", after=("reserve",)),
        Step(
            id="charge",
            run="bank.charge",
            after=("reserve", "gift"),
            retry=Retry(jitter=0.0),
            compensation_retry=Retry(attempts_max=1),
        ),
        Step(id="ship", run="vans.ship", after=("charge",), pivot=True),
    ),
)
WITH_INPUTS = msgspec.structs.replace(
    ORDER,
    steps=tuple(
        msgspec.structs.replace(step, inputs={"card": Binding(value=""), "amount": Binding(value=0)})
        if step.id == "charge"
        else step
        for step in ORDER.steps
    ),
)
OWNERS = {step.id: step.run.split(".")[0] for step in ORDER.steps}


def entries(*happened: tuple[float, Event]) -> list[LogEntry]:
    """A log, from events and their seconds after the start."""
    made = []
    for seq, (after, event) in enumerate(happened, 1):
        by = OWNERS.get(event.step, "leader") if isinstance(event, StepEvent) else "web"
        timed = msgspec.structs.replace(event, at=START + after)
        made.append(msgspec.structs.replace(log.entry(timed, UUID(int=seq), participant=by), seq=seq))
    return made


def told(*happened: tuple[float, Event], definition: Definition = ORDER) -> Story:
    return story(plan(definition), SAGA, entries(*happened))


def lines(story: Story) -> list[str]:
    """The sentences, each with what followed from it below."""
    return [each for line in story.lines for each in (line.text, *(f"  → {clause}" for clause in line.consequences))]


def golden(text: str) -> list[str]:
    return textwrap.dedent(text).strip("\n").rstrip().splitlines()


STARTED = (0.0, e.SagaStarted(input={"gift": False}))
RESERVED = (0.25, e.ActionSucceeded("reserve"))


def test_what_a_condition_answered_is_told_as_the_log_keeps_it() -> None:
    """Also where a later event keeps it, as in a log whose first part an older version wrote."""
    tale = told(STARTED, RESERVED, (1.0, e.PauseRequested(answers={"gift": True})))
    assert lines(tale)[2:4] == ["stock ran reserve (250 ms).", "  → gift is asked to run"]
    assert lines(told(STARTED, RESERVED))[3:] == ["  → gift is skipped", "  → charge is asked to run"]


def test_a_saga_that_goes_well_with_a_wait_on_its_way() -> None:
    tale = told(
        STARTED,
        RESERVED,
        (0.5, e.ActionFailed("charge", failure=BUSY)),
        (1.0, e.TimerFired("charge", 2)),
        (1.25, e.ActionSucceeded("charge", 2)),
        (75.0, e.ActionSucceeded("ship")),
    )
    assert lines(tale) == golden("""
        web started the saga.
          → reserve is asked to run
        stock ran reserve (250 ms).
          → gift is skipped
          → charge is asked to run
        bank failed to run charge (250 ms): TemporaryError: the bank is busy.
          → it is tried again in 500 ms (attempt 2)
        The wait before attempt 2 of charge was over.
          → charge (attempt 2) is asked to run
        bank ran charge (attempt 2, 250 ms).
          → ship is asked to run
        vans ran ship (1 min 14 s).
          → the saga is completed
    """)
    assert (tale.status, tale.took_seconds) == ("completed", 75.0)


def test_each_outcome_names_the_event_that_asked_for_it_and_how_long_ago_that_was() -> None:
    failed = (0.5, e.ActionFailed("charge", failure=BUSY))
    tale = told(STARTED, RESERVED, failed, (1.0, e.TimerFired("charge", 2)), (3.0, e.ActionSucceeded("charge", 2)))
    assert [(line.seq, line.because_of, line.took_seconds) for line in tale.lines] == [
        (1, None, None),
        (2, 1, 0.25),
        (3, 2, 0.25),
        (4, 3, None),
        (5, 4, 2.0),
    ]
    assert [line.by for line in tale.lines] == ["web", "stock", "bank", "bank", "bank"]
    assert [line.since_start_seconds for line in tale.lines] == [0.0, 0.25, 0.5, 1.0, 3.0]
    assert (tale.status, tale.took_seconds) == ("running", None)


def test_a_saga_that_turns_back_gets_stuck_and_is_helped() -> None:
    tale = told(
        STARTED,
        RESERVED,
        (0.5, e.ActionFailed("charge", failure=NO)),
        (0.75, e.CompensationFailed("charge", failure=BUSY)),
        (60.0, e.RetryRequested("charge", by="ann")),
        (61.0, e.CompensationFailed("charge", 2, failure=BUSY)),
        (70.0, e.SkipRequested("charge", reason="refunded by cheque", by="ann")),
        (70.5, e.CompensationSettled("charge")),
        (71.0, e.CompensationSucceeded("reserve", null=True)),
    )
    assert lines(tale)[5:] == golden("""
        bank failed to run charge (250 ms): RefusedError: the card was declined.
          → the saga turns back
          → charge is to be compensated
        bank failed to compensate charge (250 ms): TemporaryError: the bank is busy.
          → charge is stuck: an operator must decide
        ann asked for another attempt of charge.
          → charge is to be compensated (attempt 2)
        bank failed to compensate charge (attempt 2, 1.0 s): TemporaryError: the bank is busy.
          → charge is stuck: an operator must decide
        ann asked to skip charge: refunded by cheque.
          → bank is asked to write charge's keys and to answer what had happened
        bank's journal reports that charge had not been compensated, and from now on it cannot be.
          → reserve is to be compensated
        stock found nothing to compensate of reserve (500 ms).
          → the saga is compensated, effects left standing: charge
    """)
    assert tale.lines[4].by == "ann"


def test_a_pivot_that_nobody_knows_of_is_settled() -> None:
    tale = told(
        STARTED,
        RESERVED,
        (1.0, e.ActionSucceeded("charge")),
        (12.0, e.OutcomeUnknown("ship", reason="its lease ran out")),
        (24.0, e.ActionFailed("ship", 2, failure=NO)),
        (28.0, e.ActionSettled("ship", 2, happened=True)),
    )
    assert lines(tale)[7:] == golden("""
        vans found that nobody knows whether ship ran (11.0 s): its lease ran out.
          → ship (attempt 2) is asked to run
        vans failed to run ship (attempt 2, 12.0 s): RefusedError: the card was declined.
          → vans is asked to write ship's keys and to answer what had happened
        vans's journal reports that ship had happened.
          → the saga is completed
    """)


def test_both_sides_of_a_step_have_words_for_a_lost_outcome_and_a_wait() -> None:
    tale = told(
        STARTED,
        RESERVED,
        (0.5, e.ActionFailed("charge", failure=NO, proven=True)),
        (1.0, e.OutcomeUnknown("reserve", direction=Direction.COMPENSATION, reason="its lease ran out")),
        (2.0, e.CompensationFailed("reserve", 2, failure=BUSY)),
        (4.0, e.TimerFired("reserve", 3, direction=Direction.COMPENSATION)),
        (5.0, e.CompensationSucceeded("reserve", 3)),
    )
    failed, lost, again, waited, compensated = [line.text for line in tale.lines[2:]]
    assert failed.endswith("RefusedError: the card was declined; that is written in its journal, so it has no effect.")
    assert lost == "stock found that nobody knows whether reserve was compensated (500 ms): its lease ran out."
    assert again == "stock failed to compensate reserve (attempt 2, 1.0 s): TemporaryError: the bank is busy."
    assert tale.lines[4].consequences[0].startswith("its compensation is tried again in 1.")
    assert waited == "The wait before attempt 3 to compensate reserve was over."
    assert compensated == "stock compensated reserve (attempt 3, 1.0 s)."
    assert tale.status == "compensated"


def test_another_input_is_told_by_its_names_and_never_by_its_values() -> None:
    edited = e.InputEdited("charge", 2, inputs={"card": "4242", "amount": 1}, reason="a typing error", by="ann")
    tale = told(STARTED, RESERVED, (0.5, e.ActionFailed("charge", failure=BUSY)), (0.6, edited), definition=WITH_INPUTS)
    assert tale.lines[-1].text == "ann gave charge another amount and card: a typing error."
    assert tale.status == "running"


def test_a_dropped_signal_is_told_by_its_id() -> None:
    waits = Definition(name="order", steps=(Step(id="paid", wait=Wait(event="payment", where="payload.cents > 5")),))
    little = e.SignalReceived(name="payment", id="bank-1", payload={"cents": 1}, by="bank")
    dropped = e.SignalDropped(signal="bank-1", reason="paid back", by="ann")
    tale = told(STARTED, (0.1, little), (0.2, dropped), definition=waits)
    assert [line.text for line in tale.lines[1:]] == [
        "bank sent the signal payment.",
        "ann dropped the signal bank-1: paid back.",
    ]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (e.PauseRequested(reason="the warehouse is flooded", by="ann"), "ann paused the saga: the warehouse is flooded."),
        (e.PauseRequested(), "web paused the saga."),
        (e.AbortRequested(by="ann"), "ann asked to abort the saga."),
        (e.TerminateRequested(reason="a test", by="ann"), "ann terminated the saga as it stood: a test."),
        (e.TerminationRequested(reason="a test", by="ann"), "ann asked to end the saga as it stands: a test."),
        (
            e.TerminationRequested(reason="a test", forced=True, by="ann"),
            "ann asked to end the saga as it stands at once, without asking the journals: a test.",
        ),
        (e.DeadlinePassed(), "The saga's deadline passed."),
    ],
    ids=lambda given: type(given).__name__ if not isinstance(given, str) else "",
)
def test_a_request_names_who_asked_and_why(event: Event, says: str) -> None:
    last = told(STARTED, RESERVED, (0.5, event)).lines[-1]
    assert (last.text, last.because_of) == (says, None)


def test_what_this_version_cannot_read_is_told_barely_and_so_is_all_that_follows() -> None:
    unknown = LogEntry(event_id=UUID(int=9), event="StepTeleported", at=START + 1, step="charge", participant="bank", seq=3)
    after = msgspec.structs.replace(entries((2.0, e.ActionSucceeded("charge")))[0], seq=4)
    tale = story(plan(ORDER), SAGA, [*entries(STARTED, RESERVED), unknown, after])
    assert [line.text for line in tale.lines[2:]] == [
        "bank wrote StepTeleported about charge, which this version cannot read.",
        "bank ran charge (1.8 s).",
    ]
    assert [line.status for line in tale.lines] == ["queued", "running", None, None]


def is_about_one_saga(path: Path) -> bool:
    """In a transcript of several sagas each line that goes in begins with the name of one."""
    return re.search(r"^[a-z_]+: ", path.read_text().partition("\n---\n")[2], re.MULTILINE) is None


SCENARIOS = sorted(filter(is_about_one_saga, (Path(__file__).parents[1] / "scenarios").glob("*.txt")))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_of_the_documentation_can_be_told_to_its_end(path: Path) -> None:
    head, _, talk = path.read_text().partition("\n---\n")
    definition = load_definition(head.encode())
    given = [line for line in talk.splitlines() if line and line[0] not in " #" and not line.startswith("wait ")]
    tale: list[LogEntry] = []
    owners = {step.id: step.run.split(".")[0] for step in definition.steps}
    for number, event in enumerate(parse(line) for line in given):
        by = owners.get(getattr(event, "step", ""), "web")
        entry = log.entry(msgspec.structs.replace(event, at=START + number), UUID(int=number + 1), participant=by)
        attempt = [*tale, msgspec.structs.replace(entry, seq=len(tale) + 1)]
        if story(plan(definition), SAGA, attempt).lines[-1].status is not None:
            tale = attempt
    lines = story(plan(definition), SAGA, tale).lines
    assert len(lines) >= 2
    actors = (*owners.values(), "web", "ann", "bob", "support", "The ")
    assert [line.text for line in lines if not (line.status and line.text[-1] == "." and line.text.startswith(actors))] == []


def test_every_kind_of_event_has_a_sentence_of_its_own() -> None:
    said = set()
    for kind in EVENTS.values():
        required = {f.name: "x" for f in msgspec.structs.fields(kind) if f.required}
        said.add(told(STARTED, (1.0, kind(**(required | ({"step": "charge"} if "step" in required else {}))))).lines[-1].text)
    assert len(said) == len(EVENTS)


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (185, "3 min 5 s"),
        (7440, "2 h 4 min"),
        (7200, "2 h"),
        (266_400, "3 d 2 h"),
    ],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, says: str) -> None:
    assert spell(seconds) == says


def test_many_names_are_shortened() -> None:
    assert together(["a"]) == "a"
    assert together(["a", "b"]) == "a and b"
    assert together(["a", "b", "c"]) == "a, b and c"
    assert together([str(number) for number in range(NAMES_MAX + 2)]) == "0, 1, 2, 3, 4, 5, 6 and 3 more"


def test_a_wait_with_a_deadline_is_told_as_a_wait_and_a_delay_as_a_delay() -> None:
    steps = (
        Step(id="paid", wait=Wait(event="payment", timeout_seconds=7_200.0)),
        Step(id="release", wait=Wait(approval="Release it?", timeout_seconds=60.0)),
        Step(id="rest", delay=Delay(seconds=90.0)),
    )
    story = told(
        (0.0, e.SagaStarted(input={})),
        (90.0, e.TimerFired("rest")),
        (7_200.0, e.TimerFired("paid")),
        definition=Definition(name="waiting", steps=steps),
    )
    assert sorted(lines(story)[1:4]) == [
        "  → paid waits for the signal payment, at most 2 h",
        "  → release waits for an approval, at most 1 min",
        "  → rest waits 1 min 30 s",
    ]
    assert "The time that rest waits for had come." in lines(story)
    assert "The time in which paid waits for the signal payment was over." in lines(story)
