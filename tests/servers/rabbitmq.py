"""A RabbitMQ of one's own, from the machine's installation.

Erlang's nodes find one another by a daemon, epmd, which would outlive us: each server has one of its own, in the foreground.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers.child import Child, SingleServer, answers

REMEDY = "apt-get install rabbitmq-server (Debian, Ubuntu), brew install rabbitmq (macOS)"
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class RabbitmqServer(SingleServer):
    """A single node with quorum queues, on loopback. Every method blocks.

    Args:
        user: the administrator's name.
        password: the administrator's password; a random one if None.

    Raises:
        ConfigurationError: RabbitMQ is not installed.
    """

    def __init__(self, *, user: str = "goconductor", password: str | None = None) -> None:
        programs = find_programs()
        self.port = free_port()
        self._user, self._password = user, password or secrets.token_hex(8)
        self.folder = Path(tempfile.mkdtemp(prefix="goconductor-rabbitmq-"))
        self._control = programs / "rabbitmqctl"
        self._environment = self._write_configuration()
        self._epmd = Child(
            "epmd",
            folder=self.folder,
            command=[_epmd(), "-port", self._environment["ERL_EPMD_PORT"], "-address", LOOPBACK],
            ready=lambda: answers(int(self._environment["ERL_EPMD_PORT"])),
        )
        self.child = Child(
            "rabbitmq",
            folder=self.folder,
            command=[programs / "rabbitmq-server"],
            ready=self._greets,
            environment=self._environment,
        )

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._epmd.kill()

    @property
    def url(self) -> str:
        """Where the administrator connects."""
        return self.url_of(self._user, self._password)

    def url_of(self, user: str, password: str, *, port: int | None = None) -> str:
        """Where somebody connects, perhaps through a proxy."""
        return f"amqp://{quote(user)}:{quote(password)}@{LOOPBACK}:{port or self.port}/"

    def url_through(self, port: int) -> str:
        """Where the administrator connects through a proxy."""
        return self.url_of(self._user, self._password, port=port)

    def start(self) -> None:
        if not self._epmd.running:
            self._epmd.start()
        super().start()

    def kill(self) -> None:
        """End it at once, but not before it has noted on its disk which queues it has.

        RabbitMQ 3.10 keeps the names and terms of new queues in memory for half a second, longer under load. Killed before, it
        comes back with queues that have no leader and never get one: they confirm and deliver nothing, and only deleting them
        helps. ``docs/buses/rabbitmq.md`` tells users; a test of what survives ``kill -9`` is about what the broker did note.
        """
        self._evaluate("[dets:sync(Table) || Table <- dets:all()].")
        super().kill()

    def hold_queue(self, name: str) -> None:
        """Let a quorum queue answer nobody, as one does that has lost its leader."""
        self._evaluate(f"sys:suspend('%2F_{name}').")

    def let_queue_go(self, name: str) -> None:
        """Let a held queue answer again."""
        self._evaluate(f"sys:resume('%2F_{name}').")

    def raise_alarm(self) -> None:
        """Say that more memory is in use than may be: the broker reads no more from whoever publishes."""
        self._run_control("set_vm_memory_high_watermark", "0.0000001")

    def end_alarm(self) -> None:
        """Say that there is memory again."""
        self._run_control("set_vm_memory_high_watermark", "0.9")

    def forget(self) -> None:
        """Remove all data of a stopped broker, as if its disk were lost; the administrator is made again by its next start."""
        shutil.rmtree(self.folder / "data")

    def add_user(self, user: str, password: str) -> None:
        """Let somebody do everything with what is named ``goconductor…``, and nothing else."""
        self._run_control("add_user", user, password)
        self._run_control("set_permissions", user, "^goconductor", "^(goconductor.*|amq\\.default)", "^goconductor")

    def remove_user(self, user: str) -> None:
        """Let somebody in no more, and end the connections they have."""
        self._run_control("delete_user", user)
        self._run_control("close_all_user_connections", user, "the user was removed")

    def _evaluate(self, expression: str) -> None:
        self._run_control("eval", expression)

    def _run_control(self, *words: str) -> None:
        done = subprocess.run(
            [self._control, *words], env=self._environment, capture_output=True, text=True, check=False, timeout=300.0
        )
        if done.returncode:
            raise ConfigurationError(f"rabbitmqctl {words[0]} failed: {(done.stderr or done.stdout)[-500:]}")

    def _greets(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2.0) as probe:
                probe.sendall(PROTOCOL_HEADER)
                return bool(probe.recv(1))
        except OSError:
            return False

    def _write_configuration(self) -> dict[str, str]:
        configuration = self.folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.default = {LOOPBACK}:{self.port}\n"
            f"default_user = {self._user}\n"
            f"default_pass = {self._password}\n"
            f"max_message_size = {MESSAGE_BYTES_MAX}\n"
            "log.console = true\n"
            "log.console.level = warning\n"
            "log.file = false\n"
        )
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "nothing").write_text("")
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(10))
        cookie.chmod(0o400)
        return {
            "PATH": f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"goconductor{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "nothing"),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            # no busy waiting, on a machine that has other things to do
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node, instead of waiting beside it
        }


def find_programs() -> Path:
    """The folder of the server's own scripts.

    Raises:
        ConfigurationError: it is not installed.
    """
    # of one's own: the ones on the PATH change users
    for found in sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), reverse=True):
        if (found / "rabbitmq-server").exists():
            return found
    if program := shutil.which("rabbitmq-server"):
        return Path(program).resolve().parent
    raise ConfigurationError(f"RabbitMQ is not installed: {REMEDY}")


def _epmd() -> str:
    if program := shutil.which("epmd"):
        return program
    raise ConfigurationError(f"Erlang's epmd is not on the PATH: {REMEDY}")
