"""The page on deployment names times and exit codes that fit the settings and the code."""

from __future__ import annotations

import re
from configparser import RawConfigParser
from textwrap import dedent

import pytest

from goconductor import ConfigurationError, Settings
from goconductor.control.doors.exits import code_of
from tests.docs.page import DOCS

TEXT = (DOCS / "how-to" / "deploy.md").read_text("utf-8")
BEYOND_THE_DRAIN_SECONDS = 10
"""A process that stops takes about so much longer than its drain at most: known-limits.md."""


@pytest.fixture
def unit() -> RawConfigParser:
    """The unit of systemd on the page."""
    (text,) = re.findall(r"^    # /etc/systemd/system/shop@\.service\n((?:    .*\n|\n)+)", TEXT, re.MULTILINE)
    parser = RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(dedent(text))
    return parser


def drain_seconds() -> float:
    return Settings.model_validate({"database": {"url": "postgresql://db.example/sagas"}}).participant.drain_seconds


def test_whoever_stops_an_instance_gives_it_time_to_drain(unit: RawConfigParser) -> None:
    (graceful,) = set(re.findall(r"--graceful-timeout (\d+)", TEXT))
    for seconds in (unit["Service"]["TimeoutStopSec"], graceful):
        assert float(seconds) > drain_seconds() + BEYOND_THE_DRAIN_SECONDS


def test_systemd_starts_nothing_again_with_wrong_settings(unit: RawConfigParser) -> None:
    assert int(unit["Service"]["RestartPreventExitStatus"]) == code_of(ConfigurationError("wrong"))


def test_variables_of_the_unit_are_settings(unit: RawConfigParser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOCONDUCTOR_DATABASE_URL", "postgresql://db.example/sagas")
    for pair in unit["Service"]["Environment"].replace("%i", "1").split():
        monkeypatch.setenv(*pair.split("=", 1))
    settings = Settings.load()
    assert (settings.health.port, settings.metrics.port) == (8101, 9101)
    assert settings.warnings == []
