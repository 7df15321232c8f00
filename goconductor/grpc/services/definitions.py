"""Definitions: register, check, list, compare."""

from __future__ import annotations

from typing import Any

from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.definitions import comparing, loading, versions
from goconductor.control.definitions.json_schema import definition_schema
from goconductor.control.diagrams.drawing import diagram
from goconductor.control.diagrams.texts import MEDIA_TYPES, Language, text
from goconductor.control.models import DefinitionList
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.errors import PayloadTooLargeError
from goconductor.grpc.documents import message, read_value, value_of
from goconductor.grpc.fields import choice, given
from goconductor.grpc.services.diagrams import drawn, form_of
from goconductor.grpc.v1 import definitions_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Diagram, Nothing, Value


class DefinitionCalls:
    """The methods of ``Definitions``.

    Args:
        node: the engine.
        settings: has the limits.
    """

    def __init__(self, node: Node, settings: Settings) -> None:
        self._node = node
        self._bytes_max = settings.limits.payload_bytes_max

    async def put_definition(self, request: pb.PutDefinitionRequest, _context: Any) -> pb.DefinitionSummary:
        """Register a version of a saga's definition."""
        self._check_size(request.document.data)
        definition = loading.read(read_value(request, "document"))
        activate = given(request, "activate", otherwise=True)
        return message(pb.DefinitionSummary, await versions.register(asked_by(), self._node, definition, activate=activate))

    async def check_definition(self, request: pb.CheckDefinitionRequest, _context: Any) -> pb.CheckedDefinition:
        """Say what is wrong with a definition."""
        self._check_size(request.document)
        return message(pb.CheckedDefinition, loading.check(request.document, request.file))

    async def list_definitions(self, _request: Nothing, _context: Any) -> pb.DefinitionList:
        """Return all versions of all definitions."""
        return _listed(DefinitionList(definitions=await versions.list_definitions(ANYBODY, self._node)))

    async def list_versions(self, request: pb.ListVersionsRequest, _context: Any) -> pb.DefinitionList:
        """Return all versions of one definition, oldest first."""
        return _listed(DefinitionList(definitions=await versions.versions_of(ANYBODY, self._node, request.name)))

    async def get_definition(self, request: pb.GetDefinitionRequest, _context: Any) -> pb.DefinitionDetail:
        """Return one version with its document."""
        found = await versions.definition(ANYBODY, self._node, request.name, given(request, "version"))
        return message(pb.DefinitionDetail, found)

    async def activate_version(self, request: pb.ActivateVersionRequest, _context: Any) -> pb.DefinitionSummary:
        """Pin a version."""
        return message(pb.DefinitionSummary, await versions.activate(asked_by(), self._node, request.name, request.version))

    async def unpin(self, request: pb.UnpinRequest, _context: Any) -> pb.DefinitionSummary:
        """Leave it to the newest version that a living instance has in its code."""
        return message(pb.DefinitionSummary, await versions.unpin(asked_by(), self._node, request.name))

    async def get_diff(self, request: pb.GetDiffRequest, _context: Any) -> pb.DefinitionDiff:
        """Say in words what differs between two versions."""
        old, new = given(request, "version"), given(request, "to")
        return message(pb.DefinitionDiff, await comparing.diff(ANYBODY, self._node, request.name, old, new))

    async def get_definition_diagram(self, request: pb.GetDefinitionDiagramRequest, _context: Any) -> Diagram:
        """Return a diagram of one version."""
        form = form_of(request)
        return drawn(await diagram(ANYBODY, self._node, request.name, given(request, "version"), form=form), form)

    async def get_definition_text(self, request: pb.GetDefinitionTextRequest, _context: Any) -> pb.DefinitionText:
        """Return one version as it can be registered again."""
        language = choice("language", given(request, "language", Language.JSON), Language)
        version = given(request, "version")
        written = await text(ANYBODY, self._node, request.name, version, language=language, as_compiled=request.compiled)
        return pb.DefinitionText(content_type=MEDIA_TYPES[language], text=written)

    async def get_definition_schema(self, _request: Nothing, _context: Any) -> Value:
        """Return the JSON Schema of definitions."""
        return value_of(definition_schema())

    def _check_size(self, document: bytes) -> None:
        if len(document) > self._bytes_max:
            raise PayloadTooLargeError("$.document", f"is {len(document):,} bytes, at most {self._bytes_max:,} are read")


def _listed(found: DefinitionList) -> pb.DefinitionList:
    return message(pb.DefinitionList, found)
