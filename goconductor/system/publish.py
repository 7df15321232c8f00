"""``system.publish``: a message on a topic of the bus in use, for whoever listens there. It is a CloudEvent 1.0 in JSON.

It is sent at least once. Its ``id`` is the step's idempotency key and its ``source`` the saga's name, the same in each attempt,
so that a receiver knows a repetition. Topics that begin with ``goconductor`` are ours: what is written there would be taken for
work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from goconductor.engine.steps.context import StepContext
from goconductor.errors import BusUnavailableError, PayloadError, RefusedError, TemporaryError
from goconductor.messages.topics import PREFIX
from goconductor.ports.bus import TOPIC, Message
from goconductor.system.given import action_values, own_names, read_inputs
from goconductor.system.templates import ACTION_KEY, OUTPUT, Template, Values, templates_in

CONTENT_TYPE = "application/cloudevents+json"
_TEXT_CHARACTERS_MAX = 255
"""Greatest length of a message's type and of similar texts, in characters."""


class Publication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message.

    Args:
        topic: letters, digits, ``.``, ``_`` and ``-``.
        type: what has happened, such as ``com.example.order.placed``.
        data: any JSON value.
        subject: a template: what it is about.
        key: a template: messages with the same key stay in order where the bus can. None takes the saga's id.
    """

    topic: str
    type: str
    data: Any = None
    subject: str | None = None
    key: str | None = None


class PublishInputs(Publication, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All inputs that have a meaning of their own; others are values of placeholders.

    Args:
        undo: the message that takes this one back; the texts of its data are templates.
    """

    undo: Publication | None = None


CONSTANT = own_names(PublishInputs) - {"data"}
"""Inputs that a saga's data may not give."""


def faults(inputs: PublishInputs) -> Iterator[str]:
    """Yield what is wrong with inputs, each with its remedy."""
    yield from _faults_of(inputs, "")
    if inputs.undo is not None:
        yield from _faults_of(inputs.undo, "undo.")
        try:
            secrets = [name for template in templates_in(inputs.undo.data) for name in template.secrets]
        except ValueError as error:
            yield f"its undo.data {error}"
        else:
            if secrets:
                yield "its undo.data has a secret, which may stand in a header of system.http only; leave it out"


def templates_of(publication: Publication, *, constant_data: bool) -> Iterator[Template]:
    """Yield all templates of a message.

    Args:
        publication: the message.
        constant_data: whether ``data`` is one too, as in an ``undo``.
    """
    yield from templates_in([publication.subject, publication.key])
    if constant_data:
        yield from templates_in(publication.data)


def _faults_of(publication: Publication, where: str) -> Iterator[str]:
    if not TOPIC.fullmatch(publication.topic):
        yield f"its {where}topic {publication.topic[:100]!a} is not valid; use up to 249 letters, digits, '.', '_' and '-'"
    elif publication.topic.lower().startswith(PREFIX):
        yield f"its {where}topic {publication.topic!r} is goconductor's own, as all that begin with {PREFIX!r}; choose another"
    kind = publication.type
    if not kind or not kind.isprintable() or len(kind) > _TEXT_CHARACTERS_MAX:
        yield f"its {where}type should be 1 to {_TEXT_CHARACTERS_MAX} printable characters, such as com.example.order.placed"
    elif kind.startswith(f"{PREFIX}."):
        yield f"its {where}type {kind!r} is goconductor's own; choose another"
    for name, text in (("subject", publication.subject), ("key", publication.key)):
        try:
            if text is not None and [*Template.parse(text).secrets]:
                yield f"its {where}{name} has a secret, which may stand in a header of system.http only; leave it out"
        except ValueError as error:
            yield f"its {where}{name} {error}"


class PublishSteps:
    """Messages on the bus.

    Args:
        send: of the bus in use.
    """

    def __init__(self, send: Callable[[Sequence[Message]], Awaitable[None]]) -> None:
        self._send = send

    async def publish(self, inputs: dict[str, Any], context: StepContext, output: Any = None) -> dict[str, Any]:
        """Send the message.

        Args:
            inputs: of the step, by name.
            context: of the step.
            output: of an action there is none yet.

        Raises:
            RefusedError: it was not sent.
            TemporaryError: the bus is away; it may have been sent.
        """
        del output
        read, given = read_inputs(PublishInputs, inputs, faults)
        return await self._sent(read, read.data, action_values(given, context), context)

    async def undo(self, inputs: dict[str, Any], context: StepContext, output: Any = None) -> None:
        """Send the message that takes it back, if the step has one. Whether the first one arrived, nobody asks.

        Args:
            inputs: of the action, by name.
            context: of the step.
            output: of the action; None where it is not known.

        Raises:
            RefusedError, TemporaryError: as :meth:`publish`.
        """
        del output
        read, given = read_inputs(PublishInputs, inputs, faults)
        if read.undo is None or context.refused:
            return
        sent = {"topic": read.topic, "id": context.action_key}
        known = Values({**given, ACTION_KEY: context.action_key, OUTPUT: sent})
        await self._sent(read.undo, known.within(read.undo.data), known, context)

    async def _sent(self, publication: Publication, data: Any, known: Values, context: StepContext) -> dict[str, Any]:
        saga_id = str(context.saga_id)
        key = saga_id if publication.key is None else Template.parse(publication.key).filled(known.text_of)
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": context.idempotency_key,
            "source": f"/{PREFIX}/sagas/{context.saga}",
            "type": publication.type,
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "partitionkey": key,
            "correlationid": saga_id,
            "idempotencykey": context.idempotency_key,
            "data": data,
        }
        if publication.subject is not None:
            event["subject"] = Template.parse(publication.subject).filled(known.text_of)
        if context.traceparent:
            event["traceparent"] = context.traceparent
        headers = {"content-type": CONTENT_TYPE}
        message = Message(topic=publication.topic, key=key, payload=msgspec.json.encode(event), headers=headers)
        try:
            await self._send([message])
        except PayloadError as error:
            raise RefusedError(f"the message to {publication.topic!r} cannot be sent: {error.problem}") from None
        except BusUnavailableError as error:
            raise TemporaryError(f"the message to {publication.topic!r} cannot be sent now: {error}") from None
        return {"topic": publication.topic, "id": event["id"], "source": event["source"]}
