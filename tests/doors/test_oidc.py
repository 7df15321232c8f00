"""Tokens of an identity provider, through both doors: who is known by one, what is refused, and when a stream ends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from goconductor.control.actor import Actor
from goconductor.control.audit.reading import entries
from goconductor.control.authority import authenticating
from goconductor.control.settings.doors import GrpcSettings
from goconductor.control.settings.oidc import OidcSettings
from goconductor.control.settings.settings import Settings
from goconductor.grpc.door import Door
from goconductor.observe.metrics import Metrics
from goconductor.ports.store import AuditWanted
from goconductor.rest.app import create_app
from tests.doors.auth import asking, bearer, key_of
from tests.doors.conftest import INPUT, Shop
from tests.doors.issuer import Issuer, shown
from tests.doors.over_grpc import Caller
from tests.doors.test_rest_auth import client_of


def taking(shop: Shop, issuer: Issuer, **more: Any) -> Settings:
    """Settings of doors that take the issuer's tokens."""
    oidc = OidcSettings.model_validate(issuer.settings(**more))
    return asking(shop.settings).model_copy(update={"oidc": oidc, "grpc": GrpcSettings(port=0)})


@pytest.fixture
async def app(shop: Shop, issuer: Issuer) -> Any:
    return create_app(shop.server, taking(shop, issuer), metrics=Metrics())


@pytest.fixture
async def door(shop: Shop, issuer: Issuer) -> AsyncIterator[Door]:
    door = Door(taking(shop, issuer))
    await door.start()
    door.serve(shop.server)
    yield door
    await door.stop(0)


async def test_whoever_shows_a_token_is_known_over_both_doors(shop: Shop, issuer: Issuer, app: Any, door: Door) -> None:
    token = issuer.token(sub="night-shift")
    async with client_of(app, token) as client:
        saga_id = (await client.post("/v1/sagas/order", json={**INPUT, "card": "busy"})).json()["saga_id"]
        assert (await client.post(f"/v1/sagas/{saga_id}/pause", json={"by": "bob"})).status_code == 200
        assert (await client.get("/v1/keys")).status_code == 403
    caller = Caller(door.address, token)
    await caller.call("Resume", saga_id=saga_id)
    assert (await caller.refused("ListKeys")).code is grpc.StatusCode.PERMISSION_DENIED
    await caller.channel.close()
    entries = (await shop.client.get(f"/v1/sagas/{saga_id}/history")).json()["entries"]
    names = [each["data"]["by"] for each in entries if each["data"].get("by")]
    assert names == ["oidc:night-shift on behalf of bob", "oidc:night-shift"]
    assert issuer.asked.count("/realms/shop/certs") == 2  # once for each door, however many requests come


async def test_api_keys_go_on_beside_tokens(shop: Shop, app: Any) -> None:
    async with client_of(app, await key_of(shop.server, "viewer")) as client:
        assert (await client.get("/v1/sagas")).status_code == 200


def unsigned(issuer: Issuer, head: dict[str, Any], signature: bytes = b"", **claims: Any) -> str:
    """A token as nobody's library makes it."""

    def part(given: bytes) -> str:
        return base64.urlsafe_b64encode(given).rstrip(b"=").decode()

    payload = issuer.token(**claims).split(".")[1]
    return f"{part(json.dumps(head).encode())}.{payload}.{part(signature)}"


def signed_by_what_is_public(issuer: Issuer) -> str:
    """HS256 with the issuer's public key as the secret: whoever lets a token say how it is signed takes it."""
    public = issuer.keys["one"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    said = ".".join(unsigned(issuer, {"alg": "HS256", "kid": "one"}).split(".")[:2])
    signature = hmac.new(pem, said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def with_a_key_of_its_own(issuer: Issuer) -> str:
    public = issuer.other.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": base64.urlsafe_b64encode(public.n.to_bytes(256, "big")).decode(), "e": "AQAB", "kid": "one"}
    return issuer.token(key=issuer.other, head={"jwk": jwk, "jku": "https://127.0.0.1:9/keys"})


def past(seconds: float) -> int:
    return int(time.time() - seconds)


REFUSED: dict[str, tuple[Any, str]] = {
    "over": (lambda issuer: issuer.token(exp=past(60)), "is over"),
    "not yet valid": (lambda issuer: issuer.token(nbf=past(-3600)), "does not count yet"),
    "made in the future": (lambda issuer: issuer.token(iat=past(-3600)), "does not count yet"),
    "for another audience": (lambda issuer: issuer.token(aud=["billing", "goconductor2"]), "for somebody else"),
    "for nobody": (lambda issuer: issuer.token(aud=None), "lacks one of the claims"),
    "without an end": (lambda issuer: issuer.token(exp=None), "lacks one of the claims"),
    "an end that is no number": (lambda issuer: issuer.token(exp="never"), "cannot be read"),
    "an end that is no time": (lambda issuer: issuer.token(exp=1e400), "cannot be read"),
    "an end of too many digits": (lambda issuer: issuer.token(exp=10**400), "cannot be read"),
    "of another issuer": (lambda issuer: issuer.token(iss=f"{issuer.url}/"), "another issuer"),
    "signed by none": (lambda issuer: unsigned(issuer, {"alg": "none", "kid": "one"}), "not among oidc.algorithms"),
    "signed by NONE": (lambda issuer: unsigned(issuer, {"alg": "NoNe", "kid": "one"}), "not among oidc.algorithms"),
    "signed by what is public": (signed_by_what_is_public, "not among oidc.algorithms"),
    "not signed": (lambda issuer: unsigned(issuer, {"alg": "RS256", "kid": "one"}), "signature is not"),
    "signed by another key": (lambda issuer: issuer.token(key=issuer.other), "signature is not"),
    "a key of its own": (with_a_key_of_its_own, "signature is not"),
    "by another algorithm than the key's": (
        lambda issuer: issuer.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        "does not show",
    ),
    "by an algorithm that is not wanted": (lambda issuer: issuer.token(algorithm="RS512"), "not among oidc.algorithms"),
    "of a key that nobody shows": (lambda issuer: issuer.token(head={"kid": "two"}), "does not show"),
    "of no key": (lambda issuer: issuer.token(head={"kid": None}), "names no key"),
    "of a key without a name": (lambda issuer: issuer.token(head={"kid": ""}), "names no key"),
    "too large": (lambda issuer: issuer.token(more="x" * 9000), "larger than 8,192 bytes"),
    "for a logout": (lambda issuer: issuer.token(head={"typ": "logout+jwt"}), "another use"),
    "with what must be understood": (
        lambda issuer: unsigned(issuer, {"alg": "RS256", "kid": "one", "crit": ["x"]}),
        "neither",
    ),
    "without a name": (lambda issuer: issuer.token(sub=None), "is no name"),
    "with a name of two lines": (lambda issuer: issuer.token(sub="ann\nbob"), "no name of one line"),
    "with a name that is a claim": (lambda issuer: issuer.token(sub="ann on behalf of root"), "is no name"),
    "a head that is deep": (lambda _issuer: base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.e30", "neither an API key"),
    "no token": (lambda _issuer: "secret-canary.b.c", "neither an API key"),
    "half of a key": (lambda _issuer: "gck_1f0c2a9b77d4_", "API key"),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_token_that_does_not_count_is_refused_and_stands_nowhere(
    shop: Shop, issuer: Issuer, app: Any, door: Door, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    make, says = REFUSED[kind]
    token = make(issuer)
    async with client_of(app, token) as client:
        answer = await client.get("/v1/sagas")
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:goconductor:problem:unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="goconductor", error="invalid_token"'
    caller = Caller(door.address, token)
    refusal = await caller.refused("ListSagas")
    await caller.channel.close()
    assert (refusal.code, refusal.kind) == (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated")
    async with client_of(app, await key_of(shop.server)) as client:
        metrics = (await client.get("/metrics")).text
    for said in (answer.json()["detail"], refusal.message):
        assert any(each in said for each in says.split("|")), said
    canary = max(token.split("."), key=len)
    ours = "".join(each.getMessage() + (each.exc_text or "") for each in caplog.records if each.name.startswith("goconductor"))
    assert canary not in answer.text + refusal.message + ours + metrics


async def test_a_token_is_shown_once_and_as_a_bearer(issuer: Issuer, app: Any) -> None:
    token = issuer.token()
    async with client_of(app) as client:
        for headers in ([("Authorization", f"Bearer {token}")] * 2, [("Authorization", f"Basic {token}")], [("X-Token", token)]):
            assert (await client.get("/v1/sagas", headers=headers)).status_code == 401


async def test_a_token_without_a_role_of_the_table_is_somebody_who_may_do_nothing(
    shop: Shop, issuer: Issuer, app: Any, door: Door
) -> None:
    for roles in (["offline_access"], [], None, "admin", {"ops": True}, [["ops"]], "opsadmin"):
        async with client_of(app, issuer.token(roles=roles)) as client:
            answer = await client.get("/v1/sagas")
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:goconductor:problem:forbidden")
        assert answer.headers["www-authenticate"] == 'Bearer realm="goconductor", error="insufficient_scope"'
    caller = Caller(door.address, issuer.token(roles=["admin"]))
    assert (await caller.refused("ListSagas")).code is grpc.StatusCode.PERMISSION_DENIED
    await caller.channel.close()
    noted = await shop.server.store.audit.newest(AuditWanted(outcome="refused"), limit=10)
    assert [(row.note.door, row.note.problem) for row in noted] == [("grpc", "forbidden"), *[("rest", "forbidden")] * 7]


async def test_who_has_no_role_is_noted_by_both_doors(
    shop: Shop, issuer: Issuer, app: Any, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    token = issuer.token(roles=["x"], sub="mallory")
    async with client_of(app, token) as client:
        assert (await client.get("/v1/sagas")).status_code == 403
    caller = Caller(door.address, token)
    await caller.refused("ListSagas")
    await caller.channel.close()
    found = (await entries(Actor("root"), shop.server)).entries
    assert {each.door for each in found if each.problem == "forbidden"} == {"rest", "grpc"}
    assert caplog.text.count("'oidc:mallory' was refused") == 2


async def test_a_name_with_spaces_is_not_several_roles(shop: Shop, issuer: Issuer) -> None:
    app = create_app(shop.server, taking(shop, issuer, roles_claim="sub", roles={"root": "admin", "Ann B": "viewer"}))
    for name, status in (("bob root", 403), ("Ann B", 200), ("root", 200)):
        async with client_of(app, issuer.token(sub=name)) as client:
            assert (await client.get("/v1/sagas")).status_code == status


@pytest.mark.parametrize(
    ("more", "claims", "name"),
    [
        (
            {"roles_claim": "realm_access.roles", "name_claim": "preferred_username"},
            {"realm_access": {"roles": ["x", "ops"]}, "preferred_username": "bob"},
            "oidc:bob",
        ),
        ({"roles_claim": "scope"}, {"scope": "openid ops"}, "oidc:ann"),
        ({"roles_claim": "https://shop.example/roles"}, {"https://shop.example/roles": ["ops"]}, "oidc:ann"),
        (
            {"roles_claim": "sub", "roles": {"system:serviceaccount:shop:ci": "operator"}, "name_prefix": ""},
            {"sub": "system:serviceaccount:shop:ci", "kubernetes.io": {"namespace": "shop"}},
            "system:serviceaccount:shop:ci",
        ),
        (
            {"required_claims": {"azp": "console", "groups": "a"}},
            {"azp": "console", "groups": ["b", "a"], "roles": ["ops"]},
            "oidc:ann",
        ),
    ],
)
async def test_claims_are_where_the_settings_say(
    shop: Shop, issuer: Issuer, more: dict[str, Any], claims: dict[str, Any], name: str
) -> None:
    app = create_app(shop.server, taking(shop, issuer, **more))
    async with client_of(app, issuer.token(**{"roles": None, **claims})) as client:
        saga_id = (await client.post("/v1/sagas/order", json={**INPUT, "card": "busy"})).json()["saga_id"]
        assert (await client.post(f"/v1/sagas/{saga_id}/pause")).status_code == 200
        entries = (await client.get(f"/v1/sagas/{saga_id}/history")).json()["entries"]
    assert entries[-1]["data"]["by"] == name
    if "required_claims" in more:
        async with client_of(app, issuer.token(azp="other", groups=["a"])) as client:
            assert (await client.get("/v1/sagas")).status_code == 401


async def test_each_kind_of_key_signs_for_its_own_algorithms(shop: Shop, issuer: Issuer) -> None:
    issuer.keys |= {"ec": ec.generate_private_key(ec.SECP256R1()), "ed": ed25519.Ed25519PrivateKey.generate()}
    app = create_app(shop.server, taking(shop, issuer))
    for key_id, algorithm in (("one", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")):
        token = issuer.token(key=issuer.keys[key_id], algorithm=algorithm, head={"kid": key_id, "typ": "at+jwt"})
        async with client_of(app, token) as client:
            assert (await client.get("/v1/sagas")).status_code == 200, algorithm


async def to_its_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_a_stream_ends_soon_after_its_token(
    shop: Shop, issuer: Issuer, door: Door, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticating, "LOOK_SECONDS", 0.01)
    saga_id = (await shop.start(card="busy"))["saga_id"]
    token, operator = issuer.token(roles=["look"]), issuer.token()
    caller = Caller(door.address, token)
    watch = caller.call("WatchSaga", saga_id=saga_id)
    await watch.read()
    async with client_of(app, token) as client:
        waiting = asyncio.create_task(
            client.post("/v1/sagas/order?wait_seconds=300", json={**INPUT, "card": "slow"}, headers=bearer(operator))
        )
        streaming = asyncio.create_task(client.get(f"/v1/sagas/{saga_id}/events"))
        await shop.at_gate.wait()
        monkeypatch.setattr(authenticating, "now", lambda: time.time() + 3601)
        with pytest.raises(grpc.aio.AioRpcError) as over:
            await to_its_end(watch)
        assert over.value.code() is grpc.StatusCode.UNAUTHENTICATED
        ended = await streaming
        assert ended.status_code in {200, 401}  # the latter where it came too late; either has come to its end
        assert (await waiting).status_code == 401
    await caller.channel.close()


async def test_a_server_starts_without_the_provider_and_says_what_is_missing(shop: Shop, issuer: Issuer) -> None:
    settings, token = taking(shop, issuer), issuer.token()
    await issuer.close()
    app = create_app(shop.server, settings)
    async with client_of(app, token) as client:
        answer = await client.get("/v1/sagas")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:goconductor:problem:identity-provider-unavailable")
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        assert (
            ready.json()["parts"]["oidc"] == "the keys of the identity provider cannot be read; the server's log has the reason"
        )
        key = await key_of(shop.server, "viewer")
        assert (await client.get("/v1/sagas", headers=bearer(key))).status_code == 200
    door = Door(settings)
    await door.start()
    door.serve(shop.server)
    caller = Caller(door.address, token)
    refusal = await caller.refused("ListSagas")
    assert (refusal.code, refusal.kind) == (grpc.StatusCode.UNAVAILABLE, "identity-provider-unavailable")
    caller._metadata = (("authorization", f"Bearer {key}"),)
    assert "cannot be read" in (await caller.call("GetReadiness")).parts["oidc"]
    await caller.channel.close()
    await door.stop(0)


async def test_keys_may_come_from_a_file(shop: Shop, issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [shown(key, key_id) for key_id, key in issuer.keys.items()]}))
    app = create_app(shop.server, taking(shop, issuer, jwks=str(file)))
    async with client_of(app, issuer.token()) as client:
        assert (await client.get("/v1/sagas")).status_code == 200
    assert issuer.asked == []
