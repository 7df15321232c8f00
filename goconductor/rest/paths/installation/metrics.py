"""Metrics, for Prometheus: no document of ours, so it stands in no API description."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import Response

from goconductor.observe.exposition import text_of
from goconductor.observe.metrics import Metrics


def router(metrics: Metrics) -> APIRouter:
    """``/metrics``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics")
    async def get_metrics(accept: Annotated[str, Header()] = "") -> Response:
        """Return this process's metrics, as text."""
        text, media_type = text_of(metrics, accept)
        return Response(text, headers={"Content-Type": media_type})

    return routes
