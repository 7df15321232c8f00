"""Wrapping keys that stand in a text, one after the other: ``2026-01:<32 bytes in Base64>``. The last is the newest.

To bring in a new one, it is added below. Wherever it came from, the text is read once and is not kept.
"""

from __future__ import annotations

import base64
import binascii
import re

from goconductor.errors import SecretError
from goconductor.ports.keyring import WrappedKey
from goconductor.sealing import KEY_BYTES, UnsealableError, seal, unseal

KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,60}")
HOW = "write each as ID:KEY, where KEY is 32 random bytes in Base64, such as from `openssl rand -base64 32`"
BYTES_MAX = 1024 * 1024
"""Greatest size of the text, in bytes."""


class TextKeyring:
    """A :class:`goconductor.ports.keyring.Keyring` of keys that this process has.

    Args:
        place: where they come from, for errors.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._keys: dict[str, bytes] = {}

    @property
    def newest(self) -> str:
        return self._known()

    async def open(self) -> None:
        self._keys = read_keys(await self.read(), self.place)

    async def close(self) -> None:
        self._keys = {}

    async def read(self) -> str:
        """Return the text.

        Raises:
            SecretError: it is not there; names the remedy.
        """
        raise NotImplementedError

    async def wrap(self, data_key: bytes, about: bytes) -> WrappedKey:
        newest = self._known()
        return WrappedKey(newest, seal(self._keys[newest], data_key, _about(newest, about)))

    async def unwrap(self, wrapped: WrappedKey, about: bytes) -> bytes:
        self._known()
        key = self._keys.get(wrapped.key_id)
        if key is None:
            raise SecretError(
                f"the wrapping key {wrapped.key_id!a} is not among those of {self.place} (it has: {', '.join(self._keys)}); "
                "add it there again, above the last"
            )
        try:
            return unseal(key, wrapped.wrapped, _about(wrapped.key_id, about))
        except UnsealableError:
            raise SecretError(
                f"what the wrapping key {wrapped.key_id!a} has wrapped cannot be unwrapped by that of {self.place}: "
                "it is another key, or the row was changed. Give the right key, or set the secret again"
            ) from None

    def _known(self) -> str:
        if not self._keys:
            raise SecretError(f"the keyring of {self.place} is not open; call `await keyring.open()` first")
        return next(reversed(self._keys))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place})"


def read_keys(text: str, place: str) -> dict[str, bytes]:
    """Read the keys of a text. Between two stands a line's end or a space; ``#`` begins a comment.

    Args:
        text: it.
        place: where it comes from, for errors.

    Raises:
        SecretError: it has none, or something else; says which by its number, and nothing that stands there.
    """
    keys: dict[str, bytes] = {}
    words = [word for line in text.splitlines() for word in line.partition("#")[0].split()]
    for number, word in enumerate(words, 1):
        key_id, mark, encoded = word.partition(":")
        if not mark or not KEY_ID.fullmatch(key_id):
            raise SecretError(f"key {number} of {place} has no id of up to 60 letters, digits, '_', '.' and '-'; {HOW}")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise SecretError(f"key {number} of {place}, {key_id}, is not 32 bytes in Base64; {HOW}")
        if key_id in keys:
            raise SecretError(f"two keys of {place} have the id {key_id}; give each its own")
        keys[key_id] = key
    if not keys:
        raise SecretError(f"there is no wrapping key in {place}; {HOW}")
    return keys


def _about(key_id: str, about: bytes) -> bytes:
    return key_id.encode() + b"\0" + about
