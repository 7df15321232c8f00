"""Instances: the running processes of participants, and their signs of life."""

from __future__ import annotations

import msgspec

from goconductor.ports.choices import Spoken


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One running process of a participant; ``serial`` is its number for ever. ``steps`` maps step name to facts about it.

    ``speaks`` is what it says of the buses and elections that it names, by their kind, and of journals that it cannot use.
    """

    serial: int
    participant: str
    name: str
    steps: dict[str, dict[str, object]] = {}
    started_at: float = 0.0
    dead_at: float | None = None
    speaks: dict[str, Spoken] = {}


def ignore(_: Instance) -> None:
    """What a store tells who does not want to know."""
