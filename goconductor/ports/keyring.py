"""The keys that wrap other keys. Each secret has a data key of its own; a keyring wraps that, and never sees a secret.

So a keyring can be a service that never gives its key away (a KMS), and to change the wrapping key no secret is touched, only
the small wrapped keys. This is envelope encryption, as in NIST SP 800-57, part 1, 5.1.1 (*key-wrapping key*).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class WrappedKey(NamedTuple):
    """A data key that was wrapped.

    Args:
        key_id: by which wrapping key.
        wrapped: the result, which means something to that keyring only.
    """

    key_id: str
    wrapped: bytes


class Keyring(Protocol):
    """Wrapping keys, each with an id. Several may be known; one is the newest.

    1. **Open** reads or reaches the keys. Where that cannot be done, the error names the place and the remedy.
    2. **Wrap** wraps a data key by the newest key. The same data key twice gives different bytes.
    3. **Unwrap** gives back a data key that was wrapped by any known key, where ``about`` is what it was. Anything else is
       refused: other bytes, another ``about``, the id of another key.
    4. Where a key is not known, the error has its id, and those that are known.
    5. No key and no data key is in any ``repr``, log or error.
    6. **Close** frees what was opened, and may be called twice.

    All raise :class:`~goconductor.errors.SecretError`.
    """

    @property
    def newest(self) -> str: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def wrap(self, data_key: bytes, about: bytes) -> WrappedKey: ...
    async def unwrap(self, wrapped: WrappedKey, about: bytes) -> bytes: ...
