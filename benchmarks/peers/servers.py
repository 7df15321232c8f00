"""Servers of peers: fetched once from their registries into ``.services``, as those that the tests use."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from peers.contender import UnavailableError
from tests.servers.maven import alone
from tests.servers.versions import SERVICES

RESTATE = "1.7.12"
TEMPORAL = "1.32.1"
FETCH_SECONDS = 1200.0
TEMPORAL_PROGRAMS = ("server", "sql")


def restate() -> Path:
    """The program of Restate's server, from npm.

    Raises:
        UnavailableError: it is not there and cannot be fetched.
    """
    folder = SERVICES / "restate" / RESTATE
    fetch(
        "Restate",
        folder,
        "npm",
        ["install", "--silent", "--no-audit", "--prefix", folder, f"@restatedev/restate-server@{RESTATE}"],
    )
    found = sorted(folder.glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))
    if not found:
        raise UnavailableError("npm has no server of Restate for this system")
    return found[0]


def temporal() -> tuple[Path, Path]:
    """The programs of Temporal's server and of its tool for SQL, compiled by Go: some minutes, the first time.

    Raises:
        UnavailableError: they are not there and cannot be made.
    """
    folder = SERVICES / "temporal" / TEMPORAL
    sources = [f"go.temporal.io/server/cmd/{name}@v{TEMPORAL}" for name in ("server", "tools/sql")]
    fetch("Temporal", folder, "go", ["install", *sources], {"GOBIN": str(folder), "GOFLAGS": "-mod=mod"})
    server, sql = (folder / name for name in TEMPORAL_PROGRAMS)
    return server, sql


def fetch(name: str, folder: Path, tool: str, arguments: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run a registry's client once; safe for several processes.

    Raises:
        UnavailableError: the client is missing, or it failed.
    """
    done = folder / "fetched"
    if done.exists():
        return
    program = shutil.which(tool)
    if program is None:
        raise UnavailableError(f"{name}'s server is fetched by {tool}, which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / "lock"):
        if done.exists():
            return
        try:
            fetched = subprocess.run(
                [program, *arguments],
                cwd=folder,
                env={**os.environ, **(environment or {})},
                capture_output=True,
                text=True,
                check=False,
                timeout=FETCH_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"{name}'s server could not be fetched by {tool} within {FETCH_SECONDS:g} s") from None
        if fetched.returncode:
            raise UnavailableError(f"{name}'s server could not be fetched by {tool}: {fetched.stderr.strip()[-300:]}")
        done.touch()
