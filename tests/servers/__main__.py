"""Starts servers of one's own and says where each listens, until Ctrl-C: ``python -m tests.servers [name …]``.

What it prints are variables of the environment, by which the tests of goconductor take these servers instead of their own. Each
has fresh data and a free port on loopback; nothing is left of them afterwards.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from goconductor.errors import ConfigurationError
from goconductor.testing.postgres import PostgresServer
from tests.servers.elasticmq import ElasticmqServer
from tests.servers.etcd import EtcdServer
from tests.servers.kafka import KafkaServer
from tests.servers.kinesis import KinesisServer
from tests.servers.nats import NatsServer
from tests.servers.rabbitmq import RabbitmqServer
from tests.servers.zookeeper import ZooKeeperServer

Start = Callable[[ExitStack, Path], str]


def _etcd(stack: ExitStack, folder: Path) -> str:
    server = EtcdServer(folder)
    stack.callback(server.stop)
    server.start()
    return server.endpoint


def _zookeeper(stack: ExitStack, folder: Path) -> str:
    server = ZooKeeperServer(folder)
    stack.callback(server.stop)
    server.start()
    return server.host


SERVERS: dict[str, Start] = {
    "postgres": lambda stack, _: stack.enter_context(PostgresServer("system")).url(),
    "kafka": lambda stack, _: stack.enter_context(KafkaServer()).url,
    "rabbitmq": lambda stack, _: stack.enter_context(RabbitmqServer()).url,
    "nats": lambda stack, _: stack.enter_context(NatsServer()).url,
    "kinesis": lambda stack, _: stack.enter_context(KinesisServer()).url,
    "sqs": lambda stack, _: stack.enter_context(ElasticmqServer()).url,
    "etcd": _etcd,
    "zookeeper": _zookeeper,
}
"""Each server by its name: starts it, and tells where it listens."""


def main() -> None:
    """Start the servers that the command line names, and end them when SIGINT or SIGTERM comes."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(SERVERS)}; all of them if none is given")
    names = parser.parse_args().names or list(SERVERS)
    if unknown := [name for name in names if name not in SERVERS]:
        parser.error(f"there is no {unknown[0]!r}; there are {', '.join(SERVERS)}")
    for number in (signal.SIGINT, signal.SIGTERM):  # of both: a shell may have us ignore the first
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="goconductor-servers-")))
        for name in names:
            try:
                url = SERVERS[name](stack, folder / name)
            except ConfigurationError as error:
                sys.exit(f"{name} does not start: {error}")
            _say(f"export GOCONDUCTOR_TEST_{name.upper()}_URL='{url}'")
        _say("# all of them run until Ctrl-C")
        threading.Event().wait()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
