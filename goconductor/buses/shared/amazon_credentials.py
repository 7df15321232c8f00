"""The credentials of the buses on Amazon's services: keys, a profile or a role, or a boto3 session that the user hands over.

aiobotocore finds credentials and refreshes them without blocking. A ``boto3.Session`` refreshes its own, and blocks meanwhile: so
it is asked in a thread. Nobody here imports boto3.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import time
from contextvars import Context
from typing import Any, Protocol

from aiobotocore.credentials import AioAssumeRoleCredentialFetcher, AioCredentials, AioDeferredRefreshableCredentials
from aiobotocore.session import AioSession
from botocore import exceptions as boto

from goconductor.aio.tasks import create_guarded_task
from goconductor.errors import ConfigurationError

KEPT_SECONDS = 1.0
"""Seconds until the session is asked again; boto3 refreshes credentials ten minutes before they end, or earlier."""
PATIENCE_SECONDS = 1.0
"""Seconds that a request waits for a refresh while its credentials are still good."""
GOOD_SECONDS = 300.0
"""Seconds for which credentials count as still good; boto3's answer is good for ten minutes."""


class Boto3Session(Protocol):
    """What is used of a ``boto3.Session``."""

    @property
    def region_name(self) -> str | None: ...
    @property
    def profile_name(self) -> str: ...
    def get_credentials(self) -> Any: ...


class SessionCredentials(AioCredentials):  # type: ignore[misc]
    """The credentials of a boto3 session, as aiobotocore asks for them.

    Args:
        session: whose credentials; it refreshes them itself.

    Raises:
        ConfigurationError: it is no ``boto3.Session``.
    """

    def __init__(self, session: Boto3Session) -> None:
        get = getattr(session, "get_credentials", None)
        if get is None or inspect.iscoroutinefunction(get) or "region_name" not in dir(session):
            raise ConfigurationError(
                f"the bus's session must be a boto3.Session, not {type(session).__name__}; make it in Python, and from a session"
                " of botocore by boto3.Session(botocore_session=…)"
            )
        super().__init__("", "", method="boto3-session")  # those that it has are asked for
        self._session = session
        self._frozen: Any = None
        self._asked_at = -math.inf
        self._asking: asyncio.Task[Exception | None] | None = None
        self._asking_since = 0.0

    def configure(self, session: AioSession) -> None:
        """Give a session of aiobotocore these credentials, the profile and the region.

        Args:
            session: a new one.
        """
        if (profile := getattr(self._session, "profile_name", None)) in session.available_profiles:
            session.set_config_variable("profile", profile)
        if self._session.region_name is not None:
            session.set_config_variable("region", self._session.region_name)
        session._credentials = self  # noqa: SLF001  (there is no public way for credentials that change)

    def forget(self) -> None:
        """Wait for the session's answer at the next request: what it gave last was refused."""
        self._asked_at = -math.inf

    async def get_frozen_credentials(self) -> Any:
        """Get key, secret and token for one request.

        Raises:
            BotoCoreError: there are none, or the session cannot refresh them.
            ClientError: a service of Amazon refuses to refresh them.
        """
        age = time.monotonic() - self._asked_at
        if age < KEPT_SECONDS:
            return self._frozen
        if self._asking is None or self._asking.done():
            self._asking = create_guarded_task(self._ask(), name="credentials of a boto3 session", context=Context())
            self._asking_since = time.monotonic()
        patience = max(0.0, self._asking_since + PATIENCE_SECONDS - time.monotonic())
        asking = self._asking
        await asyncio.wait({asking}, timeout=patience if age < GOOD_SECONDS else None)
        if asking.done() and (error := asking.result()) is not None:
            raise error
        return self._frozen

    async def get_account_id(self) -> str | None:
        """Get the account's number, where the session knows it."""
        number: str | None = getattr(await self.get_frozen_credentials(), "account_id", None)
        return number

    async def _ask(self) -> Exception | None:
        try:
            self._frozen = await asyncio.to_thread(self._freeze)
        except Exception as error:  # noqa: BLE001  (the session may refresh by foreign code)
            failed: Exception = boto.CredentialRetrievalError(provider="the bus's session", error_msg=type(error).__name__)
            return error if isinstance(error, boto.BotoCoreError | boto.ClientError) else failed
        self._asked_at = time.monotonic()
        return None

    def _freeze(self) -> Any:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise boto.NoCredentialsError
        return credentials.get_frozen_credentials()


async def assume(session: AioSession, role_arn: str, *, region: str | None) -> None:
    """Assume a role by the credentials that a session has, and give it the role's instead.

    Args:
        session: whose credentials are the source.
        role_arn: the role.
        region: whose service is asked for the role; None for the session's.

    Raises:
        BotoCoreError: there are no credentials, or the service does not answer.
        ClientError: the service refuses the role.
    """
    source = await session.get_credentials()
    if source is None:
        raise boto.NoCredentialsError
    fetcher = AioAssumeRoleCredentialFetcher(
        client_creator=functools.partial(session.create_client, region_name=region),
        source_credentials=source,
        role_arn=role_arn,
        extra_args={"RoleSessionName": "goconductor"},
    )
    assumed = AioDeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")
    await assumed.get_frozen_credentials()
    session._credentials = assumed  # noqa: SLF001  (there is no public way beside a configuration file)
