"""What one run is asked, and what became of it."""

from __future__ import annotations

from collections import Counter

import msgspec

from tests.simulation.simulated.faults import Fault


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run.

    Args:
        seed: decides everything.
        sagas: how many are started.
        instances: of each participant.
        trouble_seconds: for how long things go wrong.
        kinds: the faults that may come.
        faults_max: how many of them may come; None is without limit.
        children: whether steps start sagas of their own.
        locks: whether sagas and steps ask for locks, over few keys. Sagas that steps start cannot; so with children every second
            saga is started by no step, and asks.
        migrations: whether sagas are moved to other versions of their definitions.
    """

    seed: int
    sagas: int = 5
    instances: int = 2
    trouble_seconds: float = 30.0
    kinds: tuple[Fault, ...] = tuple(Fault)
    faults_max: int | None = None
    children: bool = False
    locks: bool = False
    migrations: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run.

    Attributes:
        options: by which it can be repeated.
        wrong: what must not be.
        transcript: what happened, a line each.
        faults: how often each came.
        steps: the number of callbacks.
        ends: how the sagas ended.
        constructs: how many steps of the definitions used each.
        asked: the requests of operators that a saga has accepted, those about steps in maps also by themselves.
        seconds: virtual seconds in all.
        healed_seconds: virtual seconds between the last fault and the last end.
    """

    options: Options
    wrong: tuple[str, ...]
    transcript: tuple[str, ...]
    faults: Counter[Fault]
    steps: int
    ends: Counter[str]
    constructs: Counter[str]
    asked: Counter[str]
    seconds: float
    healed_seconds: float
