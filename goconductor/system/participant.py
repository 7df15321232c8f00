"""The participant ``system``: its steps, as a registry that an engine runs."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from goconductor.engine.steps.action import Action
from goconductor.engine.steps.context import StepContext
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.steps.signature import ANY_INPUTS, Signature
from goconductor.ports.bus import Message
from goconductor.system.checking import SYSTEM
from goconductor.system.guard import Guard, Network
from goconductor.system.http.steps import HttpSteps
from goconductor.system.javascript.steps import JavascriptSteps
from goconductor.system.publish import PublishSteps
from goconductor.system.secrets import Secret, Secrets

SCRIPTS_AT_ONCE = 4
"""Processes of scripts that may run at once."""
SCRIPT_SECONDS = 60.0
"""Seconds of an attempt beyond the script's own time: it may wait for a process."""
PUBLISH_SECONDS = 30.0
"""Seconds of an attempt to publish."""
GRPC_SECONDS = 30.0
"""Seconds of an attempt to call over gRPC."""
HTTP_SECONDS = 30.0
"""Seconds that an attempt may take, where the definition says nothing."""

Code = Callable[[dict[str, Any], StepContext, Any], Awaitable[Any]]
"""Takes all inputs by their names, the context and the action's output."""


class SystemAction(Action[..., Any]):
    """A step of ours. What it takes is checked in definitions, where all of a step is seen."""

    @functools.cached_property
    def signature(self) -> Signature:
        """Return how its action is called."""
        return ANY_INPUTS

    @functools.cached_property
    def compensation_signature(self) -> Signature | None:
        """Return how its compensation is called."""
        return None if self.compensation_function is None else ANY_INPUTS


def made(
    hosts: Sequence[str],
    networks: Sequence[Network],
    secrets: Mapping[str, Secret],
    send: Callable[[Sequence[Message]], Awaitable[None]],
    scripts: JavascriptSteps | None = None,
    descriptors: Sequence[str] = (),
    *,
    answer_bytes_max: int,
) -> StepRegistry:
    """Make the steps of ``system``.

    Args:
        hosts: that may be called, as the settings have them.
        networks: address ranges that may be called although they are not public.
        secrets: that headers may name, by their names.
        send: sends messages over the bus in use.
        scripts: runs scripts; None where they are not allowed.
        descriptors: paths of files that describe services of gRPC; without any, these are not called.
        answer_bytes_max: greatest size of an answer's body, in bytes.

    Raises:
        ConfigurationError: a secret or a file cannot be read.
        ImportError: a library is not installed.
    """
    known, guard = Secrets(secrets), Guard(hosts, networks)
    known.check()
    http = HttpSteps(guard, known, answer_bytes_max=answer_bytes_max)
    registry = StepRegistry(SYSTEM)
    _add(registry, "http", http.call, http.undo, timeout_seconds=HTTP_SECONDS)
    publishing = PublishSteps(send)
    _add(registry, "publish", publishing.publish, publishing.undo, timeout_seconds=PUBLISH_SECONDS)
    if descriptors:
        from goconductor.system.grpc.steps import GrpcSteps  # noqa: PLC0415  (needs its extra)

        grpc = GrpcSteps(guard, known, descriptors, answer_bytes_max=answer_bytes_max)
        _add(registry, "grpc", grpc.call, grpc.undo, timeout_seconds=GRPC_SECONDS)
    if scripts is not None:
        limit = scripts.seconds + SCRIPT_SECONDS
        _add(registry, "javascript", scripts.run, None, timeout_seconds=limit, concurrency=SCRIPTS_AT_ONCE)
    return registry


def _add(
    registry: StepRegistry,
    name: str,
    call: Code,
    undo: Code | None,
    *,
    timeout_seconds: float,
    concurrency: int | None = None,
) -> None:
    action = SystemAction(
        call,
        participant=registry.name,
        name=name,
        journal=None,
        retry=None,
        compensation_retry=None,
        timeout_seconds=timeout_seconds,
        concurrency=concurrency,
    )
    action.compensation_function = undo
    registry.steps[name] = action
