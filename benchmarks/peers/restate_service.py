"""Restate: its own server with its own log; the saga is a handler whose steps are durable runs, called over HTTP."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config
from restate.exceptions import TerminalError

from measuring import Run
from peers.contender import LOOPBACK, Contender, Standing, UnavailableError, until_stopped
from peers.work import PARTS, SERVICES, STEPS, Output, Workload, act, check, summary

if TYPE_CHECKING:
    from peers.place import Place

PARTITIONS = 4
LISTEN_SECONDS = 20.0
SERVER = """
    cluster-name = "bench"
    node-name = "bench"
    base-dir = "{folder}"
    default-num-partitions = {partitions}
    disable-telemetry = true
    bind-ip = "127.0.0.1"
    bind-port = {node}
    listen-mode = "tcp"
    log-filter = "warn"
    [ingress]
    bind-address = "127.0.0.1:{ingress}"
    [admin]
    bind-address = "127.0.0.1:{admin}"
"""

orders = restate.Service("Orders")
services = {name: restate.Service(name.capitalize()) for name in SERVICES}


@orders.handler()
async def saga(ctx: restate.Context, asked: Output) -> Output:
    """The steps in turn; where one is refused, the compensations of those before it."""
    order, outputs = asked["order"], {}
    try:
        for step in STEPS:
            action = refuse if asked["fails"] and step == STEPS[-1] else act
            outputs[step] = await ctx.run_typed(step, action, step=step, **order)
    except TerminalError:
        undone = {}
        for step in reversed(outputs):
            undo = f"undo_{step}"
            undone[undo] = await ctx.run_typed(undo, act, step=undo, **order)
        return summary("compensated", undone)
    return summary("completed", outputs)


@orders.handler()
async def fan_out(ctx: restate.Context, asked: Output) -> Output:
    """All steps at once."""
    running = [ctx.run_typed(step, act, step=step, **asked["order"]) for step in PARTS]
    await restate.gather(*running)
    return summary("completed", {step: await each for step, each in zip(PARTS, running, strict=True)})


@orders.handler()
async def over_services(ctx: restate.Context, asked: Output) -> Output:
    """Each step by a call of another service."""
    outputs = {}
    for name, step in SERVICES.items():
        outputs[step] = await ctx.service_call(runners[name], arg={"step": step, **asked["order"]})
    return summary("completed", outputs)


async def refuse(step: str, order: int) -> Output:
    """The last step, where it is to fail."""
    raise TerminalError(f"no truck to {step} order {order}")


def runner(name: str) -> Any:
    """The handler of a service that has one step."""

    async def run(ctx: restate.Context, asked: Output) -> Output:
        output: Output = await ctx.run_typed(SERVICES[name], act, **asked)
        return output

    return services[name].handler("run")(run)


runners = {name: runner(name) for name in SERVICES}


class Restate(Contender):
    """Its server keeps the log; PostgreSQL has nothing to do."""

    name = "restate"
    title = "Restate"
    on_postgresql = False
    packages = ("restate-sdk", "hypercorn", "aiohttp", "uvloop")
    tuning = (
        f"one server, {PARTITIONS} partitions instead of 24 (twice as fast on two cores), its fsyncs as they come; "
        "the service under hypercorn with HTTP/2 in both directions, as its documentation shows, with uvloop, 1,000 streams and "
        "connections that are "
        "not closed after 1,000 requests; clients call the ingress over HTTP/1.1 with as many connections as they like"
    )

    def prepare(self, place: Place) -> str:
        del place
        return ""  # it keeps a log of its own

    @contextmanager
    def standing(self, place: Place, url: str, *, spread: bool) -> Iterator[Standing]:
        from goconductor.testing.loopback import free_port  # noqa: PLC0415  (the harness only)
        from peers import servers  # noqa: PLC0415
        from tests.servers.child import Child, answers  # noqa: PLC0415  (the harness only)

        del url
        ports = {name: free_port() for name in ("node", "ingress", "admin")}
        with ExitStack() as stack:
            folder = place.folder / f"restate-{ports['node']}"
            folder.mkdir()
            configuration = folder / "restate.toml"
            configuration.write_text(SERVER.format(folder=folder / "data", partitions=PARTITIONS, **ports))
            server = Child(
                "restate",
                folder=folder,
                command=[servers.restate(), "-c", configuration, "--no-logo"],
                ready=lambda: healthy(ports["ingress"], "/restate/health") and answers(ports["admin"]),
            )
            server.start()
            stack.callback(server.stop)
            workers = []
            for role in SERVICES if spread else ("orders",):
                port = free_port()
                where = {"port": port, "alone": not spread}
                workers.append(place.worker(stack, self, role, where))
                register(ports["admin"], port)
            yield Standing({"ingress": f"http://{LOOPBACK}:{ports['ingress']}"}, workers, [server.pid])

    @asynccontextmanager
    async def running(self, workload: Workload, concurrency: int, where: Mapping[str, Any]) -> AsyncIterator[Run]:
        del concurrency
        handler = "fan_out" if workload.fans_out else "over_services" if workload.spread else "saga"
        url = f"{where['ingress']}/Orders/{handler}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), raise_for_status=True) as session:

            async def run(number: int) -> None:
                asked = {"order": workload.order(number), "fails": workload.fails}
                async with session.post(url, json=asked) as response:
                    check(workload, number, await response.json())

            yield run

    async def work(self, role: str, where: Mapping[str, Any], ready: Path) -> None:
        config = Config()
        config.bind = [f"{LOOPBACK}:{where['port']}"]
        config.h2_max_concurrent_streams = 1000
        config.keep_alive_timeout = 600
        config.keep_alive_max_requests = 10**9
        config.backlog = 1024
        config.loglevel = "WARNING"
        own = [orders] if where["alone"] else [services[role], *([orders] if role == "stock" else [])]
        # it says that it is ready a little too early: who registers it waits until it listens
        await serve(restate.app(own), config, shutdown_trigger=partial(until_stopped, ready))


def register(admin: int, port: int) -> None:
    """Tell the server where a service is, as soon as that listens."""
    from tests.servers.child import answers  # noqa: PLC0415

    give_up = time.monotonic() + LISTEN_SECONDS
    while not answers(port):
        if time.monotonic() > give_up:
            raise UnavailableError(f"its service does not listen on port {port}")
    body = json.dumps({"uri": f"http://{LOOPBACK}:{port}", "force": True}).encode()
    request = urllib.request.Request(f"http://{LOOPBACK}:{admin}/deployments", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()


def healthy(port: int, path: str) -> bool:
    """Whether a server says that it is ready."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=5) as response:
        return bool(response.status == 200)
    return False


CONTENDER = Restate()
