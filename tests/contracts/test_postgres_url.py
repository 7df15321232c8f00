"""What a URL says: hosts one by one, and each of libpq's parameters works or is refused by its name."""

from __future__ import annotations

import socket

import pytest

from goconductor.errors import ConfigurationError
from goconductor.postgres.url import HARMLESS, REFUSED, Server, read_url


@pytest.mark.parametrize(
    ("place", "servers"),
    [
        ("db.example", [("db.example", 5432)]),
        ("u:p@a,b:6000", [("a", 5432), ("b", 6000)]),
        ("[::1]:7000,b", [("::1", 7000), ("b", 5432)]),
        ("u@%2Frun%2Fpostgresql", [("/run/postgresql", 5432)]),
        ("/d?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("/d?host=a,b&port=3", [("a", 3), ("b", 3)]),
        ("/d?host=::1,/tmp", [("::1", 5432), ("/tmp", 5432)]),
        ("/d", [(None, None)]),
    ],
)
def test_every_host_has_its_port(place: str, servers: list[tuple[str | None, int | None]]) -> None:
    assert read_url(f"postgresql://{place}", "it").servers == tuple(Server(*each) for each in servers)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"bus\.url has the parameter {name}, .*: \w+"):
        read_url(f"postgresql://u:canary@h/d?{name}=canary", "bus.url")


@pytest.mark.parametrize("name", [name for name, allowed in HARMLESS.items() if allowed])
def test_a_demand_that_nobody_would_meet_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as refused:
        read_url(f"postgresql://u:canary@h/d?{name}=require", "it")
    assert "canary" not in str(refused.value)
    allowed = HARMLESS[name]
    assert allowed is not None
    assert name not in read_url(f"postgresql://h/d?{name}={allowed[0]}", "it").dsn


@pytest.mark.parametrize("wanted", ["standby", "read-only", "prefer-standby", "nonsense"])
def test_we_need_the_primary(wanted: str) -> None:
    with pytest.raises(ConfigurationError, match="target_session_attrs"):
        read_url(f"postgresql://h/d?target_session_attrs={wanted}", "it")


def test_what_the_driver_would_send_to_the_server_is_taken_out() -> None:
    url = read_url(
        "postgresql://u:p@h/d?connect_timeout=7&keepalives=1&keepalives_idle=20&tcp_user_timeout=9000&sslmode=require"
        "&target_session_attrs=read-write&load_balance_hosts=random",
        "it",
    )
    assert url.dsn == "postgresql://u:p@h/d?sslmode=require"
    assert url.connect_timeout_seconds == 7
    assert (socket.TCP_USER_TIMEOUT, 9000) in url.socket_options
    assert url.is_shuffled
    assert not read_url("postgresql://h/d?keepalives=0", "it").keepalive


@pytest.mark.parametrize("query", ["connect_timeout=soon", "port=0", "port=1,2", "load_balance_hosts=yes", "nonsense"])
def test_a_value_that_cannot_be_is_refused_without_the_password(query: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_url(f"postgresql:///d?host=a,b,c&password=canary&{query}", "it")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["postgresql://u:canary@h:port/d", "postgresql://[::1:canary/d", "canary", "postgresql://u:ca/nary@h/d"]
)
def test_a_url_that_cannot_be_read_is_not_quoted(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_url(url, "it")
    assert "canary" not in str(refused.value)
    assert "nary@h" not in str(refused.value)


def test_for_messages_there_is_no_password() -> None:
    url = read_url("postgresql://u:canary@a,[::1]:6000/d?sslpassword=canary", "it")
    assert url.where == "a:5432,[::1]:6000/d"
    assert "canary" not in repr(url)
