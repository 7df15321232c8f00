"""A password in a URL, also in a misspelt one, reaches no error: errors are logged, and a journal's stand in the saga log."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from goconductor.errors import ConfigurationError, JournalError
from goconductor.journals.asyncpg import AsyncpgJournal
from goconductor.journals.psycopg import PsycopgJournal
from goconductor.journals.sqlalchemy import SqlalchemyJournal
from goconductor.ports.journal import EffectKey

CANARY = "CaNaRyInTheMine"

URLS = [
    url.replace("CANARY", CANARY)
    for url in (
        "postgresql://shop:CANARY@127.0.0.1:1/shop",
        "postgresql://shop:CANARY/x@127.0.0.1:1/shop",
        "postgresql://shop:x/CANARY@127.0.0.1:1/shop",
        "postgresql://shop:x@CANARY@127.0.0.1:1/shop",
        "postgresql://shop:x:CANARY@127.0.0.1:1/shop",
        "postgresql://shop:CANARY#x@127.0.0.1:1/shop",
        "postgresql://shop:CANARY?x@127.0.0.1:1/shop",
        "postgresql://shop:[CANARY@127.0.0.1:1/shop",
        "postgresql://shop:CANARY%zz@127.0.0.1:1/shop",
        "postgresql://shop:CANARY x@127.0.0.1:1/shop",
        "postgresql://shop:x@127.0.0.1:CANARY/shop",
        "postgresql://127.0.0.1:1/shop?user=shop&password=CANARY",
        "postgresql://127.0.0.1:1/shop?user=shop&pasword=CANARY",
        "postgresql://127.0.0.1:1/shop?sslmode=CANARY",
        "postgres//shop:CANARY@127.0.0.1:1/shop",
        "mysql://shop:CANARY@127.0.0.1:1/shop",
        "host=127.0.0.1 port=1 user=shop password=CANARY x",
        "CANARY",
    )
]
"""Each of them is wrong, or names a port that nobody listens on."""


def told_by(error: BaseException) -> str:
    """All that a log can print of it."""
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("kind", [AsyncpgJournal, PsycopgJournal, SqlalchemyJournal])
async def test_no_journal_tells_a_password(kind: Any, url: str) -> None:
    with pytest.raises((JournalError, ConfigurationError)) as caught:
        await kind(url).settle(EffectKey("action", "compensation"), timeout_seconds=60.0)
    assert CANARY.lower() not in told_by(caught.value).lower()
    assert "URL" in str(caught.value) or "url" in str(caught.value)
