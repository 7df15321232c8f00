"""A Patroni of two PostgreSQL on loopback, with an etcd of its own: what elects a primary, and promotes the other one.

Patroni is started as people start it, one process for each server, which starts PostgreSQL as a daemon of its own. So a member
has two processes, and a failure can take either: ``kill()`` and ``pause()`` mean Patroni, :meth:`Member.kill_postgres` its
server. A server outlives its Patroni; the cluster's end looks for it in the data folder.

Patroni comes from PyPI (requirements/patroni.lock) into a folder of its own, as it is no part of what we install.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec
import yaml

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK, free_port
from goconductor.testing.postgres_binaries import ENVIRONMENT, Account, accounts, find_binaries
from tests.servers.child import Child
from tests.servers.etcd import EtcdServer
from tests.servers.versions import SERVICES

INSTALLED = SERVICES / "patroni"
NAMES = ("one", "two")
PASSWORD = "secret"

TTL_SECONDS = 20
"""For so long a silent primary keeps its office: the least that Patroni takes."""
LOOP_SECONDS, RETRY_SECONDS = 2, 5
WAIT_SECONDS = 300.0

PARAMETERS = {
    "max_connections": 200,
    "track_commit_timestamp": "on",
    "unix_socket_directories": "",
    "wal_keep_size": "256MB",
    "shared_buffers": "32MB",
}


class Member(Child):
    """One Patroni and its server.

    Args:
        name: its name in the cluster.
        folder: its own, for data and log; it belongs to the account.
        etcd: where the cluster's state is.
        account: who runs it.
        binaries: PostgreSQL's.
        dynamic: what the first member writes down for all.
    """

    def __init__(
        self, name: str, folder: Path, etcd: EtcdServer, account: Account, binaries: Path, dynamic: dict[str, Any]
    ) -> None:
        self.port, self.rest_port = free_port(), free_port()
        self.data = folder / "data"
        self._account = account
        config = folder / "patroni.yml"
        config.write_text(yaml.safe_dump(self._config(name, folder, etcd, binaries, dynamic)))
        config.chmod(0o644)
        super().__init__(
            name,
            folder=folder,
            command=[*_prefix(account), sys.executable, "-m", "patroni", config],
            ready=lambda: self.answers("patroni"),
            environment=ENVIRONMENT | {"PYTHONPATH": str(INSTALLED), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def answers(self, path: str) -> bool:
        """Whether Patroni says yes to ``primary``, ``replica``, ``synchronous`` and the like; one that stands still says no."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.rest_port}/{path}", timeout=1.0):
                return True
        except (urllib.error.URLError, OSError):
            return False

    @property
    def postgres_pid(self) -> int:
        """The number of its server's first process; 0 where it does not run."""
        with suppress(OSError, ValueError):
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            if Path(f"/proc/{pid}/cwd").samefile(self.data):
                return pid
        return 0

    def kill_postgres(self) -> None:
        """End its server by SIGKILL, if it runs, and wait for its end."""
        if pid := self.postgres_pid:
            os.kill(pid, signal.SIGKILL)
            _until(lambda: self.postgres_pid != pid, "PostgreSQL is dead")

    def kill_all(self, *further: int) -> None:
        """End Patroni, its server, and further processes of that server by SIGKILL, as when the machine is gone.

        Args:
            further: processes that stand still, and would not notice that their server is dead.
        """
        self.kill()
        for pid in further:
            os.kill(pid, signal.SIGKILL)
        self.kill_postgres()

    def _config(self, name: str, folder: Path, etcd: EtcdServer, binaries: Path, dynamic: dict[str, Any]) -> dict[str, Any]:
        return {
            "scope": "sagas",
            "name": name,
            "restapi": {
                "listen": f"{LOOPBACK}:{self.rest_port}",
                "connect_address": f"{LOOPBACK}:{self.rest_port}",
            },
            "etcd3": {"host": f"{LOOPBACK}:{etcd.port}"},
            "bootstrap": {"dcs": dynamic, "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "scram-sha-256"}]},
            "postgresql": {
                "listen": f"{LOOPBACK}:{self.port}",
                "connect_address": f"{LOOPBACK}:{self.port}",
                "data_dir": str(self.data),
                "bin_dir": str(binaries),
                "pgpass": str(folder / "pgpass"),
                "pg_hba": [
                    f"host all all {LOOPBACK}/32 scram-sha-256",
                    f"host replication all {LOOPBACK}/32 scram-sha-256",
                ],
                "remove_data_directory_on_rewind_failure": True,
                "authentication": {
                    "superuser": {"username": "postgres", "password": PASSWORD},
                    "replication": {"username": "replicator", "password": PASSWORD},
                },
            },
        }


class Cluster:
    """Two members and their etcd; a context manager, whose methods block.

    Args:
        synchronous: whether a commit waits for the standby, and only one that has it all is promoted.

    Raises:
        ConfigurationError: something that it is made of is missing; describes how to install it.
    """

    def __init__(self, *, synchronous: bool) -> None:
        binaries = find_binaries("system")
        account = _account(binaries)
        self.folder = Path(tempfile.mkdtemp(prefix="goconductor-patroni-"))
        self.folder.chmod(0o755)
        self.synchronous = synchronous
        self.etcd = EtcdServer(self.folder / "etcd")
        dynamic = {
            "ttl": TTL_SECONDS,
            "loop_wait": LOOP_SECONDS,
            "retry_timeout": RETRY_SECONDS,
            "synchronous_mode": synchronous,
            "maximum_lag_on_failover": 1 << 30,
            "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": PARAMETERS},
        }
        self.members = [self._member(name, account, binaries, dynamic) for name in NAMES]

    def _member(self, name: str, account: Account, binaries: Path, dynamic: dict[str, Any]) -> Member:
        folder = self.folder / name
        folder.mkdir(mode=0o755)
        member = Member(name, folder, self.etcd, account, binaries, dynamic)
        if account.owner is not None:
            os.chown(folder, *account.owner)
        return member

    def __enter__(self) -> Self:
        try:
            self.etcd.start()
            for member in self.members:
                member.start()
                _until(lambda: self.primary() is not None, "a primary")
            self.heal()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.kill()
        for member in self.members:
            member.kill_postgres()
        self.etcd.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """Return a DSN: of all members, or of whatever listens on another port."""
        ports = [member.port for member in self.members] if port is None else [port]
        hosts = ",".join(f"{LOOPBACK}:{each}" for each in ports)
        return f"postgresql://postgres:{PASSWORD}@{hosts}/{database}"

    def primary(self) -> Member | None:
        """The member that says it is the primary; None if nobody does."""
        return next((member for member in self.members if member.running and member.answers("primary")), None)

    def other(self, member: Member) -> Member:
        """The other one."""
        return next(each for each in self.members if each is not member)

    def heal(self) -> None:
        """Start what is not running, and wait until there are a primary and a standby that follows it again."""
        if not self.etcd.running:
            self.etcd.start()
        for member in self.members:
            if not member.running:
                member.start()
        standby = "synchronous" if self.synchronous else "replica"
        _until(lambda: self.primary() is not None and any(each.answers(standby) for each in self.members), f"a {standby} standby",
               self.words)  # fmt: skip

    def switch_over(self) -> None:
        """Ask for a switchover, as ``patronictl switchover`` does, and wait until it is done."""
        old = self.primary()
        assert old is not None
        asked = urllib.request.Request(
            f"http://{LOOPBACK}:{old.rest_port}/switchover",
            data=msgspec.json.encode({"leader": old.name, "candidate": self.other(old).name}),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=WAIT_SECONDS):
            pass
        self.await_primary(self.other(old))

    def await_primary(self, member: Member) -> None:
        """Wait until this one is the primary."""
        _until(lambda: member.answers("primary"), f"{member.name} as the primary", self.words)

    def words(self) -> str:
        """What its members logged last."""
        return "\n".join(f"--- {member.name}\n{member.words()}" for member in self.members)


def _account(binaries: Path) -> Account:
    """Return who can run PostgreSQL and our Python: not root, and root's own folder may be closed to everybody else."""
    if not (INSTALLED / "patroni").is_dir():
        raise ConfigurationError("Patroni is not installed: make failover-servers")
    probe = ["env", f"PYTHONPATH={INSTALLED}", "PYTHONDONTWRITEBYTECODE=1", sys.executable, "-m", "patroni", "--version"]
    for account in accounts():
        with suppress(OSError):
            if account.runs(binaries) and account.run(probe).returncode == 0:
                return account
    raise ConfigurationError(f"nobody can run Patroni: open {sys.executable} to the user postgres, or do not be root")


def _prefix(account: Account) -> list[str]:
    """Return what makes a command run as this account; the death of its parent is told anew, as another user forgets it."""
    if account.uid is None:
        return list(account.prefix)
    return ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--pdeathsig=KILL"]


def _until(is_so: Callable[[], object], what: str, words: Callable[[], str] = str) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > give_up:
            raise ConfigurationError(f"waited {WAIT_SECONDS:.0f} s for {what}\n{words()}")
        time.sleep(0.1)
