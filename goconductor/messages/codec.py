"""Messages to bytes and back. A foreign or unreadable message is a :class:`MessageError` with the reason."""

from __future__ import annotations

import msgspec

from goconductor.errors import MessageError
from goconductor.messages.envelope import SCHEMA_VERSIONS, TYPES, Body, Envelope, RunStep, SagaEnded, schema_version
from goconductor.saga.features import KNOWN, unknown_to
from goconductor.saga.ids import idempotency_key

_encode = msgspec.json.Encoder().encode
_envelopes = msgspec.json.Decoder(Envelope)
_bodies: dict[str, msgspec.json.Decoder[RunStep] | msgspec.json.Decoder[SagaEnded]] = {
    TYPES[RunStep]: msgspec.json.Decoder(RunStep),
    TYPES[SagaEnded]: msgspec.json.Decoder(SagaEnded),
}
_plain = {TYPES[kind]: version for kind, version in SCHEMA_VERSIONS.items()}


class _Place(msgspec.Struct):
    """A baton of any version without its state."""

    seq: int
    tag: int


class _Features(msgspec.Struct, frozen=True):
    """The features of a baton, which decide whether its state can be read."""

    features: tuple[str, ...] = ()


class _Featured(msgspec.Struct):
    """A body, as far as its features go."""

    baton: _Features = _Features()


_batons = msgspec.json.Decoder(_Place)
_featured = msgspec.json.Decoder(_Featured)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode(body: Body, *, message_id: str, source: str, time: str = "", causation_id: str = "", trace_parent: str = "") -> bytes:
    """Encode one message as bytes.

    Args:
        body: its content.
        message_id: unique with ``source``, and new for each sending, so that no bus takes a repair for a duplicate.
        source: the sender, as ``/participant/instance``.
        time: the time of sending, by RFC 3339.
        causation_id: the id of the event that caused it.
        trace_parent: W3C trace context.
    """
    saga = str(body.saga_id)
    about_step = isinstance(body, RunStep)
    return _encode(
        Envelope(
            specversion="1.0",
            id=message_id,
            source=source,
            type=f"{TYPES[type(body)]}.v{schema_version(body)}",
            subject=body.target if isinstance(body, RunStep) else body.saga,
            time=time,
            partitionkey=saga,
            correlationid=saga,
            causationid=causation_id,
            idempotencykey=idempotency_key(body.saga_id, body.step, body.direction, body.round)
            if about_step and isinstance(body, RunStep)
            else "",
            traceparent=trace_parent,
            data=msgspec.Raw(_encode(body)),
        )
    )


def without_state(payload: bytes) -> bytes | None:
    """Return a message without the saga's state; None if it has none."""
    envelope, body = decode(payload)
    if body.baton.state is None:
        return None
    pointer = msgspec.structs.replace(body, baton=msgspec.structs.replace(body.baton, state=None))
    return _encode(msgspec.structs.replace(envelope, data=msgspec.Raw(_encode(pointer))))


def decode(payload: bytes) -> tuple[Envelope, Body]:
    """Return the envelope and the content of a message.

    Raises:
        MessageError: it is no CloudEvent, none of our types, or its data does not fit; ``newer`` if a newer version of
            goconductor could read it, or one that knows the features of its saga, which are told then.
    """
    try:
        envelope = _envelopes.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a CloudEvent in JSON: {error}") from None
    if envelope.specversion != "1.0":
        raise MessageError(f"CloudEvents version {envelope.specversion!r}; this is 1.0", newer=True)
    name, dot, version = envelope.type.rpartition(".v")
    if not dot or name not in _bodies or not version.isdecimal():
        raise MessageError(f"type {envelope.type!r} is none of ours", newer=name.startswith("goconductor."))
    number, plain = int(version), _plain[name]
    if number > plain + 1:
        raise MessageError(f"type {envelope.type!r} is of a newer schema than v{plain + 1}: upgrade this instance", newer=True)
    try:
        if number > plain and (unknown := unknown_to(features := _featured.decode(envelope.data).baton.features, KNOWN)):
            raise MessageError(
                f"its saga uses what this instance does not know ({', '.join(unknown)}): upgrade this instance",
                newer=True,
                target=envelope.subject if name == TYPES[RunStep] else "",
                features=features,
            )
        return envelope, _bodies[name].decode(envelope.data if number >= plain else _without_old_state(envelope.data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"the data of a {envelope.type!r} does not fit: {error}") from None


def _without_old_state(data: msgspec.Raw) -> bytes:
    """Return the body of version 1 without its state, which had another form: the receiver reads the log."""
    fields = _fields.decode(data)
    fields["baton"] = msgspec.Raw(_encode(_batons.decode(fields.get("baton", b"null"))))
    return _encode(fields)
