import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers.child import Child, answers

LISTENS = (
    "import socket, sys, time; print('up', flush=1); s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
)
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LISTENS}"


def child(
    folder: Path, program: str = LISTENS, *, start_timeout_seconds: float = 300.0, stop_timeout_seconds: float = 300.0
) -> Child:
    port = free_port()
    command = [sys.executable, "-c", program, str(port)]
    return Child(
        "listener",
        folder=folder,
        command=command,
        ready=lambda: answers(port),
        start_timeout_seconds=start_timeout_seconds,
        stop_timeout_seconds=stop_timeout_seconds,
    )


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Child]:
    made = child(tmp_path)
    made.start()
    yield made
    made.kill()


def test_it_answers_when_start_returns_and_its_words_are_kept(listener: Child) -> None:
    assert "up" in listener.words()


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_it_is_gone_when_it_was_ended_and_can_be_started_again(listener: Child, way: str) -> None:
    before = listener.pid
    getattr(listener, way)()
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    with pytest.raises(ConfigurationError, match="not running"):
        assert listener.pid
    listener.start()
    assert listener.pid != before


def test_ending_it_twice_is_no_error(listener: Child) -> None:
    listener.stop()
    listener.stop()
    listener.kill()


def test_a_paused_one_stands_still_and_can_be_stopped_all_the_same(listener: Child) -> None:
    listener.pause()
    os.waitid(os.P_PID, listener.pid, os.WSTOPPED | os.WNOWAIT)
    listener.go_on()
    os.waitid(os.P_PID, listener.pid, os.WCONTINUED | os.WNOWAIT)
    listener.pause()
    listener.stop()


def test_one_that_does_not_heed_a_stop_is_killed(tmp_path: Path) -> None:
    deaf = child(tmp_path, DEAF, stop_timeout_seconds=0.2)
    deaf.start()
    pid = deaf.pid
    deaf.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def test_one_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    broken = child(tmp_path, "raise SystemExit('no such option')")
    with pytest.raises(ConfigurationError, match=r"listener did not start.*no such option"):
        broken.start()


def test_one_that_never_answers_is_told_and_gone(tmp_path: Path) -> None:
    mute = child(tmp_path, "import time; time.sleep(600)", start_timeout_seconds=0.5)
    with pytest.raises(ConfigurationError, match="did not start"):
        mute.start()


def test_nobody_listens_on_a_free_port() -> None:
    assert LOOPBACK == "127.0.0.1"
    assert not answers(free_port())


def test_a_free_port_is_given_once_and_is_none_that_an_outgoing_connection_may_have() -> None:
    ports = [free_port() for _ in range(100)]
    assert len(set(ports)) == 100
    assert max(ports) < 32_768  # where Linux begins; others begin later
