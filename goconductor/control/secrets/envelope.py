"""A secret's envelope. Each version of a secret is encrypted by a data key of its own, and that key is wrapped by a keyring.

Name and version are the associated data of both. So a row that is moved to another name does not decrypt, and neither does an
earlier version's value that is put under a later version. What cannot be seen is that somebody who may write into the database
puts back *all* of a row as it was: with an old value, its own version comes back.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from goconductor import plugins
from goconductor.control.settings.sections import SecretSettings
from goconductor.errors import ArgumentError, SecretError
from goconductor.ports.keyring import Keyring, WrappedKey
from goconductor.ports.store import SecretRow
from goconductor.sealing import UnsealableError, new_key, seal, unseal

_SUBJECT = "goconductor secret"
"""Begins all associated data: another use of the same wrapping key has other data."""


@asynccontextmanager
async def opened_keyring(settings: SecretSettings) -> AsyncIterator[Keyring]:
    """Open the keyring of the settings, for as long as it is used.

    Args:
        settings: where wrapping keys come from.

    Raises:
        SecretError: nothing says where, or they cannot be read; names the remedy.
    """
    if settings.kind is None:
        raise SecretError(
            "secrets.kind is not set, so there is no wrapping key; set it to file with secrets.options.path, or to environment"
        )
    leaf = plugins.load("keyring", settings.kind)
    takes = inspect.signature(leaf)
    try:
        takes.bind(**settings.options)
    except TypeError as error:
        raise SecretError(
            f"secrets.options do not fit the keyring {settings.kind!r} ({error}); it has: {', '.join(takes.parameters)}"
        ) from None
    try:
        keyring: Keyring = leaf(**settings.options)
    except ArgumentError as error:
        raise SecretError(f"secrets.options do not fit the keyring {settings.kind!r}: {error}") from None
    try:
        await keyring.open()
        yield keyring
    finally:
        await keyring.close()


async def enclose(keyring: Keyring, name: str, version: int, value: str) -> tuple[WrappedKey, bytes]:
    """Encrypt a version of a secret.

    Args:
        keyring: wraps its data key, open.
        name: the secret's.
        version: which one it is to be.
        value: the secret.

    Returns:
        the wrapped data key, and the value under it.

    Raises:
        SecretError: the keyring could not.
    """
    data_key, about = new_key(), _about(name, version)
    return await keyring.wrap(data_key, about), seal(data_key, value.encode(), about)


async def disclose(keyring: Keyring, row: SecretRow) -> str:
    """Return a secret's value.

    Args:
        keyring: unwraps its data key, open.
        row: as the store has it.

    Raises:
        SecretError: its wrapping key is not there, or the row is not what was written; names the secret and the remedy.
    """
    about = _about(row.name, row.version)
    data_key = await _data_key(keyring, row)
    try:
        return unseal(data_key, row.sealed, about).decode()
    except (UnsealableError, ValueError):
        raise SecretError(
            f"the secret {row.name!r} cannot be decrypted: its row was changed, or is that of another secret or version; "
            f"set it again: goconductor secrets set {row.name}"
        ) from None


async def enclose_anew(keyring: Keyring, row: SecretRow) -> WrappedKey:
    """Wrap a secret's data key by the newest wrapping key.

    Args:
        keyring: knows both, open.
        row: as the store has it.

    Raises:
        SecretError: as :func:`disclose`.
    """
    return await keyring.wrap(await _data_key(keyring, row), _about(row.name, row.version))


def names_of(rows: Sequence[SecretRow]) -> list[str]:
    """Return the names of secrets that were not deleted."""
    return [row.name for row in rows if row.deleted_at is None]


async def _data_key(keyring: Keyring, row: SecretRow) -> bytes:
    try:
        return await keyring.unwrap(WrappedKey(row.key_id, row.wrapped), _about(row.name, row.version))
    except SecretError as error:
        raise SecretError(f"the secret {row.name!r} cannot be decrypted: {error}") from None


def _about(name: str, version: int) -> bytes:
    return f"{_SUBJECT}\0{name}\0{version}".encode()
