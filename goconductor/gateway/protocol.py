"""What a gateway and a worker tell each other, whatever door it goes through."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from goconductor.errors import GoConductorError
from goconductor.saga.retry import Retry

ALIVE_SECONDS = 5.0
"""Seconds between two signs of life, of either side."""
SILENCE_SECONDS = 20.0
"""Seconds without any after which the other side is gone."""


class GatewayFullError(GoConductorError):
    """This server has no room for another worker now; try another server, or later."""


class GatewayClosedError(GoConductorError):
    """This server takes no workers now, as it stops; try another server, or later."""


class SessionGoneError(GoConductorError):
    """There is no such session any more: it was silent for too long, or another server had it; begin a new one."""


class Side(StrEnum):
    """Which code of a step."""

    ACTION = "action"
    COMPENSATION = "compensation"


class OfferedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a worker runs.

    Attributes:
        name: definitions run it as ``participant.name``.
        compensation: whether the worker has code that undoes it.
        inputs: name → whether a definition must give it a value; None takes whatever a definition gives.
        schemas: name → the JSON Schema of that input, of those that have one.
        timeout_seconds: how long an attempt may take, where the definition says nothing.
        retry: how often the action is tried, where the definition leaves it open.
        compensation_retry: the same for the compensation.
    """

    name: str
    compensation: bool = False
    inputs: dict[str, bool] | None = None
    schemas: dict[str, Any] = {}
    timeout_seconds: float | None = None
    retry: Retry | None = None
    compensation_retry: Retry | None = None


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says first.

    Attributes:
        participant: whose steps it runs.
        steps: which.
        credit: how many tasks it may have at once.
        worker: its name, for people.
        session: the session to go on with; empty begins a new one.
        holding: the fences of the tasks that it has, and of the outcomes that are not acknowledged.
    """

    participant: str
    steps: tuple[OfferedStep, ...]
    credit: int
    worker: str = ""
    session: str = ""
    holding: tuple[str, ...] = ()


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a registration.

    Attributes:
        session: to go on with, after the connection broke.
        over: of the tasks that the worker holds those whose attempts are over.
    """

    session: str
    over: tuple[str, ...] = ()


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one side of a step.

    Attributes:
        fence: names the attempt; goes back with the outcome.
        step: the step's name, as it was offered.
        side: which code of it.
        saga_id: the saga's id.
        saga: the saga's name.
        saga_step: the step's id in the saga.
        attempt: which attempt this is, from 1.
        round: which round of the step this is, from 0.
        idempotency_key: the same for all attempts at this side.
        action_key: the action's, for a compensation as well.
        input: the inputs by their names, as JSON.
        output: in a compensation, the action's output as JSON; None where it is not known.
        timeout_seconds: how long the worker may take; then the attempt is over.
        reason: why the saga turned back; empty while it goes forward.
        refused: in a compensation, whether the action's only attempt was refused.
        traceparent: the saga's place in its trace; empty if it is not traced.
    """

    fence: str
    step: str
    side: Side
    saga_id: str
    saga: str
    saga_step: str
    attempt: int
    round: int
    idempotency_key: str
    action_key: str
    input: bytes
    output: bytes | None = None
    timeout_seconds: float = 0.0
    reason: str = ""
    refused: bool = False
    traceparent: str = ""


class FailureKind(StrEnum):
    """How a failure is to be taken."""

    REFUSED = "refused"
    PERMANENT = "permanent"
    TEMPORARY = "temporary"


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """How a task failed.

    Attributes:
        kind: whether the business said no, it cannot succeed, or may when it is tried again.
        message: what happened.
        type: the error's name, for retry policies that choose by it; empty for that of the kind.
        traceback: where, for people.
        retry_after_seconds: of a temporary failure: wait at least as long.
    """

    kind: FailureKind
    message: str
    type: str = ""
    traceback: str = ""
    retry_after_seconds: float | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a task.

    Attributes:
        fence: of the task.
        output: as JSON; empty is null.
        failure: how it failed; None if it succeeded.
    """

    fence: str
    output: bytes = b""
    failure: Failed | None = None


class Acknowledged(msgspec.Struct, frozen=True):
    """An outcome need not be kept any more. Not ``recorded``: its attempt was over, and the log has not taken it."""

    fence: str
    recorded: bool


class Cancelled(msgspec.Struct, frozen=True):
    """A task is over, and its outcome is of no use. The worker ends it, and sends one all the same, which frees its room."""

    fence: str
    reason: str


class Draining(msgspec.Struct, frozen=True):
    """The server stops: no more tasks come. Outcomes are still taken for a while."""


Told: TypeAlias = Task | Acknowledged | Cancelled | Draining
"""What a session has for its worker."""
