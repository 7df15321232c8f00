"""Keys for the doors of the tests."""

from __future__ import annotations

from typing import Any

from goconductor.control.actor import Actor
from goconductor.control.authority.keys import create_key
from goconductor.control.roles import Role
from goconductor.control.settings.auth import AuthSettings
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node


def asking(settings: Settings, **auth: Any) -> Settings:
    """The same settings with doors that ask who is there."""
    return settings.model_copy(update={"auth": AuthSettings(enabled=True, **auth)})


async def key_of(node: Node, *roles: str, name: str = "ci", expires_days: float | None = None) -> str:
    """A new key with some roles."""
    return (await create_key(Actor("root"), node, name, roles or (Role.ADMIN,), expires_days=expires_days)).key


def bearer(key: str) -> dict[str, str]:
    """The header with a key."""
    return {"Authorization": f"Bearer {key}"}
