"""Reads a URL of PostgreSQL: its hosts, one by one, and libpq's parameters, each of which works or is refused by its name.

The driver (asyncpg 0.32) sends each parameter that it does not know to the server as a setting. So the server refuses
``connect_timeout`` and ``keepalives`` as unknown configuration parameters. The driver also counts one time limit for all hosts
together. So both are done here.
"""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from goconductor.errors import ConfigurationError

SHAPE = "postgresql://user:password@host:port/database"
PORT = 5432
"""PostgreSQL's own port, where a URL names none."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")

WRITABLE = ("any", "primary", "read-write")
"""Values of ``target_session_attrs``. Each means the same to us: we need a server that takes writes and refuse any other."""

HARMLESS = {
    "client_encoding": ("auto", "utf8", "utf-8", "unicode"),
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "sslcompression": ("0",),
    "sslcertmode": ("allow",),
    "sslsni": ("1",),
    "fallback_application_name": None,
}
"""Parameters that we leave out of the URL, with the values for which they ask for nothing."""

REFUSED = {
    "service": "write out what the service file has, so that all processes read the same",
    "servicefile": "write out what the service file has, so that all processes read the same",
    "hostaddr": "name the address as host",
    "requiressl": "write sslmode=require",
    "require_auth": "let pg_hba.conf demand it",
    "requirepeer": "leave it out",
    "replication": "leave it out",
    "sslcrldir": "name one file as sslcrl",
    "sslkeylogfile": "set the variable SSLKEYLOGFILE",
    "min_protocol_version": "leave it out",
    "max_protocol_version": "leave it out",
    "gssdelegation": "leave it out",
    "scram_client_key": "give a password",
    "scram_server_key": "give a password",
    "oauth_issuer": "use another way to log in",
    "oauth_client_id": "use another way to log in",
    "oauth_client_secret": "use another way to log in",
    "oauth_scope": "use another way to log in",
}
"""Parameters that ask for something that we cannot do, and the remedy."""

KEEPALIVES = {
    "keepalives_idle": getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None),
    "keepalives_interval": getattr(socket, "TCP_KEEPINTVL", None),
    "keepalives_count": getattr(socket, "TCP_KEEPCNT", None),
    "tcp_user_timeout": getattr(socket, "TCP_USER_TIMEOUT", None),
}
"""Options of a socket, where this system has them."""

_HOST = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]*))?")


class Server(NamedTuple):
    """One host of a URL; without a host, what the driver takes by itself: PGHOST, or a local socket.

    Where the host's name has several addresses, it is one of them.
    """

    host: str | None
    port: int | None
    address: str = ""

    @property
    def as_named(self) -> Server:
        """The host, with all its addresses."""
        return self._replace(address="")

    def __str__(self) -> str:
        """Return the server for messages."""
        if self.host is None:
            return "the local socket"
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"{place} ({self.address})" if self.address else place


@dataclass(frozen=True)
class PostgresUrl:
    """A URL, read.

    Args:
        dsn: the driver's DSN; each host is named beside it.
        servers: the hosts in the order in which they are tried.
        database: its name; empty where the URL has none.
        connect_timeout_seconds: libpq's ``connect_timeout``, for each host; None where the URL has none.
        keepalive: whether TCP asks an idle peer if it lives.
        socket_options: numbers and values of options of TCP.
        is_shuffled: whether hosts are tried in a random order, libpq's ``load_balance_hosts=random``.
        is_local: whether all is on this machine, so that TLS would be in vain.
    """

    dsn: str = field(repr=False)
    servers: tuple[Server, ...]
    database: str
    connect_timeout_seconds: float | None = None
    keepalive: bool = True
    socket_options: tuple[tuple[int, int], ...] = ()
    is_shuffled: bool = False
    is_local: bool = False

    @property
    def where(self) -> str:
        """For messages: without user and password."""
        return f"{','.join(map(str, self.servers))}/{self.database}"

    def in_order(self, servers: Iterable[Server]) -> list[Server]:
        """Return servers in the order in which they are to be tried now."""
        ordered = list(servers)
        if self.is_shuffled:
            random.shuffle(ordered)
        return ordered


def read_url(url: str, setting: str) -> PostgresUrl:
    """Read a URL.

    Args:
        url: a URL of the form :data:`SHAPE`, perhaps with several hosts and with libpq's parameters.
        setting: its name in messages, such as ``the store's url``.

    Raises:
        ConfigurationError: it cannot be read, or asks for something that is not possible. No message quotes it, because any part
            may be a password.
    """
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgresql", "postgres") or not rest:
        raise ConfigurationError(f"{setting} must look like {SHAPE}")
    try:
        parts = urlsplit(f"postgresql://{rest}")
        pairs = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        servers = tuple(_servers(parts.netloc.rpartition("@")[2], pairs))
    except ValueError:
        raise ConfigurationError(f"{setting} cannot be read; it should look like {SHAPE}") from None
    return _checked(setting, f"postgresql://{rest.partition('?')[0].partition('#')[0]}", unquote(parts.path[1:]), servers, pairs)


def _checked(setting: str, dsn: str, database: str, servers: tuple[Server, ...], pairs: dict[str, str]) -> PostgresUrl:
    for name, remedy in REFUSED.items():
        if name in pairs:
            raise ConfigurationError(f"{setting} has the parameter {name}, which is not supported: {remedy}")
    for name, allowed in HARMLESS.items():
        value = pairs.pop(name, None)
        if value is not None and allowed is not None and value.lower() not in allowed:
            raise ConfigurationError(f"{setting} has {name}, which is supported as {' or '.join(allowed)} only: leave it out")
    wanted = pairs.pop("target_session_attrs", "any")
    if wanted not in WRITABLE:
        raise ConfigurationError(
            f"{setting} has a target_session_attrs that is not one of {', '.join(WRITABLE)}: we write, and need the primary"
        )
    balance = pairs.pop("load_balance_hosts", "disable")
    if balance not in ("disable", "random"):
        raise ConfigurationError(f"{setting} has a load_balance_hosts that is neither disable nor random")
    timeout = _number(setting, pairs, "connect_timeout")
    keepalive = _number(setting, pairs, "keepalives")
    options = [(option, _number(setting, pairs, name)) for name, option in KEEPALIVES.items()]
    is_local = not {"sslmode", "ssl"} & pairs.keys() and len(servers) == 1 and servers[0].host in LOOPBACK
    return PostgresUrl(
        dsn=f"{dsn}?{urlencode(pairs)}" if pairs else dsn,
        servers=servers,
        database=database or pairs.get("dbname", pairs.get("database", "")),
        connect_timeout_seconds=float(timeout) if timeout is not None and timeout > 0 else None,
        keepalive=keepalive != 0,
        socket_options=tuple((option, value) for option, value in options if option is not None and value),
        is_shuffled=balance == "random",
        is_local=is_local,
    )


def _number(setting: str, pairs: dict[str, str], name: str) -> int | None:
    text = pairs.pop(name, None)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ConfigurationError(f"{setting} has a {name} that is no whole number")
    return int(text)


def _servers(place: str, pairs: dict[str, str]) -> Iterator[Server]:
    """Yield the servers from the URL's place, else from the parameters ``host`` and ``port``, which are taken out."""
    hosts, ports = pairs.pop("host", ""), pairs.pop("port", "")
    numbers = [_port(each) for each in ports.split(",")] if ports else [PORT]
    if place:
        hosts = place
    elif not hosts:
        yield Server(None, numbers[0] if ports else None)
        return
    each = [unquote(host) for host in hosts.split(",")]
    if len(numbers) not in (1, len(each)):
        raise ValueError
    if len(numbers) == 1:
        numbers *= len(each)
    for host, number in zip(each, numbers, strict=True):
        if host.startswith("/"):  # a socket's folder
            yield Server(host, number)
        elif not place and host.count(":") > 1:  # an address of IPv6, which only in a URL's place needs brackets
            yield Server(host.strip("[]"), number)
        elif found := _HOST.fullmatch(host):
            yield Server(found["six"] or found["name"] or "localhost", _port(found["port"]) if found["port"] else number)
        else:
            raise ValueError


def _port(text: str) -> int:
    number = int(text) if text else PORT
    if not 0 < number < 1 << 16:
        raise ValueError
    return number
