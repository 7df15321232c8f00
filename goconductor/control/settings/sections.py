"""The sections of the settings. What stands below a setting is its description, in the reference as well."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Container
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from goconductor import plugins
from goconductor.control.settings.references import BEGINNING, OF_THE_DATABASE, REFERENCE
from goconductor.errors import meant
from goconductor.system.guard import split_host

_POSTGRES_URL = re.compile(
    r"""postgres(?:ql)?(?:\+\w+)?://
        (?:[^\s/?#@:\[\]]*(?::[^\s/?#@:\[\]]*)?@)?          # user and password
        (?:\[[^\s/?#@\]]+\]|[^\s/?#@:,\[\]]*)(?::\d{1,5})?  # host and port
        (?:,(?:\[[^\s/?#@\]]+\]|[^\s/?#@:,\[\]]*)(?::\d{1,5})?)*
        (?:/[^\s?#]*)?(?:\?[^\s#]*)?""",
    re.VERBOSE,
)
_HTTP_URL = re.compile(r"https?://[^\s/?#]+(?:[/?][^\s#]*)?")


class Section(BaseModel):
    """A section of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


def _postgres_url(url: SecretStr) -> SecretStr:
    if BEGINNING in url.get_secret_value():
        raise ValueError(OF_THE_DATABASE)
    if not _POSTGRES_URL.fullmatch(url.get_secret_value()):
        raise ValueError(
            "should look like postgresql://user:password@host:port/database, with '@', '/', ':' and other special characters "
            "of user and password written as %40, %2F, %3A …"
        )
    return url


def _kind(group: str) -> AfterValidator:
    def check(name: str) -> str:
        if name not in (installed := plugins.installed(group)):
            near = meant(name.lower(), installed)
            hint = f"; did you mean {near}?" if near else ""
            raise ValueError(f"should be one of those installed: {', '.join(installed)}{hint}")
        return name

    return AfterValidator(check)


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Days = Annotated[float, Field(ge=0, le=36_500, allow_inf_nan=False)]
Options = Annotated[dict[str, Any], Field(repr=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")]
S = TypeVar("S")


def _differ(section: S, own: str, others: Container[str]) -> S:
    if own in others:
        raise ValueError(f"two are called {own!r}; give the section a name of its own, or the other one another")
    return section


class DatabaseSettings(Section):
    """Where the saga log is."""

    url: Annotated[SecretStr, AfterValidator(_postgres_url)]
    """The URL of the saga log: ``postgresql://user:password@host:port/database``. Required."""
    schema_name: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "goconductor"
    """The schema of goconductor's tables: small letters, digits and ``_``. The tables of a bus and the election's group are named
    after it, so two installations with two schemas can share a database."""

    @property
    def where(self) -> str:
        """Host and database for people, without user and password."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.netloc.rpartition('@')[2] or 'the local socket'}{parts.path}"


class OtherBus(Section):
    """A further bus that a process can use."""

    kind: Annotated[str, _kind("bus")]
    """One of the installed kinds."""
    url: SecretStr | None = None
    """The URL of the bus; without it, the database's url."""
    options: Options = {}
    """Its own keyword arguments."""


class BusSettings(Section):
    """How participants reach one another."""

    kind: Annotated[str, _kind("bus")] = "postgres"
    """The kind of bus that is used: one of those installed; its library may need an extra."""
    url: SecretStr | None = None
    """The URL of the bus; without it, the database's url."""
    options: Options = {}
    """The bus's own keyword arguments; their types are read as YAML."""
    name: Name | None = None
    """The name of this bus in a change to another one; without it, its kind."""
    others: dict[Name, OtherBus] = {}
    """Further buses, by their names, each with ``kind``, ``url`` and ``options``: ``goconductor bus migrate`` changes to one."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        return _differ(self, self.name or self.kind, self.others)

    def named(self) -> dict[str, OtherBus]:
        """Return all buses that the process can use, by their names; its own first."""
        own = OtherBus(kind=self.kind, url=self.url, options=self.options)
        return {self.name or self.kind: own} | self.others


class OtherElection(Section):
    """A further election that a process can take part in."""

    kind: Annotated[str, _kind("election")]
    """One of the installed kinds."""
    options: Options = {}
    """Its own keyword arguments."""


class ElectionSettings(Section):
    """Who sweeps."""

    kind: Annotated[str, _kind("election")] = "postgres"
    """The kind of election: one of those installed; ``alone`` if there is only one process."""
    options: Options = {}
    """The election's own keyword arguments; their types are read as YAML."""
    name: Name | None = None
    """The name of this election in a change to another one; without it, its kind."""
    others: dict[Name, OtherElection] = {}
    """Further elections, by their names, each with ``kind`` and ``options``: ``goconductor election migrate`` changes to one."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        return _differ(self, self.name or self.kind, self.others)

    def named(self) -> dict[str, OtherElection]:
        """Return all elections that the process can take part in, by their names; its own first."""
        own = OtherElection(kind=self.kind, options=self.options)
        return {self.name or self.kind: own} | self.others


class ParticipantSettings(Section):
    """How a participant runs its steps."""

    lease_seconds: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 10.0
    """Seconds after which another instance may take over a running step, unless its lease is renewed."""
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Steps that may run at once in one process; without it, the number in the code (1,000)."""
    threads: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Plain `def` steps that may run at once in one process, each in a thread."""
    drain_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 20.0
    """Seconds that running steps may take to finish when the process stops. Keep it at least ten seconds below the time after
    which your platform kills: in Kubernetes ``terminationGracePeriodSeconds``, 30 by default."""
    prefetch: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Greatest number of unfinished messages that a process holds at once."""


class RecoverySettings(Section):
    """How the leader looks for sagas that stand still."""

    sweep_interval_seconds: Seconds = 1.0
    """Seconds between two sweeps: the leader's looks for sagas that stand still."""
    term_seconds: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 5.0
    """Seconds that a leader may be silent before another takes over."""
    batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Greatest number of sagas in one sweep."""


class RetentionSettings(Section):
    """How long the leader keeps what is over. 0 keeps it for ever: nothing is deleted unless you set a time."""

    sagas_days: Days = 0.0
    """Days that a saga is kept after it ended, with its log and its start key; 0 is for ever."""
    dead_letters_days: Days = 0.0
    """Days that a dead letter is kept; 0 is for ever."""
    audit_days: Days = 0.0
    """Days that a row of the audit log is kept; 0 is for ever."""
    instances_days: Days = 7.0
    """Days that the record of a process is kept after it has ended; 0 is for ever."""


class LimitSettings(Section):
    """How large things may be."""

    payload_bytes_max: Annotated[int, Field(ge=1024, le=256 * 1024 * 1024)] = 1024 * 1024
    """Greatest size of an input, an output or a body, in bytes."""
    baton_bytes_max: Annotated[int, Field(ge=0, le=1024 * 1024)] = 16 * 1024
    """Greatest size of a state that a message carries, in bytes; receivers read larger ones from the log."""


def listed(given: Any) -> Any:
    """Split a list that a variable of the environment has as one text."""
    return [each for each in re.split(r"[,\s]+", given) if each] if isinstance(given, str) else given


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        split_host(host)
    return hosts


Hosts = Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(_hosts)]


class SystemSecret(Section):
    """Where a secret of system steps is, and where it may go."""

    variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The variable of the environment that has it."""
    file: str | None = None
    """In place of that, the path of the file that has it."""
    value: SecretStr | None = None
    """In place of both, the secret that goconductor keeps: ``${secret:NAME}``."""
    hosts: Hosts
    """The hosts that it may be sent to, written as in ``system.hosts``. With a port, to that port alone."""
    plaintext: bool = False
    """Send it without TLS too, where whoever is on the way can read it."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(each is not None for each in (self.variable, self.file, self.value)) != 1:
            raise ValueError("should have one of 'variable', 'file' and 'value', which say where the secret is")
        if not self.hosts:
            raise ValueError("should name in 'hosts' at least one host that the secret may be sent to")
        return self


class SystemSettings(Section):
    """Whether a process hosts the steps of ``system``, and whom they may call."""

    enabled: bool = False
    """Host the steps of ``system`` in this process, a server or a participant."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Steps of ``system`` that may run at once in one process."""
    hosts: Hosts = ()
    """The hosts that may be called: ``api.example.com``, ``*.example.com``. By default, every host with a public address. A
    port other than 80 and 443 must be named: ``api.example.com:8443``. In a variable, separate them by commas."""
    networks: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(listed)] = ()
    """Address ranges that may be called although they are not public: ``10.1.0.0/16``."""
    grpc: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """Paths of files that describe the services which ``system.grpc`` may call, as ``protoc --include_imports
    --descriptor_set_out`` writes them. Without one, this process does not run that step."""
    javascript: bool = False
    """Run the scripts of ``system.javascript`` too, each in a process of its own. Everybody who may register definitions can
    write such scripts."""
    javascript_seconds: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 1.0
    """Processor time that a script may take, in seconds."""
    javascript_bytes_max: Annotated[int, Field(ge=1024 * 1024, le=1024 * 1024 * 1024)] = 32 * 1024 * 1024
    """Memory that a script may take, in bytes."""
    secrets: dict[Name, SystemSecret] = {}
    """Secrets that headers may name, by their names, each with ``variable``, ``file`` or ``value: ${secret:NAME}``, and
    ``hosts``. With ``plaintext`` it goes without TLS too."""


class SecretSettings(Section):
    """Where the wrapping keys of secrets are, to which settings refer as ``${secret:NAME}``."""

    kind: Annotated[str, _kind("keyring")] | None = None
    """Where the wrapping keys come from, ``file`` or ``environment``. Without it this process encrypts and decrypts no secret."""
    options: Options = {}
    """The keyring's own keyword arguments, such as ``path`` of ``file``; their types are read as YAML."""


class LogSettings(Section):
    """What is logged, by the commands and by :meth:`Participant.run`, where nobody has set up logging otherwise."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The level from which messages are logged."""
    format: Literal["text", "json"] = "text"
    """``text`` for people, ``json`` for machines."""


class MetricsSettings(Section):
    """Where a process serves its metrics by itself; the REST server has them at ``/metrics`` anyway."""

    insecure: bool = False
    """Allow other hosts than loopback: everybody who reaches the port can read names and numbers of all sagas and steps."""
    host: str = "127.0.0.1"
    """The address that metrics are served on."""
    port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """Its TCP port; 0 takes a free one. Without it, only the REST server has metrics, at ``/metrics``."""

    @field_validator("host")
    @classmethod
    def _on_loopback(cls, host: str, info: ValidationInfo) -> str:
        if not info.data.get("insecure") and not is_loopback(host):
            raise ValueError(
                "is not a loopback address, and there is no authentication: everybody who reaches it could read the names and "
                "numbers of all sagas and steps. Use 127.0.0.1 with an agent beside it, or set metrics.insecure to true"
            )
        return host


class HealthSettings(Section):
    """Where a process answers whether it is well: ``/livez`` and ``/readyz``. The REST server has both anyway."""

    host: str = "127.0.0.1"
    """The address that it listens on. Kubernetes asks from outside of the pod: give ``0.0.0.0`` there. The answer has only
    whether the process is ready, and what is missing."""
    port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """Its TCP port; 0 takes a free one. Without it nothing is served."""


class TracesSettings(Section):
    """Whether spans are made, and where they go."""

    enabled: bool = False
    """Make spans."""
    endpoint: SecretStr | None = None
    """The URL to which spans are sent by OTLP over HTTP, such as ``http://collector:4318/v1/traces``; without it, the program's
    own exporter gets them."""

    @field_validator("endpoint")
    @classmethod
    def _http(cls, endpoint: SecretStr | None) -> SecretStr | None:
        given = None if endpoint is None else endpoint.get_secret_value()
        if given is not None and not (_HTTP_URL.fullmatch(given) or REFERENCE.fullmatch(given)):
            raise ValueError("should look like http://collector:4318/v1/traces")
        return endpoint


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server on that host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
