"""API keys: make, list, revoke."""

from __future__ import annotations

from typing import Any

from goconductor.control.actor import asked_by
from goconductor.control.authority import keys
from goconductor.engine.node import Node
from goconductor.grpc.documents import message
from goconductor.grpc.fields import given
from goconductor.grpc.v1 import keys_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing


class KeyCalls:
    """The methods of ``Keys``.

    Args:
        node: the engine.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def create_key(self, request: pb.CreateKeyRequest, _context: Any) -> pb.MadeKey:
        """Make an API key. Only this answer has it."""
        actor, days = asked_by(request.by), given(request, "expires_days")
        return message(pb.MadeKey, await keys.create_key(actor, self._node, request.name, list(request.roles), expires_days=days))

    async def list_keys(self, _request: Nothing, _context: Any) -> pb.KeyList:
        """Return API keys without their secrets, the newest first."""
        return message(pb.KeyList, await keys.list_keys(asked_by(), self._node))

    async def revoke_key(self, request: pb.RevokeKeyRequest, _context: Any) -> pb.KeyDetail:
        """End an API key. It stays in the list."""
        return message(pb.KeyDetail, await keys.revoke_key(asked_by(request.by), self._node, request.key_id))
