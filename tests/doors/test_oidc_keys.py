"""The keys of an identity provider: when they are read, what of them is believed, and which settings are refused."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goconductor.control.authority.authenticating import ProviderUnavailableError
from goconductor.control.authority.opening import make_authenticator
from goconductor.control.authority.tokens.keys import KnownKeys, _first
from goconductor.control.authority.tokens.provider import Provider
from goconductor.control.settings.oidc import OidcSettings
from goconductor.control.settings.settings import Settings
from goconductor.errors import PluginNotFoundError
from tests.doors.issuer import Issuer


def known_keys(issuer: Issuer, monotonic: Callable[[], float]) -> KnownKeys:
    settings = OidcSettings.model_validate(issuer.settings())
    read = Provider(settings).read
    return KnownKeys(read, refresh_seconds=300, again_seconds=10, keep_seconds=3600, monotonic=monotonic)


async def test_new_keys_are_read_at_once_and_a_flood_of_unknown_ones_floods_nobody(issuer: Issuer) -> None:
    now = 1000.0
    keys = known_keys(issuer, lambda: now)
    assert await keys.find("one", "RS256") is not None
    issuer.keys["two"] = issuer.other
    assert await keys.find("two", "RS256") is None  # it was read a moment ago
    now += 10.0
    wanted = [*["two"] * 50, *(f"x{number}" for number in range(500))]
    found = await asyncio.gather(*(keys.find(each, "RS256") for each in wanted))
    assert sum(each is not None for each in found) == 50
    assert issuer.asked.count("/realms/shop/certs") == 2
    del issuer.keys["one"]  # taken back
    now += 301.0
    assert await keys.find("one", "RS256") is not None  # read behind its back
    await keys.refreshed()
    assert await keys.find("one", "RS256") is None


async def test_while_the_provider_is_away_known_keys_go_on_for_a_time(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    keys = known_keys(issuer, lambda: now)
    assert await keys.find("one", "RS256") is not None
    port = int(issuer.url.split(":")[2].partition("/")[0])
    await issuer.close()
    now += 3000.0
    assert await keys.find("one", "RS256") is not None
    await keys.refreshed()
    assert "takes no connection" in keys.problem
    assert "those that are known go on" in caplog.text
    now += 700.0
    with pytest.raises(ProviderUnavailableError):
        await keys.find("one", "RS256")
    await issuer.open(port)
    with pytest.raises(ProviderUnavailableError):
        await keys.find("one", "RS256")  # it was asked a moment ago
    now += 10.0
    assert await keys.find("one", "RS256") is not None
    now += 20.0
    asked = len(issuer.asked)
    assert (await keys.trouble(), len(issuer.asked)) == ("", asked)  # a probe asks nobody while all is well


@pytest.mark.parametrize(
    ("where", "answer", "says"),
    [
        ("openid-configuration", b"{}", "is of another issuer"),
        ("openid-configuration", b"[1]", "is of another issuer"),
        ("openid-configuration", b"[" * 100_000, "is no JSON"),
        (
            "openid-configuration",
            b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            "redirects are not followed",
        ),
        ("certs", b"{}", "no JSON Web Key Set"),
        ("certs", b'{"keys": [1, {}, {"kty": "oct", "kid": "one", "k": "c2VjcmV0"}]}', "no public key"),
        ("certs", b'{"keys": [{"kty": "RSA", "kid": "one", "n": "AQAB", "e": "AQAB"}]}', "no public key"),
        ("certs", b" " * 300_000, "more than 262,144 bytes"),
        ("certs", b"HTTP/1.1 nonsense\r\n\r\n", "cannot be read as HTTP"),
    ],
)
async def test_what_a_provider_answers_is_believed_only_where_it_makes_sense(
    issuer: Issuer, where: str, answer: bytes, says: str
) -> None:
    issuer.answers[where] = answer
    keys = known_keys(issuer, lambda: 1000.0)
    with pytest.raises(ProviderUnavailableError):
        await keys.find("one", "RS256")
    assert says in keys.problem


async def test_the_token_of_a_file_goes_to_the_provider_alone(issuer: Issuer, tmp_path: Path) -> None:
    mine = tmp_path / "token"
    mine.write_text("of-this-pod\n")
    settings = OidcSettings.model_validate(issuer.settings(token_file=str(mine)))
    await Provider(settings).read()
    assert issuer.given == ["Bearer of-this-pod"] * 2
    other = Issuer()
    await other.open()
    issuer.answers["openid-configuration"] = json.dumps({"issuer": issuer.url, "jwks_uri": f"{other.url}/certs"}).encode()
    await Provider(settings).read()
    assert (other.asked, other.given) == (["/realms/shop/certs"], [])
    await other.close()


async def test_a_file_without_a_token_is_told_without_what_it_has(
    issuer: Issuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("secret-canary\nsecond")
    settings = OidcSettings.model_validate(issuer.settings(token_file=str(file)))
    keys = KnownKeys(Provider(settings).read, refresh_seconds=300, again_seconds=10, keep_seconds=3600)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError):
            await keys.find("one", "RS256")
        assert "oidc.token_file has no token" in await keys.trouble()
    assert "secret-canary" not in caplog.text


async def test_whatever_reading_fails_by_is_a_provider_that_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    async def read() -> bytes:
        raise ValueError("secret-canary")

    keys = KnownKeys(read, refresh_seconds=300, again_seconds=10, keep_seconds=3600)
    with pytest.raises(ProviderUnavailableError):
        await keys.find("one", "RS256")
    assert "ValueError" in await keys.trouble()
    assert "secret-canary" not in caplog.text


async def test_a_key_that_was_taken_back_is_forgotten_also_while_nobody_asks(issuer: Issuer) -> None:
    times, gone = 0, asyncio.Event()
    read = Provider(OidcSettings.model_validate(issuer.settings())).read

    async def counted() -> bytes:
        nonlocal times
        times += 1
        if times == 3:  # the second had the new keys, and was taken in before this
            gone.set()
        return await read()

    keys = KnownKeys(counted, refresh_seconds=0.01, again_seconds=0.0, keep_seconds=3600, monotonic=lambda: 1000.0)
    assert await keys.find("one", "RS256") is not None
    issuer.keys = {"two": issuer.other}
    await gone.wait()
    assert _first(keys._keys, "one", "RS256") is None


GIVEN = {"issuer": "https://login.example", "audience": "here", "roles": {"ops": "operator"}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({**GIVEN, "issuer": "http://login.example"}, "should look like https://"),
        ({**GIVEN, "issuer": "https://me:pass@login.example"}, "should look like https://"),
        ({**GIVEN, "jwks": "http://login.example/keys"}, "should look like https://"),
        ({**GIVEN, "audience": ""}, "'audience' should say"),
        ({**GIVEN, "audience": ["here", ""]}, "'audience' should say"),
        ({**GIVEN, "roles": {}}, "'roles' should say"),
        ({**GIVEN, "roles": {"": "admin"}}, "'roles' should say"),
        ({**GIVEN, "keep_seconds": 60}, "'keep_seconds' should not be less"),
        ({**GIVEN, "again_seconds": 600, "keep_seconds": 500}, "'keep_seconds' should not be less"),
        ({**GIVEN, "roles": {"ops": "root"}}, "there are: admin"),
        ({**GIVEN, "algorithms": ["HS256"]}, "algorithms"),
        ({**GIVEN, "algorithms": "none"}, "algorithms"),
        ({"audience": "here"}, "'issuer' is not set"),
    ],
)
def test_settings_that_would_let_in_anybody_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(Exception, match=says):
        Settings.model_validate({"database": {"url": "postgresql://h/d"}, "auth": {"enabled": True}, "oidc": given})


def test_an_issuer_wants_all_of_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("reading", "keys"):
        monkeypatch.delitem(sys.modules, f"goconductor.control.authority.tokens.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.rsa", None)  # PyJWT is there, for something else
    given = {"database": {"url": "postgresql://h/d"}, "auth": {"enabled": True}, "oidc": GIVEN}
    with pytest.raises(PluginNotFoundError, match=r"pip install 'goconductor\[oidc\]'"):
        make_authenticator(Settings.model_validate(given), lambda: pytest.fail("nobody asks yet"))


def test_an_issuer_wants_doors_that_ask() -> None:
    variables = {
        "GOCONDUCTOR_DATABASE_URL": "postgresql://h/d",
        "GOCONDUCTOR_OIDC_ISSUER": "https://login.example",
        "GOCONDUCTOR_OIDC_AUDIENCE": "here",
        "GOCONDUCTOR_OIDC_ROLES": "{ops: [operator, deployer], mill: 'worker:payments'}",
    }
    with pytest.raises(Exception, match="GOCONDUCTOR_OIDC_ISSUER: does nothing while no door asks"):
        Settings.load(environ=variables)
    loaded = Settings.load(environ={**variables, "GOCONDUCTOR_AUTH_ENABLED": "true"})
    assert loaded.oidc.roles == {"ops": ("operator", "deployer"), "mill": ("worker:payments",)}
