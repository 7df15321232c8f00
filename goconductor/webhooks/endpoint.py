"""What an endpoint is, as it is kept: where it is, what it wants to know, and by which secrets it is signed to."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.webhooks.sealing import seal, unseal
from goconductor.webhooks.signing import make_secret

STATUSES = tuple(
    status.value for status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.TERMINATED, SagaStatus.STUCK)
)
"""The statuses that are told: the three ends of a saga, and that it waits for an operator."""
SECRETS_MAX = 3
"""Number of secrets that sign at one time."""


class State(StrEnum):
    """What is done with an endpoint."""

    ACTIVE = "active"
    PAUSED = "paused"
    """What it wants is queued, and nothing is sent."""
    GONE = "gone"
    """It has answered that it is there no more. Nothing is queued or sent, until it is resumed."""


class KeptSecret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret.

    Args:
        kept: as :mod:`goconductor.webhooks.sealing` keeps it.
        until: when it ends, by the database's clock; None while it is the present one.
    """

    kept: str
    until: float | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One endpoint.

    Args:
        url: where it is.
        definitions: the sagas that it wants to know of, by name; none wants all.
        statuses: of :data:`STATUSES`; none wants all.
        description: for people.
        state: what is done with it.
        secrets: the newest first.
        changed_at: when it was changed last, by the database's clock.
        changed_by: who has.
    """

    url: str
    definitions: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    description: str = ""
    state: State = State.ACTIVE
    secrets: tuple[KeptSecret, ...] = ()
    changed_at: float = 0.0
    changed_by: str = ""

    def wants(self, saga: str) -> bool:
        """Return whether it wants to know of a saga, by its name."""
        return not self.definitions or saga in self.definitions

    def takes(self, saga: str, status: str) -> bool:
        """Return whether it wants to know of a saga that has come to a status."""
        return self.wants(saga) and status in (self.statuses or STATUSES)

    def signs(self, now: float) -> list[str]:
        """Return the secrets that sign, the newest first.

        Raises:
            ConfigurationError: one is kept in a way that this version does not know.
        """
        return [unseal(each.kept) for each in self.secrets if each.until is None or each.until > now]

    def rotated(self, now: float, overlap_seconds: float) -> tuple[Endpoint, str]:
        """Return the endpoint with a new secret, and that secret.

        Args:
            now: the database's time.
            overlap_seconds: seconds for which those before sign as well.
        """
        secret, until = make_secret(), now + overlap_seconds
        before = [
            KeptSecret(kept=each.kept, until=until if each.until is None else min(each.until, until)) for each in self.secrets
        ]
        good = [each for each in before if each.until is not None and each.until > now][: SECRETS_MAX - 1]
        return msgspec.structs.replace(self, secrets=(KeptSecret(kept=seal(secret)), *good)), secret

    def written(self) -> str:
        """Return it as text, for the store."""
        return msgspec.json.encode(self).decode()


def read(body: str) -> Endpoint:
    """Read an endpoint that :meth:`Endpoint.written` wrote."""
    return msgspec.json.decode(body, type=Endpoint)
