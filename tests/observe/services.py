"""A warehouse and a card company: one saga of theirs completes, is compensated or becomes stuck, as its input says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from goconductor import PermanentError, RefusedError, Saga
from goconductor.engine.node import Node
from goconductor.engine.observer import Observer
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.state import SagaState
from goconductor.observe.exposition import text_of
from goconductor.observe.metrics import Metrics
from goconductor.observe.traces import Traces
from goconductor.testing.world import World

log = logging.getLogger("shop.own")


def warehouse() -> StepRegistry:
    steps = StepRegistry("warehouse")

    @steps.step
    async def reserve(way: str) -> str:
        log.warning("reserving %s", way)
        await asyncio.sleep(0)
        log.warning("reserved %s", way)
        return "shelf 7"

    @reserve.compensation
    async def release(way: str) -> None:
        log.warning("releasing")
        if way == "stuck":
            raise PermanentError("the shelf is gone")

    return steps


def cards() -> StepRegistry:
    steps = StepRegistry("cards")

    @steps.step
    def charge(way: str) -> str:
        log.warning("charging in a thread")
        if way != "pays":
            raise RefusedError("the card is refused")
        return "receipt 3"

    @charge.compensation
    def refund(way: str) -> None:
        """Also of a card that was refused: the exception could have come after the effect."""

    return steps


def order() -> Saga[dict[str, str]]:
    saga: Saga[dict[str, str]] = Saga("order")
    way = {"way": saga.input["way"]}
    reserved = saga.step("warehouse.reserve", id="reserve", inputs=way)
    saga.step("cards.charge", id="charge", inputs=way, after=[reserved])
    return saga


class Services:
    """The world, and what is seen of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.metrics = Metrics()

    async def open(self, observer: Observer | None = None) -> tuple[Node, Node]:
        """Both services, and what is measured is the first one's counts."""
        stock = await self.world.node(warehouse(), observer=observer or self.metrics)
        paying = await self.world.node(cards(), observer=observer or self.metrics)
        self.metrics.watch(stock)
        return stock, paying

    async def run(self, way: str) -> tuple[UUID, SagaState]:
        saga_id = await self.world.start(order(), {"way": way})
        return saga_id, await self.world.end_of(saga_id)

    def scrape(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return scraped(text_of(self.metrics)[0].decode())


def scraped(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Samples by name and labels, as Prometheus reads them."""
    families = text_string_to_metric_families(text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


class Spans:
    """What one service's tracing exports."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.observer = Traces(self.provider)

    @property
    def finished(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.finished if span.name == name]
        return found


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def linked(span: ReadableSpan) -> Iterable[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})
