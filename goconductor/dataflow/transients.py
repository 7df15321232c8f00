"""Transients: data that no log, message or database holds.

A run keeps its transients in the memory of its process for as long as it goes on. In their place the log has a *token*, which is
drawn by chance and so tells nothing of the value. A builder that runs in the same process is given the value. Elsewhere or later
it is lost: the builder fails before its code is called, and the datum is missing again until a run gives it anew.

So a transient is given where its builders run, and a datum that a builder makes is none: it would have to come from one process
to the other.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from goconductor.errors import PermanentError
from goconductor.saga.types.decoding import Convert

KEY = "goconductor-transient"

WHERE = f'payload == null || payload["{KEY}"] != ""'
"""The condition of a wait for a transient: it takes a token, and no value. By it a definition says which data are transient."""


class TransientLostError(PermanentError):
    """A transient is not in this process, or its run is over; run the dataflow again and give it."""


class Transients:
    """What the runs of one process hold."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}

    @contextmanager
    def held(self, data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Enter a context in which data are held; it has the tokens that stand for them."""
        tokens = {name: secrets.token_hex(16) for name in data}
        self._held |= {tokens[name]: value for name, value in data.items()}
        try:
            yield {name: {KEY: token} for name, token in tokens.items()}
        finally:
            for token in tokens.values():
                del self._held[token]

    def opened(self, value: Any) -> Any:
        """Return what a token stands for; what is no token is returned as it is.

        Raises:
            TransientLostError: it is not held here.
        """
        if not isinstance(value, dict) or value.keys() != {KEY}:
            return value
        if value[KEY] not in self._held:
            raise TransientLostError
        return self._held[value[KEY]]

    def opening(self, convert: Convert) -> Convert:
        """Return how a parameter is read that may be given a token."""
        return lambda value: convert(self.opened(value))


HERE = Transients()
"""Those of this process."""
