"""Authenticated encryption: AES-256-GCM with a nonce of its own for each text (NIST SP 800-38D).

What is sealed begins with a byte for the way it was done, and the nonce; then come the ciphertext and its tag. *About* is the
associated data: it is not in the result, and what was sealed about one thing cannot be unsealed about another. So a row that is
put in another row's place is as useless as one of which a bit was changed.

A nonce is random. With one key, 2³² texts are the standard's limit for that (8.3). A data key of ours seals one, and a wrapping
key as many as there are versions of secrets.
"""

from __future__ import annotations

import os
from typing import Any

from goconductor.errors import PluginNotFoundError

KEY_BYTES = 32
"""Length of a key, in bytes."""
_NONCE_BYTES = 12
"""Length of a nonce, in bytes: the one that GCM takes as it is."""
_TAG_BYTES = 16
"""Length of a tag, in bytes: the whole of it."""
_WAY = b"\x01"


class UnsealableError(Exception):
    """It was sealed by another key, or about something else, or was changed since."""


def new_key() -> bytes:
    """Return a key that nobody has had before."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, text: bytes, about: bytes) -> bytes:
    """Encrypt.

    Args:
        key: of 32 bytes.
        text: what nobody else is to read.
        about: what has to be the same when it is unsealed.

    Raises:
        PluginNotFoundError: the library is not installed.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return _WAY + nonce + bytes(_cipher(key).encrypt(nonce, text, about))


def unseal(key: bytes, sealed: bytes, about: bytes) -> bytes:
    """Decrypt.

    Args:
        key: by which it was sealed.
        sealed: what :func:`seal` returned.
        about: what was given there.

    Raises:
        UnsealableError: one of the three is not what it was.
        PluginNotFoundError: the library is not installed.
    """
    nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if sealed[:1] != _WAY or len(text) < _TAG_BYTES:
        raise UnsealableError
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  (is there, as the cipher is)

    try:
        return bytes(cipher.decrypt(nonce, text, about))
    except InvalidTag:
        raise UnsealableError from None


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  (who seals nothing does not pay for it)
    except ImportError as error:
        raise PluginNotFoundError(
            f"secrets need a library that is not installed ({error.name}): pip install 'goconductor[secrets]'"
        ) from None
    return AESGCM(key)
