"""``goconductor serve``: the REST door, and the gRPC door where it has a port, over one node, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer

from goconductor import app
from goconductor.control.doors.exits import Exit
from goconductor.control.doors.health import answering
from goconductor.control.settings.doors import RestSettings
from goconductor.control.settings.settings import Settings
from goconductor.control.settings.tls import tls_of
from goconductor.errors import ConfigurationError, PluginNotFoundError, SecretError
from goconductor.nodes import make_gateway
from goconductor.observe.metrics import Metrics
from goconductor.redaction import logger_of

try:
    import uvicorn

    from goconductor.rest.app import create_app
    from goconductor.rest.waiting import Front
except ImportError as error:  # pragma: no cover  (the tests have the extra)
    raise PluginNotFoundError(
        f"serving needs a library that is not installed ({error.name}): pip install 'goconductor[rest]'"
    ) from None

if TYPE_CHECKING:
    from goconductor.grpc.door import Door

logger = logger_of("goconductor")

GRACE_SECONDS = 10
"""Seconds that open requests may take to finish; a request that waits for a saga is answered at once."""


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Left to us: uvicorn would end the process by the signal itself, before the node has left in order."""
        return nullcontext()


async def serve(settings: Settings) -> Exit:
    """Serve until a signal to stop. While the database is away it answers that it lives, and what it waits for.

    Raises:
        ConfigurationError: an address cannot be listened on.
        PluginNotFoundError: gRPC has a port, and its library is not installed.
        SchemaError: the database is not migrated.
    """
    front, stopping = Front(settings), asyncio.Event()
    config = uvicorn.Config(
        front,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    tls = tls_of("rest", settings.rest)
    if tls is not None:
        config.load()
        config.ssl = tls.context
    server = _Server(config)

    def stop() -> None:
        server.force_exit = server.should_exit  # the second signal ends it at once
        server.should_exit = True
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(settings.rest))
        door = await _grpc_door(settings, stack)
        served = asyncio.create_task(server.serve(sockets=[listener]), name="REST")
        opening = _open(settings, front, stopping, served, _address(listener, "http" if tls is None else "https"), door)
        opened = asyncio.create_task(opening, name="node")
        await asyncio.wait((served, opened), return_when=asyncio.FIRST_COMPLETED)
        if front.behind is None:
            opened.cancel()  # it got the signal while it waited, or cannot be opened
        stop()
        await asyncio.wait((served, opened))
        if not opened.cancelled():
            opened.result()
        served.result()
    typer.echo("stopped")
    return Exit.OK


async def _open(
    settings: Settings, front: Front, stopping: asyncio.Event, served: asyncio.Task[None], where: str, door: Door | None
) -> None:
    """Open the node, put the doors on it, and keep all until nothing is served any more."""
    metrics = Metrics() if find_spec("prometheus_client") is not None else None  # the extra may be missing
    reads_only = ""
    try:
        filled = await _with_secrets(settings)  # the doors need none of them
    except SecretError as error:
        from goconductor.control.secrets.filling import without_secrets  # noqa: PLC0415  (who refers to none does not pay for it)

        filled, reads_only = without_secrets(settings), str(error)
    if reads_only:
        logger.error("this server reads only, until it is started again with its secrets: %s", reads_only)
    async with app.server(filled, metrics=metrics, reads_only=reads_only) as node:
        gateway = make_gateway(filled, node)
        front.behind = create_app(node, settings, stopping=stopping, metrics=metrics, gateway=gateway)
        typer.echo(f"REST on {where}/v1, described at {where}/openapi.json, health at {where}/livez and {where}/readyz")
        if door is not None:
            door.serve(node, gateway)
            typer.echo(f"gRPC on {door.address}, with health and reflection")
        if gateway is not None:
            gateway.start()
            typer.echo("workers are taken")
        await stopping.wait()
        if gateway is not None:
            await gateway.close()
        if door is not None:
            await door.stop(GRACE_SECONDS)
        await asyncio.wait([served])


async def _with_secrets(settings: Settings) -> Settings:
    """Wait for the secrets as the node waits for its database: it answers about its health meanwhile."""
    if not settings.references:
        return settings
    async with answering(lambda: None, settings.health):
        return await app.with_secrets(settings)


async def _grpc_door(settings: Settings, stack: AsyncExitStack) -> Door | None:
    """Open the gRPC door, if it has a port; it answers at once, and serves nothing yet."""
    if settings.grpc.port is None:
        return None
    try:
        from goconductor.grpc.door import Door  # noqa: PLC0415  (needs its extra)
    except ImportError as error:  # pragma: no cover  (the tests have the extra)
        problem = f"grpc.port needs a library that is not installed ({error.name}): pip install 'goconductor[grpc]'"
        raise PluginNotFoundError(problem) from None
    door = Door(settings)
    stack.push_async_callback(door.stop, 0)
    await door.start()
    return door


def _listen(rest: RestSettings) -> socket.socket:
    try:
        family = socket.getaddrinfo(rest.host, rest.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((rest.host, rest.port), family=family, backlog=1024)
    except OSError as error:
        why = (
            os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
        )  # Python's own text is longer
        problem = f"cannot listen on {rest.host} port {rest.port} ({why}); choose another rest.host or rest.port"
        raise ConfigurationError(problem) from None
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
