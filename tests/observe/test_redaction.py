"""No logger of ours lets a password out, whatever the program formats its records with."""

from __future__ import annotations

import importlib
import json
import logging
import logging.config
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

import goconductor
from goconductor.errors import HIDDEN
from goconductor.observe.logs import JsonFormatter
from goconductor.redaction import logger_of

CANARY = "CaNaRyInTheMine"
URL = f"postgresql://shop:{CANARY}@db/shop"
PACKAGE = Path(goconductor.__file__).parent
SPEAK_BY = {"redaction.py", "observe/logs.py", "cli/commands/installation/doctor.py", "cli/running.py"}
"""Where loggers are looked up to set their level, not to speak."""


class OwnFormatter(logging.Formatter):
    """Formats the exception itself, as formatters of other libraries do."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return f"{record.getMessage()} {error!r} {self.formatException(record.exc_info) if record.exc_info else ''}"


@pytest.fixture(params=[logging.Formatter, OwnFormatter, JsonFormatter])
def heard(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """All that is logged, by several formatters."""
    stream, root = StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def failure() -> Exception:
    """An exception with a password in its text, its cause and its line of source."""
    try:
        quote()
    except ConnectionError as error:
        return error
    raise AssertionError


def quote() -> None:
    try:
        int(URL)
    except ValueError as error:
        raise ConnectionError("cannot reach postgresql://shop:CaNaRyInTheMine@db/shop") from error


def modules() -> list[str]:
    return [
        each.name
        for each in pkgutil.walk_packages([str(PACKAGE)], "goconductor.")
        if not each.name.startswith("goconductor.testing")
    ]


def test_every_logger_of_ours_hides_the_password_in_text_cause_and_source(heard: StringIO) -> None:
    for name in modules():
        importlib.import_module(name)
    logger_of("goconductor.step.order.charge")
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    ours = [each.name for each in loggers if each.name.split(".")[0] == "goconductor" and each.filters]  # others are tests'
    assert len(ours) > 20
    for name in ours:
        logging.getLogger(name).critical("cannot reach %s", URL, exc_info=failure(), stack_info=True)
        said = heard.getvalue()
        assert CANARY not in said, name
        assert said.count(f"shop:{HIDDEN}@db") >= 3, name
        assert "ConnectionError" in said
        heard.truncate(0)


def test_nobody_speaks_by_a_logger_without_the_filter() -> None:
    by = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if "getLogger(" in path.read_text(encoding="utf-8")}
    assert by == SPEAK_BY


def test_an_exception_without_a_password_stays_as_it_is(heard: StringIO, caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("not yet")
    logger_of("goconductor.engine").error("failed %s", "here", exc_info=error)
    (record,) = caplog.records
    assert (record.args, record.exc_info and record.exc_info[1]) == (("here",), error)
    assert "not yet" in heard.getvalue()


def test_a_text_that_cannot_be_had_is_said_to_be_so(heard: StringIO) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    logger_of("goconductor.engine").error("failed: %s", MuteError(URL))
    assert "failed: %s (its arguments cannot be shown: RuntimeError)" in heard.getvalue()
    assert CANARY not in heard.getvalue()


PROGRAM = """
import asyncio, json, logging, sys
from goconductor import CompensatedError, Participant, Saga
from goconductor.testing.world import World

{set_up}
shop = Participant("shop")

@shop.step
async def pack() -> None:
    raise ValueError("cannot reach " + sys.argv[1])

order = Saga("order")
order.step(pack)

async def main():
    async with World() as world:
        try:
            await (await (await world.conductor(shop)).start(order, None)).result()
        except CompensatedError:
            print("compensated")

asyncio.run(main())
"""
SETS_UP = {
    "not at all": "",
    "basicConfig": "logging.basicConfig(level=logging.DEBUG)",
    "dictConfig": "logging.config.dictConfig(json.loads(sys.argv[2]))",
}
CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stream": {"class": "logging.StreamHandler"}},
    "loggers": {"goconductor": {"level": "DEBUG", "handlers": ["stream"]}},
}


@pytest.mark.parametrize("how", SETS_UP)
def test_a_step_that_fails_with_a_password_says_none_in_a_program_with_logging_of_its_own(how: str) -> None:
    program = "import logging.config\n" + PROGRAM.format(set_up=SETS_UP[how])
    command = [sys.executable, "-c", program, URL, json.dumps(CONFIG)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "compensated\n"
    assert f"ValueError: cannot reach postgresql://shop:{HIDDEN}@db/shop" in done.stderr
    assert CANARY not in done.stderr
