"""Temporal: its own server on our PostgreSQL; with a worker and activities, and, for its best, with local ones in the client."""

from __future__ import annotations

import asyncio
import logging
import random
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import asyncpg
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

from measuring import Run
from peers.contender import LOOPBACK, Contender, Standing, UnavailableError, until_stopped
from peers.temporal_sagas import FanOutSaga, OrderSaga, refuse, run
from peers.work import SERVICES, Workload, check

if TYPE_CHECKING:
    from peers.place import Place

QUEUE = "orders"
SHARDS = 64
DATABASES = {"bench_temporal": "postgresql/v12/temporal", "bench_temporal_visibility": "postgresql/v12/visibility"}
START_SECONDS = 30.0
KEPT_DAYS = 1
SMALL_PORTS = range(20_000, 30_000)

STORE = (
    '      sql: {{pluginName: postgres12, databaseName: {name}, connectAddr: "127.0.0.1:{port}", connectProtocol: '
    "tcp, user: postgres, "
    'password: "{password}", maxConns: {connections}, maxIdleConns: {connections}, maxConnLifetime: 1h}}'
)
SERVER = """\
log: {{stdout: true, level: error}}
persistence:
  defaultStore: main
  visibilityStore: visibility
  numHistoryShards: {shards}
  datastores:
    main:
{main}
    visibility:
{visibility}
global:
  membership: {{maxJoinDuration: 30s, broadcastAddress: "127.0.0.1"}}
services:
{services}
clusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active: {{enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: "127.0.0.1:{frontend}"}}
dcRedirectionPolicy: {{policy: noop}}
dynamicConfigClient: {{filepath: "{dynamic}", pollInterval: 10s}}
"""
SERVICE = "  {name}: {{rpc: {{grpcPort: {port}, membershipPort: {membership}, bindOnLocalHost: true}}}}"
LIMITS = ("frontend.rps", "frontend.namespaceRPS", "frontend.namespaceCount", "frontend.persistenceMaxQPS", "history.rps",
          "history.persistenceMaxQPS", "matching.rps", "matching.persistenceMaxQPS")  # fmt: skip
PARTITIONS = ("matching.numTaskqueueReadPartitions", "matching.numTaskqueueWritePartitions")
EAGER = ("system.enableActivityEagerExecution", "system.enableEagerWorkflowStart")


class Temporal(Contender):
    """A worker of its own, and activities."""

    name = "temporal"
    title = "Temporal, activities"
    packages = ("temporalio", "uvloop")
    local: ClassVar[bool] = False
    tuning = (
        f"one server with all four services, {SHARDS} history shards, rate limits raised out of the way, one "
        f"partition a task queue, up "
        "to 80 connections; a worker process with autoscaling pollers, a cache of 2,000 workflows, eager execution of activities"
    )

    def prepare(self, place: Place) -> str:
        make_databases(place)
        return ""

    @contextmanager
    def standing(self, place: Place, url: str, *, spread: bool) -> Iterator[Standing]:
        del url
        with ExitStack() as stack:
            frontend, pid = serve(stack, place)
            where = {"address": f"{LOOPBACK}:{frontend}", "spread": spread}
            workers = [place.worker(stack, self, role, where) for role in self.roles(spread=spread)]
            yield Standing(where, workers, [pid])

    def roles(self, *, spread: bool) -> tuple[str, ...]:
        """The worker processes: those of a service have activities only, but for the one that has the workflows as well."""
        return (QUEUE, *SERVICES) if spread else (QUEUE,)

    @asynccontextmanager
    async def running(self, workload: Workload, concurrency: int, where: Mapping[str, Any]) -> AsyncIterator[Run]:
        del concurrency
        client = await connect(where["address"])
        saga: Any = FanOutSaga.run if workload.fans_out else OrderSaga.run
        about = {"local": self.local, "spread": workload.spread, "fails": workload.fails}
        name = uuid.uuid4().hex[:8]

        async def one(number: int) -> None:
            answer = await client.execute_workflow(
                saga,
                {"order": workload.order(number), **about},
                id=f"{name}-{number}",
                task_queue=QUEUE,
                request_eager_start=self.local,
            )
            check(workload, number, answer)

        async with AsyncExitStack() as stack:
            if self.local:
                await stack.enter_async_context(worker(client, QUEUE, unsandboxed=True))
            yield one

    async def work(self, role: str, where: Mapping[str, Any], ready: Path) -> None:
        async with worker(await connect(where["address"]), role):
            await until_stopped(ready)


class TemporalLocal(Temporal):
    """Its best: nothing is handed over to anybody."""

    name = "temporal-local"
    title = "Temporal, local activities"
    local = True
    tuning = "the same server; the worker is in the client's process, so that a workflow is begun eagerly there; "
    "local activities, no sandbox"
    cannot: ClassVar[Mapping[str, str]] = {"services": "a local activity runs in its workflow's process"}

    def roles(self, *, spread: bool) -> tuple[str, ...]:
        del spread
        return ()


def worker(client: Client, queue: str, *, unsandboxed: bool = False) -> Worker:
    """A worker, ready to be entered."""
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)  # a refused step is no news, and its traceback costs time
    options: dict[str, Any] = {"workflow_runner": UnsandboxedWorkflowRunner()} if unsandboxed else {}
    return Worker(
        client,
        task_queue=queue,
        workflows=[OrderSaga, FanOutSaga] if queue == QUEUE else [],
        activities=[run, refuse],
        max_concurrent_workflow_tasks=200,
        max_concurrent_activities=1000,
        max_concurrent_local_activities=1000,
        max_cached_workflows=2000,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        **options,
    )


async def connect(address: str) -> Client:
    """A client, as soon as the server and its namespace are there."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                client = await Client.connect(address)
                kept = Duration(seconds=KEPT_DAYS * 86_400)
                wanted = RegisterNamespaceRequest(namespace="default", workflow_execution_retention_period=kept)
                await client.workflow_service.register_namespace(wanted)
            except RPCError as error:
                if "already exists" in str(error).lower() or "already registered" in str(error).lower():
                    return client
                await asyncio.sleep(0.1)
            except RuntimeError:  # nobody listens yet
                await asyncio.sleep(0.1)


def password_of(place: Place) -> str:
    """PostgreSQL's, as the server and its tools want it."""
    return place.server.url().partition("postgres:")[2].partition("@")[0]


def make_databases(place: Place) -> None:
    """Its databases with their tables, unless an earlier round has made them."""
    from peers import servers  # noqa: PLC0415  (the harness only)

    _, sql = servers.temporal()
    for name, schema in DATABASES.items():
        if not place.server.query(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'"):
            place.server.create_database(name)
            reach = [
                "--ep",
                LOOPBACK,
                "-p",
                str(place.server.port),
                "-u",
                "postgres",
                "--pw",
                password_of(place),
                "--pl",
                "postgres12",
            ]
            for command in (["setup-schema", "-v", "0.0"], ["update-schema", "--schema-name", schema]):
                made = subprocess.run(
                    [sql, *reach, "--pl", "postgres12", "--db", name, *command], capture_output=True, text=True, check=False
                )
                if made.returncode:
                    raise UnavailableError(f"Temporal's tables could not be made: {made.stdout[-300:]} {made.stderr[-300:]}")


def serve(stack: ExitStack, place: Place) -> tuple[int, int]:
    """Start the server on its databases; the frontend's port, and the process's id."""
    from goconductor.testing.loopback import free_port  # noqa: PLC0415  (the harness only)
    from peers import servers  # noqa: PLC0415
    from tests.servers.child import Child, answers  # noqa: PLC0415  (the harness only)

    program, _ = servers.temporal()
    asyncio.run(forget_members(place.server.url(next(iter(DATABASES)))))
    ports = {name: (free_port(), small_port()) for name in ("frontend", "matching", "history", "worker")}
    frontend = ports["frontend"][0]
    folder = place.folder / f"temporal-{frontend}"
    folder.mkdir()
    dynamic, configuration = folder / "dynamic.yaml", folder / "server.yaml"
    values = {**dict.fromkeys(LIMITS, "100000"), **dict.fromkeys(PARTITIONS, "1"), **dict.fromkeys(EAGER, "true")}
    dynamic.write_text("".join(f"{name}: [{{value: {value}}}]\n" for name, value in values.items()))
    about = {"port": place.server.port, "password": password_of(place)}
    main, visibility = DATABASES
    configuration.write_text(
        SERVER.format(
            shards=SHARDS,
            main=STORE.format(name=main, connections=60, **about),
            visibility=STORE.format(name=visibility, connections=20, **about),
            services="\n".join(SERVICE.format(name=name, port=port, membership=other) for name, (port, other) in ports.items()),
            frontend=frontend,
            dynamic=dynamic,
        )
    )
    configuration.chmod(0o600)
    server = Child(
        "temporal",
        folder=folder,
        command=[program, "--config-file", configuration, "--allow-no-auth", "start"],
        ready=lambda: answers(frontend),
    )
    server.start()
    stack.callback(server.stop)
    return frontend, server.pid


async def forget_members(url: str) -> None:
    """The server of the last round is gone, which this one's would find out only after a minute."""
    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM cluster_membership")
    await connection.close()


def small_port() -> int:
    """A free port that fits into its table of members, in a `smallint`."""
    from tests.servers.child import answers  # noqa: PLC0415

    return next(port for port in random.sample(SMALL_PORTS, len(SMALL_PORTS)) if not answers(port))


CONTENDER = Temporal()
LOCAL = TemporalLocal()
