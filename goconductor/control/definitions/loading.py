"""Definitions that come as documents: read, with all their faults at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from goconductor.control.definitions.json_schema import without_link
from goconductor.control.file_places import with_lines
from goconductor.control.models import CheckedDefinition
from goconductor.control.schema_faults import schema_faults, struct_faults
from goconductor.control.yaml_reader import DEFINITION_BYTES_MAX, DocumentError, read_yaml
from goconductor.errors import DefinitionError, PayloadError
from goconductor.saga.checking import validate
from goconductor.saga.checking.constructs import locks
from goconductor.saga.checking.doubts import doubts
from goconductor.saga.checking.fault import within
from goconductor.saga.data.values import canonical, check_value, decode
from goconductor.saga.definition import Definition, each_saga
from goconductor.saga.writing.groups.compiling import compiled
from goconductor.saga.writing.groups.forms import WrittenDefinition, is_plain
from goconductor.system import checking as system

NAMELESS = "(without a name)"


def load_definition(data: bytes) -> Definition:
    """Read a definition from a file's content, JSON or YAML.

    Raises:
        DefinitionError: it cannot be read or cannot run; has all problems, with their lines and columns.
    """
    try:
        document = decode(data)
    except PayloadError:
        try:
            document = read_yaml(data, bytes_max=DEFINITION_BYTES_MAX)
        except DocumentError as error:
            raise DefinitionError(NAMELESS, [f"the document {error}"]) from None
    try:
        return read(document)
    except DefinitionError as error:
        raise DefinitionError(error.name, with_lines(data, error.problems)) from None


def read(document: Any) -> Definition:
    """Read a definition from a document.

    Args:
        document: the form of :class:`~goconductor.saga.definition.Definition`, perhaps with groups and switches, which are
            compiled (:mod:`goconductor.saga.writing.groups.compiling`); made of dicts, lists and plain values. It may link
            its schema by ``$schema``, which is no part of the definition.

    Raises:
        DefinitionError: it has another shape, or cannot run; has all problems.
    """
    document = without_link(document)
    name = document.get("name") if isinstance(document, dict) else None
    called = name if isinstance(name, str) else NAMELESS
    try:
        check_value(document)
        definition, found = _compiled(document)
    except PayloadError as error:
        raise DefinitionError(called, [str(error)]) from None
    except msgspec.ValidationError as error:
        form = Definition if is_plain(document) else WrittenDefinition
        raise DefinitionError(called, [str(fault) for fault in struct_faults(form, document)] or [str(error)]) from None
    found += validate.problems(definition) + system.problems(definition)
    for where, saga in each_saga(definition):
        if saga.input_schema is not None:
            found += [f"{where}its input_schema: {fault}" for fault in schema_faults(saga.input_schema)]
    try:
        canonical(msgspec.to_builtins(definition))
    except PayloadError as error:
        found.append(str(error))  # without a canonical form it has no version
    if found:
        raise DefinitionError(called, found)
    return definition


def _compiled(document: Any) -> tuple[Definition, list[str]]:
    """Return a document as a definition, and what is wrong with the constructs of it that are only written."""
    if is_plain(document):
        return msgspec.convert(document, Definition), []
    return compiled(msgspec.convert(document, WrittenDefinition))


def check(data: bytes, file: str) -> CheckedDefinition:
    """Check a file's content as a definition, what is only doubtful included. No database is asked.

    Args:
        data: JSON or YAML.
        file: its name, for the answer.
    """
    return checked(partial(load_definition, data), file)


def checked(load: Callable[[], Definition], file: str) -> CheckedDefinition:
    """Check the definition that a function returns, or refuses by :class:`DefinitionError`; else as :func:`check`."""
    try:
        definition = load()
    except DefinitionError as error:
        return CheckedDefinition(file=file, saga=None if error.name == NAMELESS else error.name, problems=list(error.problems))
    return CheckedDefinition(
        file=file,
        saga=definition.name,
        version=definition.version,
        steps=len(definition.steps),
        problems=doubts(definition),
        advice=[within(where, advice) for where, saga in each_saga(definition) for advice in locks.circles(saga)],
    )
