"""What the page on PostgreSQL's failover shows is taken: its URLs, and its pgbouncer.ini by a real pgbouncer."""

from __future__ import annotations

import re
from configparser import ConfigParser

import pytest

from goconductor import ConfigurationError, Participant, Saga, Settings, migrate
from goconductor.postgres.url import read_url
from tests.docs.page import DOCS, blocks
from tests.servers.fixtures.pooler import Pooler

PAGE = DOCS / "how-to" / "postgresql-failover.md"
ELSEWHERE = {"listen_addr", "listen_port", "auth_type", "auth_file", "pool_mode"}


def test_each_url_of_the_page_is_read() -> None:
    urls = re.findall(r"postgresql://[^\s`]+", PAGE.read_text("utf-8"))
    assert len(urls) > 1
    for url in urls:
        read_url(url, "the page's url")


def test_target_session_attrs_means_what_the_page_says() -> None:
    section = PAGE.read_text("utf-8").split("### target_session_attrs")[1]
    rows = re.findall(r"^\| ((?:absent, )?`.*?) \|", section, re.MULTILINE)[:2]
    accepted, refused = (re.findall(r"`([\w-]+)`", row) for row in rows)
    assert accepted[-1:] == ["read-write"]
    assert "standby" in refused
    for value in accepted:
        read_url(f"postgresql://one.example/sagas?target_session_attrs={value}", "the url")
    for value in refused:
        with pytest.raises(ConfigurationError, match="target_session_attrs"):
            read_url(f"postgresql://one.example/sagas?target_session_attrs={value}", "the url")


@pytest.mark.postgres
async def test_a_saga_runs_through_the_pgbouncer_of_the_page(postgres_url: str, pooler: Pooler) -> None:
    (text,) = [block.text for block in blocks(PAGE) if block.title == "pgbouncer.ini"]
    ini = ConfigParser()
    ini.read_string(text)
    further = {name: value for name, value in ini["pgbouncer"].items() if name not in ELSEWHERE}
    shop = Participant("shop")

    @shop.step
    async def charge() -> str:
        return "receipt"

    order = Saga("order")
    order.step(charge, pivot=True)
    through = pooler(ini["pgbouncer"]["pool_mode"], **further)
    async with through as url:
        settings = Settings.model_validate({"database": {"url": url}})
        await migrate(settings)
        async with shop.running(settings) as conductor:
            assert await (await conductor.start(order, {}, key="1")).result() == {"charge": "receipt"}
