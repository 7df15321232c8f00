"""What a store lets go of: sagas that have ended, their keys and logs, dead letters, rows of instances that are gone."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import msgspec

Cursor: TypeAlias = tuple[str, ...]
"""Where a walk goes on. Opaque: it is the store's that gave it."""


class Forgettable(enum.StrEnum):
    """What can be forgotten. Keys go before sagas: one that outlived its saga would name one that is gone."""

    LEASES = "leases"

    START_KEYS = "start_keys"
    SAGAS = "sagas"
    DEAD_LETTERS = "dead_letters"
    INSTANCES = "instances"


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a walk.

    Args:
        taken: how many are gone: leases, keys, sagas, letters or instances.
        entries: how many entries of the log went with the sagas.
        after: where to go on; None at the end.
    """

    taken: int = 0
    entries: int = 0
    after: Cursor | None = None


class Retention(Protocol):
    """Letting go, as the leader does it.

    19. **Forget** takes one step of a walk over one kind: it looks at ``limit`` of them at most, from ``after`` on, and lets go
        of those that were over ``before`` that time. It returns soon, holds no lock that an append or a start would wait for,
        and writes only while ``epoch`` is the leader's present epoch (:class:`FencedError` otherwise).

        - *Leases*: those that ran out before that time, of sagas in one of the statuses ``ended`` or that are gone. One that ran
          out on a saga that lives, is stuck or paused stays: it says that an attempt has begun.
        - *Start keys*: of sagas in one of the statuses ``ended`` that changed last before that time. The key then starts anew.
        - *Sagas*: the same, with their log and what leases are left. One that lives, is stuck, paused or held stays, however
          old; and by its id, which says when it started, a walk may know that it is too young.
        - *Dead letters*: older ones.
        - *Instances*: declared dead, or left, before that time; never one whose sign of life is there.
    """

    async def forget(
        self, kind: Forgettable, *, before: float, ended: Sequence[str], after: Cursor | None, limit: int, epoch: int
    ) -> Forgotten: ...
