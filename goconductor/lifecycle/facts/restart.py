"""The restart of a saga that has ended: another saga begins in its place. The log of the one that has ended stays as it is."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import msgspec


class RestartAsNew(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an operator asked for: a new saga in place of one that has ended. It is no event of either.

    Args:
        inputs: other values for members of the input, by name; None takes it as it was.
        version: of the definition; None the one that the saga had, ``active`` the one that new sagas take now.
        despite_effects: also where something that the saga did stands, and may then be there twice.
        reason: why.
        by: the name of the actor.
    """

    verb: ClassVar[str] = "restarted as a new one"
    inputs: dict[str, Any] | None = None
    version: str | None = None
    despite_effects: bool = False
    reason: str = ""
    by: str = ""


class Restart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Which saga another one was started in place of, and who asked for that.

    Args:
        saga_id: the saga that had ended.
        asked: the request.
        request_id: the request's id, where it had one.
    """

    saga_id: UUID
    asked: RestartAsNew
    request_id: str | None = None
