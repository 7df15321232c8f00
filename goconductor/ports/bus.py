"""The bus: it may lose, repeat, delay and reorder. Correctness comes from the saga log; the bus only makes it fast."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from goconductor.errors import PayloadError

TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""Pattern of a topic's name (duty 9); 249 is the shortest limit of the known brokers."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent. ``key`` keeps messages of one saga in order where a bus can; ``payload`` is opaque here."""

    topic: str
    key: str
    payload: bytes
    headers: dict[str, str] = {}


class Delivery(Protocol):
    """One message in our hands, until it is acknowledged or given back."""

    @property
    def message(self) -> Message: ...

    @property
    def deliveries(self) -> int:
        """Number of this message's deliveries, this one included; 1 where the bus does not count them."""
        ...

    def acknowledge(self) -> None:
        """Done with it; it need not come again. Never blocks; the bus may do it later, in batches."""
        ...

    def give_back(self, delay_seconds: float = 0.0) -> None:
        """Give the message back: it comes again to any reader of this topic, and not before the delay where the bus can wait."""
        ...


@runtime_checkable
class PassableDelivery(Protocol):
    """A delivery of a leaf that can keep what was passed on from coming back to the same subscriber at once; none has to."""

    def pass_on(self, delay_seconds: float = 0.0) -> None:
        """Give it back for others: let it come again, after the delay, to another subscriber of the group if there is one."""
        ...


def pass_on(delivery: Delivery, delay_seconds: float = 0.0) -> None:
    """Give back what others may be able to take and we are not."""
    if isinstance(delivery, PassableDelivery):
        delivery.pass_on(delay_seconds)
    else:
        delivery.give_back(delay_seconds)


Receiver = Callable[[Delivery], Awaitable[None]]
"""Called with each delivery. It acknowledges or gives back by itself; if it raises, the delivery is given back."""


class Subscription(Protocol):
    """A running consumer."""

    def pause(self) -> None:
        """Take no new messages for now (back-pressure)."""
        ...

    def resume(self) -> None: ...

    async def stop(self) -> None:
        """Take no more messages, wait for receivers that run, flush acknowledgements; what was not acknowledged comes again."""
        ...


class Bus(Protocol):
    """How participants reach one another.

    1. ``open`` raises :class:`BusUnavailableError` after ``open_timeout`` of the leaf; a leaf that was open reconnects by itself.
    2. ``send`` returns when the bus has taken the messages; else :class:`BusUnavailableError`, and some may have been taken.
    3. A message sent to a topic reaches one subscriber of that topic's consumer group, at least once while nothing is lost.
    4. Several subscribers of one group share the messages; two groups get each message both.
    5. What is not acknowledged comes again: after ``give_back`` (not before its delay), after the subscriber's death.
    6. A receiver that raises does not stop the queue.
    7. At most ``prefetch`` deliveries are in hand at once, and none while paused.
    8. A message of any content is delivered as it is; a payload larger than ``payload_bytes_max`` is refused by ``send``
       (:class:`PayloadError`), alone: the others of that call are sent. :func:`sendable` does this for every leaf.
    9. A topic needs no preparation; its name may hold letters, digits, ``.``, ``_`` and ``-``.
    """

    @property
    def payload_bytes_max(self) -> int: ...

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def send(self, messages: Sequence[Message]) -> None: ...
    async def subscribe(self, topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> Subscription: ...


class Headers(NamedTuple):
    """A limit for all but the payload, in bytes, as the leaf counts them."""

    bytes_max: int
    bytes_of: Callable[[Message], int]


def sendable(
    messages: Sequence[Message], payload_bytes_max: int, headers: Headers | None = None
) -> tuple[list[Message], PayloadError | None]:
    """Return the messages that a bus may send, and the problem of the first of the others (duties 8 and 9).

    Args:
        messages: the messages given to ``send``.
        payload_bytes_max: the leaf's limit, in bytes.
        headers: the leaf's limit for key and headers, if it has one.
    """
    fit: list[Message] = []
    refusal: PayloadError | None = None
    for index, message in enumerate(messages):
        problem = _problem(message, payload_bytes_max, headers)
        if problem is None:
            fit.append(message)
        else:
            refusal = refusal or PayloadError(f"$[{index}].{problem[0]}", problem[1])
    return fit, refusal


def _problem(message: Message, payload_bytes_max: int, headers: Headers | None) -> tuple[str, str] | None:
    if not TOPIC.fullmatch(message.topic):
        return "topic", f"{message.topic!r} is no topic; use up to 249 letters, digits, '.', '_' and '-'"
    if (size := len(message.payload)) > payload_bytes_max:
        return "payload", f"{size} bytes are more than the bus takes ({payload_bytes_max}); store it once and send a reference"
    try:
        "".join((message.key, *message.headers, *message.headers.values())).encode()
    except UnicodeEncodeError:
        return "headers", "the key or a header holds a lone surrogate, which is no text; encode such data in the payload"
    if headers is not None and (size := headers.bytes_of(message)) > headers.bytes_max:
        return "headers", f"key and headers take {size} bytes, more than the bus takes ({headers.bytes_max}); use the payload"
    return None
