"""The demo may be ended in any way, by anybody, and started again."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from tests.examples.running import EXAMPLES, processes_in, start

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

INTERRUPTED = 130
ENDINGS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: INTERRUPTED}
if sys.platform == "linux":  # elsewhere nobody tells a process that its parent was killed
    ENDINGS[signal.SIGKILL] = -signal.SIGKILL

(ORDERS,) = (example for example in EXAMPLES if example.name == "01-orders")


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with start(ORDERS, folder, *arguments) as process:  # closes its pipe and waits
        try:
            yield process
        finally:
            process.terminate()


def printed_until(demo: subprocess.Popen[str], words: str) -> str:
    assert demo.stdout is not None
    printed = ""
    while words not in printed:
        line = demo.stdout.readline()
        assert line, printed
        printed += line
    return printed


def test_however_it_is_ended_no_process_stays_and_the_next_run_succeeds(tmp_path: Path) -> None:
    for number, code in ENDINGS.items():
        with running(tmp_path) as demo:
            printed_until(demo, "payments is killed")
            at_work = processes_in(tmp_path)
            assert {"postgres"} < {process.info["name"] for process in at_work}, "a server and services were running"
            demo.send_signal(number)
            assert demo.wait() == code
            _, alive = psutil.wait_procs(at_work, timeout=300)
            assert alive == []
            assert processes_in(tmp_path) == []
    with running(tmp_path) as demo:
        printed, _ = demo.communicate()
        assert demo.returncode == 0, printed


async def test_serve_keeps_everything_running_and_prints_where(tmp_path: Path) -> None:
    with running(tmp_path, "--serve") as demo:
        printed = printed_until(demo, "until Ctrl-C")
        (rest,) = re.findall(r"^REST +(http\S+),", printed, re.MULTILINE)
        (database,) = re.findall(r"^orders +(postgresql\S+)$", printed, re.MULTILINE)
        async with httpx.AsyncClient(timeout=300) as client:
            page = (await client.get(rest, params={"status": "completed", "limit": 200})).json()
        orders = await asyncpg.connect(database)
        confirmed = await orders.fetchval("SELECT count(*) FROM confirmed")
        await orders.close()
        assert len(page["sagas"]) == confirmed > 100
        with running(tmp_path) as second:
            refused, _ = second.communicate()
            assert second.returncode == 1
            assert "in use by process" in refused
        at_work = processes_in(tmp_path)
        demo.send_signal(signal.SIGINT)
        assert demo.wait() == INTERRUPTED
        _, alive = psutil.wait_procs(at_work, timeout=300)
        assert alive == []


@pytest.mark.kafka
def test_over_kafka_it_all_adds_up_as_well(tmp_path: Path) -> None:
    with running(tmp_path, "--bus", "kafka") as demo:
        printed, _ = demo.communicate()
        assert demo.returncode == 0, printed
        assert "It all adds up." in printed
    assert processes_in(tmp_path) == []
