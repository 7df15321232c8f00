"""Who is compared, by name. Of a contender whose packages are not there the report tells, with the reason."""

from __future__ import annotations

from importlib import import_module

from peers.contender import Contender, UnavailableError

# name → its module and the attribute there, in the order of the tables
PLACES = {
    "hand": ("peers.hand", "CONTENDER"),
    "hand-group": ("peers.hand_group", "CONTENDER"),
    "goconductor": ("peers.ours", "CONTENDER"),
    "goconductor-kafka": ("peers.ours", "OVER_KAFKA"),
    "restate": ("peers.restate_service", "CONTENDER"),
    "temporal": ("peers.temporal_worker", "CONTENDER"),
    "temporal-local": ("peers.temporal_worker", "LOCAL"),
    "dbos": ("peers.dbos_steps", "CONTENDER"),
    "procrastinate": ("peers.procrastinate_jobs", "CONTENDER"),
}
ABSENT = {
    "dtm": "its server cannot be had from the package registries; an earlier run of the same work measured its main branch: 166 "
    "sagas/s at 1 (p50 5.7 ms), 489 at 64 (128 ms), 447 at 256, 3.8 CPU seconds and 4.7 transactions per three-step saga "
    "(figures of another day: no ratio to these)",
}
"""Peers that nobody can install here, and why."""


def find(name: str) -> Contender:
    """A contender.

    Raises:
        UnavailableError: its packages are not installed here.
    """
    module, attribute = PLACES[name]
    try:
        contender: Contender = getattr(import_module(module), attribute)
    except ImportError as error:
        raise UnavailableError(f"the package {error.name!r} is not installed here; `make bench-peers` installs it") from None
    return contender
