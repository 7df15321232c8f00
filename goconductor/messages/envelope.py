"""What crosses the bus: CloudEvents 1.0.2 in structured JSON mode, so that a message is the same bytes on every bus.

The attributes are the specification's, the extensions ``partitionkey`` and ``correlationid`` (the saga's id), ``causationid``,
``idempotencykey``, ``traceparent`` and ``expirytime``. The type ends in the version of the data's schema. Attributes that we do
not know are ignored, never refused; a higher version of a type is left to newer instances.
"""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

import msgspec

from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.ids import Direction


class Baton(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state as the sender knew it, with its place in the log, so that the receiver need not read."""

    seq: int
    tag: int
    state: SagaState | None = None
    """None where it is too large for a message: the receiver reads the log."""
    features: tuple[str, ...] = ()
    """What its definition or its state uses that not every receiver knows (:mod:`goconductor.saga.features`)."""


class RunStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Please run one direction of one step."""

    saga_id: UUID
    saga: str
    version: str
    step: str
    target: str
    direction: Direction
    attempt: int
    round: int
    baton: Baton
    priority: int = 0


class SagaEnded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A saga that somebody waits for has ended. Its baton is a hint, as that of a step: the head of its log decides."""

    saga_id: UUID
    saga: str
    status: SagaStatus
    baton: Baton


Body: TypeAlias = RunStep | SagaEnded

TYPES: dict[type[RunStep | SagaEnded], str] = {
    RunStep: "goconductor.step.run",
    SagaEnded: "goconductor.saga.ended",
}
SCHEMA_VERSIONS: dict[type[RunStep | SagaEnded], int] = {RunStep: 2, SagaEnded: 1}
"""The version of each body. :class:`RunStep` has 2 since a step's state has two sides; its version 1 is still read.

A body whose baton names features has the next version, so that code from before features leaves it to others.
"""


def schema_version(body: Body) -> int:
    """Return the version under which a body is sent."""
    return SCHEMA_VERSIONS[type(body)] + bool(body.baton.features)


class Envelope(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The attributes of a message; ``data`` is the body, undecoded."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str = ""
    time: str = ""
    datacontenttype: str = "application/json"
    partitionkey: str = ""
    correlationid: str = ""
    causationid: str = ""
    idempotencykey: str = ""
    traceparent: str = ""
    expirytime: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
