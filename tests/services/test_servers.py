"""``make services``: every server, and where it listens, until it is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.per_leaf import REAL_SERVERS
from tests.servers.__main__ import SERVERS
from tests.servers.child import answers

COMMAND = [sys.executable, "-m", "tests.servers"]
SOME = ["postgres", "nats", "etcd"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([*COMMAND, *SOME], env=environment, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def told(process: subprocess.Popen[str]) -> dict[str, str]:
    """What it prints until it says that all are there."""
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    given = [
        line.strip().removeprefix("export ").partition("=")
        for line in iter(lambda: next(lines), "# all of them run until Ctrl-C\n")
    ]
    return {name: value.strip("'") for name, _, value in given}


def test_every_server_of_the_tests_is_among_them() -> None:
    assert set(SERVERS) == set(REAL_SERVERS)


@pytest.mark.postgres
@pytest.mark.nats
@pytest.mark.etcd
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_it_says_where_they_listen_and_leaves_nothing_behind(
    running: subprocess.Popen[str], way: signal.Signals, tmp_path: Path
) -> None:
    urls = told(running)
    assert list(urls) == [f"GOCONDUCTOR_TEST_{name.upper()}_URL" for name in SOME]
    ports = [urlsplit(url).port or 0 for url in urls.values()]
    assert all(map(answers, ports))
    children = psutil.Process(running.pid).children(recursive=True)
    assert len(children) >= len(SOME)
    running.send_signal(way)
    assert running.wait(300) == (-way if way is signal.SIGKILL else 0)
    _, alive = psutil.wait_procs(children, timeout=300)
    assert alive == []
    assert not any(map(answers, ports))
    assert way is signal.SIGKILL or list(tmp_path.iterdir()) == []


def test_one_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    done = subprocess.run([*COMMAND, "pigeons"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'pigeons'" in done.stderr
    assert "kafka, rabbitmq" in done.stderr
