"""What ``system.grpc`` takes, as a definition gives it, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from goconductor.system.given import own_names
from goconductor.system.guard import split_host
from goconductor.system.templates import Template, templates_in

_METHOD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/[A-Za-z_]\w*", re.ASCII)
_KEY = re.compile(r"[a-z0-9_.-]{1,100}", re.IGNORECASE)


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call.

    Args:
        method: ``package.Service/Method``.
        message: the request as JSON.
        metadata: name → template, which may name secrets.
    """

    method: str
    message: Any = None
    metadata: dict[str, str] = {}


class GrpcInputs(Call, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All inputs that have a meaning of their own; others are values of placeholders.

    Args:
        target: host and port: ``api.example.com``, ``api.example.com:8443``.
        plaintext: whether no TLS is spoken.
        idempotency_key: the name of the metadata that has the idempotency key; None sends none.
        undo: the call, to the same target, that undoes this one.
    """

    target: str
    plaintext: bool = False
    idempotency_key: str | None = "idempotency-key"
    undo: Call | None = None


CONSTANT = own_names(GrpcInputs) - {"message"}
"""Inputs that a saga's data may not give."""


def host_of(target: str) -> tuple[str, int]:
    """Split a target into host and port, 443 where it has none.

    Raises:
        ValueError: it is none.
    """
    host, port = split_host(target)
    if host.startswith("*"):
        raise ValueError(f"{target[:80]!a} names no host; write it as api.example.com or api.example.com:8443")
    return host, port or 443


def faults(inputs: GrpcInputs) -> Iterator[str]:
    """Yield what is wrong with inputs, each with its remedy."""
    try:
        host_of(inputs.target)
    except ValueError as error:
        yield f"its target {error}"
    for where, call in (("", inputs), ("undo.", inputs.undo)):
        if call is None:
            continue
        if not _METHOD.fullmatch(call.method):
            yield f"its {where}method {call.method[:100]!a} is not valid; write it as package.Service/Method"
        for name, text in call.metadata.items():
            if not _KEY.fullmatch(name) or name.lower().startswith("grpc-") or name.lower().endswith("-bin"):
                yield f"its {where}metadata name {name[:100]!a}, which is not allowed; use letters, digits and '-'"
            try:
                Template.parse(text)
            except ValueError as error:
                yield f"its {where}metadata {name!r} {error}"
    if inputs.idempotency_key is not None and not _KEY.fullmatch(inputs.idempotency_key):
        yield f"its idempotency_key {inputs.idempotency_key[:100]!a} can name no metadata; use letters, digits and '-', or null"
    if inputs.undo is not None:
        try:
            secrets = [name for template in templates_in(inputs.undo.message) for name in template.secrets]
        except ValueError as error:
            yield f"its undo.message {error}"
        else:
            if secrets:
                yield "its undo.message has a secret, which may stand in metadata only; put it there"


def templates_of(call: Call, *, constant_data: bool) -> Iterator[Template]:
    """Yield all templates of a call.

    Args:
        call: the call.
        constant_data: whether ``message`` is one too, as in an ``undo``.
    """
    yield from templates_in(call.metadata)
    if constant_data:
        yield from templates_in(call.message)
