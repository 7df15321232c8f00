"""What is measured and traced of a process, by its settings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from goconductor.control.settings.sections import MetricsSettings
from goconductor.control.settings.settings import Settings
from goconductor.engine.observer import SILENT, Observer
from goconductor.errors import ConfigurationError, PluginNotFoundError
from goconductor.observe.metrics import Latent, Metrics
from goconductor.redaction import logger_of

logger = logger_of("goconductor")


@asynccontextmanager
async def observed(
    settings: Settings, name: str, metrics: Metrics | None
) -> AsyncIterator[tuple[Observer, Metrics, Callable[[], bool]]]:
    """Enter a context that measures and traces a process. A process that measures nothing yet may begin later
    (:class:`Latent`).

    Args:
        settings: the loaded settings.
        name: of the process, in its traces.
        metrics: those of a program that exposes them itself; None makes some where they are wanted.

    Yields:
        What the engine tells, what is measured, and whether anything is.

    Raises:
        PluginNotFoundError: a library that the settings need is not installed.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            latent = Latent(_traces(settings, name, stack) or SILENT, metrics)
            if metrics is not None or settings.metrics.port is not None:
                latent.measure()
            if settings.metrics.port is not None:
                _metrics_door(settings.metrics, latent.metrics, stack)
        except ImportError as error:
            extra = "tracing" if str(error.name).startswith("opentelemetry") else "metrics"
            problem = f"{extra} needs a library that is not installed ({error.name}): pip install 'goconductor[{extra}]'"
            raise PluginNotFoundError(problem) from None
        yield latent, latent.metrics, lambda: latent.measures


def _traces(settings: Settings, name: str, stack: contextlib.AsyncExitStack) -> Observer | None:
    if not settings.traces.enabled:
        return None
    from goconductor.observe.traces import Exporting, Traces  # noqa: PLC0415  (needs its extra)

    if settings.traces.endpoint is None:
        return Traces(None)
    exporting = Exporting(settings.traces.endpoint.get_secret_value(), service=name)
    stack.push_async_callback(asyncio.to_thread, exporting.close)
    return Traces(exporting.provider)


def _metrics_door(settings: MetricsSettings, metrics: Metrics, stack: contextlib.AsyncExitStack) -> None:
    """Serve metrics. Of several processes with the same settings, as uvicorn's workers, one has the port; the others go on."""
    from goconductor.observe.exposition import Door  # noqa: PLC0415  (needs its extra)

    assert settings.port is not None  # noqa: S101  (asked before)
    try:
        door = Door(metrics, host=settings.host, port=settings.port)
    except ConfigurationError as error:
        logger.warning("%s; this process works on without. Its metrics are at /metrics of its REST door, if it has one", error)
        return
    stack.push_async_callback(asyncio.to_thread, door.close)
    logger.info("metrics on http://%s:%d/metrics", settings.host, door.port)
