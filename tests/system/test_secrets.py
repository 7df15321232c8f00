"""Where a secret is read from, and where it may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from goconductor.errors import RefusedError
from goconductor.system.secrets import Secret, Secrets
from tests.system.conftest import CANARY


def test_where_a_secret_is_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    monkeypatch.setenv("SHOP_TOKEN", "from-a-variable")
    assert Secret(("x",), file=str(tmp_path / "token")).read() == "from-a-file"
    assert Secret(("x",), variable="SHOP_TOKEN").read() == "from-a-variable"


@pytest.mark.parametrize(
    ("hosts", "host", "port", "allowed"),
    [
        (["localhost"], "localhost", 443, True),
        (["localhost"], "localhost", 8443, True),
        (["localhost:8443"], "localhost", 8443, True),
        (["localhost:8443"], "localhost", 443, False),
        (["localhost:8443"], "localhost", 9443, False),
        (["*.example.com:8443", "localhost"], "api.example.com", 8443, True),
        (["*.example.com:8443", "localhost"], "api.example.com", 9443, False),
        (["*.example.com:8443", "api.example.com:9443"], "api.example.com", 9443, True),
        (["[2001:db8::1]:8443"], "2001:db8::1", 8443, True),
        (["[2001:db8::1]:8443"], "2001:db8::1", 443, False),
    ],
)
@pytest.mark.parametrize("secure", [True, False])
def test_a_secret_goes_to_the_hosts_and_ports_of_its_settings(
    hosts: list[str], host: str, port: int, *, allowed: bool, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    secrets = Secrets({"token": Secret(tuple(hosts), variable="SHOP_TOKEN", plaintext=True)})
    if allowed:
        assert secrets.value_of("token", host, port, secure=secure) == CANARY
    else:
        with pytest.raises(RefusedError, match=rf"may not go to .*:{port}; add that to system\.secrets\.token\.hosts"):
            secrets.value_of("token", host, port, secure=secure)


def test_a_secret_goes_over_tls_unless_it_may_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    secrets = Secrets({"token": Secret(("localhost",), variable="SHOP_TOKEN")})
    assert secrets.value_of("token", "localhost", 443, secure=True) == CANARY
    with pytest.raises(RefusedError, match=r"without TLS.* or set system\.secrets\.token\.plaintext to true"):
        secrets.value_of("token", "localhost", 80, secure=False)
