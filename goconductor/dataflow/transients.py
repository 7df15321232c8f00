"""Transients: data that no log, message or database holds.

A run keeps its transients in the memory of its process for as long as it goes on. In their place the log has a *token*, which is
drawn by chance and so tells nothing of the value. A builder that runs in the same process is given the value. Elsewhere or later
it is lost: the builder fails before its code is called, and the datum is missing again until a run gives it anew.

So a transient is given where its builders run, and a datum that a builder makes is none: it would have to come from one process
to the other.

A token stands in answers and in the log, so whoever reads them knows it. It opens for one datum of one saga, and only where the
saga's definition hands that datum to the builder as a transient (:func:`sealed`). Everywhere else it is plain data.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from uuid import UUID

from goconductor.errors import PayloadError, PermanentError
from goconductor.saga.data.references import Reference
from goconductor.saga.plan import Plan
from goconductor.saga.types.decoding import Convert

KEY = "goconductor-transient"

WHERE = f'payload == null || payload["{KEY}"] != ""'
"""The condition of a wait for a transient: it takes a token, and no value. By it a definition says which data are transient."""


class TransientLostError(PermanentError):
    """A transient is not in this process, or its run is over; run the dataflow again and give it."""


class Sealed(NamedTuple):
    """A token on its way to a builder.

    Attributes:
        token: it.
        saga_id: of the saga whose builder is given it.
        datum: that it stands for there.
    """

    token: str
    saga_id: UUID
    datum: str


def sealed(plan: Plan, saga_id: UUID, step: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a builder, in which the tokens of the saga's transients are sealed; all else is as it was."""
    return {name: _sealed(plan, saga_id, step, name, value) for name, value in inputs.items()}


def _sealed(plan: Plan, saga_id: UUID, step: str, name: str, value: Any) -> Any:
    if not isinstance(value, dict) or value.keys() != {KEY} or not isinstance(value[KEY], str):
        return value
    binding = plan.steps[step].inputs.get(name)
    place = None if binding is None or binding.ref is None else Reference.parse(binding.ref)
    if place is None or place.step is None or place.keys:
        return value
    wait = plan.steps[place.step].wait
    return value if wait is None or wait.where != WHERE else Sealed(value[KEY], saga_id, place.step)


class Transients:
    """What the runs of one process hold."""

    def __init__(self) -> None:
        self._held: dict[Sealed, Any] = {}

    @contextmanager
    def held(self, saga_id: UUID, data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Enter a context in which data of a saga are held; it has the tokens that stand for them."""
        kept = {Sealed(secrets.token_hex(16), saga_id, datum): value for datum, value in data.items()}
        self._held |= kept
        try:
            yield {each.datum: {KEY: each.token} for each in kept}
        finally:
            for each in kept:
                del self._held[each]

    def opened(self, value: Sealed) -> Any:
        """Return what a token stands for.

        Raises:
            TransientLostError: it is not held here, for this datum of this saga.
        """
        if value not in self._held:
            raise TransientLostError
        return self._held[value]

    def opening(self, convert: Convert) -> Convert:
        """Return how a parameter is read that may be given a sealed token."""

        def read(value: Any) -> Any:
            if not isinstance(value, Sealed):
                return convert(value)
            secret = self.opened(value)
            with suppress(BaseException):  # whatever it says, it may quote the value; nor may the error below lead to it
                return convert(secret)
            raise PayloadError("$", "does not fit the builder's parameter; a transient is not shown")

        return read


HERE = Transients()
"""Those of this process."""
