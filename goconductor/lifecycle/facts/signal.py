"""What a saga keeps of a signal until a step takes it."""

from __future__ import annotations

from typing import Any

import msgspec


class Signal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signal that no step has taken yet.

    Args:
        name: the event that it tells of.
        id: as its sender named it.
        payload: what it says.
        by: who sent it.
        at: when it was logged, in seconds since 1970.
        size: of what is kept of it, in bytes.
        approves: the step that it approves; empty if it is no approval.
        round: the round in which its sender saw that step.
        reason: why it approves.
        why: why the last step that looked at it could not read it; empty if none did, or if it was only not meant.
    """

    name: str
    id: str
    payload: Any = None
    by: str = ""
    at: float = 0.0
    size: int = 0
    approves: str = ""
    round: int = 0
    reason: str = ""
    why: str = ""

    @property
    def said(self) -> Any:
        """What a step that takes it gets as its output: the payload; of an approval, who and why."""
        return {"by": self.by, "reason": self.reason} if self.approves else self.payload
