"""JSON from outside, read so that no two readers could see different things in it."""

from __future__ import annotations

import json
from typing import Any

from goconductor.errors import PayloadError
from goconductor.saga.data import values


def decoded(body: bytes) -> Any:
    """Read JSON.

    Args:
        body: as it came.

    Raises:
        PayloadError: it is not JSON, holds what cannot be kept, or has a key twice in one object.
    """
    value = values.decode(body)
    if isinstance(value, dict | list):
        json.loads(body, object_pairs_hook=_once)
    return value


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice in one object: readers differ in which of the two they see."""
    made = dict(members)
    if len(made) < len(members):
        twice = next(name for number, (name, _) in enumerate(members) if name in dict(members[:number]))
        raise PayloadError("$", f"has an object in which the key {twice[:63]!a} stands twice; keep one of the two")
    return made
