"""Starts sagas: all doors come here, with the same checks of input, key and labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import check_changes, noted
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.engine.log.start import Started
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError
from goconductor.ports.store.log.notes import present
from goconductor.ports.store.log.transactions import Transaction
from goconductor.saga.data.defaults import completed
from goconductor.saga.definition import PRIORITY_MAX
from goconductor.saga.plan import Plan
from goconductor.saga.types.completing import normalised
from goconductor.saga.types.encoding import to_json_value

KEY_CHARACTERS_MAX = 255
"""Greatest length of a start key, in characters."""
LABELS_MAX = 20
"""Greatest number of labels of a saga."""

KEY = re.compile(r"[\x20-\x7e]{1,255}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?")
_LABEL_CHARACTERS_MAX = 255
"""Greatest length of a label's value, in characters."""
RESERVED = "goconductor/"
"""Labels that begin with this are the library's own: a schedule's sagas are found by one."""


class DefinitionNotFoundError(RequestRefusedError):
    """There is no such definition; register it, or check its name."""


class InputRefusedError(RequestInvalidError):
    """The input does not fit the definition's schema."""


async def start(
    actor: Actor,
    node: Node,
    saga: str | Plan,
    input: Any,
    *,
    key: str | None = None,
    labels: Mapping[str, str] | None = None,
    version: str | None = None,
    reply: bool = False,
    transaction: Transaction | None = None,
    input_type: Any = None,
    priority: int | None = None,
) -> Started:
    """Start a saga. All doors come here, so that all refuse the same.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga: its definition's name, or the definition itself.
        input: JSON values, or what can be written as such. It is kept with the defaults of its type or schema.
        key: a second start with this key and the same input finds the first; up to 255 printable ASCII characters.
        labels: up to 20 words to find it by.
        version: of the definition; None takes the active one.
        reply: whether this process will wait for its end.
        transaction: the caller's own, as :meth:`Starting.start` has it.
        input_type: the type that the definition's schema was made from, which is checked faster than the schema; None checks the
            schema.
        priority: of its steps where they wait for room in a process; from -100 to 100, greater ones come first; None takes the
            definition's.

    Raises:
        DefinitionNotFoundError: no definition has this name.
        InputRefusedError: the input does not fit the definition's schema.
        PayloadError: the input cannot be kept.
        RequestInvalidError: the key, a label or the priority cannot be one.
        SagaAlreadyStartedError: the key has started a saga with other input.
        StoreUnavailableError: the database cannot be reached; with a key, the start can be repeated safely.
    """
    if node.reads_only:
        check_changes(node.reads_only)
    if node.audits_starts and present() is None:
        return await _start_noted(
            *(actor, node, saga, input),
            key=key,
            labels=labels,
            version=version,
            reply=reply,
            transaction=transaction,
            input_type=input_type,
            priority=priority,
        )
    if key is not None or labels is not None:
        check_names(key, {} if labels is None else labels)
    if priority is not None:
        check_priority(priority)
    plan = await plan_of(node, saga, version) if isinstance(saga, str) else saga
    identity: Any = msgspec.UNSET
    if input_type is not None:
        input, identity = normalised(input_type, to_json_value(input))
    else:
        input = fitted(plan, input)
    return await node.starting.start(
        plan,
        input,
        key=key,
        labels=labels,
        reply=reply,
        transaction=transaction,
        identity=identity,
        priority=priority,
    )


_start_noted = noted("", detail=lambda given: given["saga"] if isinstance(given["saga"], str) else given["saga"].name)(start)
"""The same, with a note: that is about the saga that begins."""


async def start_fire(node: Node, saga: str, input: Any, *, key: str, labels: Mapping[str, str]) -> UUID:
    """Start the saga of a schedule's fire. The key alone decides whether it was started before, whatever the input is by now.

    Args:
        node: the engine of the leader, or of who fires by hand.
        saga: the definition's name.
        input: JSON values.
        key: the fire's key, which no user's can be.
        labels: words to find it by.

    Raises:
        DefinitionNotFoundError: no definition has this name.
        InputRefusedError: the input does not fit the definition's schema.
        PayloadError: the input cannot be kept.
        StoreUnavailableError: the database cannot be reached; the start can be repeated safely.
    """
    plan = await plan_of(node, saga)
    started = await node.starting.start(plan, fitted(plan, input), key=key, labels=labels, reply=False, identity=key)
    return started.saga_id


def fitted(plan: Plan, input: Any) -> Any:
    """Return an input with the defaults of the definition's schema.

    Raises:
        InputRefusedError: it does not fit the schema.
    """
    if (schema := plan.definition.input_schema) is None:
        return input
    input = to_json_value(input)
    _check_schema(plan.name, schema, input)
    return completed(schema, input)


def _check_schema(saga: str, schema: dict[str, Any], data: Any) -> None:
    from goconductor.control.schema_faults import faults  # noqa: PLC0415  (only a schema costs the import)

    if found := faults(schema, data):
        raise InputRefusedError(f"the input does not fit saga {saga!r}", found)


async def plan_of(node: Node, saga: str, version: str | None = None) -> Plan:
    """Return a definition by its name.

    Raises:
        DefinitionNotFoundError: no definition has this name.
    """
    try:
        return await node.definitions.plan(saga, version)
    except RequestRefusedError as error:
        raise DefinitionNotFoundError(str(error)) from None


def key_faults(name: str, key: object) -> list[Fault]:
    """Find what is wrong with a start key, or with the id of a request or a signal, which is kept like one.

    Args:
        name: its name for the caller.
        key: what was given.
    """
    if isinstance(key, str) and KEY.fullmatch(key):
        return []
    return [Fault(name, f"should be 1 to {KEY_CHARACTERS_MAX} printable ASCII characters, such as a UUID")]


def check_priority(priority: object) -> None:
    """Check a priority; its type too, as a caller in Python may give anything.

    Raises:
        RequestInvalidError: it cannot be one.
    """
    if isinstance(priority, bool) or not isinstance(priority, int) or not -PRIORITY_MAX <= priority <= PRIORITY_MAX:
        fault = Fault("priority", f"should be a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}")
        raise RequestInvalidError("the saga cannot be started so", [fault])


def check_names(key: object, labels: object) -> None:
    """Check a key and labels; types too, as a caller in Python may give anything.

    Raises:
        RequestInvalidError: the key or a label cannot be one.
    """
    found = []
    if not isinstance(labels, Mapping):
        found.append(Fault("labels", f"are of type {type(labels).__name__}; give a dict, such as {{'customer': '17'}}"))
        labels = {}
    if key is not None:
        found += key_faults("key", key)
    if len(labels) > LABELS_MAX:
        found.append(Fault("labels", f"are {len(labels)}, at most {LABELS_MAX} are allowed"))
    for name, value in labels.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            found.append(Fault("labels", f"have a name {str(name)[:63]!a}; use up to 63 letters, digits, '_', '.', '/' and '-'"))
        elif name.startswith(RESERVED):
            found.append(Fault(f"labels.{name}", f"is reserved: choose a name that does not begin with {RESERVED!r}"))
        elif not isinstance(value, str):
            kind = "null" if value is None else f"of type {type(value).__name__}"
            found.append(Fault(f"labels.{name}", f"is {kind}; labels are texts: give str(value)"))
        elif not value.isprintable() or len(value) > _LABEL_CHARACTERS_MAX:
            found.append(Fault(f"labels.{name}", f"should be up to {_LABEL_CHARACTERS_MAX} printable characters"))
    if found:
        raise RequestInvalidError("the saga cannot be started so", found)
