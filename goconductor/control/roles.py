"""Roles by their names: what makes somebody's key, token or certificate one of a viewer, an operator, and so on.

A role of workers may be bound to a participant, ``worker:payments``: its holder runs the steps of that one and of no other. A
server from before that knew no such role, and refuses it.
"""

from __future__ import annotations

from enum import StrEnum

from goconductor.errors import nearest
from goconductor.saga.ids import is_name


class Role(StrEnum):
    """What a key, a token or a certificate makes of its holder."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    DEPLOYER = "deployer"
    ADMIN = "admin"
    WORKER = "worker"


BOUND = f"{Role.WORKER}:"
"""What a role of workers begins with that is bound to a participant, whose name follows."""
WRITTEN = f"{', '.join(Role)}, or {BOUND}PARTICIPANT"
"""How roles are written, for people."""


def role_problem(role: str) -> str | None:
    """Return what is wrong with the name of a role; None if it is one.

    Args:
        role: one of :class:`Role`, or ``worker:`` and a participant's name.
    """
    if role in set(Role) or (role.startswith(BOUND) and is_name(role.removeprefix(BOUND))):
        return None
    if role.startswith(BOUND):
        return f"has {role[:100]!a}; write a participant's name behind the colon: up to 100 letters, digits, '_' and '-'"
    return f"has {role[:60]!a}; {nearest(role[:60], Role)}"
