"""Every legal move, in three tables. A move that is not here does not exist: the lifecycle asserts each move, and
:mod:`goconductor.lifecycle.diagram` draws the documentation's diagrams from these tables. A test leads small sagas through
all that can happen, and compares: the tables show no move that no saga can make.

``SAGA_MOVES[event][status]`` are the statuses that a saga may have after the event. A status that is missing cannot see the
event. ``ACTION_MOVES`` and ``COMPENSATION_MOVES`` do the same for one step. :class:`Advance` stands for a consequence of another
step's event: its turn has come, or the saga turned back; :class:`Rewound` for the end of a rewind, :class:`Lost` for that of
an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goconductor.errors import InvariantError, UnexpectedEventError
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.state import SideStatus
from goconductor.lifecycle.facts.status import ActionStatus as A
from goconductor.lifecycle.facts.status import CompensationStatus as C
from goconductor.lifecycle.facts.status import SagaStatus as S


class Advance:
    """What follows from another step's event."""


class Rewound:
    """The end of a rewind: the step is as if it had never begun, in another round."""


class Lost:
    """The end of an item that was lost: nothing of it is left to undo."""


def _to(*statuses: S) -> frozenset[S]:
    return frozenset(statuses)


_STILL_PAUSED = _to(S.PAUSED)
_STILL_STUCK = _to(S.STUCK)
_BACK_TO_THE_END = _to(S.COMPENSATING, S.COMPENSATED)
_LEFT_TO_A_PERSON = _to(S.COMPENSATING, S.STUCK)
_LIVE = (S.QUEUED, S.RUNNING, S.WAITING, S.PAUSED, S.COMPENSATING, S.STUCK)
_TO_ITS_END = _to(S.TERMINATING, S.TERMINATED)
_SETTLED_BY_HAND = {
    S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
    S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
    S.WAITING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
    S.COMPENSATING: _BACK_TO_THE_END,
    S.STUCK: _to(S.STUCK, S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
    S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
}

SAGA_MOVES: dict[type[Any], dict[S, frozenset[S]]] = {
    e.ActionSucceeded: {
        S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.WAITING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.STUCK: _to(S.STUCK, S.RUNNING, S.WAITING, S.COMPLETED),
        S.TERMINATING: _TO_ITS_END,
    },
    e.ActionFailed: {
        S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.STUCK: _STILL_STUCK,
    },
    e.ActionHandedOut: {
        S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.STUCK: _STILL_STUCK,
    },
    e.OutcomeReported: {
        S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.WAITING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.STUCK: _to(S.STUCK, S.RUNNING, S.WAITING, S.COMPLETED),
        S.TERMINATING: _TO_ITS_END,
    },
    e.OutputRejected: {
        S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.STUCK: _STILL_STUCK,
    },
    e.OutcomeUnknown: {
        S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _to(S.COMPENSATING, S.STUCK, S.COMPENSATED),
        S.STUCK: _STILL_STUCK,
    },
    e.TimerFired: {
        S.QUEUED: _to(S.RUNNING, S.COMPENSATING),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.WAITING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _LEFT_TO_A_PERSON,
        **{s: _to(s) for s in (S.PAUSED, S.STUCK)},
    },
    e.SignalReceived: {
        S.QUEUED: _to(S.QUEUED, S.RUNNING, S.COMPENSATING),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.WAITING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.STUCK: _to(S.STUCK, S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
    },
    e.LocksGranted: {
        S.QUEUED: _to(S.QUEUED, S.COMPENSATING),
        S.RUNNING: _to(S.RUNNING, S.COMPENSATING, S.COMPENSATED),
        S.WAITING: _to(S.QUEUED, S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _STILL_PAUSED,
        S.STUCK: _STILL_STUCK,
    },
    e.DeadlockFound: {
        S.QUEUED: _to(S.COMPENSATING),
        S.RUNNING: _to(S.COMPENSATING, S.COMPENSATED),
        S.WAITING: _to(S.COMPENSATING, S.COMPENSATED),
        S.STUCK: _STILL_STUCK,
    },
    e.ActionSettled: {
        S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.STUCK: _STILL_STUCK,
        S.TERMINATING: _TO_ITS_END,
    },
    e.CompensationSucceeded: {
        S.QUEUED: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.STUCK: _to(S.STUCK, S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.TERMINATING: _TO_ITS_END,
    },
    e.CompensationFailed: {
        S.QUEUED: _to(S.RUNNING, S.STUCK),
        S.RUNNING: _to(S.RUNNING, S.STUCK),
        S.COMPENSATING: _LEFT_TO_A_PERSON,
        S.PAUSED: _STILL_PAUSED,
        S.STUCK: _STILL_STUCK,
    },
    e.CompensationHandedOut: {s: _to(s) for s in (S.RUNNING, S.COMPENSATING, S.PAUSED, S.STUCK)},
    e.CompensationReported: {
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _to(S.COMPENSATING, S.STUCK, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.STUCK: _to(S.STUCK, S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.TERMINATING: _TO_ITS_END,
    },
    e.CompensationSettled: {
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _BACK_TO_THE_END,
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.STUCK: _STILL_STUCK,
        S.TERMINATING: _TO_ITS_END,
    },
    e.SettleUnavailable: {
        S.QUEUED: _to(S.RUNNING),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED, S.COMPENSATED),
        S.COMPENSATING: _to(S.COMPENSATING, S.STUCK, S.COMPENSATED),
        S.STUCK: _STILL_STUCK,
        S.TERMINATING: _TO_ITS_END,
    },
    e.DeadlinePassed: {
        S.QUEUED: _to(S.QUEUED, S.COMPENSATING),
        S.RUNNING: _to(S.RUNNING, S.COMPENSATING, S.COMPENSATED),
        S.WAITING: _to(S.WAITING, S.COMPENSATING, S.COMPENSATED),
        S.PAUSED: _to(S.PAUSED, S.COMPENSATED),
        S.COMPENSATING: _to(S.COMPENSATING),
        S.STUCK: _STILL_STUCK,
    },
    e.PauseRequested: dict.fromkeys((S.QUEUED, S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK), _STILL_PAUSED),
    e.PausedWithParent: dict.fromkeys((S.QUEUED, S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK), _STILL_PAUSED),
    e.ResumeRequested: {S.PAUSED: _to(S.QUEUED, S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED)},
    e.ResumedWithParent: {S.PAUSED: _to(S.QUEUED, S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED)},
    e.AbortRequested: {
        S.QUEUED: _to(S.COMPENSATING),
        S.RUNNING: _to(S.RUNNING, S.COMPENSATING, S.COMPENSATED),
        S.WAITING: _to(S.COMPENSATING, S.COMPENSATED),
        S.PAUSED: _to(S.RUNNING, S.COMPENSATING, S.STUCK, S.COMPENSATED),
        S.STUCK: _STILL_STUCK,
    },
    e.RestartRequested: {
        S.QUEUED: _to(S.QUEUED, S.COMPENSATING),
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.WAITING: _to(S.QUEUED, S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.PAUSED: _STILL_PAUSED,
        S.STUCK: _to(S.STUCK, S.RUNNING, S.WAITING, S.COMPLETED),
    },
    e.TerminateRequested: dict.fromkeys(_LIVE, _to(S.TERMINATED)),
    e.TerminationRequested: {
        **dict.fromkeys(_LIVE, _TO_ITS_END),
        S.TERMINATING: _to(S.TERMINATED),
    },
    e.SignalDropped: {s: _to(s) for s in _LIVE},
    e.SagaMigrated: {s: _to(s) for s in _LIVE},
    e.RetryRequested: {
        **{s: _to(S.RUNNING) for s in (S.RUNNING, S.WAITING)},
        S.COMPENSATING: _to(S.COMPENSATING),
        S.STUCK: _to(S.STUCK, S.RUNNING, S.WAITING, S.COMPENSATING, S.COMPLETED),
        S.PAUSED: _to(S.PAUSED, S.COMPLETED),
    },
    e.SkipRequested: {
        S.RUNNING: _to(S.RUNNING, S.WAITING, S.COMPENSATING, S.STUCK, S.COMPLETED, S.COMPENSATED),
        S.WAITING: _to(S.RUNNING, S.WAITING, S.STUCK, S.COMPLETED),
        **{s: _SETTLED_BY_HAND[s] for s in (S.COMPENSATING, S.STUCK, S.PAUSED)},
    },
    e.OutcomeDeclared: _SETTLED_BY_HAND,
    e.InputEdited: {s: _to(s) for s in (S.RUNNING, S.PAUSED, S.COMPENSATING, S.STUCK)},
}

for _moves in SAGA_MOVES.values():  # whatever completes a saga leads one that is held to that
    for _status, _after in _moves.items():
        if S.COMPLETED in _after:
            _moves[_status] = _after | {S.HELD}
SAGA_MOVES |= {e.Released: {S.HELD: _to(S.COMPLETED)}, e.UndoRequested: {S.HELD: _BACK_TO_THE_END}}

FIRST_STATUSES = frozenset({S.QUEUED, S.WAITING, S.COMPLETED, S.HELD, S.COMPENSATING, S.COMPENSATED})
"""Statuses after :class:`SagaStarted`. A saga with all steps skipped ends at once. A saga whose condition cannot be evaluated
turns back at once, and waits for the steps that were sent beside it."""

_UNDONE = dict.fromkeys((A.FAILED, A.UNKNOWN), frozenset({A.GIVEN_UP}))
"""What follows for the action from the end of its compensation, where its failure is tolerated."""

ACTION_MOVES: dict[type[Any], dict[A, frozenset[A]]] = {
    Advance: {
        A.PENDING: frozenset({A.SENT, A.WAITING, A.GROWN, A.SUCCEEDED, A.SKIPPED, A.PREVENTED, A.STUCK, A.GIVEN_UP}),
        A.SENT: frozenset({A.UNKNOWN}),
        A.BACKOFF: frozenset({A.FAILED}),
        A.WAITING: frozenset({A.SENT, A.WAITING, A.GROWN, A.SUCCEEDED, A.PREVENTED, A.UNKNOWN, A.GIVEN_UP}),
        A.GROWN: frozenset({A.GROWN, A.WAITING, A.SUCCEEDED, A.PREVENTED, A.STUCK}),
        A.STUCK: frozenset({A.PREVENTED}),
    },
    Rewound: dict.fromkeys(
        (A.PENDING, A.SUCCEEDED, A.FAILED, A.PREVENTED, A.UNKNOWN, A.SKIPPED, A.GIVEN_UP), frozenset({A.PENDING})
    ),
    Lost: {
        **dict.fromkeys((A.PENDING, A.PREVENTED), frozenset({A.SKIPPED})),
        A.GROWN: frozenset({A.GIVEN_UP}),
        **dict.fromkeys((A.SUCCEEDED, A.FAILED, A.UNKNOWN), frozenset({A.GIVEN_UP})),
    },
    e.ActionSucceeded: dict.fromkeys(
        (A.SENT, A.BACKOFF, A.WAITING, A.SETTLING, A.FAILED, A.UNKNOWN, A.STUCK), frozenset({A.SUCCEEDED})
    ),
    e.ActionFailed: {A.SENT: frozenset({A.BACKOFF, A.FAILED, A.PREVENTED, A.SETTLING, A.STUCK, A.GIVEN_UP})},
    e.ActionHandedOut: {A.SENT: frozenset({A.WAITING, A.UNKNOWN})},
    e.OutcomeReported: {
        **dict.fromkeys((A.SETTLING, A.FAILED, A.UNKNOWN, A.STUCK), frozenset({A.SUCCEEDED})),
        **dict.fromkeys((A.SENT, A.WAITING), frozenset({A.SUCCEEDED, A.BACKOFF, A.FAILED, A.SETTLING, A.STUCK})),
        A.BACKOFF: frozenset({A.SUCCEEDED, A.FAILED, A.SETTLING, A.STUCK}),
    },
    e.OutputRejected: {A.SENT: frozenset({A.FAILED, A.STUCK, A.GIVEN_UP})},
    e.OutcomeUnknown: {A.SENT: frozenset({A.SENT, A.BACKOFF, A.UNKNOWN, A.SETTLING, A.STUCK})},
    e.TimerFired: {
        A.BACKOFF: frozenset({A.SENT}),
        A.WAITING: frozenset({A.SUCCEEDED, A.PREVENTED, A.STUCK, A.GIVEN_UP, A.SENT, A.UNKNOWN, A.SETTLING, A.GROWN}),
    },
    e.SignalReceived: {A.WAITING: frozenset({A.SUCCEEDED}), **_UNDONE},
    e.ActionSettled: {
        A.SETTLING: frozenset({A.SUCCEEDED, A.PREVENTED, A.SKIPPED, A.GIVEN_UP}),
        **dict.fromkeys((A.FAILED, A.UNKNOWN), frozenset({A.SUCCEEDED, A.PREVENTED})),
    },
    e.SettleUnavailable: {A.SETTLING: frozenset({A.FAILED, A.UNKNOWN, A.STUCK, A.GIVEN_UP})},
    e.CompensationSucceeded: _UNDONE,
    e.CompensationReported: _UNDONE,
    e.CompensationSettled: _UNDONE,
    e.AbortRequested: {A.BACKOFF: frozenset({A.SETTLING})},
    e.TerminationRequested: {
        **dict.fromkeys((A.SENT, A.SETTLING, A.BACKOFF, A.STUCK, A.FAILED, A.UNKNOWN), frozenset({A.SETTLING})),
        A.WAITING: frozenset({A.PREVENTED, A.SETTLING}),
        A.GROWN: frozenset({A.PREVENTED}),
    },
    e.RetryRequested: {
        A.STUCK: frozenset({A.SENT, A.WAITING, A.GROWN, A.SUCCEEDED}),
        **dict.fromkeys((A.BACKOFF, A.WAITING), frozenset({A.SENT})),
    },
    e.SkipRequested: {
        **dict.fromkeys((A.STUCK, A.BACKOFF, A.SENT, A.WAITING), frozenset({A.SETTLING, A.SKIPPED})),
        A.SETTLING: frozenset({A.SKIPPED}),
        **_UNDONE,
    },
    e.OutcomeDeclared: {
        A.STUCK: frozenset({A.SUCCEEDED, A.SKIPPED, A.PREVENTED}),
        **dict.fromkeys((A.BACKOFF, A.WAITING, A.SENT, A.SETTLING), frozenset({A.SUCCEEDED, A.SKIPPED, A.PREVENTED, A.GIVEN_UP})),
        **_UNDONE,
    },
    e.InputEdited: {a: frozenset({a}) for a in (A.BACKOFF, A.STUCK)},
}

COMPENSATION_MOVES: dict[type[Any], dict[C, frozenset[C]]] = {
    Advance: {C.NONE: frozenset({C.SENT, C.SETTLING, C.WAITING})},
    Rewound: dict.fromkeys((C.NONE, C.DONE), frozenset({C.NONE})),
    **{event: {C.SETTLING: frozenset({C.SENT, C.WAITING})} for event in (e.ActionSucceeded, e.OutcomeReported)},
    e.ActionSettled: {C.SETTLING: frozenset({C.SENT, C.WAITING, C.NONE})},
    e.SignalReceived: {c: frozenset({C.DONE}) for c in (C.WAITING, C.STUCK)},
    e.CompensationSucceeded: {s: frozenset({C.DONE}) for s in (C.SENT, C.BACKOFF, C.WAITING, C.FENCING, C.FENCING_UNDO, C.STUCK)},
    e.CompensationFailed: {C.SENT: frozenset({C.BACKOFF, C.STUCK})},
    e.CompensationHandedOut: {C.SENT: frozenset({C.WAITING})},
    e.CompensationReported: {
        **dict.fromkeys((C.SENT, C.WAITING), frozenset({C.DONE, C.BACKOFF, C.STUCK})),
        C.BACKOFF: frozenset({C.DONE, C.STUCK}),
        **dict.fromkeys((C.FENCING, C.FENCING_UNDO, C.STUCK), frozenset({C.DONE})),
    },
    e.OutcomeUnknown: {C.SENT: frozenset({C.SENT, C.BACKOFF, C.STUCK})},
    e.TimerFired: {C.BACKOFF: frozenset({C.SENT}), C.WAITING: frozenset({C.SENT, C.STUCK})},
    e.CompensationSettled: {c: frozenset({C.DONE, C.SKIPPED}) for c in (C.FENCING, C.FENCING_UNDO)},
    e.SettleUnavailable: {
        **dict.fromkeys((C.FENCING, C.FENCING_UNDO), frozenset({C.STUCK, C.SKIPPED})),
        C.SETTLING: frozenset({C.SENT, C.WAITING}),
    },
    e.TerminationRequested: {
        **dict.fromkeys((C.SENT, C.BACKOFF), frozenset({C.FENCING, C.FENCING_UNDO})),
        **dict.fromkeys((C.WAITING, C.STUCK), frozenset({C.FENCING, C.FENCING_UNDO, C.SKIPPED})),
        **{c: frozenset({c}) for c in (C.FENCING, C.FENCING_UNDO)},
        C.SETTLING: frozenset({C.NONE}),
    },
    e.RetryRequested: {
        C.BACKOFF: frozenset({C.SENT}),
        **dict.fromkeys((C.STUCK, C.WAITING), frozenset({C.SENT, C.WAITING})),
    },
    e.SkipRequested: {
        **dict.fromkeys((C.STUCK, C.BACKOFF, C.SENT, C.WAITING), frozenset({C.FENCING, C.FENCING_UNDO, C.SKIPPED})),
        **dict.fromkeys((C.FENCING, C.FENCING_UNDO, C.SETTLING), frozenset({C.SKIPPED})),
    },
    e.OutcomeDeclared: dict.fromkeys(
        (C.STUCK, C.BACKOFF, C.SENT, C.WAITING, C.FENCING, C.FENCING_UNDO, C.SETTLING), frozenset({C.DONE})
    ),
    e.InputEdited: {c: frozenset({c}) for c in (C.BACKOFF, C.STUCK)},
}


def no_move(
    moves: Mapping[SideStatus, object],
    side: str,
    name: str,
    cause: type[Any],
    before: SideStatus,
    after: SideStatus,
) -> Exception:
    """Return the error about a move that the table does not have: a late event, or a bug of ours."""
    if before not in moves:
        return UnexpectedEventError(f"the {side} of step {name!r} is {before}; it cannot see {cause.__name__}")
    return InvariantError(f"{cause.__name__} moved the {side} of step {name!r} from {before} to {after}")
