"""A builder that hands its datum out: the run says that it is being made, and a later one has it."""

from __future__ import annotations

from typing import Annotated

from goconductor import Dataflow, Participant, Produces, StepContext
from goconductor.testing import World


async def test_a_datum_that_somebody_outside_makes_is_being_made_until_he_reports(world: World) -> None:
    insurer, tokens = Participant("insurer"), list[str]()

    @insurer.builder
    async def price(car: str, context: StepContext) -> Annotated[int, Produces("price")]:
        tokens.append(f"{context.task_token} {car}")
        return context.hand_out(ask_after="10m")

    @insurer.builder
    async def offer(price: int) -> Annotated[str, Produces("offer")]:
        return f"for {price}"

    flow = Dataflow("quote", target="offer", builders=[price, offer])
    conductor = await world.conductor(insurer)
    run = await conductor.run(flow, "1", {"car": "vw"})
    assert (run.running, run.missing, run.target) == (["price"], {}, None)
    assert (await conductor.run(flow, "1", close=True)).closed is False
    await conductor.report(tokens[0].split()[0], output=7)
    run = await conductor.run(flow, "1", close=True)
    assert (run.target, run.running, run.closed) == ("for 7", [], True)
