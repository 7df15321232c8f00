"""API keys: made, listed, revoked, and told from anything else.

A key is ``gck_<id>_<secret>``. The prefix is for scanners that look for secrets in the wrong place, the id for people, and the
secret has 256 random bits. The store keeps SHA-256 of the whole key: what is that random cannot be guessed from its hash, so a
slow hash would cost each request something and protect nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import moment
from goconductor.control.roles import Role, role_problem
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError, nearest
from goconductor.ports.store import KeyRow
from goconductor.redaction import logger_of
from goconductor.saga.ids import is_name

logger = logger_of("goconductor.control")

PREFIX = "gck_"
KEY = re.compile(rf"{PREFIX}([0-9a-f]{{12}})_[0-9a-f]{{64}}")
DAYS_MAX = 36_500
"""Greatest number of days after which an API key expires."""
KEYS_MAX = 1000
"""Greatest number of keys in a list."""


class KeyNotFoundError(RequestRefusedError):
    """There is no such API key; list the keys, and give the id of one."""


class KeyDetail(BaseModel):
    """An API key, without its secret."""

    key_id: str = Field(examples=["1f0c2a9b77d4"])
    name: str = Field(description="whose it is; the history of sagas has it", examples=["ci"])
    roles: list[str] = Field(examples=[["operator"]])
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str


class MadeKey(BaseModel):
    """A new API key. Nobody can show the key again."""

    key: str = Field(description="the whole key, for the header Authorization: Bearer")
    detail: KeyDetail


class KeyList(BaseModel):
    """API keys, the newest first."""

    keys: list[KeyDetail]


def digest_of(key: str) -> str:
    """Return what the store keeps of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


@noted("key of {name}", detail=lambda given: " ".join(map(str, given["roles"])))
async def create_key(actor: Actor, node: Node, name: str, roles: Sequence[str], *, expires_days: float | None = None) -> MadeKey:
    """Make an API key. It is shown this once.

    Args:
        actor: the actor of the request; kept with the key.
        node: the engine.
        name: whose it is: up to 100 letters, digits, ``_`` and ``-``. Two may have the same, while one
            takes the other's place.
        roles: one or several of viewer, operator, deployer, admin, worker, and ``worker:`` with a participant's name.
        expires_days: days after which it ends; None is never.

    Raises:
        RequestInvalidError: it cannot be so; names every place.
        StoreUnavailableError: the database cannot be reached.
    """
    found = []
    if not is_name(name):
        found.append(Fault("name", f"is {name[:100]!a}; use up to 100 letters, digits, '_' and '-', no sign at either end"))
    if not roles:
        found.append(Fault("roles", f"is empty; {nearest('', Role)}"))
    found += [Fault("roles", problem) for each in roles if (problem := role_problem(each)) is not None]
    if expires_days is not None and not 0 < expires_days <= DAYS_MAX:
        found.append(Fault("expires_days", f"is {expires_days:g}; give more than 0 and at most {DAYS_MAX:,} days"))
    if found:
        raise RequestInvalidError("the key", found)
    while True:
        key_id = secrets.token_hex(6)
        key = f"{PREFIX}{key_id}_{secrets.token_hex(32)}"
        row = await node.store.keys.create(
            key_id=key_id,
            namespace=actor.namespace,
            name=name,
            digest=digest_of(key),
            roles=tuple(sorted(set(roles))),
            by=actor.name,
            lives_seconds=None if expires_days is None else expires_days * 86_400,
        )
        if row is not None:
            logger.info("API key %s of %r with the roles %s was made (by %s)", key_id, name, row.roles, actor.name or "somebody")
            return MadeKey(key=key, detail=_detail(row))


async def list_keys(actor: Actor, node: Node) -> KeyList:
    """Return API keys, the newest first, at most 1,000.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    return KeyList(keys=[_detail(row) for row in await node.store.keys.newest(limit=KEYS_MAX)])


@noted(lambda given: f"key {given['key_id'].removeprefix(PREFIX)[:12]}")
async def revoke_key(actor: Actor, node: Node, key_id: str) -> KeyDetail:
    """End an API key. Servers refuse it within about a second, and end what it has open within a few. One that is over stays so.

    Args:
        actor: the actor of the request; kept with the key.
        node: the engine.
        key_id: its id, the part between ``gck_`` and the secret.

    Raises:
        KeyNotFoundError: there is none with this id.
        StoreUnavailableError: the database cannot be reached.
    """
    given = whole[1] if (whole := KEY.fullmatch(key_id)) else key_id  # who gives all of it means that one
    row = await node.store.keys.revoke(given, by=actor.name) if re.fullmatch("[0-9a-f]{12}", given) else None
    if row is None:
        raise KeyNotFoundError
    logger.info("API key %s of %r was revoked (by %s)", row.key_id, row.name, actor.name or "somebody")
    return _detail(row)


def _detail(row: KeyRow) -> KeyDetail:
    return KeyDetail(
        key_id=row.key_id,
        name=row.name,
        roles=list(row.roles),
        created_at=moment(row.created_at),
        created_by=row.created_by,
        expires_at=None if row.expires_at is None else moment(row.expires_at),
        revoked_at=None if row.revoked_at is None else moment(row.revoked_at),
        revoked_by=row.revoked_by,
    )
