"""What a step is said to be doing, for every state that the lifecycle knows."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import pytest

from goconductor.control.models import StepDetail, StepStatus
from goconductor.control.sagas.steps import Surroundings, describe
from goconductor.lifecycle.facts.state import Failure, SagaState, Side, StepState
from goconductor.lifecycle.facts.status import ActionStatus as A
from goconductor.lifecycle.facts.status import CompensationStatus as C
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store import Lease, LeaseKey
from goconductor.saga.definition import Definition, Step
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan

SAGA = UUID("01920000-0000-7000-8000-000000000001")
PLAN = Plan(
    Definition(name="order", steps=(Step(id="reserve", run="inventory.reserve"), Step(id="ship", run="x.y", after=("reserve",))))
)
OFFERED = {("inventory", "reserve"), ("x", "y")}
NOBODY = "inventory has no live instance"
NOT_THIS_STEP = "no live instance of inventory offers step 'reserve'"
FAILURE = Failure("ConnectionError", "refused")
NOW = 1000.0


def reserve(
    step: StepState,
    *,
    phase: SagaStatus = SagaStatus.RUNNING,
    paused: bool = False,
    leased: Direction | None = None,
    offered: bool = True,
    lives: bool = False,
    name: str = "reserve",
) -> StepDetail:
    leases = {}
    if leased is not None:
        key = LeaseKey(SAGA, "reserve", leased)
        leases = {key: Lease(key=key, instance=7, token=1, expires_at=NOW + 5)}
    state = SagaState(saga_id=SAGA, version="v", phase=phase, paused=paused, steps={"reserve": step})
    around = Surroundings(
        now=NOW,
        leases=leases,
        names={7: "inventory-1"},
        offered=OFFERED if offered else set(),
        living={"inventory"} if lives else set(),
    )
    return describe(PLAN, state, name, around)


BACK = {"phase": SagaStatus.COMPENSATING}


@pytest.mark.parametrize(
    ("step", "around", "status", "reason"),
    [
        (StepState(Side(A.SENT, attempt=1)), {}, "queued", None),
        (StepState(Side(A.SENT, attempt=1)), {"paused": True}, "queued", "the saga is paused"),
        (StepState(Side(A.SENT, attempt=1)), {"leased": Direction.ACTION}, "running", None),
        (StepState(Side(A.SENT, attempt=1)), {"leased": Direction.ACTION, "offered": False}, "running", None),
        (StepState(Side(A.SENT, attempt=1)), {"leased": Direction.COMPENSATION}, "queued", None),
        (StepState(Side(A.SENT, attempt=1)), {"offered": False}, "waiting", NOBODY),
        (StepState(Side(A.SENT, attempt=1)), {"offered": False, "lives": True}, "waiting", NOT_THIS_STEP),
        (StepState(Side(A.SENT, attempt=1)), BACK, "waiting", "waits for word whether it ran"),
        (StepState(Side(A.SENT, attempt=1)), {**BACK, "leased": Direction.ACTION}, "running", None),
        (
            StepState(Side(A.SENT, attempt=1)),
            {"phase": SagaStatus.TERMINATED},
            "unknown",
            "the saga was terminated while it was due",
        ),
        (
            StepState(Side(A.BACKOFF, attempt=2, due_at=NOW + 4, failure=FAILURE)),
            {},
            "waiting",
            "retry in 4 s after ConnectionError: refused",
        ),
        (
            StepState(Side(A.BACKOFF, attempt=2, due_at=NOW - 1, failure=FAILURE)),
            {},
            "waiting",
            "retry soon after ConnectionError: refused",
        ),
        (StepState(Side(A.SETTLING)), {}, "waiting", "waits for its owner's journal to answer whether it happened"),
        (StepState(Side(A.SETTLING)), {"offered": False}, "waiting", NOBODY),
        (StepState(Side(A.SUCCEEDED)), {}, "succeeded", None),
        (StepState(Side(A.FAILED)), {}, "failed", None),
        (StepState(Side(A.PREVENTED)), BACK, "failed", "it has no effect and never will have one"),
        (StepState(Side(A.UNKNOWN)), BACK, "unknown", None),
        (StepState(Side(A.STUCK)), {}, "stuck", None),
        (StepState(Side(A.SKIPPED)), {}, "skipped", None),
        (StepState(Side(A.SUCCEEDED), Side(C.SENT)), BACK, "compensating", None),
        (StepState(Side(A.SUCCEEDED), Side(C.SENT)), {**BACK, "offered": False}, "compensating", NOBODY),
        (StepState(Side(A.SUCCEEDED), Side(C.SENT)), {**BACK, "leased": Direction.COMPENSATION}, "compensating", None),
        (
            StepState(Side(A.SUCCEEDED), Side(C.BACKOFF, due_at=NOW + 60, failure=FAILURE)),
            BACK,
            "compensating",
            "retry in 60 s after ConnectionError: refused",
        ),
        (
            StepState(Side(A.SUCCEEDED), Side(C.FENCING)),
            BACK,
            "compensating",
            "is being skipped: its owner writes its keys",
        ),
        (StepState(Side(A.SUCCEEDED), Side(C.DONE)), BACK, "compensated", None),
        (
            StepState(Side(A.SUCCEEDED), Side(C.SKIPPED)),
            BACK,
            "skipped",
            "its compensation was skipped: its effect may stand",
        ),
        (StepState(Side(A.SUCCEEDED), Side(C.STUCK)), BACK, "stuck", "its compensation gave up"),
    ],
)
def test_a_step_is_shown_by_its_state_and_its_surroundings(
    step: StepState, around: dict[str, Any], status: str, reason: str | None
) -> None:
    shown = reserve(step, **around)
    assert (shown.status, shown.reason) == (status, reason)


def test_every_state_can_be_shown() -> None:
    for action, compensation, phase in itertools.product(A, C, SagaStatus):
        assert reserve(StepState(Side(action), Side(compensation)), phase=phase).status in StepStatus


@pytest.mark.parametrize(
    ("before", "around", "status", "reason"),
    [
        (A.SENT, {}, "waiting", "waits for reserve"),
        (A.SENT, {"paused": True}, "pending", "the saga is paused"),
        (A.FAILED, BACK, "pending", "it never began"),
        (A.FAILED, {"phase": SagaStatus.COMPENSATED}, "pending", "it never began"),
    ],
)
def test_a_step_that_has_not_begun_says_what_for(before: A, around: dict[str, Any], status: str, reason: str) -> None:
    shown = reserve(StepState(Side(before)), name="ship", **around)
    assert (shown.status, shown.reason, shown.after) == (status, reason, ["reserve"])


def test_the_owner_is_named_by_its_lease() -> None:
    assert reserve(StepState(Side(A.SENT)), leased=Direction.ACTION).owner == "inventory-1"
    assert reserve(StepState(Side(A.SUCCEEDED)), leased=Direction.ACTION).owner is None
