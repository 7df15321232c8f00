"""An identity provider of a test's own: it signs tokens, and shows its public keys over HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "goconductor"
_RSA = rsa.generate_private_key(65537, 2048)
_OTHER_RSA = rsa.generate_private_key(65537, 2048)


def shown(key: Any, key_id: str, **more: Any) -> dict[str, Any]:
    """A public key, as a provider shows it."""
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    (kind,) = [each for base, each in kinds.items() if isinstance(key, base)]
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig", **more}


def said_of(head: dict[str, Any]) -> dict[str, Any]:
    """A token's head; what is None is left out."""
    return {name: each for name, each in {"kid": "one", **head}.items() if each is not None}


class Issuer:
    """The provider.

    Attributes:
        url: the issuer.
        keys: the private keys that it shows the public ones of, by their ids.
        asked: the paths that were asked for.
        answers: what it answers at a path in place of what it should.
    """

    def __init__(self) -> None:
        self.url = ""
        self.keys: dict[str, Any] = {"one": _RSA}
        self.other = _OTHER_RSA
        self.asked: list[str] = []
        self.given: list[str] = []
        self.answers: dict[str, bytes] = {}
        self._server: asyncio.Server | None = None

    async def open(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/realms/shop"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def settings(self, **more: Any) -> dict[str, Any]:
        roles = {"ops": "operator", "sagas-admin": ["admin"], "mill": "worker:payments", "look": "viewer"}
        return {"issuer": self.url, "audience": AUDIENCE, "roles": roles, "leeway_seconds": 0, **more}

    def token(self, *, key: Any = None, head: dict[str, Any] | None = None, algorithm: str = "RS256", **claims: Any) -> str:
        """A token; a claim that is None is left out."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "roles": ["ops"], "iat": now, "exp": now + 3600, **claims}
        kept = {name: each for name, each in said.items() if each is not None}
        token: str = jwt.encode(kept, key or self.keys["one"], algorithm=algorithm, headers=said_of(head or {}))
        return token

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        self.asked.append(path)
        self.given += [line.split(": ", 1)[1] for line in head.splitlines() if line.lower().startswith("authorization")]
        discovery = {"issuer": self.url, "jwks_uri": f"{self.url}/certs"}
        jwks = {"keys": [shown(key, key_id) for key_id, key in self.keys.items()]}
        should = json.dumps(jwks if path.endswith("/certs") else discovery).encode()
        body = self.answers.get(path.rpartition("/")[2], should)
        if not body.startswith(b"HTTP/"):
            body = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        writer.write(body)
        await writer.drain()
        writer.close()
