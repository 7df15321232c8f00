"""Writes a definition in the language of whoever asks for it: JSON, YAML, Python code, or a diagram."""

from __future__ import annotations

import enum
import json

from goconductor.control.actor import Actor
from goconductor.control.definitions import loading, versions
from goconductor.control.diagrams.drawing import diagram_of
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import DefinitionDetail
from goconductor.control.yaml_writer import write_yaml
from goconductor.engine.node import Node
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python


class Language(enum.StrEnum):
    """How a definition is written."""

    JSON = "json"
    YAML = "yaml"
    PYTHON = "python"
    MERMAID = "mermaid"


MEDIA_TYPES = {
    Language.JSON: "application/json",
    Language.YAML: "application/yaml",
    Language.PYTHON: "text/x-python",
    Language.MERMAID: "text/vnd.mermaid",
}
"""By the language, for whoever sends it."""


async def text(
    actor: Actor,
    node: Node,
    saga: str,
    version: str | None = None,
    *,
    language: Language = Language.JSON,
    as_compiled: bool = False,
) -> str:
    """Write a registered definition, so that it can be registered again.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga: the definition's name.
        version: None takes the active one.
        language: in which it is written.
        as_compiled: with steps and conditions in place of groups and switches, as it is stored.

    Raises:
        DefinitionNotFoundError: there is no such definition or version.
        DefinitionError: it cannot be written in Python, or this version of goconductor cannot read it; says why.
        RequestInvalidError: a diagram is wanted as compiled.
        StoreUnavailableError: the database cannot be reached.
    """
    if as_compiled and language is Language.MERMAID:
        raise RequestInvalidError(
            "the request", [Fault("compiled", "says nothing of a diagram, which has the steps; leave it out")]
        )
    return text_of(await versions.definition(actor, node, saga, version), language, as_compiled=as_compiled)


def text_of(definition: DefinitionDetail, language: Language, *, as_compiled: bool = False) -> str:
    """Write a definition that is at hand; the text ends with a line's end.

    Raises:
        DefinitionError: as :func:`text`.
    """
    document = definition.document if as_compiled or definition.written is None else definition.written
    match language:
        case Language.JSON:
            return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
        case Language.YAML:
            return write_yaml(document)
        case Language.PYTHON:
            return as_python(loading.read(definition.document), as_compiled=as_compiled)
        case Language.MERMAID:  # pragma: no branch
            drawn = diagram_of(plan(loading.read(definition.document)))
            return drawn if drawn.endswith("\n") else f"{drawn}\n"
