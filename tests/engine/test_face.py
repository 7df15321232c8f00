"""What users see of a participant and a conductor: what they need, and nothing of the engine."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from goconductor import Conductor, Participant, SagaHandle
from goconductor.testing import World


def shown(thing: Any) -> set[str]:
    return {name for name in dir(thing) if name[0] != "_"}


def test_a_participant_shows_its_steps_its_listeners_its_outboxes_and_how_to_run_it() -> None:
    shop = Participant("shop")
    assert shown(shop) == {"name", "concurrency", "steps", "listeners", "outboxes", "step", "listen", "run", "running", "builder"}


async def test_a_conductor_and_a_handle_show_nothing_of_the_engine(world: World) -> None:
    conductor = Conductor(await world.node())
    assert shown(conductor) == {"start", "saga", "find", "sagas", "bulk", "run", "report", "schedules"}
    asked = {
        "pause",
        "resume",
        "abort",
        "restart",
        "restart_as_new",
        "preview_restart",
        "terminate",
        "retry",
        "skip",
        "declare",
        "edit_input",
        "signal",
        "approve",
        "drop_signal",
        "migrate",
    }
    handle: SagaHandle[Any] = conductor.saga(UUID(int=7))
    assert shown(handle) == {"saga_id", "existing", "begin", "result", "view", "history", *asked}
