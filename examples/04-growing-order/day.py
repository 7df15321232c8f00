"""An order whose steps come and go with the services that have them, while orders are executed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from goconductor import Flow, FlowChangedError, Settings, connect, logs, migrate
from goconductor.testing import PostgresServer

FOLDER = Path(__file__).parent
LAMP = {"sku": "lamp", "cents": 4900}
PATIENCE_SECONDS = 600.0


@contextmanager
def service(name: str, url: str) -> Iterator[None]:
    """Run a service as a process of its own, which has added its steps; it leaves at the end."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GOCONDUCTOR_")}
    environment |= {"GOCONDUCTOR_DATABASE_URL": url}
    pipe = subprocess.PIPE
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        print(process.stdout.readline(), end="", flush=True)
        yield
        process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{name} ended with {process.returncode}")


async def show(flow: Flow, execution: UUID) -> None:
    """Print how an execution is doing."""
    status = await flow.status(execution)
    steps = (f"{step.id} {step.status}" + (f" ({step.reason})" if step.status == "pending" else "") for step in status.steps)
    print(f"  {status.status}: {', '.join(steps)}", flush=True)


async def order(flow: Flow) -> None:
    """Execute the flow as it is now, and print what came of it."""
    execution = await flow.execute(LAMP)
    await flow.result(execution, wait_seconds=PATIENCE_SECONDS)
    await show(flow, execution)


async def orders(url: str, settings: Settings) -> None:
    """Let services come and go."""
    async with connect(settings) as conductor:
        flow = Flow(conductor, "order")
        with service("stock", url):
            await order(flow)
            before = (await flow.lookup()).version
            await flow.create_step({"id": "paid", "wait": {"event": "paid"}, "after": ["reserve"], "before": ["ship"]})
            early = await flow.execute(LAMP)
            await flow.delete_step("paid")
            with service("bank", url):
                await order(flow)
                print("an execution that began before goes by what the order was then")
                await conductor.saga(early).signal("paid")
                await flow.result(early, wait_seconds=PATIENCE_SECONDS)
                await show(flow, early)
                print("an edit of what the order was at first")
                try:
                    await flow.create_step("stock.wrap", after=["reserve"], before=["ship"], made_of=before)
                except FlowChangedError as refused:
                    print(f"  is refused: {'; '.join(refused.changes)}")
            print("the bank is gone, and its step waits")
            late = await flow.execute(LAMP)
            while (await flow.status(late)).steps[1].reason != "bank has no live instance":  # noqa: ASYNC110  (other processes')
                await asyncio.sleep(0.05)
            await show(flow, late)
            await flow.stop(late, reason="the bank has closed", forced=True)
            await show(flow, late)
            print("without the bank's step")
            await flow.delete_step("charge")
            await order(flow)


def main() -> None:
    """Run it all."""
    logs.set_up(level="error", format="text")
    with PostgresServer() as postgres:
        url = postgres.url()
        settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})
        asyncio.run(migrate(settings))
        asyncio.run(orders(url, settings))


if __name__ == "__main__":
    main()
