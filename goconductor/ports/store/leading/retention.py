"""What a store lets go of: sagas that have ended, their keys and logs, dead letters, rows of instances that are gone."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import msgspec

Cursor: TypeAlias = tuple[str, ...]
"""Where a walk goes on. Only the store that returned it can read it."""


class Forgettable(enum.StrEnum):
    """What can be forgotten. Keys go before sagas: one that outlived its saga would name one that is gone."""

    LEASES = "leases"

    START_KEYS = "start_keys"
    SAGAS = "sagas"
    DEAD_LETTERS = "dead_letters"
    INSTANCES = "instances"
    AUDIT = "audit"


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
    """Deletion of what is no longer needed, by the leader.

    19. **Forget** takes one step of a walk over one kind. It looks at ``limit`` items at most, from ``after`` on, and deletes
        those that were over ``before`` that time. It returns soon, holds no lock that an append or a start would wait for, and
        writes only while ``epoch`` is the leader's present epoch (:class:`FencedError` otherwise).

        - *Leases*: those that expired before that time, of sagas in one of the statuses ``ended`` or that are deleted. An expired
          lease of a saga that lives, is stuck or paused stays, because it records that an attempt has begun.
        - *Start keys*: of sagas in one of the statuses ``ended`` whose last change was before that time. The key then starts
          anew.
        - *Sagas*: the same, with their log and their leases. A saga that lives, is stuck, paused or held stays, however old it
          is. Its id has the time of its start, so a walk may skip young sagas.
        - A saga that a step of another one has started stays with its key while that one is there and has not ended, however old:
          how it ended may still be asked, and its key says that it was started. The first entry of its log names the other one
          (``parent.saga_id``).
        - *Dead letters*: older ones.
        - *Audit*: rows of the audit log from the beginning of the chain on, up to the first younger one. The last of the old ones
          stays, as the link that the next one is made of. What has no place in the chain yet stays.
        - *Instances*: declared dead, or left, before that time; never one whose sign of life is there.
    """

    async def forget(
        self, kind: Forgettable, *, before: float, ended: Sequence[str], after: Cursor | None, limit: int, epoch: int
    ) -> Forgotten: ...
