"""Where an endpoint may be: what its URL has to look like, and whom the settings allow to be called."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from goconductor.errors import RefusedError
from goconductor.system.guard import Guard, Network
from goconductor.system.http.inputs import url_of

URL_CHARACTERS_MAX = 2000
"""Greatest length of a URL, in characters."""


class Target(NamedTuple):
    """A URL in its parts."""

    secure: bool
    host: str
    port: int
    target: str


class Rules:
    """What the settings allow.

    Args:
        enabled: whether webhooks are sent at all.
        hosts: that may be called, as :class:`~goconductor.system.guard.Guard` has them.
        networks: address ranges that may be called although they are not public.
        plaintext: whether a URL may be without TLS.
    """

    def __init__(
        self, *, enabled: bool = False, hosts: Sequence[str] = (), networks: Sequence[Network] = (), plaintext: bool = False
    ) -> None:
        self.enabled = enabled
        self.guard = Guard(hosts, networks, section="webhooks")
        self._plaintext = plaintext

    def target_of(self, url: str) -> Target:
        """Read a URL that may be called, as far as can be said without looking up its host.

        Raises:
            ValueError: it may not; says why, and never quotes it.
        """
        if len(url) > URL_CHARACTERS_MAX:
            raise ValueError(f"has more than {URL_CHARACTERS_MAX:,} characters; use a shorter one")
        if "{" in url or "}" in url:
            raise ValueError("has '{' or '}'; percent-encode them")
        secure, host, port, path = url_of(url)
        if not secure and not self._plaintext:
            raise ValueError(
                "is without TLS: everybody on the way could read what is sent; use https://, or set webhooks.plaintext to true"
            )
        try:
            self.guard.check_host(host, port)
        except RefusedError as error:
            raise ValueError(f"may not be called: {error}") from None
        if (address := _address(host)) is not None and not self.guard.allows(address):
            raise ValueError("has an address that is not public; if it should be called, add its range to webhooks.networks")
        return Target(secure, host, port, path.source)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
