"""Signatures of Standard Webhooks 1.0.0 (its sections *Signature scheme* and *Webhook headers*): HMAC-SHA256 by a secret.

A message's id, the time of the attempt and the body are signed together, so that none of them can be exchanged, and an old
message cannot be sent again by somebody else. While a secret is rotated a message has a signature by each, and the receiver needs
one that fits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
HEADERS = {
    "webhook-id": "the same with each attempt",
    "webhook-timestamp": "the time of this attempt, in seconds since 1970",
    "webhook-signature": "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; several where a secret is rotated",
}
"""The headers of a message, and what they say."""
SECRET_BYTES = 32
"""Bytes of a secret; the specification wants 24 to 64."""


def make_secret() -> str:
    """Return a new secret, as it is shown."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message.

    Args:
        secret: as :func:`make_secret` returns it.
        message_id: of the message; has no full stop.
        timestamp: of the attempt, in seconds since 1970.
        body: what is sent.
    """
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> list[tuple[str, str]]:
    """Return the headers that go with a message.

    Args:
        secrets: those that are good now, the newest first.
        message_id: of the message.
        timestamp: of the attempt, in seconds since 1970.
        body: what is sent.
    """
    signatures = " ".join(signature(each, message_id, timestamp, body) for each in secrets)
    return list(zip(HEADERS, (message_id, str(timestamp), signatures), strict=True))
