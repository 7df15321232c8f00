"""Traces by OpenTelemetry (extra ``tracing``), through all services that a saga crosses.

A saga's start is a span, inside the span of its caller. Its *traceparent* is stored in the saga's first event, and so in the
state that every participant folds. Each run of a step is a child of the start, in every process, also when the sweep picks the
saga up a week after a crash. Messages carry the traceparent too, for readers of the bus.

A compensation undoes one run of its action. The span of that run may have ended in another process. So the log keeps its id
with the action's outcome (27 bytes), and the compensation's span has a link to it. A run that was lost has no span to link to.

The starter's sampler decides once whether a trace is recorded; the flag in the traceparent carries the decision. A saga whose
starter did not trace has no traceparent. Each run of its steps is then a trace of its own, found by ``goconductor.saga.id``.

Only what is visible from outside has a span. An append has none: many sagas share it, and the metrics count it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import Token
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec.structs import replace
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from goconductor.engine.observer import Observer, Starting
from goconductor.lifecycle.facts.events import (
    ActionEvent,
    ActionFailed,
    CompensationFailed,
    Event,
    OutcomeUnknown,
    OutputRejected,
)
from goconductor.saga.ids import Direction

if TYPE_CHECKING:
    from goconductor.engine.steps.context import StepContext
    from goconductor.engine.work.granted import Granted

PREFIX = "goconductor."
SAGA, SAGA_ID, STEP, TARGET = f"{PREFIX}saga", f"{PREFIX}saga.id", f"{PREFIX}step", f"{PREFIX}step.run"
DIRECTION, ATTEMPT, ROUND, OUTCOME = f"{PREFIX}direction", f"{PREFIX}attempt", f"{PREFIX}round", f"{PREFIX}outcome"
EXISTING, LINK = f"{PREFIX}saga.existing", f"{PREFIX}link"

LENGTH = len(f"00-{'0' * 32}-{'0' * 16}-01")

_W3C = TraceContextTextMapPropagator()


class _Started(Starting):
    def __init__(self, span: Span) -> None:
        self._span = span
        self.traceparent = traceparent_of(span.get_span_context())

    def started(self, saga_id: UUID, *, existing: bool) -> None:
        self._span.set_attribute(SAGA_ID, str(saga_id))
        if existing:
            self._span.set_attribute(EXISTING, value=True)


class Traces(Observer):
    """Creates the spans.

    Args:
        provider: receives the spans; None takes the one that the program has set (``trace.set_tracer_provider``).
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer: Tracer = trace.get_tracer("goconductor", version("goconductor"), provider)
        self._running: dict[int, tuple[Span, Token[otel.Context]]] = {}

    def starting(self, saga: str) -> AbstractContextManager[Starting]:
        """Enter a span around the start. The saga keeps its traceparent."""
        return self._starting(saga)

    @contextmanager
    def _starting(self, saga: str) -> Iterator[Starting]:
        with self._tracer.start_as_current_span(f"start {saga}", kind=SpanKind.PRODUCER, attributes={SAGA: saga}) as span:
            yield _Started(span)

    def step_begins(self, work: Granted, context: StepContext) -> None:
        """Begin a span and make it current for the step's code, so that spans of that code are its children."""
        state, step = work.view.state, work.step
        above = context_of(state.traceparent)
        links = []
        if work.direction is not Direction.ACTION and (undone := _span_of(state.step(step).span, above)) is not None:
            links.append(Link(undone, {LINK: "undoes"}))
        target = work.plan.code[work.direction][step]
        span = self._tracer.start_span(
            f"{context.direction.value} {target}",
            context=above,
            kind=SpanKind.CONSUMER,
            links=links,
            attributes={
                SAGA: context.saga,
                SAGA_ID: str(context.saga_id),
                STEP: step,
                TARGET: target,
                DIRECTION: context.direction.value,
                ATTEMPT: context.attempt,
                ROUND: context.round,
            },
        )
        self._running[work.lease.token] = span, otel.attach(trace.set_span_in_context(span, otel.Context()))

    def step_raised(self, context: StepContext, error: BaseException) -> None:  # noqa: ARG002
        """Record the exception as an event of the span."""
        with suppress(Exception):  # its text is user code, and may raise
            trace.get_current_span().record_exception(error)

    def step_ended(self, work: Granted, event: Event | None) -> Event | None:
        """End the span, and note its id with the action's outcome."""
        running = self._running.pop(work.lease.token, None)
        if running is None:
            return event
        span, token = running
        otel.detach(token)
        if event is not None:
            span.set_attribute(OUTCOME, type(event).__name__)
        match event:
            case CompensationFailed(failure=failure):
                span.set_status(StatusCode.ERROR, str(failure))
            case OutcomeUnknown(reason=reason):
                span.set_status(StatusCode.ERROR, reason)
            case ActionEvent():
                if isinstance(event, ActionFailed | OutputRejected):
                    span.set_status(StatusCode.ERROR, str(event.failure))
                context = span.get_span_context()
                if context.trace_flags.sampled and work.view.state.traceparent:
                    event = replace(event, span=f"{context.span_id:016x}")
        span.end()
        return event


def traceparent_of(context: SpanContext) -> str:
    """Return the traceparent of a span, as W3C trace context writes it; empty if the span is not valid."""
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}"


def context_of(traceparent: str) -> otel.Context:
    """Return a context whose parent is that place, and nothing else; empty if there is none.

    The text was written by :func:`traceparent_of`. So this checks less than a propagator does, and takes a tenth of its time.
    """
    if len(traceparent) != LENGTH:
        return otel.Context()
    flags = TraceFlags.SAMPLED if traceparent.endswith("01") else TraceFlags.DEFAULT
    try:
        place = SpanContext(
            int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote=True, trace_flags=TraceFlags(flags)
        )
    except ValueError:
        return otel.Context()
    return trace.set_span_in_context(NonRecordingSpan(place), otel.Context())


def _span_of(span: str, above: otel.Context) -> SpanContext | None:
    """Return another span of the same trace; None if there is none."""
    parent = trace.get_current_span(above).get_span_context()
    try:
        return SpanContext(parent.trace_id, int(span, 16), is_remote=True, trace_flags=parent.trace_flags) if span else None
    except ValueError:
        return None


class Caller:
    """Wraps an ASGI application, so that a request continues the trace that its ``traceparent`` header names.

    Args:
        app: the application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        wanted = (b"traceparent", b"tracestate")
        headers = {name.decode(): value.decode("latin-1") for name, value in scope.get("headers", ()) if name in wanted}
        token = otel.attach(_W3C.extract(headers)) if headers else None
        try:
            await self._app(scope, receive, send)
        finally:
            if token is not None:
                otel.detach(token)


class Exporting:
    """Exports spans by OTLP over HTTP, for processes in which nobody has set up OpenTelemetry.

    Headers, such as those that authenticate, come from ``OTEL_EXPORTER_OTLP_HEADERS``, the sampler from ``OTEL_TRACES_SAMPLER``.

    Args:
        endpoint: such as ``http://127.0.0.1:4318/v1/traces``.
        service: the service name of the spans; ``OTEL_SERVICE_NAME`` overrides it.
    """

    def __init__(self, endpoint: str, *, service: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        resource = Resource.create({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
        provider = Provider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self.provider: Any = provider

    def close(self) -> None:
        """Send what waits, within the exporter's time limit, and stop. This call blocks."""
        self.provider.shutdown()
