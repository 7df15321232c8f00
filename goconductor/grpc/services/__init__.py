"""The services, one file for each group of methods; a method calls one function of `control`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from goconductor.control.authority.authenticating import Authenticator
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.gateway.gateway import Gateway
from goconductor.grpc.services.dataflows import DataflowCalls
from goconductor.grpc.services.definitions import DefinitionCalls
from goconductor.grpc.services.flows import FlowCalls
from goconductor.grpc.services.keys import KeyCalls
from goconductor.grpc.services.operations import OperationCalls
from goconductor.grpc.services.requests import RequestCalls
from goconductor.grpc.services.sagas import SagaCalls
from goconductor.grpc.services.schedules import ScheduleCalls
from goconductor.grpc.services.secrets import SecretCalls
from goconductor.grpc.services.telling.watching import WatchCalls
from goconductor.grpc.services.telling.webhooks import WebhookCalls
from goconductor.grpc.services.working import WorkCalls
from goconductor.grpc.v1 import SERVICES


def methods_of(
    node: Node,
    settings: Settings,
    stopping: asyncio.Event,
    gateway: Gateway | None = None,
    authenticator: Authenticator | None = None,
) -> dict[str, Callable[..., Any]]:
    """Return what is called for each method of all services, by the method's full name.

    Args:
        node: the engine.
        settings: has the limits.
        stopping: set when the server stops.
        gateway: has the tasks of workers; None takes no workers.
        authenticator: of the door; None where nobody is asked.
    """
    requests = RequestCalls(node)
    by_name = requests.of_catalogue()
    found: dict[str, Callable[..., Any]] = {}
    parts = {
        "Sagas": (SagaCalls(node, settings, stopping), requests, WatchCalls(node, settings, stopping)),
        "Definitions": (DefinitionCalls(node, settings),),
        "Schedules": (ScheduleCalls(node, settings),),
        "Webhooks": (WebhookCalls(node, settings),),
        "Dataflows": (DataflowCalls(node, stopping),),
        "Flows": (FlowCalls(node, stopping),),
        "Operations": (OperationCalls(node, settings, authenticator),),
        "Keys": (KeyCalls(node),),
        "Secrets": (SecretCalls(node, settings),),
        "Workers": (WorkCalls(node, gateway, settings),),
    }
    for service in SERVICES:
        for method in service.methods:
            name = _snake(method.name)
            of_catalogue = by_name.get(name) if service.name == "Sagas" else None
            found[method.full_name] = of_catalogue or next(
                getattr(part, name) for part in parts[service.name] if hasattr(part, name)
            )
    return found


def _snake(name: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name).removeprefix("_")
