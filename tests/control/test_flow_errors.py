"""What the code of a step raises, whatever it is, ends neither its participant nor another execution; a listener sees it (F8)."""

from __future__ import annotations

import asyncio

import pytest

from goconductor import CompensatedError, Conductor, Flow, Listener, Participant, Retry, StepContext
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.engine.node import Node
from goconductor.stores.memory import MemoryStore


class OfNobody(BaseException):
    """No ``except Exception`` catches it."""


RAISED = (
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    RecursionError(),
    MemoryError(),
    OfNobody("no"),
)


class Watching(Listener):
    def __init__(self) -> None:
        self.seen: list[BaseException] = []

    def on_error(self, context: StepContext, error: BaseException) -> None:
        self.seen.append(error)
        raise OfNobody("what a listener raises is its own affair")


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", ["a coroutine", "a plain function"])
async def test_whatever_a_step_raises_its_participant_goes_on(kind: str, error: BaseException) -> None:
    shop, watching = Participant("shop"), Watching()
    shop.listen(watching)

    async def work(how: str) -> str:
        return plain(how)

    def plain(how: str) -> str:
        if how == "badly":
            raise error
        return how

    shop.step(name="work")(work if kind == "a coroutine" else plain)
    store, bus = MemoryStore(), MemoryBus(MemoryBroker())
    node = Node(store=store, bus=bus, open_store=lambda: store, registry=shop)
    await node.open()
    try:
        flow = Flow(Conductor(node), "order")
        await flow.create_step("shop.work", inputs={"how": flow.input}, retry=Retry(attempts_max=1))
        with pytest.raises(CompensatedError, match=type(error).__name__):
            await flow.execute("badly", sync=True)
        assert type(error) in {type(each.__cause__ or each) for each in watching.seen}  # out of a thread it comes as a cause
        assert await flow.execute("well", sync=True) == {"work": "well"}
    finally:
        await node.close()
