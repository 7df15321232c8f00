"""Reads an identity provider's public keys: from a file, or over HTTP from where its discovery document says they are.

The document is that of OpenID Connect Discovery 1.0. It must be of the very issuer, or keys of another would count (4.3).
Redirects are not followed, and each address has TLS or stays on loopback. An answer is bounded in bytes and in time.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from goconductor.control.authority.authenticating import ProviderUnavailableError
from goconductor.control.settings.oidc import OidcSettings, is_safe
from goconductor.errors import ConfigurationError, PermanentError, TemporaryError
from goconductor.system.http.exchange import Request, exchange

BYTES_MAX = 256 * 1024
PATIENCE_SECONDS = 10.0
"""Seconds that the provider has to answer."""
DISCOVERY = "/.well-known/openid-configuration"


class Provider:
    """An identity provider, as far as its keys go.

    Args:
        settings: where it is.

    Raises:
        ConfigurationError: the file of its authority cannot be used.
    """

    def __init__(self, settings: OidcSettings) -> None:
        assert settings.issuer is not None  # noqa: S101  (asked before)
        self._issuer = settings.issuer
        self._jwks = settings.jwks
        self._token_file = settings.token_file
        self._context = None
        if settings.authority is not None:
            try:
                self._context = ssl.create_default_context(cafile=settings.authority)
            except (OSError, ValueError):
                problem = "oidc.authority: is no certificate, as PEM, that this process may read; name the file of one"
                raise ConfigurationError(problem) from None

    async def read(self) -> bytes:
        """Return its keys, as a JSON Web Key Set (RFC 7517, 5).

        Raises:
            ProviderUnavailableError: they cannot be read; says why, for the log.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if self._jwks is not None and "://" not in self._jwks:
                    return await asyncio.to_thread(_content, self._jwks)
                return await self._get(self._jwks or await self._discovered())
        except TimeoutError:
            why = f"it has not answered within {PATIENCE_SECONDS:g} s"
        except (TemporaryError, OSError, UnicodeError) as error:  # the last of a host that cannot be looked up
            why = str(error)
        raise ProviderUnavailableError(why)

    async def _discovered(self) -> str:
        url = self._issuer.rstrip("/") + DISCOVERY
        try:
            found: Any = json.loads(await self._get(url))
        except (ValueError, RecursionError):
            raise ProviderUnavailableError(f"{url} is no JSON") from None
        issuer, jwks = (found.get("issuer"), found.get("jwks_uri")) if isinstance(found, dict) else (None, None)
        if issuer != self._issuer:
            raise ProviderUnavailableError(f"{url} is of another issuer; write oidc.issuer as the provider does")
        if not isinstance(jwks, str) or not is_safe(jwks):
            raise ProviderUnavailableError(f"{url} has no jwks_uri with https; set oidc.jwks")
        return jwks

    async def _get(self, url: str) -> bytes:
        parts = urlsplit(url)
        secure, host = parts.scheme == "https", parts.hostname or ""
        port = parts.port or (443 if secure else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = [("Accept", "application/json"), ("User-Agent", "goconductor")]
        if self._token_file is not None and self._is_own(parts):
            token = (await asyncio.to_thread(_content, self._token_file)).decode("ascii", "replace").strip()
            if not token.isascii() or not token.isprintable():
                raise ProviderUnavailableError("the file of oidc.token_file has no token; name one with a single line of ASCII")
            headers.append(("Authorization", f"Bearer {token}"))
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=0)
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        request = Request("GET", secure, host, port, target, headers)
        try:
            answer = await exchange(
                request, addresses, body_bytes_max=BYTES_MAX, seconds_left=PATIENCE_SECONDS, context=self._context
            )
        except PermanentError:
            raise ProviderUnavailableError(f"{url} has more than {BYTES_MAX:,} bytes") from None
        if answer.status != 200:
            raise ProviderUnavailableError(f"{url} was answered with {answer.status}; redirects are not followed")
        return answer.body

    def _is_own(self, parts: SplitResult) -> bool:
        """Return whether the settings name this server: what a document names gets no token."""
        named = [urlsplit(each) for each in (self._issuer, self._jwks) if each is not None]
        return any((parts.scheme, parts.netloc) == (each.scheme, each.netloc) for each in named)


def _content(path: str) -> bytes:
    with Path(path).open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise ProviderUnavailableError(f"{path} has more than {BYTES_MAX:,} bytes")
    return content
