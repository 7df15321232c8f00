"""The parent of a saga: the step of another one that started it."""

from __future__ import annotations

from uuid import UUID

import msgspec


class Parent(msgspec.Struct, frozen=True):
    """Which step started a saga, and in which run.

    Args:
        saga_id: the id of that step's saga.
        step: the step.
        round: its round then.
        attempt: the attempt of its action.
    """

    saga_id: UUID
    step: str
    round: int
    attempt: int
