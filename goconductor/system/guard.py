"""Whom a step may call. Against requests that a saga's author or data would send into the inside of a network (SSRF).

Three rules, in this order:

1. **The host** stands in the settings' list, if there is one. A port other than 80 and 443 must be named there.
2. **The addresses** of the host are looked up once, and each is checked. Public ones are allowed, and those of ranges that the
   settings name. All others are passed over: loopback, private, link-local (where clouds answer with credentials), multicast and
   reserved ones, also where they are written inside of an IPv6 address.
3. **The connection** goes to the address that was checked. A name that means another address a moment later is not asked again.

Redirects are not followed, so there is no second host to check.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from goconductor.errors import RefusedError, TemporaryError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
"""A host in the settings: a name, ``*.`` and a name for all below it, or an address."""
PORTS = (80, 443)
"""Ports that need not be named in the settings."""
LOOKUPS_MAX = 32
"""Number of hosts that are looked up at one time."""
_LOOKUPS = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="goconductor-lookup")
"""Threads of their own: a look-up that nobody waits for any more keeps its thread, and must not hold up those of the database."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TUNNELS = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"), ipaddress.ip_network("64:ff9b:1::/48"))
"""Ranges that lead to an IPv4 address which cannot be told from here: 6to4, Teredo, local NAT64."""
_INSIDE = (ipaddress.ip_network("fec0::/10"), ipaddress.ip_network("168.63.129.16/32"), ipaddress.ip_network("192.0.0.0/24"))
"""Ranges that count as public in Python, or in some of its versions, and are not: IPv6's old site-local addresses, the platform
of Azure as each of its machines sees it, and the protocols' own, where one of Oracle's clouds answers with credentials."""


def split_host(entry: str) -> tuple[str, int | None]:
    """Split an entry of the settings into host and port.

    Args:
        entry: ``api.example.com``, ``*.example.com``, ``api.example.com:8443``, ``[2001:db8::1]:8443``.

    Raises:
        ValueError: it is none of these.
    """
    host, colon, port = entry.rpartition(":")
    if not colon or entry.endswith("]"):
        host, port = entry, ""
    if not HOST.fullmatch(host) or (port and not (port.isdecimal() and 0 < int(port) <= 65_535)):
        raise ValueError(f"{entry[:80]!a} names no host; write it as api.example.com, *.example.com or api.example.com:8443")
    return host.lower().strip("[]"), int(port) if port else None


def names(entries: Sequence[str], host: str, port: int) -> bool:
    """Return whether entries of the settings name a host: one without a port does for all ports, one with a port for that one.

    Args:
        entries: as :func:`split_host` reads them.
        host: in small letters.
        port: of TCP.
    """
    return any(_means(entry, host) and allowed in (None, port) for entry, allowed in map(split_host, entries))


class Guard:
    """Decides whom a step may call.

    Args:
        hosts: entries of the settings, as :func:`split_host` reads them; none allows every host with a public address.
        networks: address ranges that are allowed although they are not public.
        section: of the settings that these come from, for what is said of a refusal.
    """

    def __init__(self, hosts: Sequence[str] = (), networks: Sequence[Network] = (), *, section: str = "system") -> None:
        self._section = section
        self._hosts = [split_host(entry) for entry in hosts]
        self._networks = networks
        self._looked_up: dict[tuple[str, int], asyncio.Future[list[Any]]] = {}

    def check_host(self, host: str, port: int) -> None:
        """Refuse a host that is not in the list, or a port that is not.

        Raises:
            RefusedError: names the setting that would allow it.
        """
        place = f"[{host}]" if ":" in host else host
        if self._hosts and not any(_means(entry, host) for entry, _ in self._hosts):
            raise RefusedError(f"{place} may not be called: it is not among {self._section}.hosts; add it there if it should be")
        if port not in PORTS and not any(_means(entry, host) and port == allowed for entry, allowed in self._hosts):
            raise RefusedError(
                f"port {port} of {place} may not be called; add '{place}:{port}' to {self._section}.hosts if it should be"
            )

    def allows(self, address: Address) -> bool:
        """Return whether an address may be connected to."""
        if isinstance(address, IPv6Address):
            inside = address.ipv4_mapped or (IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None)
            if inside is not None:
                return self.allows(inside)
        if any(address in network for network in self._networks):
            return True
        if any(address in network for network in (*_TUNNELS, *_INSIDE)):
            return False
        return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Look up a host, and return its addresses that may be connected to, in the order of the resolver.

        Raises:
            RefusedError: it may not be called.
            TemporaryError: its name cannot be looked up now.
        """
        self.check_host(host, port)
        try:
            found = await self._look_up(host, port)
        except OSError as error:
            raise TemporaryError(f"the name {host!r} cannot be looked up ({error.strerror}); see that it is right") from None
        except UnicodeError:  # a part between its dots is empty, or has more than 63 characters
            raise RefusedError(f"{host!r} is no name of a host; see that it is right") from None
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        allowed = [each for each in addresses if self.allows(ipaddress.ip_address(each))]
        if not allowed:
            raise RefusedError(
                f"{host} has no address that may be called: none is public; "
                f"if it should be called, add the range of its address to {self._section}.networks"
            )
        return allowed

    async def _look_up(self, host: str, port: int) -> list[Any]:
        """Ask the resolver; whoever asks for the same host meanwhile gets the same answer, so a slow name takes one thread."""
        asked = self._looked_up.get((host, port))
        if asked is None:
            ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            asked = self._looked_up[host, port] = asyncio.get_running_loop().run_in_executor(_LOOKUPS, ask)
            asked.add_done_callback(lambda done: self._forget(host, port, done))
        return await asyncio.shield(asked)

    def _forget(self, host: str, port: int, done: asyncio.Future[list[Any]]) -> None:
        del self._looked_up[host, port]
        if not done.cancelled():
            done.exception()  # nobody may have waited until it came


def _means(entry: str, host: str) -> bool:
    """Return whether an entry of the settings means a host."""
    return host.endswith(entry[1:]) if entry.startswith("*.") else host == entry
