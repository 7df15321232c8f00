"""What people ask a saga to do. One function per request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from goconductor.control.faults import Fault
from goconductor.errors import RequestRefusedError
from goconductor.participant.node import Node
from goconductor.participant.start import Started
from goconductor.saga.graph import Plan

KEY_CHARACTERS_MAX = 255
LABELS_MAX = 20

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?")
_LABEL_CHARACTERS_MAX = 255


class DefinitionNotFoundError(RequestRefusedError):
    """There is no such definition; register it, or check its name."""


class RequestInvalidError(RequestRefusedError):
    """A request does not fit; ``faults`` lists every place with its remedy.

    Args:
        what: what does not fit.
        found: where and why.
    """

    def __init__(self, what: str, found: Sequence[Fault]) -> None:
        self.what = what
        self.faults = tuple(found)
        super().__init__(f"{what}: {'; '.join(map(str, found))}")


class InputRefusedError(RequestInvalidError):
    """The input does not fit the definition's schema."""


async def start(
    node: Node,
    saga: str,
    input: Any,
    *,
    key: str | None = None,
    labels: Mapping[str, str] | None = None,
    version: str | None = None,
    reply: bool = False,
) -> Started:
    """Start a saga.

    Args:
        node: the engine.
        saga: its definition's name.
        input: JSON values.
        key: a second start with this key and the same input finds the first; up to 255 printable ASCII characters.
        labels: up to 20 words to find it by.
        version: of the definition; None takes the active one.
        reply: whether this process will wait for its end.

    Raises:
        DefinitionNotFoundError: no definition has this name.
        InputRefusedError: the input does not fit the definition's schema.
        PayloadError: the input cannot be kept.
        RequestInvalidError: the key or a label cannot be one.
        SagaAlreadyStartedError: the key has started a saga with other input.
        StoreUnavailableError: the database cannot be reached; with a key, the start can be repeated safely.
    """
    _check_names(key, labels or {})
    plan = await check_input(node, saga, input, version=version)
    return await node.start_saga(saga, input, key=key, labels=dict(labels or {}), version=plan.version, reply=reply)


async def check_input(node: Node, saga: str, input: Any, *, version: str | None = None) -> Plan:
    """The definition that a start would take; raises as :func:`start` if it is not there or the input does not fit it."""
    plan = await _plan(node, saga, version)
    if (schema := plan.definition.input_schema) is not None:
        from goconductor.control.schemas import faults  # noqa: PLC0415  (only who has a schema pays for the import)

        if found := faults(schema, input):
            raise InputRefusedError(f"the input does not fit saga {saga!r}", found)
    return plan


async def _plan(node: Node, saga: str, version: str | None) -> Plan:
    try:
        return await node.definitions.plan(saga, version)
    except RequestRefusedError as error:
        raise DefinitionNotFoundError(str(error)) from None


def _check_names(key: str | None, labels: Mapping[str, str]) -> None:
    found = []
    if key is not None and not _KEY.fullmatch(key):
        found.append(Fault("key", f"should be 1 to {KEY_CHARACTERS_MAX} printable ASCII characters, a UUID say"))
    if len(labels) > LABELS_MAX:
        found.append(Fault("labels", f"are {len(labels)}, at most {LABELS_MAX} are allowed"))
    for name, value in labels.items():
        if not _LABEL.fullmatch(name):
            found.append(Fault("labels", f"have a name {name[:63]!a}; use up to 63 letters, digits, '_', '.', '/' and '-'"))
        elif not value.isprintable() or len(value) > _LABEL_CHARACTERS_MAX:
            found.append(Fault(f"labels.{name}", f"should be up to {_LABEL_CHARACTERS_MAX} printable characters"))
    if found:
        raise RequestInvalidError("the saga cannot be started so", found)
