"""The work, the same for all: what the steps do, what a saga of each workload answers, and how the answer is checked.

A contender runs the steps as its own users would write them, and says at the end what it saw; nothing is believed: an outcome
other than the workload's ends the run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STEPS = ("reserve", "charge", "ship")
PARTS = tuple(f"part{number}" for number in range(10))
SERVICES = dict(zip(("stock", "bank", "parcels"), STEPS, strict=True))
"""Who runs which step, where each is a service of its own."""

Output = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """One kind of saga.

    Attributes:
        name: as on the command line.
        title: for readers.
        steps: the steps of one saga.
        actions: how many actions and compensations one saga runs.
        outcome: how it must end.
        payload_bytes: what each step is given and answers, beside the order's number.
        sleep_seconds: how long each step waits, as for I/O.
        spread: whether each step belongs to a service in a process of its own.
    """

    name: str
    title: str
    steps: tuple[str, ...] = STEPS
    actions: int = 3
    outcome: str = "completed"
    payload_bytes: int = 0
    sleep_seconds: float = 0.0
    spread: bool = False

    @property
    def fails(self) -> bool:
        """Whether the last step is refused, and the ones before it are compensated."""
        return self.outcome == "compensated"

    @property
    def fans_out(self) -> bool:
        """Whether the steps run side by side."""
        return self.steps == PARTS

    def order(self, number: int) -> dict[str, Any]:
        """The input of one saga: its number, and what the steps need beside it."""
        order: dict[str, Any] = {"order": number}
        if self.payload_bytes:
            order["payload"] = PAYLOADS[self.payload_bytes]
        if self.sleep_seconds:
            order["sleep"] = self.sleep_seconds
        return order


_LIST = (
    Workload("steps", "three steps"),
    Workload("failing", "three steps, the last one fails, two compensations", actions=5, outcome="compensated"),
    Workload("fan-out", "ten parallel steps and a join", steps=PARTS, actions=10),
    Workload("services", "three steps of three services in three processes", spread=True),
    Workload("io", "three steps that wait for 10 ms each", sleep_seconds=0.01),
    Workload("1k", "three steps with 1 KiB of input and output", payload_bytes=1024),
    Workload("64k", "three steps with 64 KiB of input and output", payload_bytes=65_536),
)
WORKLOADS = {workload.name: workload for workload in _LIST}
# letters that cannot be compressed to much less, the same in each run
PAYLOADS = {size: random.Random(size).randbytes(size // 2).hex() for size in (1024, 65_536)}


class RefusedError(Exception):
    """What the last step raises where it is to fail."""


class WrongOutcomeError(Exception):
    """A saga ended otherwise than its workload must."""


async def act(step: str, order: int, payload: str = "", sleep: float = 0.0) -> Output:
    """What each step does, and each compensation."""
    if sleep:
        await asyncio.sleep(sleep)
    output: Output = {"step": step, "order": order, "ok": True}
    if payload:
        output["payload"] = payload
    return output


def summary(outcome: str, outputs: Mapping[str, Output]) -> Output:
    """What a contender says of a saga: of which order, which steps or compensations it saw, and how much they carried."""
    orders = {output["order"] for output in outputs.values()}
    named = sorted(step for step, output in outputs.items() if output["step"] == step and output["ok"])
    carried = sum(len(output.get("payload", "")) for output in outputs.values())
    return {"outcome": outcome, "order": orders.pop() if len(orders) == 1 else None, "steps": named, "payload_bytes": carried}


def check(workload: Workload, number: int, answer: Mapping[str, Any]) -> None:
    """Compare what a contender says with what must have been.

    Raises:
        WrongOutcomeError: they differ.
    """
    steps = ("undo_charge", "undo_reserve") if workload.fails else workload.steps
    carried = workload.payload_bytes * len(steps)
    wanted = {"outcome": workload.outcome, "order": number, "steps": sorted(steps), "payload_bytes": carried}
    if dict(answer) != wanted:
        raise WrongOutcomeError(f"order {number} should have answered {wanted}, it answered {dict(answer)}")
