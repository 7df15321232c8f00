"""Secrets by their names. A definition has the name; the settings say where the value is, and to which hosts it may go.

A value in a variable or a file is read for each call, so that it can be replaced while a process runs. One that is kept with the
secrets of the installation (:mod:`goconductor.control.secrets`) was read as the process began. What the other side sends back is
searched for secrets, as servers may quote a request in their answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from goconductor.errors import HIDDEN, ConfigurationError, RefusedError, nearest
from goconductor.system.guard import names


@dataclass(frozen=True)
class Secret:
    """Where a secret is.

    Args:
        hosts: to which it may go, written as in ``system.hosts``; one with a port is for that port alone.
        variable: the variable of the environment that has it.
        file: in place of that, the file that has it, without the line's end.
        value: in place of both, the secret itself, as this process has read it from those that are kept.
        plaintext: whether it may go there without TLS too.
    """

    hosts: tuple[str, ...]
    variable: str | None = None
    file: str | None = None
    value: str | None = field(default=None, repr=False)
    plaintext: bool = False

    def read(self) -> str:
        """Return its value.

        Raises:
            OSError: its file cannot be read.
            KeyError: its variable is not set.
            ValueError: it is empty, or no text that a header can have.
        """
        if self.value is not None:
            value = self.value
        else:
            value = os.environ[self.variable] if self.variable else Path(self.file or "").read_text("utf-8").strip()
        if not value or not value.isascii() or not value.isprintable():
            raise ValueError("it is empty, or has other than printable ASCII characters")
        return value


class Secrets:
    """All secrets of the settings.

    Args:
        known: by their names.
    """

    def __init__(self, known: Mapping[str, Secret]) -> None:
        self._known = known

    def check(self) -> None:
        """See that each can be read.

        Raises:
            ConfigurationError: one cannot; says which and why, and never its value.
        """
        for name, secret in self._known.items():
            try:
                secret.read()
            except (OSError, KeyError, ValueError) as error:
                raise ConfigurationError(f"system.secrets.{name} cannot be read: {_why(secret, error)}") from None

    def value_of(self, name: str, host: str, port: int, *, secure: bool) -> str:
        """Return the value of a secret that is to be sent to a host.

        Args:
            name: of the secret.
            host: where it is to go.
            port: the host's, of TCP.
            secure: whether TLS is spoken.

        Raises:
            RefusedError: there is none, it may not go there, or it cannot be read; nothing was sent.
        """
        secret = self._known.get(name)
        if secret is None:
            raise RefusedError(f"there is no secret {name!r} in system.secrets of this process; {nearest(name, self._known)}")
        if not names(secret.hosts, host, port):
            place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise RefusedError(f"the secret {name!r} may not go to {place}; add that to system.secrets.{name}.hosts if it may")
        if not secure and not secret.plaintext:
            raise RefusedError(
                f"the secret {name!r} may not go to {host} without TLS, where others can read it on its way; "
                f"call {host} over TLS, or set system.secrets.{name}.plaintext to true"
            )
        try:
            return secret.read()
        except (OSError, KeyError, ValueError) as error:
            raise RefusedError(f"the secret {name!r} cannot be read: {_why(secret, error)}") from None


def _why(secret: Secret, error: Exception) -> str:
    match error:
        case KeyError():
            return f"the variable {secret.variable} is not set; set it for this process"
        case OSError():
            return f"{secret.file}: {error.strerror}; correct the path, or the file's rights"
        case _:
            place = secret.variable or secret.file
            return f"{error}; " + (f"write it on one line of {place}" if place else "set it again, on one line")


def without(values: Iterable[str], data: Any) -> Any:
    """Return JSON values in which secrets are hidden, in keys and texts.

    Args:
        values: the secrets.
        data: the JSON values.
    """
    hidden = [form for value in values for form in dict.fromkeys((value, json.dumps(value)[1:-1], quote(value, safe="")))]
    return _without(hidden, data) if hidden else data


def _without(hidden: list[str], data: Any) -> Any:
    match data:
        case str():
            for each in hidden:
                data = data.replace(each, HIDDEN)
            return data
        case list():
            return [_without(hidden, item) for item in data]
        case dict():
            return {_without(hidden, key): _without(hidden, item) for key, item in data.items()}
        case _:
            return data
