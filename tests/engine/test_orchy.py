"""A document of Orchy's, run by the engine with a worker of its own, on memory and on PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goconductor import Participant, Settings, connect
from goconductor.app import migrate
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.doors.conductor import engine
from goconductor.control.importers.orchy.importing import imported
from goconductor.engine.steps.registry import StepRegistry
from goconductor.system.javascript.steps import JavascriptSteps
from goconductor.system.participant import made
from goconductor.testing.world import World

LOAN = json.loads((Path(__file__).parents[1] / "examples/orchy/loan.json").read_text("utf-8"))["document"]


def offer(worker: StepRegistry, seen: dict[str, Any], points: int) -> None:
    """Give a worker the actions of the loan; it writes down what each was given."""

    @worker.step
    async def score(age: int | None, limit: int, note: str) -> dict[str, int]:
        seen["score"] = (age, limit, note)
        return {"points": points}

    @worker.step(name="offer")
    async def make_offer(grade: str, raw: int, twice: int) -> None:
        seen["offer"] = (grade, raw, twice)

    @worker.step
    async def refuse(why: str) -> None:
        seen["refuse"] = why

    @worker.step
    async def archive(k1: int, k2: Any, k3: Any) -> str:
        seen["archive"] = (k1, k2, k3)
        return "archived"


@pytest.mark.parametrize(
    ("points", "way"),
    [(651, {"offer": ("good", 651, 1302)}), (12, {"refuse": "poor"})],
)
async def test_the_loan_takes_its_way(world: World, points: int, way: dict[str, Any]) -> None:
    worker, seen = StepRegistry("orchy"), dict[str, Any]()
    offer(worker, seen, points)
    node = await world.node(worker)
    scripts = JavascriptSteps(seconds=5, bytes_max=16 * 1024 * 1024, output_bytes_max=10_000)
    await world.node(made([], [], {}, MemoryBus(MemoryBroker()).send, scripts, answer_bytes_max=10_000))
    plan = await node.definitions.register(imported(LOAN))
    started = await node.starting.start(plan, {"age": 30, "name": "ann"}, key="loan")
    state = await world.end_of(started.saga_id)
    assert state.status == "completed"
    assert seen == {"score": (30, 700, "for ann"), **way, "archive": (23, None, None)}


@pytest.mark.postgres
async def test_the_loan_waits_for_its_signature_on_postgresql(postgres_url: str) -> None:
    allowed = {"GOCONDUCTOR_SYSTEM_ENABLED": "true", "GOCONDUCTOR_SYSTEM_JAVASCRIPT": "true"}
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url, **allowed})
    await migrate(settings)
    worker, seen = Participant("orchy"), dict[str, Any]()
    offer(worker, seen, 700)
    async with worker.running(settings), connect(settings) as conductor:
        await engine(conductor).definitions.register(imported(LOAN), activate=True)
        handle = await conductor.start("loan", {"age": 30, "name": "ann"})
        await handle.signal("signed", {"by": "ann"})
        result = await handle.result(timeout_seconds=300)
        assert (result["40"], result["23"], result["22"]) == ("archived", None, {"by": "ann"})
    assert seen["archive"] == (23, {"by": "ann"}, None)
