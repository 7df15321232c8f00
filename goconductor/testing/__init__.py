"""For the tests of sagas: ours, and those of our users.

A :class:`Scenario` is a conversation with a saga's definition, a :class:`World` runs the code of steps in memory, and a
:class:`PostgresServer` is the real thing. The contracts are the suites that leaves must pass; they need pytest.
"""

from typing import TYPE_CHECKING

from goconductor.lifecycle.facts.effects import EndSaga, RunAction, RunCompensation, SetTimer, Settle, SettleUndo
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    ActionFailed,
    ActionSettled,
    ActionSucceeded,
    CompensationFailed,
    CompensationSettled,
    CompensationSucceeded,
    DeadlinePassed,
    InputEdited,
    OutcomeDeclared,
    OutcomeUnknown,
    OutputRejected,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    RetryRequested,
    SagaMigrated,
    SagaStarted,
    SettleUnavailable,
    SignalDropped,
    SkipRequested,
    TerminationRequested,
    TimerFired,
)
from goconductor.lifecycle.facts.state import Failure
from goconductor.public import lazily, publish
from goconductor.testing.clock import ManualClock
from goconductor.testing.scenario import Scenario, timer
from goconductor.testing.world import StandsStillError, World, WorldConductor, WorldHandle, step_context

if TYPE_CHECKING:
    from goconductor.testing.checkers import broken_promises
    from goconductor.testing.contracts.bus import BusContract as BusContract
    from goconductor.testing.contracts.bus import NewBus as NewBus
    from goconductor.testing.contracts.election import ElectionContract as ElectionContract
    from goconductor.testing.contracts.journal import JournalContract as JournalContract
    from goconductor.testing.contracts.store import StoreContract as StoreContract
    from goconductor.testing.faults import CuttableProxy
    from goconductor.testing.postgres import PostgresServer

__all__ = [
    "AbortRequested",
    "ActionFailed",
    "ActionSettled",
    "ActionSucceeded",
    "CompensationFailed",
    "CompensationSettled",
    "CompensationSucceeded",
    "CuttableProxy",
    "DeadlinePassed",
    "EndSaga",
    "Failure",
    "InputEdited",
    "ManualClock",
    "OutcomeDeclared",
    "OutcomeUnknown",
    "OutputRejected",
    "PauseRequested",
    "PostgresServer",
    "RestartRequested",
    "ResumeRequested",
    "RetryRequested",
    "RunAction",
    "RunCompensation",
    "SagaMigrated",
    "SagaStarted",
    "Scenario",
    "SetTimer",
    "Settle",
    "SettleUnavailable",
    "SettleUndo",
    "SignalDropped",
    "SkipRequested",
    "StandsStillError",
    "TerminationRequested",
    "TimerFired",
    "World",
    "WorldConductor",
    "WorldHandle",
    "broken_promises",
    "step_context",
    "timer",
]

# The contracts need pytest, and are not in ``__all__``, so that a star imports without it.
__getattr__ = lazily(
    __name__,
    {
        "BusContract": "goconductor.testing.contracts.bus",
        "NewBus": "goconductor.testing.contracts.bus",
        "ElectionContract": "goconductor.testing.contracts.election",
        "JournalContract": "goconductor.testing.contracts.journal",
        "StoreContract": "goconductor.testing.contracts.store",
        "broken_promises": "goconductor.testing.checkers",
        "CuttableProxy": "goconductor.testing.faults",
        "PostgresServer": "goconductor.testing.postgres",
    },
)
publish(__name__)
