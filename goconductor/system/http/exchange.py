"""One HTTP request and its answer, over a connection of its own to an address that was checked.

The answer is bounded: its head to 64 KiB, its body to what the caller gives, its time to the step's time limit. It is asked for
without compression, so nothing can grow while it is unpacked. HTTP's rules themselves are h11's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import h11

from goconductor.errors import PermanentError, TemporaryError

HEAD_BYTES_MAX = 64 * 1024
CONNECT_SECONDS_MAX = 5.0
"""Longest that an address is waited for while there are others, in seconds."""
_READ_BYTES = 16 * 1024


@dataclass(frozen=True)
class Request:
    """What is sent.

    Args:
        method: such as POST.
        secure: whether TLS is spoken.
        host: the name that the certificate must bear, or an address.
        port: the TCP port.
        target: path and query, percent-encoded.
        headers: beside those that this module adds.
        body: None sends none.
    """

    method: str
    secure: bool
    host: str
    port: int
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None = None

    @property
    def authority(self) -> str:
        """The header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """What came back: headers by their names in small letters, several of one name joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """Return what certificates are checked by: the system's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR."""
    return ssl.create_default_context()


async def exchange(
    request: Request,
    addresses: Sequence[str],
    *,
    body_bytes_max: int,
    seconds_left: float,
    context: ssl.SSLContext | None = None,
    cut: bool = False,
) -> Answer:
    """Send a request to the first address that takes a connection, and read the answer.

    Args:
        request: what is sent.
        addresses: of the host, checked.
        body_bytes_max: greatest size of the answer's body, in bytes.
        seconds_left: until the caller ends this. An address that does not answer leaves the others their part of it.
        context: what certificates are checked by; None takes :func:`tls`.
        cut: whether a body that is larger is cut off in place of refused.

    Raises:
        TemporaryError: nobody takes the connection, it is lost, or what comes is no HTTP.
        PermanentError: the answer is too large.
    """
    reader, writer = await _connected(request, addresses, seconds_left, context)
    try:
        return await _answer(request, reader, writer, body_bytes_max, cut=cut)
    except OSError as error:
        raise TemporaryError(f"the connection to {request.authority} was lost: {_text(error)}") from None
    except h11.RemoteProtocolError as error:
        raise TemporaryError(f"the answer of {request.authority} cannot be read as HTTP/1.1: {error}") from None
    finally:
        writer.transport.abort()  # nothing more is to come, and nobody waits for a server that does not close


async def _connected(
    request: Request, addresses: Sequence[str], seconds_left: float, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    problem, clock = "", asyncio.get_running_loop()
    ends_at = clock.time() + seconds_left
    for number, address in enumerate(addresses):
        others = len(addresses) - number - 1
        limit = min(CONNECT_SECONDS_MAX, (ends_at - clock.time()) / (others + 1)) if others else None
        try:
            async with asyncio.timeout(limit):
                return await asyncio.open_connection(
                    address,
                    request.port,
                    ssl=(context or tls()) if request.secure else None,
                    server_hostname=request.host if request.secure else None,
                    limit=_READ_BYTES,
                )
        except OSError as error:  # a limit that is over as well
            problem = _text(error)
    raise TemporaryError(f"{request.authority} takes no connection: {problem}")


async def _answer(
    request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body_bytes_max: int, *, cut: bool
) -> Answer:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
    headers = [
        ("Host", request.authority),
        *request.headers,
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        *([] if request.body is None else [("Content-Length", str(len(request.body)))]),
    ]
    head = h11.Request(method=request.method, target=request.target, headers=headers)
    for part in (head, *([h11.Data(data=request.body)] if request.body else []), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")  # not drained: a server may answer before it has read all
    answer: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_READ_BYTES)
            if not data and answer is None:
                raise TemporaryError(f"{request.authority} closed the connection before it had answered")
            connection.receive_data(data)
            continue
        match event:
            case h11.Response():
                answer = event
            case h11.Data():
                body += event.data
                if len(body) > body_bytes_max and cut and answer is not None:
                    return Answer(answer.status_code, _joined(answer), bytes(body[:body_bytes_max]))
                if len(body) > body_bytes_max:
                    raise PermanentError(
                        f"the answer of {request.authority} is more than {body_bytes_max:,} bytes, and was cut off; "
                        "ask for less, or raise limits.payload_bytes_max"
                    )
            case h11.EndOfMessage() if answer is not None:
                return Answer(answer.status_code, _joined(answer), bytes(body))


def _joined(answer: h11.Response) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in answer.headers:
        key, text = name.decode("ascii"), value.decode("latin-1")
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return joined


def _text(error: OSError) -> str:
    return str(error.strerror or error) or type(error).__name__
