"""Two primaries at once: an old one that was not stopped, and the one that was promoted in its place."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from goconductor.errors import ConfigurationError
from goconductor.stores.postgres import migrate
from goconductor.testing.postgres import PostgresServer
from goconductor.testing.postgres_binaries import Kind
from tests.conftest import SETTINGS


@dataclass(frozen=True)
class Primaries:
    """Both have the same databases and system identifier; the new one's timeline is higher by one."""

    old: PostgresServer
    new: PostgresServer

    @property
    def url(self) -> str:
        """The DSN of both, the old one first."""
        old = urlsplit(self.old.url())
        return old._replace(netloc=f"{old.netloc},127.0.0.1:{self.new.port}").geturl()


@pytest.fixture
def primaries(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Primaries]:
    """A server with our tables, and one that went on from its data in the next timeline, as a promoted standby does."""
    kind: Kind = "system" if request.config.getoption("--postgres") != "embedded" else "embedded"
    with ExitStack() as stack:
        try:
            first = PostgresServer(kind, folder=tmp_path / "old", settings=SETTINGS).start()
        except ConfigurationError:
            kind = "embedded"
            first = PostgresServer(kind, folder=tmp_path / "old", settings=SETTINGS).start()
        asyncio.run(migrate(first.url()))
        first.stop()
        shutil.copytree(tmp_path / "old", tmp_path / "new", symlinks=True)
        (tmp_path / "new" / "data" / "recovery.signal").touch()
        old = stack.enter_context(PostgresServer(kind, folder=tmp_path / "old", settings=SETTINGS))
        new = stack.enter_context(
            PostgresServer(
                kind, folder=tmp_path / "new", settings=SETTINGS | {"restore_command": "/bin/false", "hot_standby": "off"}
            )
        )
        yield Primaries(old, new)
