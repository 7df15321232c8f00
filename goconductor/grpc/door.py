"""The server: it listens at once, and serves as soon as its node is open.

Its end has an order. Health says first that nothing is served any more; waits for a saga's end are answered, and streams end by
themselves; then what is still open gets the time that is left.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
from grpc_reflection.v1alpha import reflection

from goconductor.control.authority.opening import make_authenticator
from goconductor.control.installation.readiness import readiness
from goconductor.control.settings.doors import GrpcSettings
from goconductor.control.settings.settings import Settings
from goconductor.control.settings.tls import TlsFiles, tls_of
from goconductor.engine.node import Node
from goconductor.errors import ConfigurationError
from goconductor.gateway.gateway import Gateway
from goconductor.grpc import health
from goconductor.grpc.calls import handlers
from goconductor.grpc.channel import server_options
from goconductor.grpc.gate.interceptor import Gate
from goconductor.grpc.services import methods_of
from goconductor.grpc.v1 import SERVICES


class Door:
    """A gRPC server on a port of its own.

    Args:
        settings: where it listens, and its limits.

    Attributes:
        address: where it listens, as ``host:port``.

    Raises:
        ConfigurationError: it cannot listen there.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._node: Node | None = None
        self._stopping = asyncio.Event()
        self._gate = Gate() if settings.auth.enabled else None
        self._server = grpc.aio.server(
            interceptors=[self._gate] if self._gate else [],
            options=server_options(payload_bytes_max=settings.limits.payload_bytes_max),
        )
        names = [each.full_name for each in SERVICES]
        well = health.Health(self._serves, names, self._stopping, watches_max=settings.grpc.watches_max)
        self._methods: dict[str, Any] = {
            "grpc.health.v1.Health.Check": well.check,
            "grpc.health.v1.Health.Watch": well.watch,
        }
        every = (*SERVICES, health.SERVICE)
        self._server.add_generic_rpc_handlers([handlers(each, self._methods) for each in every])
        reflection.enable_server_reflection([*(each.full_name for each in every), reflection.SERVICE_NAME], self._server)
        self.address = _listen(self._server, settings.grpc)

    async def start(self) -> None:
        """Answer from now on: that nothing is served yet, before :meth:`serve` was called."""
        await self._server.start()

    def serve(self, node: Node, gateway: Gateway | None = None) -> None:
        """Serve.

        Args:
            node: the engine, open; who opened it closes it, after :meth:`stop`.
            gateway: has the tasks of workers; who made it closes it, before :meth:`stop`. None takes no workers.
        """
        self._node = node
        authenticator = None
        if self._gate is not None:
            authenticator = self._gate.authenticator = make_authenticator(self._settings, lambda: node.store.keys)
            self._gate.audit = node.store.audit
        self._methods |= methods_of(node, self._settings, self._stopping, gateway, authenticator)

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, and end those that are open.

        Args:
            grace_seconds: seconds that they may take.
        """
        self._stopping.set()
        await self._server.stop(grace_seconds)

    async def _serves(self) -> bool:
        return self._node is not None and (await readiness(self._node)).ready


def _credentials(tls: TlsFiles) -> Any:
    return grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)],
        root_certificates=tls.client_authority,
        require_client_auth=tls.client_authority is not None,
    )


def _listen(server: Any, settings: GrpcSettings) -> str:
    assert settings.port is not None  # noqa: S101  (asked before)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    where, tls = f"{host}:{settings.port}", tls_of("grpc", settings)
    try:
        port = server.add_insecure_port(where) if tls is None else server.add_secure_port(where, _credentials(tls))
    except RuntimeError:  # its text is a chain of file names of gRPC's own
        port = 0
    if not port:
        raise ConfigurationError(f"cannot listen on {settings.host} port {settings.port}; choose another grpc.host or grpc.port")
    return f"{host}:{port}"
