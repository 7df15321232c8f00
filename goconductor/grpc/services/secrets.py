"""Secrets: set, listed, deleted, wrapped anew, verified. No answer has a value."""

from __future__ import annotations

from typing import Any

from goconductor.control.actor import asked_by
from goconductor.control.secrets import keeping
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.grpc.documents import message
from goconductor.grpc.v1 import secrets_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing


class SecretCalls:
    """The methods of ``Secrets``.

    Args:
        node: the engine.
        settings: say where the wrapping keys come from.
    """

    def __init__(self, node: Node, settings: Settings) -> None:
        self._node = node
        self._settings = settings

    async def set_secret(self, request: pb.SetSecretRequest, _context: Any) -> pb.SecretDetail:
        """Give a secret a new value, or make it."""
        store, keys = self._node.store, self._settings.secrets
        found = await keeping.set_secret(asked_by(request.by), store, keys, request.name, request.value)
        return message(pb.SecretDetail, found)

    async def list_secrets(self, _request: Nothing, _context: Any) -> pb.SecretList:
        """Return secrets without their values, by their names."""
        return message(pb.SecretList, await keeping.list_secrets(asked_by(), self._node.store))

    async def delete_secret(self, request: pb.DeleteSecretRequest, _context: Any) -> pb.SecretDetail:
        """Delete a secret."""
        return message(pb.SecretDetail, await keeping.delete_secret(asked_by(request.by), self._node.store, request.name))

    async def rewrap_secrets(self, request: pb.RewrapSecretsRequest, _context: Any) -> pb.RewrappedSecrets:
        """Wrap the data keys of all secrets by the newest wrapping key that this server knows."""
        done = await keeping.rewrap_secrets(asked_by(request.by), self._node.store, self._settings.secrets)
        return message(pb.RewrappedSecrets, done)

    async def verify_secrets(self, _request: Nothing, _context: Any) -> pb.VerifiedSecrets:
        """Decrypt each secret by the wrapping keys of this server, and tell which can be."""
        settings = self._settings
        found = await keeping.verify_secrets(asked_by(), self._node.store, settings.secrets, settings.references)
        return message(pb.VerifiedSecrets, found)
