"""The parent of a saga: the step of another one that started it."""

from __future__ import annotations

from uuid import UUID

import msgspec

from goconductor.saga.ids import child_key


class Parent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which step started a saga, and in which run.

    Args:
        saga_id: the id of that step's saga.
        step: the step.
        round: its round then.
        attempt: the attempt of its action, or of its compensation.
        held: whether the saga is held when it is done, as that one may have it undone until its own end.
        undoes: whether the saga undoes the step.
    """

    saga_id: UUID
    step: str
    round: int
    attempt: int
    held: bool = False
    undoes: bool = False

    @property
    def key(self) -> str:
        """The start key of the saga."""
        return child_key(self.saga_id, self.step, self.round, self.attempt, undoes=self.undoes)
