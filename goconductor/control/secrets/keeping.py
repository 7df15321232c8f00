"""Secrets: set, listed, deleted, wrapped anew, verified. A value goes in, and never comes out to whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import Given, noted
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import moment
from goconductor.control.secrets.envelope import disclose, enclose, enclose_anew, names_of, opened_keyring
from goconductor.control.settings.references import NAME, Reference
from goconductor.control.settings.sections import SecretSettings
from goconductor.errors import RequestRefusedError, SecretError, nearest
from goconductor.ports.store import SecretRow, Store
from goconductor.redaction import logger_of

logger = logger_of("goconductor.control")

VALUE_BYTES_MAX = 64 * 1024
"""Greatest size of a secret, in bytes."""
SECRETS_MAX = 1000
"""Greatest number of secrets."""


def _told(given: Given) -> str:
    """Return what a request is about. What cannot be a name may be a value in the wrong place, and the audit log is for ever."""
    return f"secret {given['name']}" if NAME.fullmatch(given["name"]) else "secret (no name)"


class SecretNotFoundError(RequestRefusedError):
    """There is no such secret; list them, and give the name of one."""


class SecretDetail(BaseModel):
    """A secret, without its value."""

    name: str = Field(description="by which settings refer to it, as ${secret:NAME}", examples=["rabbitmq"])
    version: int = Field(description="one more with each new value", examples=[3])
    key_id: str = Field(description="the wrapping key that its data key is wrapped by", examples=["2026-01"])
    created_at: datetime = Field(description="when this version was set")
    created_by: str = Field(description="who set it")


class SecretList(BaseModel):
    """Secrets without their values, by their names."""

    secrets: list[SecretDetail]


class RewrappedSecrets(BaseModel):
    """What became of wrapped data keys."""

    key_id: str = Field(description="the newest wrapping key", examples=["2026-06"])
    rewrapped: list[str] = Field(description="secrets whose data keys are wrapped by it now, and were by another one before")
    problems: list[str] = Field(description="what could not be wrapped anew, and the remedy")


class VerifiedSecrets(BaseModel):
    """What can be decrypted, and what cannot."""

    sound: list[str] = Field(description="secrets that can be decrypted here")
    older: list[str] = Field(description="those of them that are not wrapped by the newest wrapping key")
    problems: list[str] = Field(description="what cannot be decrypted, or is referred to and not there, and the remedy")


@noted(_told)
async def set_secret(actor: Actor, store: Store, settings: SecretSettings, name: str, value: str) -> SecretDetail:
    """Give a secret a new value, or make it. Of two that do so at once, both are kept, one after the other.

    Args:
        actor: the actor of the request; kept with the secret.
        store: the saga log's.
        settings: where the wrapping keys come from.
        name: of the secret: up to 60 letters, digits, ``_`` and ``-``.
        value: up to 64 KiB of text. It is encrypted before it leaves this process.

    Raises:
        RequestInvalidError: name or value cannot be so; never quotes the value.
        SecretError: there is no wrapping key.
        StoreUnavailableError: the database cannot be reached.
    """
    found = _name_faults(name)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        found.append(Fault("value", "has characters that are no text; give UTF-8"))
    else:
        if not value or "\0" in value:
            found.append(Fault("value", "is empty, or has a zero byte; give a text"))
        if size > VALUE_BYTES_MAX:
            found.append(Fault("value", f"is {size:,} bytes; give at most {VALUE_BYTES_MAX:,}"))
    if found:
        raise RequestInvalidError("the secret", found)
    async with opened_keyring(settings) as keyring:
        while True:
            rows = await store.secrets.every()
            before = next((row for row in rows if row.name == name), None)
            known = names_of(rows)  # a deleted one is remembered for its version alone, and is none of them
            if name not in known and len(known) >= SECRETS_MAX:
                raise RequestRefusedError(
                    f"there are {SECRETS_MAX:,} secrets, and no more are kept; give one of them the new value"
                )
            version = 1 if before is None else before.version + 1
            wrapped, sealed = await enclose(keyring, name, version, value)
            row = await store.secrets.put(
                name=name, version=version, key_id=wrapped.key_id, wrapped=wrapped.wrapped, sealed=sealed, by=actor.name
            )
            if row is not None:
                logger.info("the secret %r has version %d now (by %s)", name, version, actor.name or "somebody")
                return _detail(row)


async def list_secrets(actor: Actor, store: Store) -> SecretList:
    """Return secrets without their values, by their names.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    return SecretList(secrets=[_detail(row) for row in await store.secrets.every() if row.deleted_at is None])


@noted(_told)
async def delete_secret(actor: Actor, store: Store, name: str) -> SecretDetail:
    """Delete a secret. Processes that have it go on with it, and do not start again while their settings refer to it.

    Args:
        actor: the actor of the request; kept with the secret.
        store: the saga log's.
        name: of the secret.

    Raises:
        SecretNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    row = await store.secrets.delete(name, by=actor.name) if NAME.fullmatch(name) else None
    if row is None:
        raise SecretNotFoundError
    logger.info("the secret %r was deleted (by %s)", name, actor.name or "somebody")
    return _detail(row)


@noted("secrets")
async def rewrap_secrets(actor: Actor, store: Store, settings: SecretSettings) -> RewrappedSecrets:
    """Wrap the data keys of all secrets by the newest wrapping key. Values are neither decrypted nor changed, and processes that
    know both keys may start meanwhile. It may end in the middle, and be called again.

    Args:
        actor: the actor of the request.
        store: the saga log's.
        settings: where the wrapping keys come from; they have the old ones too.

    Raises:
        SecretError: the wrapping keys cannot be read.
        StoreUnavailableError: the database cannot be reached.
    """
    done, problems = list[str](), list[str]()
    async with opened_keyring(settings) as keyring:
        newest = keyring.newest
        for row in await store.secrets.every():
            if row.deleted_at is not None or row.key_id == newest:
                continue
            try:
                wrapped = await enclose_anew(keyring, row)
            except SecretError as error:
                problems.append(str(error))
                continue
            # whoever came first has set it, or wrapped it anew: by a key of its own, which is the newest it knows
            if await store.secrets.rewrap(
                row.name, row.version, before=row.key_id, key_id=wrapped.key_id, wrapped=wrapped.wrapped
            ):
                done.append(row.name)
    logger.info("%d secrets are wrapped by %r now (by %s)", len(done), newest, actor.name or "somebody")
    return RewrappedSecrets(key_id=newest, rewrapped=done, problems=problems)


async def verify_secrets(
    actor: Actor, store: Store, settings: SecretSettings, references: Sequence[Reference] = ()
) -> VerifiedSecrets:
    """Decrypt each secret, and tell which can be. No value leaves this function.

    Args:
        actor: the actor of the request.
        store: the saga log's.
        settings: where the wrapping keys come from.
        references: those of the settings: what they refer to has to be there.

    Raises:
        SecretError: the wrapping keys cannot be read.
        StoreUnavailableError: the database cannot be reached.
    """
    sound, older, problems = list[str](), list[str](), list[str]()
    rows = await store.secrets.every()
    async with opened_keyring(settings) as keyring:
        for row in rows:
            if row.deleted_at is not None:
                continue
            try:
                await disclose(keyring, row)
            except SecretError as error:
                problems.append(str(error))
                continue
            sound.append(row.name)
            if row.key_id != keyring.newest:
                older.append(row.name)
    known = names_of(rows)
    problems += [
        f"there is no secret {name!r}, to which the settings refer; {nearest(name, known)}"
        for name in dict.fromkeys(each.name for each in references)
        if name not in known
    ]
    return VerifiedSecrets(sound=sound, older=older, problems=problems)


def _name_faults(name: str) -> list[Fault]:
    if NAME.fullmatch(name):
        return []
    return [Fault("name", "is none; use up to 60 letters, digits, '_' and '-'")]


def _detail(row: SecretRow) -> SecretDetail:
    return SecretDetail(
        name=row.name, version=row.version, key_id=row.key_id, created_at=moment(row.created_at), created_by=row.created_by
    )
