"""A line says in which saga and step it was said, whoever's logger it came from."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from goconductor import Saga, StepContext
from goconductor.engine.log.batch import Batcher
from goconductor.engine.steps.context import RUNNING
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import without_passwords
from goconductor.observe import logs
from goconductor.saga.ids import Direction
from goconductor.testing.clock import ManualClock, settle
from tests.observe.services import Services, Spans, ids

ABOUT = ("saga_id", "saga", "step", "direction", "attempt", "participant")


def raise_error(error: Exception) -> None:
    raise error


class Written:
    """What a log handler writes as JSON."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.writer = logging.StreamHandler(self.stream)
        self.writer.addFilter(logs.Fields())
        self.writer.setFormatter(logs.JsonFormatter())

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"].startswith(message)]


@pytest.fixture
def written() -> Iterator[Written]:
    written, root = Written(), logging.getLogger()
    root.addHandler(written.writer)
    yield written
    root.removeHandler(written.writer)


@contextmanager
def unconfigured() -> Iterator[logging.Logger]:
    """The root logger of a program that has set up nothing; pytest's own handlers would count as something."""
    root, ours = logging.getLogger(), logging.getLogger("goconductor")
    before = root.handlers, root.level, ours.level
    root.handlers = []
    try:
        yield root
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])


def context(**changes: Any) -> StepContext:
    given: dict[str, Any] = {
        "saga_id": UUID(int=7),
        "saga": "order",
        "step": "charge",
        "direction": Direction.ACTION,
        "attempt": 2,
        "round": 0,
        "deadline": 0.0,
        "clock": ManualClock(),
        "participant": "cards",
    }
    return StepContext(**given | changes)


def record(message: str = "hello", *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("shop", logging.WARNING, __file__, 1, message, arguments, None)
    made.__dict__.update(extra)
    return made


async def test_a_library_that_logs_within_a_step_gets_its_fields(services: Services, written: Written) -> None:
    await services.open()
    saga_id, _ = await services.run("refused")
    (reserving,) = written.said("reserving")
    assert {name: reserving[name] for name in ABOUT} == {
        "saga_id": str(saga_id),
        "saga": "order",
        "step": "reserve",
        "direction": "action",
        "attempt": 1,
        "participant": "warehouse",
    }
    (releasing,) = written.said("releasing")
    assert (releasing["direction"], releasing["step"]) == ("compensation", "reserve")


async def test_a_plain_step_in_a_thread_has_them_too(services: Services, written: Written) -> None:
    await services.open()
    saga_id, _ = await services.run("pays")
    (charging,) = written.said("charging in a thread")
    assert (charging["saga_id"], charging["step"], charging["participant"]) == (str(saga_id), "charge", "cards")


async def test_steps_that_run_side_by_side_do_not_mix(services: Services, written: Written) -> None:
    await services.open()
    runs = await asyncio.gather(*(services.run("pays") for _ in range(20)))
    said = written.said("reserv")
    assert len(said) == 40
    assert sorted(line["saga_id"] for line in said) == sorted(str(saga_id) for saga_id, _ in runs for _ in range(2))


async def test_the_engines_own_lines_about_a_step_have_them(services: Services, written: Written) -> None:
    await services.open()
    saga_id, _ = await services.run("stuck")
    (raised,) = written.said("the compensation of step 'reserve' raised")
    assert (raised["saga_id"], raised["step"], raised["participant"]) == (str(saga_id), "reserve", "warehouse")


async def test_outside_of_steps_nothing_is_claimed(services: Services, written: Written) -> None:
    await services.open()
    await services.run("pays")
    logging.getLogger("shop").warning("between")
    (between,) = written.said("between")
    assert set(between) == {"time", "level", "logger", "message"}


async def test_a_batch_is_not_said_to_be_a_part_of_the_step_that_began_it() -> None:
    seen = []

    async def flush(items: list[int]) -> list[int]:
        seen.append(RUNNING.get())
        return items

    batcher = Batcher(flush)
    token = RUNNING.set(context())
    await batcher.submit(1)
    RUNNING.reset(token)
    assert seen == [None]


async def test_a_saga_that_a_step_starts_is_not_a_part_of_that_step(services: Services, written: Written) -> None:
    stock, _ = await services.open()
    office = StepRegistry("office")

    @office.step
    async def open_order() -> None:
        plan = await stock.definitions.plan("order")
        await stock.starting.start(plan.name, {"way": "pays"})

    saga: Saga[Any] = Saga("outer")
    saga.step(open_order)
    await services.world.node(office)
    await services.run("pays")
    await services.world.end_of(await services.world.start(saga))
    await settle()
    assert len(written.said("reserved")) == 2
    assert {line["saga"] for line in written.said("reserv")} == {"order"}


async def test_a_line_within_a_traced_step_names_its_span(services: Services, written: Written) -> None:
    spans = Spans()
    await services.open(spans.observer)
    await services.run("pays")
    (reserving,) = written.said("reserving")
    trace_id, span_id = ids(spans.named("action warehouse.reserve"))
    assert (reserving["trace_id"], reserving["span_id"]) == (f"{trace_id:032x}", f"{span_id:016x}")


def test_a_step_of_a_traced_saga_names_the_trace_where_nobody_traces() -> None:
    token = RUNNING.set(context(traceparent="00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"))
    found = logs.fields()
    RUNNING.reset(token)
    assert found["trace_id"] == "ab" * 16
    assert "span_id" not in found


def test_a_line_about_another_saga_is_not_given_the_step_in_which_it_was_said() -> None:
    token = RUNNING.set(context())
    said = record(saga_id=str(uuid4()))
    logs.Fields().filter(said)
    RUNNING.reset(token)
    assert not hasattr(said, "step")


def test_an_exception_is_told_with_its_type_message_and_stack() -> None:
    try:
        raise_error(ValueError("too heavy"))
    except ValueError as error:
        said = record("it broke")
        said.exc_info = (ValueError, error, error.__traceback__)
    line = json.loads(logs.JsonFormatter().format(said))
    assert (line["exception"]["type"], line["exception"]["message"]) == ("ValueError", "too heavy")
    assert "test_logs.py" in line["exception"]["stack"]
    assert "\n" not in logs.JsonFormatter().format(said)


class Rude:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize(
    "extra",
    [object(), {1: object()}, {(1, 2): 3}, "\ud800", b"bytes", float("nan"), Rude(), [Rude()], {"a": {"b": uuid4()}}],
    ids=lambda extra: type(extra).__name__,
)
def test_whatever_is_given_as_extra_a_line_of_json_comes_out(extra: object) -> None:
    line = json.loads(logs.JsonFormatter().format(record("odd", odd=extra)))
    assert line["message"] == "odd"
    assert "odd" in line


def test_json_keeps_what_else_was_given_as_extra() -> None:
    line = json.loads(logs.JsonFormatter().format(record("hello %s", "you", parcels=3, level="not overwritten")))
    assert (line["message"], line["parcels"], line["level"]) == ("hello you", 3, "warning")
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.TextFormatter()], ids=["json", "text"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://orders:s3cret@db/sagas",
        "amqp://orders:s3cret%40x@[::1]:5672/%2f",
        "postgresql://:s3cret@db/sagas",
        "https://t0ken:s3cret@collector/v1/traces?x=1",
        "postgresql://orders:s3c/s3cret@db/sagas",
    ],
)
def test_no_password_of_a_url_is_in_a_line(formatter: logging.Formatter, url: str) -> None:
    try:
        raise_error(OSError(f"cannot reach {url}"))
    except OSError as error:
        said = record("at '%s' (%s)", url, error, where={"url": url})
        said.exc_info = (OSError, error, error.__traceback__)
    line = formatter.format(said)
    assert "s3cret" not in line
    assert "**********" in line
    assert "cannot reach" in line


def test_a_url_without_a_password_stays_as_it_is() -> None:
    text = "GET http://127.0.0.1:8080/v1/sagas by me@home, then http://db:5432 and mail a@b"
    assert without_passwords(text) == text


def test_text_has_the_fields_behind_the_message() -> None:
    token = RUNNING.set(context())
    said = record()
    logs.Fields().filter(said)
    RUNNING.reset(token)
    line = logs.TextFormatter().format(said)
    _, _, told = line.partition("WARNING shop: ")
    assert told == f"hello saga_id={UUID(int=7)} saga=order step=charge direction=action attempt=2 round=0 participant=cards"


def test_set_up_writes_our_lines_from_the_level_on_and_others_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with unconfigured() as root:
        logs.set_up(level="info", format="json")
        logs.set_up(level="info", format="json")
        logging.getLogger("goconductor.engine").info("ours")
        logging.getLogger("goconductor.engine").debug("too small")
        logging.getLogger("shop").info("theirs")
        logging.getLogger("shop").warning("loud")
        assert len(root.handlers) == 1
    said = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert said == ["ours", "loud"]


def test_a_program_that_has_set_up_logging_keeps_it() -> None:
    own = logging.NullHandler()
    with unconfigured() as root:
        root.addHandler(own)
        before = logging.getLogger("goconductor").level
        logs.set_up(level="debug", format="json")
        assert root.handlers == [own]
        assert logging.getLogger("goconductor").level == before
