"""Two participants that reach one another by the bus of this folder; the saga log is in an embedded PostgreSQL."""

import asyncio
from pathlib import Path

from goconductor import Participant, Saga, Settings, migrate
from goconductor.testing import PostgresServer

stock, bank = Participant("stock"), Participant("bank")


@stock.step
async def reserve(item: str) -> str:
    return f"{item} put aside"


@reserve.compensation
async def put_back(item: str) -> None:
    print("put back", item)


@bank.step
async def charge(item: str, reserved: str) -> str:
    return f"{reserved}, {item} paid"


order = Saga("order", input=dict)
reserved = order.step(reserve, inputs={"item": order.input["item"]})
charged = order.step(charge, inputs={"item": order.input["item"], "reserved": reserved.output}, after=[reserved])
order.returns(charged.output)


async def main(database: str) -> None:
    bus = {"kind": "sqlite", "url": f"sqlite://{Path.cwd()}/messages.db", "options": {"poll_seconds": 0.01}}
    settings = Settings.model_validate({"database": {"url": database}, "bus": bus})
    await migrate(settings)
    async with stock.running(settings) as conductor, bank.running(settings):
        for item in ("a lamp", "a chair", "a piano"):
            handle = await conductor.start(order, {"item": item})
            print(await handle.result())
    print("messages crossed", settings.bus.kind, "in", ", ".join(sorted(path.name for path in Path.cwd().glob("*.db"))))


with PostgresServer("embedded") as server:
    asyncio.run(main(server.url()))
