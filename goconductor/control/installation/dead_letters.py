"""Messages that were given up on: look at them, send them again, or drop them."""

from __future__ import annotations

from uuid import UUID

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import DeadLetterDetail, DeadLetterPage, moment
from goconductor.engine.node import Node
from goconductor.errors import MessageError, RequestRefusedError
from goconductor.messages import codec
from goconductor.ports.bus import Message
from goconductor.ports.store import DeadLetter
from goconductor.redaction import logger_of

logger = logger_of("goconductor.control")

TEXT_CHARACTERS_MAX = 2_000
"""Number of characters of a payload that is shown as text."""
LETTER_ID_MAX = 2**63 - 1


class DeadLetterNotFoundError(RequestRefusedError):
    """There is no such dead letter; it may have been sent again or dropped meanwhile. List the dead letters."""


async def dead_letters(actor: Actor, node: Node, *, limit: int = 50, before: int | None = None) -> DeadLetterPage:
    """Return dead letters, newest first.

    Args:
        actor: the actor of the request.
        node: the engine.
        limit: greatest number of letters in the page.
        before: only older ones than this id, from the page before.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    found = await node.store.dead_letters.newest(limit=limit + 1, before=before)
    letters = [_detail(letter) for letter in found[:limit]]
    return DeadLetterPage(letters=letters, before=letters[-1].letter_id if len(found) > limit else None)


@noted("dead letter {letter_id}")
async def redrive(actor: Actor, node: Node, letter_id: int) -> DeadLetterDetail:
    """Send a message to its topic again, then forget it. If two do it at once, or one dies in between, it is sent twice, which
    does no harm: messages are hints.

    Args:
        actor: the actor of the request; kept in the log of this process.
        node: the engine.
        letter_id: which.

    Raises:
        DeadLetterNotFoundError: there is none.
        PayloadError: the bus does not take such a message.
        BusUnavailableError: the bus cannot be reached; the letter is kept.
        StoreUnavailableError: the database cannot be reached; if the message was sent by then, the letter is kept as well.
    """
    letter = await _letter(node, letter_id)
    saga_id = _saga_of(letter)
    key = str(saga_id) if saga_id is not None else str(letter_id)
    await node.bus.send([Message(topic=letter.topic, key=key, payload=letter.payload, headers=letter.headers)])
    await node.store.dead_letters.drop(letter_id)
    logger.info("dead letter %d was sent to %s again (by %s)", letter_id, letter.topic, actor.name or "somebody")
    return _detail(letter)


@noted("dead letter {letter_id}")
async def drop(actor: Actor, node: Node, letter_id: int, *, reason: str) -> DeadLetterDetail:
    """Forget a message for good.

    Args:
        actor: the actor of the request; kept in the log of this process.
        node: the engine.
        letter_id: which.
        reason: why, for the log of this process.

    Raises:
        DeadLetterNotFoundError: there is none.
        RequestInvalidError: no reason is given.
        StoreUnavailableError: the database cannot be reached.
    """
    if not reason.strip():
        raise RequestInvalidError("the request", [Fault("reason", "is missing: the message is lost for good; give the reason")])
    letter = await _letter(node, letter_id)
    if not await node.store.dead_letters.drop(letter_id):
        raise DeadLetterNotFoundError
    logger.warning("dead letter %d of %s was dropped (by %s): %r", letter_id, letter.topic, actor.name or "somebody", reason)
    return _detail(letter)


async def _letter(node: Node, letter_id: int) -> DeadLetter:
    letter = await node.store.dead_letters.get(letter_id) if 0 < letter_id <= LETTER_ID_MAX else None
    if letter is None:
        raise DeadLetterNotFoundError
    return letter


def _saga_of(letter: DeadLetter) -> UUID | None:
    try:
        _, body = codec.decode(letter.payload)
    except MessageError:
        return None
    return body.saga_id


def _detail(letter: DeadLetter) -> DeadLetterDetail:
    try:
        text: str | None = letter.payload.decode()[:TEXT_CHARACTERS_MAX]
    except UnicodeDecodeError:
        text = None
    return DeadLetterDetail(
        letter_id=letter.letter_id,
        topic=letter.topic,
        reason=letter.reason,
        at=moment(letter.at),
        headers=letter.headers,
        bytes=len(letter.payload),
        text=text,
        saga_id=_saga_of(letter),
    )
