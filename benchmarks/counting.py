"""Counts what one process did between two moments: calls of functions, by the deterministic profiler, and its threads' work.

Counts of calls do not depend on how busy the machine is. The profiler slows what it counts, so times are taken without it.
"""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

COUNTED = {
    "calls": "",
    "statements": "asyncpg/connection.py:_get_statement",
    "of them appends": "stores/postgres/log/appends.py:_statement",
    "of them leases": "stores/postgres/log/leases.py:_held",
    "of them looks into queues": "buses/postgres/schedule.py:begin",
    "batches sent": "ports/bus.py:sendable",
    "waves that came": "buses/kafka/consuming.py:take",
    "tasks": "asyncio/tasks.py:create_task",
    "hashes of UUIDs": "uuid.py:__hash__",
}
"""What is counted, each by a function that is called once for it: the end of its file's path, and its name.
A coroutine would not do: the profiler counts it again each time that it goes on."""


class Thread(NamedTuple):
    """What a thread has done so far: seconds of CPU, and how often it went to sleep."""

    cpu_seconds: float
    sleeps: int


def threads(pid: int) -> dict[str, Thread]:
    """The threads of a process by their names; those of one name are added up."""
    found: dict[str, Thread] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name = "loop" if task.name == str(pid) else (task / "comm").read_text().strip()
            on_cpu = int((task / "schedstat").read_text().split()[0]) / 1e9
            status = dict(line.split(":\t") for line in (task / "status").read_text().splitlines() if ":\t" in line)
        except FileNotFoundError:  # it has ended
            continue
        before = found.get(name, Thread(0.0, 0))
        found[name] = Thread(before.cpu_seconds + on_cpu, before.sleeps + int(status["voluntary_ctxt_switches"]))
    return found


class Counting:
    """Counts the calls of this thread.

    Args:
        path: where :meth:`end` writes them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._profile = cProfile.Profile()

    def begin(self) -> None:
        """Count from now on."""
        self._profile.enable()

    def end(self) -> None:
        """Count no more, and write what was counted; the file is there when it is whole."""
        self._profile.disable()
        beside = self._path.with_suffix(".part")
        self._profile.dump_stats(beside)
        beside.replace(self._path)


def counts(path: Path) -> dict[str, int]:
    """How often each of :data:`COUNTED` was called."""
    stats: Mapping[tuple[str, int, str], tuple[int, int, float, float, object]] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    return {what: _calls(function, stats.items()) for what, function in COUNTED.items()}


def _calls(function: str, stats: Iterable[tuple[tuple[str, int, str], tuple[int, int, float, float, object]]]) -> int:
    file, _, name = function.partition(":")
    return sum(calls for (path, _, called), (_, calls, *_) in stats if path.endswith(file) and (not name or called == name))
