"""The REST door: one FastAPI application over one node. A path is parsed, a control function called, a document sent."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from goconductor.control.authority.opening import make_authenticator
from goconductor.control.doors.conductor import Conductor, engine
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.errors import GoConductorError
from goconductor.gateway.gateway import Gateway
from goconductor.observe.metrics import Latent, Metrics
from goconductor.rest.http import gate, problems
from goconductor.rest.http.guard import Guard
from goconductor.rest.http.head_requests import HeadRequests
from goconductor.rest.http.stopping import Stopping
from goconductor.rest.paths import dataflows, definitions, flow, flow_executions, flow_steps, schedules, webhooks
from goconductor.rest.paths.installation import audit, changes, health, installation, keys, secrets, workers
from goconductor.rest.paths.installation import events as all_events
from goconductor.rest.paths.sagas import bulk, events, requests, sagas, signals

DESCRIPTION = "Decentralised saga coordination. Problems are answered by RFC 9457, as `application/problem+json`."
OPENAPI_VERSION = "3.1.0"


def create_app(
    conductor: Conductor | Node,
    settings: Settings,
    *,
    stopping: asyncio.Event | None = None,
    metrics: Metrics | None = None,
    gateway: Gateway | None = None,
) -> FastAPI:
    """Create the application.

    It can be mounted in another ASGI application, a participant's own, under any path: the locations in its answers
    (``Location``, the servers in ``/openapi.json``) follow.

    Args:
        conductor: a participant's or a client's, or the engine of a server, open; its opener closes it.
        settings: has its limits, and whether it stays on loopback.
        stopping: set it when the server stops: waits for a saga's end are then answered at once, and streams of events end.
            Uvicorn in this process needs no such event.
        gateway: has the tasks of remote workers; None takes no workers.
        metrics: exposed at ``/metrics``; None takes those of the engine, if the extra ``metrics`` is installed.
    """
    # Swagger's and ReDoc's pages load scripts from elsewhere, so only the document itself is served.
    asks = settings.auth.enabled
    open_paths = gate.OPEN | ({"/metrics"} if settings.auth.metrics_open else set())
    app = FastAPI(
        title="goconductor",
        version=version("goconductor"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(gate.permitted(open_paths, lambda: node.store.audit))] if asks else [],
    )
    node = engine(conductor) if isinstance(conductor, Conductor) else conductor
    stops = Stopping(stopping)
    authenticator = make_authenticator(settings, lambda: node.store.keys) if asks else None
    app.include_router(sagas.router(node, settings, stops))
    app.include_router(events.router(node, stops))
    app.include_router(all_events.router(node, stops))
    app.include_router(requests.router(node, settings))
    app.include_router(signals.router(node, settings))
    app.include_router(signals.outcomes(node, settings))
    app.include_router(dataflows.router(node, settings, stops))
    app.include_router(bulk.router(node, settings))
    app.include_router(definitions.router(node, settings))
    app.include_router(schedules.router(node, settings))
    app.include_router(webhooks.router(node, settings))
    app.include_router(definitions.schema_router())
    app.include_router(flow.router(node, settings))
    app.include_router(flow_steps.router(node, settings))
    app.include_router(flow_executions.router(node, settings, stops))
    app.include_router(workers.router(node, gateway, settings, stops))
    app.include_router(installation.router(node))
    app.include_router(changes.router(node, settings))
    app.include_router(keys.router(node))
    app.include_router(secrets.router(node, settings))
    app.include_router(audit.router(node))
    app.include_router(health.router(node, authenticator))
    if metrics is None and isinstance(node.observer, Latent) and find_spec("prometheus_client") is not None:
        metrics = node.observer.measure()
    if metrics is not None:
        from goconductor.rest.paths.installation.metrics import router  # noqa: PLC0415  (needs the extra 'metrics')

        app.include_router(router(metrics))
    app.add_exception_handler(GoConductorError, problems.on_error)
    app.add_exception_handler(problems.BodyRefusedError, problems.on_body)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(HTTPException, problems.on_http)
    if settings.traces.enabled:
        from goconductor.observe.traces import Caller  # noqa: PLC0415  (needs the extra 'tracing')

        app.add_middleware(Caller)
    if authenticator is not None:
        app.add_middleware(gate.Gate, authenticator=authenticator, open_paths=open_paths, audit=lambda: node.store.audit)
    app.add_middleware(HeadRequests)
    app.add_middleware(Guard, any_host=settings.rest.insecure or asks)
    app.openapi = lambda: _openapi(app, open_paths if asks else None)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI, open_paths: frozenset[str] | None) -> dict[str, Any]:
    """FastAPI's document, corrected: problems have a media type of their own, and no 422 of FastAPI's shape is ever sent."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, openapi_version=OPENAPI_VERSION, description=DESCRIPTION, routes=app.routes
        )
        for path in schema["paths"].values():
            for operation in path.values():
                _correct(operation["responses"])
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        if open_paths is not None:
            gate.describe(schema, open_paths)
        app.openapi_schema = schema
    return app.openapi_schema


def _correct(answers: dict[str, Any]) -> None:
    for status in [each for each in answers if each >= "400"]:
        media = answers[status]["content"].pop("application/json")
        answers[status]["content"][problems.MEDIA_TYPE] = media
        if media["schema"]["$ref"].endswith("/HTTPValidationError"):
            del answers[status]
