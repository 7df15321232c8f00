"""Growth: maps and repeats, in both directions."""

from __future__ import annotations

import random

import pytest

from tests.protocol.rewind.events import fold
from tests.protocol.rewind.graph import ALL, CHILD, PIVOT, mapped, repeated, repeated_behind_pivot
from tests.protocol.rewind.rules import Event, Saga
from tests.protocol.rewind.world import Faults, Rewind
from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search

HOLD = (
    holds(
        "fix-map",
        Rewind(mapped(2), Faults(rewinds=1, lost_leases=1), targets=("m", "m[1].y", "z")),
        small=Rewind(mapped(2), Faults(rewinds=1), targets=("m", "m[1].y", "z")),
    ),
    holds("fix-map-fail", Rewind(mapped(2), Faults(rewinds=1, failures=1)), small=Rewind(mapped(2), Faults(failures=1))),
    holds(
        "fix-map-shrinks",
        Rewind(mapped(2), Faults(rewinds=2), lengths=(2, 1, 2, 1)),
        small=Rewind(mapped(2), Faults(rewinds=1), lengths=(2, 1, 2, 1)),
    ),
    holds(
        "fix-map-grows",
        Rewind(mapped(2), Faults(rewinds=1, lost_leases=1, aborts=1), lengths=(1, 2, 1, 1)),
        small=Rewind(mapped(2), Faults(rewinds=1, aborts=1), lengths=(1, 2, 1, 1)),
    ),
    holds(
        "fix-map-one",
        Rewind(mapped(1), Faults(rewinds=1, failures=1, failed_compensations=1, aborts=1)),
        small=Rewind(mapped(1), Faults(rewinds=1, failures=1, aborts=1)),
    ),
    holds(
        "fix-map-part",
        Rewind(mapped(2), Faults(rewinds=1, lost_leases=1), within="part", targets=("m[0].x", "m[1].y")),
        small=Rewind(mapped(2), Faults(rewinds=1), within="part", targets=("m[0].x", "m[1].y")),
    ),
    holds(
        "fix-any",
        Rewind(mapped(2, 1), Faults(failures=2, lost_leases=1, aborts=1, pauses=1)),
        small=Rewind(mapped(2, 1), Faults(failures=2, aborts=1)),
    ),
    holds(
        "fix-any-rewind",
        Rewind(mapped(1, 1, PIVOT), Faults(rewinds=1, failures=1, lost_leases=1)),
        small=Rewind(mapped(1, 1, PIVOT), Faults(rewinds=1, failures=1)),
    ),
    holds(
        "fix-any-one",
        Rewind(mapped(1, 1), Faults(failures=2, lost_leases=1, crashes=1, aborts=1)),
        small=Rewind(mapped(1, 1), Faults(failures=2, lost_leases=1)),
    ),
    holds(
        "fix-any-stuck",
        Rewind(mapped(2, 1, PIVOT), Faults(failures=1, failed_compensations=1, lost_leases=1)),
        small=Rewind(mapped(2, 1, PIVOT), Faults(failures=1, failed_compensations=1)),
    ),
    holds(
        "fix-any-stuck-rewind",
        Rewind(mapped(1, 1), Faults(lost_leases=1, failed_compensations=1, rewinds=1), targets=("m",)),
        small=Rewind(mapped(1, 1), Faults(lost_leases=1, rewinds=1), targets=("m",)),
    ),
    holds(
        "fix-two-of-three",
        Rewind(mapped(2, 2, most=3, steps=1), Faults(failures=2, lost_leases=1), lengths=(3, 3, 3, 3)),
        small=Rewind(mapped(2, 2, most=3, steps=1), Faults(failures=2), lengths=(3, 3, 3, 3)),
    ),
    holds("fix-any-nojournal", Rewind(mapped(2, 1, PIVOT), Faults(failures=2, pauses=1, aborts=1), journal=False)),
    holds(
        "fix-any-children",
        Rewind(mapped(2, 1, steps=1, type=CHILD), Faults(failures=1, aborts=1, rewinds=1, failed_compensations=1)),
        small=Rewind(mapped(2, 1, steps=1, type=CHILD), Faults(failures=1, aborts=1)),
    ),
    holds("fix-repeat", Rewind(repeated(), Faults(rewinds=2, failures=1), until=(1, 2, 0, 0))),
    holds(
        "fix-repeat-never",
        Rewind(repeated(), Faults(rewinds=1, aborts=1, lost_leases=1), until=(9, 9, 9, 9)),
        small=Rewind(repeated(), Faults(rewinds=1, aborts=1), until=(9, 9, 9, 9)),
    ),
    holds("fix-repeat-part", Rewind(repeated(), Faults(rewinds=1, lost_leases=1), within="part")),
    holds(
        "fix-repeat-behind-pivot",
        Rewind(repeated_behind_pivot(), Faults(failures=1, lost_leases=1, crashes=1), until=(9, 9, 9, 9)),
    ),
    holds(
        "fix-nested-any-all",
        Rewind(mapped(2, 1, inner=(2, 2, ALL)), Faults(failures=1, lost_leases=1)),
        small=Rewind(mapped(2, 1, inner=(2, 1, ALL)), Faults(failures=2, aborts=1)),
    ),
    holds(
        "fix-nested-any-all-rewind",
        Rewind(mapped(1, 1, inner=(2, 2, ALL)), Faults(failures=1, rewinds=1, pauses=1)),
        small=Rewind(mapped(1, 1, inner=(2, 1, ALL)), Faults(failures=1, rewinds=1)),
    ),
    holds(
        "fix-nested-all-any",
        Rewind(mapped(1, ALL, inner=(2, 1, 1)), Faults(failures=2, lost_leases=1, rewinds=1)),
        small=Rewind(mapped(1, ALL, inner=(2, 1, 1)), Faults(failures=2, aborts=1)),
    ),
    holds("fix-nested-any-any", Rewind(mapped(2, 1, inner=(2, 2, 1)), Faults(failures=2))),
    holds("fix-nested-any-any-pivot", Rewind(mapped(1, 1, PIVOT, inner=(2, 1, 1)), Faults(failures=2, lost_leases=1, aborts=1))),
    holds(
        "fix-nested-any-any-stuck",
        Rewind(mapped(1, 1, inner=(2, 1, 1)), Faults(failures=1, failed_compensations=1, rewinds=1)),
    ),
)

BREAK = (
    breaks(
        "lit-growth-forgotten-map", "the effect of m[0].x round 0 stands", Rewind(mapped(2), Faults(rewinds=1), within="forget")
    ),
    breaks(
        "lit-growth-forgotten-repeat", "the effect of i[0] round 0 stands", Rewind(repeated(), Faults(rewinds=1), within="forget")
    ),
    breaks(
        "lit-new-items-maps-round", "was used before", Rewind(repeated(), Faults(rewinds=1), within="part", grown_round="map")
    ),
    breaks("lit-failed-item", "items have effects", Rewind(mapped(2, 1), Faults(failures=1), item_fails="step")),
    breaks("lit-slot-free-at-failure", "concurrency exceeded", Rewind(mapped(1, 1), Faults(failures=1), slot_until="failed")),
    breaks(
        "lit-skip-then-rewind",
        "the effect of m[0].x round 0 stands",
        Rewind(mapped(1, 1), Faults(lost_leases=1, failed_compensations=1, rewinds=1), skip_in_rewind="before", targets=("m",)),
    ),
    breaks(
        "lit-max-behind-pivot",
        "turned back after the pivot",
        Rewind(repeated_behind_pivot(), max_behind_pivot="fail", until=(9, 9, 9, 9)),
    ),
    breaks("mut-any-at-once", "stands: order", Rewind(mapped(2, 1, PIVOT), join_waits=False)),
    breaks("mut-late-success", "is missing", Rewind(mapped(2, 1), Faults(failures=1, lost_leases=1), late_success_ignored=False)),
    breaks("mut-slot-kept", NO_WAY, Rewind(mapped(1, 1), Faults(rewinds=1), slots_told=False, targets=("m",))),
    breaks("mut-comp-concurrency", "concurrency exceeded", Rewind(mapped(1), Faults(aborts=1), undo_counts=False)),
    breaks(
        "lit-inner-undo-loses-item",
        "items have effects",
        Rewind(mapped(2, 1, inner=(2, 2, 1)), Faults(failures=1), lost_as_a_whole=False),
    ),
    breaks("lit-inner-undo-keeps-slot", NO_WAY, Rewind(mapped(1, ALL, inner=(2, 1, 1)), ended_is_ended=False)),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)


REPLAYED = (
    Rewind(mapped(2), Faults(failures=1, rewinds=1)),
    Rewind(repeated(), Faults(failures=1, rewinds=2)),
    Rewind(mapped(2, 1), Faults(2)),
)


@pytest.mark.parametrize("model", REPLAYED)
def test_a_log_that_is_folded_again_gives_the_same_state_and_graph(model: Rewind) -> None:
    assert replays_alike(model)


def test_a_length_that_is_read_from_elsewhere_is_noticed() -> None:
    assert not replays_alike(Rewind(mapped(2), length_logged=False))


def replays_alike(model: Rewind, walks: int = 60, length: int = 120) -> bool:
    """Random walks: at every prefix of their logs, the fold gives what the deciders had."""
    chance = random.Random(1)
    for _ in range(walks):
        world, log = model.begin(), list[tuple[Event, Saga]]()
        for _ in range(length):
            moves = list(model.moves(world))
            if not moves:
                break
            after = chance.choice(moves).state
            event = appended(model, world.saga, after.saga)
            if event is not None:
                log.append((event, after.saga))
            world = after
        saga = model.begin().saga
        for event, expected in log:
            result = fold(model, saga, event)
            if result is None or result[0] != expected:
                return False
            saga = result[0]
    return True


def appended(model: Rewind, before: Saga, after: Saga) -> Event | None:
    """The event between two states of a saga."""
    folded = ((event, result) for (saga, event), result in model.folded.items() if saga == before)
    return next((event for event, result in folded if result is not None and result[0] == after), None)
