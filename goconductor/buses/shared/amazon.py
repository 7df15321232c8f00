"""Shared by the buses on Amazon's services: address and credentials, one request, and the meaning of errors.

Credentials, region, profile and endpoint are found as boto3 finds them; options of the bus come first.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import exceptions as boto
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError

from goconductor.aio.backoff import doubled
from goconductor.aio.cancellation import is_ours
from goconductor.aio.tasks import Tasks
from goconductor.buses.shared.amazon_credentials import Boto3Session, SessionCredentials, assume
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.redaction import logger_of

logger = logger_of(__name__)

Client = Any
"""A client of the service; its methods are made at run time."""

UNAVAILABLE = (boto.BotoCoreError, boto.ClientError, ResponseParserError, OSError, TimeoutError, BusUnavailableError)
"""Exceptions of a request when the service, the network or our rights fail; once open, the bus tries again.

An answer that cannot be read comes from something between us and the service, or from a service that is about to end.
"""

_UNCONFIGURED = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.ProfileNotFound,
    boto.NoRegionError,
    boto.InvalidRegionError,
    boto.ConfigParseError,
    boto.TokenRetrievalError,
)
_REFUSED = {
    *("AccessDenied", "AccessDeniedException", "AuthFailure", "ExpiredToken", "ExpiredTokenException"),
    *("IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException"),
    *("MissingAuthenticationToken", "OptInRequired", "SignatureDoesNotMatch", "UnrecognizedClientException"),
}
BUSY = {
    *("LimitExceededException", "ProvisionedThroughputExceededException", "RequestThrottled", "RequestThrottledException"),
    *("SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "OverLimit"),
    *(
        "InternalFailure",
        "InternalError",
        "InternalFailureException",
        "ServiceUnavailable",
        "KmsThrottled",
        "KMSThrottlingException",
    ),
}
"""Error codes of a service that is there and asks for patience."""

CONNECTIONS_MAX = 100
"""Number of connections of a client's pool."""
BACKOFF_SECONDS_MIN = 0.1
"""Bound of the wait after the first failed try, in seconds."""
BACKOFF_SECONDS_MAX = 10.0
"""Greatest bound of the wait after failed tries, in seconds."""
REFUSED_AGAIN_SECONDS = 60.0
"""Seconds after a refusal during which another one makes no new client."""


@dataclass(frozen=True, slots=True, repr=False)
class ServiceAddress:
    """Where the service is, and as whom we come; None leaves it to boto3's ways.

    Attributes:
        region: such as ``eu-west-1``.
        endpoint_url: another endpoint than the region's.
        access_key: with ``secret_key``, instead of the credentials that boto3 finds.
        secret_key: see ``access_key``.
        profile: of the shared configuration.
        role_arn: a role that is assumed, by the credentials found.
        credentials: of a boto3 session, whose profile and region are used too.
    """

    region: str | None
    endpoint_url: str | None
    access_key: str | None
    secret_key: str | None
    profile: str | None
    role_arn: str | None
    credentials: SessionCredentials | None


def parse_url(
    scheme: str,
    text: str,
    *,
    region: str | None,
    endpoint_url: str | None,
    profile: str | None,
    role_arn: str | None,
    session: Boto3Session | None,
) -> ServiceAddress:
    """Return the address of a URL setting: ``scheme://region``, or the endpoint itself as ``http://`` or ``https://``.

    Raises:
        ConfigurationError: it is neither; the message does not quote it, since it may hold a secret. Or ``session`` is no boto3
            session, or comes with a profile or keys beside it.
    """
    try:
        url = urlsplit(text.strip())
        host, port = url.hostname or "", url.port
        access_key, secret_key = unquote(url.username or "") or None, unquote(url.password or "") or None
    except ValueError:
        url, host, port, access_key, secret_key = urlsplit(""), "", None, None, None
    of_region = url.scheme == scheme and port is None and re.fullmatch(r"[a-z0-9-]*", host)
    of_endpoint = url.scheme in {"http", "https"} and host
    if not (of_region or of_endpoint) or bool(access_key) != bool(secret_key):
        raise ConfigurationError(
            f"the bus's URL cannot be read; write it as {scheme}://region, or the endpoint's own as https://host:port"
        )
    if session is not None and (profile or access_key):
        raise ConfigurationError(
            "the bus has a session, and a profile or keys beside it; leave these out, or give them to the session"
        )
    if of_endpoint and endpoint_url is None:
        place = f"[{host}]" if ":" in host else host
        endpoint_url = urlunsplit((url.scheme, f"{place}:{port}" if port else place, url.path, "", ""))
    return ServiceAddress(
        region=region or (host if of_region else None) or None,
        endpoint_url=endpoint_url,
        access_key=access_key,
        secret_key=secret_key,
        profile=profile,
        role_arn=role_arn,
        credentials=None if session is None else SessionCredentials(session),
    )


async def connect(service: str, address: ServiceAddress, *, connect_timeout_seconds: float) -> Client:
    """Return a client of a service. It looks up credentials anew, and makes no request yet.

    Args:
        service: boto3's name of it.
        address: endpoint, region and credentials.
        connect_timeout_seconds: time limit of each connection.

    Raises:
        ConfigurationError: there is no such profile, region or credentials.
        BusUnavailableError: credentials are not available now.
    """
    try:
        session = AioSession(profile=address.profile)
        session.register_component("data_loader", _loader())
        if address.credentials is not None:
            address.credentials.forget()
            address.credentials.configure(session)
        if address.region is None and address.endpoint_url is not None and session.get_config_variable("region") is None:
            session.set_config_variable("region", "us-east-1")  # an endpoint of one's own seldom has regions
        if address.access_key is not None:
            session.set_credentials(address.access_key, address.secret_key)
        if address.role_arn is not None:
            await assume(session, address.role_arn, region=address.region)
        elif address.credentials is not None:
            await address.credentials.get_frozen_credentials()
        elif await session.get_credentials() is None:
            raise boto.NoCredentialsError
        config = AioConfig(
            connect_timeout=connect_timeout_seconds,
            read_timeout=3_600,  # each request has a bound of its own
            retries={"total_max_attempts": 1},
            max_pool_connections=CONNECTIONS_MAX,
            user_agent_extra="goconductor",
        )
        making = session.create_client(service, region_name=address.region, endpoint_url=address.endpoint_url, config=config)
        return await making.__aenter__()
    except _UNCONFIGURED as error:
        raise ConfigurationError(
            f"{service} has no usable credentials or region: {error}; set the bus's options region, profile or role_arn,"
            " or what boto3 reads; or give session credentials"
        ) from None
    except (*UNAVAILABLE, ValueError) as error:
        if isinstance(error, boto.ClientError) and is_refusal(error):
            raise refusal(service, error) from None
        raise BusUnavailableError(f"{service} has no credentials now: {reason_of(error)}") from None


class ServiceLink(Link[Client]):
    """A link whose clients are closed when they are given up."""

    def __init__(self, name: str, *, connect: Callable[[], Awaitable[Client]]) -> None:
        super().__init__(name, connect=connect, disconnect=close)
        self._closing = Tasks()
        self._refused_at = -math.inf
        self._is_told = False

    def failed(self, client: Client, error: BaseException) -> None:
        """Note a failed request, and make another client if that may help.

        It does not help where the service accepts us and refuses only some requests. They are then tried again until the policy
        is corrected, which the log reports once.
        """
        if not is_away(error):
            return
        if is_refusal(error) and self.is_present:
            if time.monotonic() - self._refused_at < REFUSED_AGAIN_SECONDS:
                if not self._is_told:
                    logger.error("%s takes us in, but %s", self._name, reason_of(error))
                self._is_told = True
                return
            self._refused_at, self._is_told = time.monotonic(), False
        self.lost(client, reason_of(error))

    def lost(self, connection: Client, reason: str) -> None:
        """Make another client, with credentials that are looked up anew."""
        if connection is not self._connection or self._closed:
            return
        super().lost(connection, reason)
        self._closing.start(close(connection), name=f"close a client of {self._name}")

    async def close(self) -> None:
        await super().close()
        await self._closing.join()


async def close(client: Client) -> None:
    """End a client's connections."""
    with contextlib.suppress(*UNAVAILABLE):
        await client.close()


async def call(client: Client, operation: str, within_seconds: float, **arguments: Any) -> dict[str, Any]:
    """Make one request; repeat it once where the connection ended, as idle ones do.

    Args:
        client: a client of the service.
        operation: the method's name.
        within_seconds: time limit.
        arguments: the request's arguments.

    Raises:
        BotoCoreError: the service cannot be reached.
        ClientError: it refuses.
        ConnectionAbortedError: the client was given up meanwhile. Its pool cancels all that wait for a connection.
        TimeoutError: it did not answer in time.
    """
    try:
        async with asyncio.timeout(within_seconds):
            try:
                answer: dict[str, Any] = await getattr(client, operation)(**arguments)
            except boto.ConnectionClosedError:
                answer = await getattr(client, operation)(**arguments)
            return answer
    except TimeoutError:
        raise TimeoutError("it does not answer") from None
    except asyncio.CancelledError as error:
        if is_ours(error):
            raise
        raise ConnectionAbortedError("the client was given up meanwhile") from error


def code_of(error: BaseException) -> str:
    """Return the service's code for what is wrong; empty if it sent none."""
    if not isinstance(error, boto.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", "")).removeprefix("AWS.SimpleQueueService.")


def is_refusal(error: BaseException) -> bool:
    """Return whether our rights are wrong."""
    if isinstance(error, _UNCONFIGURED):
        return True
    if not isinstance(error, boto.ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return code_of(error) in _REFUSED or (status == 403 and code_of(error) not in BUSY)


def is_away(error: BaseException) -> bool:
    """Return whether further requests with this client are useless: the service does not answer, or refuses us."""
    return not isinstance(error, (boto.ClientError, BusUnavailableError)) or is_refusal(error)


def refusal(service: str, error: BaseException) -> ConfigurationError:
    """Return the error for a service that refuses us."""
    return ConfigurationError(
        f"{service} refuses us ({code_of(error) or type(error).__name__});"
        f" check the credentials, and the policy in docs/buses/{service}.md"
    )


def reason_of(error: BaseException) -> str:
    """Return an error in a few words; of a refusal only its name, since services quote what they were sent."""
    if is_refusal(error):
        return f"it refuses us ({code_of(error) or type(error).__name__})"
    if isinstance(error, boto.ClientError):
        return f"{code_of(error)}: {error.response.get('Error', {}).get('Message', '')}"
    return str(error) or type(error).__name__


def backoff_seconds(tries: int) -> float:
    """Return the wait after some failed tries: between nothing and twice the bound of the last one."""
    return random.uniform(0.0, doubled(BACKOFF_SECONDS_MIN, tries, seconds_max=BACKOFF_SECONDS_MAX)) + 0.01  # noqa: S311  (jitter)


@functools.cache
def _loader() -> Loader:
    """Return a loader that remembers the services' descriptions, which take long to read."""
    return Loader()
