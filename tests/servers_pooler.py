"""A real pgbouncer in front of a test's database."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import pytest


class Pooler(Protocol):
    """Runs a pgbouncer in a mode, with further settings of its section, and gives the URL that leads through it."""

    def __call__(self, mode: str, **further: str) -> AbstractAsyncContextManager[str]: ...


@contextmanager
def readable(text: str) -> Iterator[Path]:
    """A file that another user may read as well."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pgbouncer.ini"
        path.write_text("\n".join(line.strip() for line in text.splitlines()))
        Path(folder).chmod(0o755)
        yield path


@pytest.fixture
def pooler(postgres_url: str, unused_tcp_port: int) -> Pooler:
    """A real pgbouncer in a given mode, in front of this test's database."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.fail("this test needs a real pgbouncer: apt-get install pgbouncer", pytrace=False)
    parts = urlsplit(postgres_url)
    database = parts.path.lstrip("/")
    target = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": unquote(parts.password or "")}
    settings = f"""
        [databases]
        {database} = {" ".join(f"{name}={value}" for name, value in target.items() if value)}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {unused_tcp_port}
        unix_socket_dir =
        auth_type = any
        pool_mode = %s
    """

    @asynccontextmanager
    async def running(mode: str, **further: str) -> AsyncIterator[str]:
        lines = [settings % mode, *(f"{name} = {value}" for name, value in further.items())]
        with readable("\n".join(lines)) as path:
            process = await asyncio.create_subprocess_exec(
                *(program, path),
                user="nobody" if os.geteuid() == 0 else None,  # it refuses root
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                assert process.stderr is not None
                said = b""
                while b"process up" not in said:
                    line = await process.stderr.readline()
                    said += line
                    assert line, said.decode()
                yield f"postgresql://{parts.username}@127.0.0.1:{unused_tcp_port}/{database}?sslmode=disable"
            finally:
                if process.returncode is None:
                    process.kill()
                await process.communicate()

    return running
