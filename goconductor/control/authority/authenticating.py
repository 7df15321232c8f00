"""Who is behind a request: an API key or a token becomes an actor, and a call that is open ends soon after either.

A server holds all live keys, which are few, and reads them anew when what it read is older than a second. So a request costs
no statement of its own, and a revoked key is refused within a second. A key that is not among them may be younger than what was
read. Then they are read once more first, at most ten times a second, whoever tries keys.

A call that lasts, a stream or a long wait, is looked at every two seconds, and ends when its key or its token does. A token ends
by itself, at a time that it says; a server does not learn that its issuer has revoked it earlier.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Protocol

import msgspec

from goconductor.aio.tasks import create_guarded_task
from goconductor.control.actor import Actor
from goconductor.control.authority.keys import KEY, PREFIX, digest_of
from goconductor.control.authority.rates import Rates
from goconductor.errors import GoConductorError, StoreUnavailableError
from goconductor.ports.store import KeyRow
from goconductor.ports.store.reading.keys import Keys

READ_SECONDS = 1.0
"""For how long what was read of the keys counts."""
AGAIN_SECONDS = 0.1
"""Least time between two reads."""
LOOK_SECONDS = 2.0
"""Seconds between two looks at who is behind a call that lasts."""
SCHEME = "bearer"


class UnauthenticatedError(GoConductorError):
    """Nobody is known to be behind this request; send 'Authorization: Bearer' with a live API key, or a token."""


class ProviderUnavailableError(GoConductorError):
    """The identity provider's keys cannot be read now, so no token can be checked; ask again later, or with an API key."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is known.

    Args:
        actor: the actor of all requests.
        key_id: the id of the API key; empty where a token was shown.
        until: when the token ends, in seconds since 1970; None where an API key was shown, which the store has the end of.
    """

    actor: Actor
    key_id: str = ""
    until: float | None = None

    @property
    def means(self) -> str:
        """How somebody was authenticated, for the audit log."""
        return f"key {self.key_id}" if self.key_id else "token"


class TokenReader(Protocol):
    """Reads tokens of an identity provider: :class:`goconductor.control.authority.tokens.reading.Tokens`."""

    async def holder(self, token: str) -> tuple[Actor, float]: ...
    async def trouble(self) -> str: ...


def now() -> float:
    """Return the time by which tokens end, in seconds since 1970."""
    return time.time()


class Authenticator:
    """Knows who is behind a request.

    Args:
        keys: returns the store's keys.
        requests_per_second: how many requests a key may make; None is without a limit.
        tokens: reads tokens; None takes API keys only.
    """

    def __init__(
        self, keys: Callable[[], Keys], *, requests_per_second: float | None = None, tokens: TokenReader | None = None
    ) -> None:
        self._tokens = tokens
        self._rates = Rates(requests_per_second)
        self._keys = keys
        self._live: dict[str, KeyRow] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def principal(self, authorization: Sequence[str]) -> Principal:
        """Return who is behind a request.

        Args:
            authorization: the values of that header, which may stand once.

        Raises:
            UnauthenticatedError: it is none that is known.
            ForbiddenError: its token gives no role.
            TooManyRequestsError: the key has made more than it may.
            StoreUnavailableError: the database cannot be reached.
            ProviderUnavailableError: the identity provider's keys cannot be read.
        """
        if not authorization:
            raise UnauthenticatedError
        if len(authorization) > 1:
            raise UnauthenticatedError("the header Authorization stands twice; send one")
        scheme, _, given = authorization[0].partition(" ")
        found = KEY.fullmatch(given.strip()) if scheme.lower() == SCHEME else None
        if found is None and self._tokens is not None and scheme.lower() == SCHEME and not given.startswith(PREFIX):
            actor, until = await self._tokens.holder(given.strip())
            self._rates.take(actor.name)
            return Principal(actor=actor, until=until)
        if found is None:
            raise UnauthenticatedError("the header Authorization is not 'Bearer' and an API key; send 'Bearer gck_…'")
        row = await self._row(found[1])
        # compared also where there is no such key, and in constant time: the time of an answer tells nothing
        if not hmac.compare_digest(digest_of(found[0]), row.digest if row else "0" * 64) or row is None:
            raise UnauthenticatedError("this API key is unknown, revoked or over; ask an admin for another one")
        self._rates.take(row.key_id)
        return Principal(actor=Actor(row.name, frozenset(row.roles), row.namespace), key_id=row.key_id)

    async def stands(self, principal: Principal) -> bool:
        """Return whether somebody who was known still is. While the database cannot be reached nobody is forgotten."""
        if principal.until is not None:
            return now() < principal.until
        try:
            row = await self._row(principal.key_id)
        except StoreUnavailableError:
            return True
        return row is not None

    @property
    def takes_tokens(self) -> bool:
        """Whether tokens are taken beside API keys."""
        return self._tokens is not None

    async def trouble(self) -> str:
        """Return why tokens cannot be checked now; empty where they can, or are not taken."""
        return "" if self._tokens is None else await self._tokens.trouble()

    @asynccontextmanager
    async def held(self, principal: Principal) -> AsyncIterator[None]:
        """Enter a context that ends when its principal does.

        Raises:
            UnauthenticatedError: the principal is known no more.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                coming: asyncio.TimerHandle
                looking: asyncio.Task[None] | None = None

                async def look() -> None:
                    nonlocal coming
                    try:
                        stands = await self.stands(principal)
                    except Exception:
                        coming = loop.call_later(LOOK_SECONDS, begin)  # or the call would never be looked at again
                        raise
                    if stands:
                        coming = loop.call_later(LOOK_SECONDS, begin)
                    else:
                        limit.reschedule(loop.time())

                def begin() -> None:
                    nonlocal looking
                    looking = create_guarded_task(look(), name="looking at who is behind a call")

                coming = loop.call_later(LOOK_SECONDS, begin)
                try:
                    yield
                finally:
                    coming.cancel()
                    if looking is not None:
                        looking.cancel()
        except TimeoutError:
            if limit.expired():
                problem = "the API key or the token was revoked, or is over; what this request has done by then stands"
                raise UnauthenticatedError(problem) from None
            raise

    async def _row(self, key_id: str) -> KeyRow | None:
        arrived = time.monotonic()
        if arrived - self._read_at > READ_SECONDS:
            await self._read()
        while key_id not in self._live and self._read_at < arrived:
            await asyncio.sleep(max(0.0, self._read_at + AGAIN_SECONDS - time.monotonic()))
            await self._read()
        return self._live.get(key_id)

    async def _read(self) -> None:
        """Read all live keys; whoever wants them meanwhile waits for the same answer."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_now(), name="reading the API keys", context=Context())
        await asyncio.shield(self._reading)

    async def _read_now(self) -> None:
        begun = time.monotonic()
        self._live = {row.key_id: row for row in await self._keys().live()}
        self._read_at = begun
