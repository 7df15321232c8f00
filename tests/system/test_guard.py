"""The guard: public addresses and what the settings allow, nothing else, however an address is written."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import RefusedError, TemporaryError
from goconductor.system.guard import Guard, split_host

INSIDE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "192.0.2.1", "198.18.0.1", "168.63.129.16", "192.0.0.192"),
    *("::1", "::", "fe80::1", "fec0::1", "fc00::1", "ff02::1", "2001:db8::1", "fd00:ec2::254"),
    *(
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::a83f:8110",
        "2002:7f00:1::",
        "2001:0:1:2::",
        "64:ff9b:1::1",
    ),
]
OUTSIDE = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not Guard().allows(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_are_allowed(address: str) -> None:
    assert Guard().allows(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_of_an_ipv6_address_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    alone = Guard().allows(address)
    assert Guard().allows(ip_address(f"::ffff:{address}")) == alone
    assert Guard().allows(ip_address(int(ip_address("64:ff9b::")) + int(address))) == alone


def test_a_range_of_the_settings_is_allowed_and_no_more() -> None:
    guard = Guard(networks=[ip_network("10.1.0.0/16"), ip_network("::1/128")])
    assert guard.allows(ip_address("10.1.2.3"))
    assert guard.allows(ip_address("::ffff:10.1.2.3"))
    assert guard.allows(ip_address("::1"))
    assert not guard.allows(ip_address("10.2.0.1"))
    assert not guard.allows(ip_address("127.0.0.1"))
    platform = Guard(networks=[ip_network("168.63.129.16/32"), ip_network("fec0::/10")])
    assert platform.allows(ip_address("168.63.129.16"))
    assert platform.allows(ip_address("fec0::1"))


@pytest.mark.parametrize(
    ("hosts", "host", "port", "allowed"),
    [
        ([], "api.example.com", 443, True),
        ([], "api.example.com", 80, True),
        ([], "api.example.com", 8443, False),
        (["api.example.com"], "api.example.com", 443, True),
        (["api.example.com"], "api.example.com", 8443, False),
        (["api.example.com:8443"], "api.example.com", 8443, True),
        (["api.example.com"], "evil-api.example.com", 443, False),
        (["*.example.com"], "api.example.com", 443, True),
        (["*.example.com"], "example.com", 443, False),
        (["*.example.com"], "evilexample.com", 443, False),
        (["*.example.com:8080", "other.example"], "a.b.example.com", 8080, True),
        (["API.example.com"], "api.example.com", 443, True),
        (["[2001:db8::1]:8443"], "2001:db8::1", 8443, True),
    ],
)
def test_hosts_and_ports_are_those_of_the_settings(hosts: list[str], host: str, port: int, allowed: bool) -> None:
    if allowed:
        Guard(hosts).check_host(host, port)
    else:
        with pytest.raises(RefusedError, match=r"system\.hosts"):
            Guard(hosts).check_host(host, port)


@pytest.mark.parametrize("entry", ["", "*", "a b", "http://x", "x/y", "x:0", "x:70000", "user@x", "*.", "x:y"])
def test_an_entry_that_names_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="names no host"):
        split_host(entry)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f000001", "127.1", "::1"])
async def test_a_host_that_means_this_machine_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(
        RefusedError, match=r"no address that may be called: none is public; .* add the range .* system\.networks"
    ):
        await Guard().addresses(host, 80)


async def test_of_several_addresses_only_those_that_are_allowed_are_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*addresses: str) -> Any:
        return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found("10.0.0.1", "8.8.8.8", "127.0.0.1", "8.8.4.4"))
    assert await Guard().addresses("api.example.com", 443) == ["8.8.8.8", "8.8.4.4"]
    monkeypatch.setattr(socket, "getaddrinfo", found("10.0.0.1", "169.254.169.254"))
    with pytest.raises(RefusedError, match="none is public"):
        await Guard().addresses("api.example.com", 443)


async def test_a_name_that_nobody_knows_may_be_known_later() -> None:
    with pytest.raises(TemporaryError, match=r"the name 'nowhere\.invalid' cannot be looked up"):
        await Guard().addresses("nowhere.invalid", 443)


@pytest.mark.parametrize("host", ["a..example.com", f"{'a' * 64}.example.com"])
async def test_a_name_that_can_be_none_is_refused(host: str) -> None:
    with pytest.raises(RefusedError, match="is no name of a host"):
        await Guard().addresses(host, 443)


async def test_names_that_nobody_answers_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """All who ask for one host share its look-up, and what is looked up has threads of its own."""
    answered, asked = threading.Event(), list[str]()

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        if host.startswith("slow"):
            answered.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    guard = Guard()
    slow = [f"slow-{number % 20}.example" for number in range(100)]
    waiting = [asyncio.create_task(guard.addresses(host, 443)) for host in slow]
    given_up = asyncio.create_task(guard.addresses("slow-0.example", 443))
    try:
        await asyncio.sleep(0)
        given_up.cancel()
        assert await guard.addresses("fast.example", 443) == ["8.8.8.8"]
        assert not await asyncio.to_thread(answered.is_set)  # the loop's own threads are free
    finally:
        answered.set()
    assert await asyncio.gather(*waiting) == [["8.8.8.8"]] * 100
    assert sorted(asked) == sorted({*slow, "fast.example"})
