"""A pgbouncer on loopback in session mode, in front of one address."""

from __future__ import annotations

import os
from pathlib import Path

from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers.child import Child, answers, installed
from tests.servers.patroni import PASSWORD


class PgbouncerServer(Child):
    """A pgbouncer that we start and stop.

    Args:
        folder: its own, for its settings and log.
        port: where it leads to on loopback.

    Raises:
        ConfigurationError: there is no pgbouncer.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        config = folder / "pgbouncer.ini"
        lines = [
            "[databases]",
            f"* = host={LOOPBACK} port={port} user=postgres password={PASSWORD}",
            "[pgbouncer]",
            f"listen_addr = {LOOPBACK}",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = any",
            "pool_mode = session",
            "default_pool_size = 150",
            "max_client_conn = 400",
            "server_login_retry = 1",
        ]
        config.write_text("\n".join([*lines, ""]))
        as_nobody = ["setpriv", "--reuid=nobody", "--clear-groups", "--pdeathsig=KILL"] if os.geteuid() == 0 else []
        super().__init__(
            "pgbouncer", folder=folder, command=[*as_nobody, installed("pgbouncer"), config], ready=lambda: answers(self.port)
        )
