"""The public keys of an identity provider, as they are known now.

They are read when the first token comes, then at regular times, and at once when a token names a key that is unknown, as after
the provider has changed its keys. The regular reads are needed since the first token after a quiet night may be one of a key that
was revoked. Anybody can send tokens of unknown keys, so there are always some seconds between two reads; a token whose key is
unknown in between is refused. While the provider cannot be reached, known keys stay valid, for a time that the settings have.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context
from typing import Any, NamedTuple
from weakref import WeakMethod

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # PyJWT alone would read no key at all

from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import create_guarded_task
from goconductor.control.authority.authenticating import ProviderUnavailableError
from goconductor.redaction import logger_of

logger = logger_of("goconductor.control")

COUNT_MAX = 100
"""Greatest number of keys of a provider that are looked at."""
BITS_MIN = 2048
"""Least size of a key of RSA (RFC 7518, 3.3)."""
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_BY_CURVE = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA"}),
    "Ed448": frozenset({"EdDSA"}),
}


class Key(NamedTuple):
    """A public key, and the algorithms that it is for: a key is never used by an algorithm of another kind."""

    key_id: str
    public: Any
    algorithms: frozenset[str]


def keys_of(data: bytes) -> list[Key]:
    """Read a JSON Web Key Set (RFC 7517). What is for other uses, private, symmetric or too weak is passed over.

    Args:
        data: as it came.

    Raises:
        ProviderUnavailableError: it is none, or has no key of use.
    """
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ProviderUnavailableError("what it gives as its keys is no JSON Web Key Set")
    keys = [key for each in listed[:COUNT_MAX] if (key := _key(each)) is not None]
    if not keys:
        raise ProviderUnavailableError("it has no public key with an id by which a signature can be checked")
    return keys


def _key(given: Any) -> Key | None:
    if not isinstance(given, dict) or given.get("use", "sig") != "sig" or "d" in given:
        return None
    key_id, curve = given.get("kid"), given.get("crv")
    algorithms = _RSA if given.get("kty") == "RSA" else _BY_CURVE.get(curve) if isinstance(curve, str) else None
    if not isinstance(key_id, str) or not key_id or algorithms is None or given.get("kty") == "oct":
        return None
    if "alg" in given:
        algorithms = frozenset({given["alg"]} & algorithms) if isinstance(given["alg"], str) else frozenset()
    if not algorithms:
        return None
    try:
        public: Any = jwt.PyJWK(given, algorithm=min(algorithms)).key
    except Exception:  # noqa: BLE001  (a key that cannot be read is none, whatever is wrong with it)
        return None
    if isinstance(public, RSAPublicKey) and public.key_size < BITS_MIN:
        return None
    return Key(key_id, public, algorithms)


class KnownKeys:
    """The keys of a provider.

    Args:
        read: reads them anew.
        refresh_seconds: after which they are read again.
        again_seconds: least time between two reads.
        keep_seconds: how long they count without being read.
        monotonic: a clock that never goes back, in seconds.

    Attributes:
        problem: why they could not be read at last; empty where they could, or nobody has tried yet.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        *,
        refresh_seconds: float,
        again_seconds: float,
        keep_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._refresh_seconds = refresh_seconds
        self._again_seconds = again_seconds
        self._keep_seconds = keep_seconds
        self._monotonic = monotonic
        self._keys: list[Key] = []
        self._read_at = self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._next: asyncio.TimerHandle | None = None
        self._trouble = Reminder(monotonic=monotonic)
        self.problem = ""

    async def find(self, key_id: str, algorithm: str) -> Key | None:
        """Return a key; None where the provider has none of this id for this algorithm.

        Args:
            key_id: as a token names it.
            algorithm: by which the token is signed.

        Raises:
            ProviderUnavailableError: no keys are known, and they cannot be read now.
        """
        age = self._monotonic() - self._read_at
        found = _first(self._keys, key_id, algorithm) if age <= self._keep_seconds else None
        if found is None:
            await self.refreshed()
            if self._monotonic() - self._read_at > self._keep_seconds:
                raise ProviderUnavailableError
            return _first(self._keys, key_id, algorithm)
        if age > self._refresh_seconds:
            self._begin()
        return found

    async def trouble(self) -> str:
        """Return why the keys cannot be read; empty where they could at last. Keys that were read well are not read for this."""
        if self.problem or not self._keys:
            await self.refreshed()
        return self.problem

    async def refreshed(self) -> None:
        """Read the keys, unless somebody has just done so. Whoever wants them meanwhile waits for the same answer."""
        if (reading := self._begin()) is not None:
            await asyncio.shield(reading)

    def _begin(self) -> asyncio.Task[None] | None:
        if self._reading is not None and not self._reading.done():
            return self._reading
        if self._monotonic() - self._tried_at < self._again_seconds:
            return None
        self._tried_at = self._monotonic()
        self._read_later()
        name = "reading the keys of the identity provider"
        self._reading = create_guarded_task(self._read_now(), name=name, context=Context())
        return self._reading

    def _read_later(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_later(self._refresh_seconds, _call, WeakMethod(self._again))

    def _again(self) -> None:
        if self._begin() is None:  # it was tried a moment ago
            self._read_later()

    async def _read_now(self) -> None:
        try:
            self._keys = keys_of(await self._read())
        except Exception as error:  # noqa: BLE001  (whatever it is: tokens are answered by 503, and what was sent is not told)
            known = isinstance(error, ProviderUnavailableError)
            self.problem = str(error) if known else f"an unexpected error, {type(error).__name__}"
            if self._trouble.is_due():
                logger.warning("the keys of the identity provider cannot be read, those that are known go on: %s", self.problem)
            return
        self._read_at, self.problem = self._monotonic(), ""
        if self._trouble.end():
            logger.info("the keys of the identity provider could be read again")


def _call(method: WeakMethod[Callable[[], None]]) -> None:
    """Call a method of what may be gone by now: what nobody uses any more asks no provider."""
    if (there := method()) is not None:
        there()


def _first(keys: Iterable[Key], key_id: str, algorithm: str) -> Key | None:
    return next((each for each in keys if each.key_id == key_id and algorithm in each.algorithms), None)
