"""Requests to etcd: one channel to one member, and after a failure one to the next.

The messages are a client library's, over channels of our own. The libraries' own clients know neither a second endpoint nor a
token that has run out. aetcd's knows no TLS, and etcd3's blocks. Both libraries generated their messages from etcd's
``rpc.proto``, so they are alike. aetcd is the default; etcd3, which cannot be imported beside protobuf 4 or newer, is for those
who have pinned it.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from goconductor.errors import ConfigurationError, ElectionError, PluginNotFoundError, nearest

LIBRARIES = {"aetcd": "aetcd.rpc", "etcd3": "etcd3.etcdrpc"}
"""The module of each library that has etcd's messages."""

_ENDPOINT = re.compile(r"(?:(https?)://)?((?:\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):\d{1,5})/?")
_CHANNEL = (
    ("grpc.use_local_subchannel_pool", 1),  # or a new channel would inherit the old one's back-off
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_ANSWERS = {
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
}
"""Answers of a healthy member; after any other the next endpoint is tried."""


class NoLeaseError(ElectionError):
    """The lease is over."""


def messages(library: str) -> Any:
    """Import a library's messages and stubs.

    Raises:
        ConfigurationError: there is no such library, or it cannot be imported beside the protobuf that is installed.
        PluginNotFoundError: it is not installed.
    """
    if library not in LIBRARIES:
        raise ConfigurationError(f"the election by etcd knows no client {library!r}; {nearest(library, LIBRARIES)}")
    try:
        return importlib.import_module(LIBRARIES[library])
    except ImportError as error:
        remedy = "pip install 'goconductor[etcd]'" if library == "aetcd" else "pip install etcd3 'protobuf<4'"
        raise PluginNotFoundError(
            f"the election by etcd needs a library that is not installed ({error.name}): {remedy}"
        ) from error
    except TypeError as error:  # protobuf's word for code that was generated long ago
        raise ConfigurationError(
            f"{library} cannot be imported beside the protobuf that is installed: pip install 'protobuf<4', or leave the "
            "election's option client at aetcd"
        ) from error


class EtcdClient:
    """The requests that an election needs.

    Args:
        library: whose messages are used, one of :data:`LIBRARIES`.
        endpoints: members; a list, or a text with commas.
        credentials: user and password.
        files: of the authority, our certificate and its key.
        timeout_seconds: for one request.

    Raises:
        ConfigurationError: the arguments contradict one another, or the library cannot be imported.
        PluginNotFoundError: the library is not installed.
    """

    def __init__(
        self,
        library: str,
        endpoints: str | Sequence[str],
        credentials: tuple[str | None, str | None],
        files: tuple[str | None, str | None, str | None],
        timeout_seconds: float,
    ) -> None:
        self._members, self._encrypted = _members(endpoints, encrypt=any(files))
        if (credentials[0] is None) != (credentials[1] is None):
            raise ConfigurationError("the election by etcd has a user or a password only: give both options, or neither")
        if (files[1] is None) != (files[2] is None):
            raise ConfigurationError("the election by etcd has cert_file or key_file only: give both options, or neither")
        self._rpc = messages(library)
        self._user, self._password = credentials
        self._files = files
        self._timeout_seconds = timeout_seconds
        self._present = 0
        self._channel: grpc.aio.Channel | None = None
        self._stubs: dict[str, Any] = {}
        self._token: str | None = None

    @property
    def endpoints(self) -> int:
        """How many there are."""
        return len(self._members)

    async def close(self) -> None:
        """Free the connection; the next call makes one."""
        channel, self._channel, self._token = self._channel, None, None
        if channel is not None:
            await channel.close()

    async def read(self, key: bytes) -> Any:
        """Return the key's value and revisions; None where there is no such key.

        Raises:
            ElectionError: there is no good answer; so for each request.
        """
        answer = await self._call("Range", self._rpc.RangeRequest(key=key))
        return answer.kvs[0] if answer.kvs else None

    async def put_if(self, revision: int, key: bytes, value: bytes, lease: int) -> int | None:
        """Write a key under a lease if its create revision is this one (0: there is no key).

        Returns:
            The transaction's revision; None where the key has another revision, or the lease is over.
        """
        put = self._rpc.RequestOp(request_put=self._rpc.PutRequest(key=key, value=value, lease=lease))
        return await self._transact(revision, key, put)

    async def delete_if(self, revision: int, key: bytes) -> int | None:
        """Delete a key if its create revision is this one; returns as :meth:`put_if` does."""
        deletion = self._rpc.RequestOp(request_delete_range=self._rpc.DeleteRangeRequest(key=key))
        return await self._transact(revision, key, deletion)

    async def grant(self, seconds: int) -> int:
        """Make a lease; returns its id."""
        return int((await self._call("LeaseGrant", self._rpc.LeaseGrantRequest(TTL=seconds))).ID)

    async def revoke(self, lease: int) -> None:
        """End a lease, and the keys with it that are under it."""
        with contextlib.suppress(NoLeaseError):
            await self._call("LeaseRevoke", self._rpc.LeaseRevokeRequest(ID=lease))

    async def keep_alive(self, lease: int) -> bool:
        """Prolong a lease by what it was granted; False if it is over."""

        async def first_answer() -> int:
            requests = iter([self._rpc.LeaseKeepAliveRequest(ID=lease)])
            answers = [answer async for answer in self._stubs["LeaseKeepAlive"](requests, **self._options())]
            return int(answers[0].TTL) if answers else 0

        return bool(await self._answered(first_answer) > 0)

    async def _transact(self, revision: int, key: bytes, operation: Any) -> int | None:
        compare = self._rpc.Compare
        unchanged = compare(key=key, target=compare.CREATE, result=compare.EQUAL, create_revision=revision)
        try:
            answer = await self._call("Txn", self._rpc.TxnRequest(compare=[unchanged], success=[operation]))
        except NoLeaseError:
            return None
        return int(answer.header.revision) if answer.succeeded else None

    async def _call(self, method: str, request: Any) -> Any:
        return await self._answered(lambda: self._stubs[method](request, **self._options()))

    async def _answered(self, ask: Any) -> Any:
        try:
            await self._connect()
            try:
                return await ask()
            except grpc.aio.AioRpcError as error:
                if not self._is_about_token(error):
                    raise
            self._token = None
            await self._connect()
            return await ask()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NoLeaseError from error
            asked = self._members[self._present]
            if error.code() not in _ANSWERS:
                self._present = (self._present + 1) % len(self._members)
                await self.close()
            raise ElectionError(self._explained(error, asked)) from error

    def _is_about_token(self, error: grpc.aio.AioRpcError) -> bool:
        """Return whether the token has expired, or the users were changed since."""
        details = error.details() or ""
        return self._token is not None and ("invalid auth token" in details or "revision of auth store is old" in details)

    def _explained(self, error: grpc.aio.AioRpcError, asked: str) -> str:
        details = f"{error.code().name.lower()}: {error.details()}"
        match error.code():
            case grpc.StatusCode.PERMISSION_DENIED:
                return f"etcd at {asked} does not let this user elect ({details}): grant its role readwrite on the election's key"
            case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.FAILED_PRECONDITION:
                return f"etcd at {asked} refuses this user ({details}): check the options user and password of the election"
            case grpc.StatusCode.RESOURCE_EXHAUSTED if "space exceeded" in details:
                return (
                    f"etcd at {asked} has used up its space and takes no writes ({details}): run etcdctl compact with its "
                    "revision, etcdctl defrag for each member, then etcdctl alarm disarm; to keep it from coming back, set "
                    "--auto-compaction-retention, or a larger --quota-backend-bytes"
                )
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                return f"etcd at {asked} is overloaded ({details}): give it faster disks, or fewer clients"
            case _:
                return (
                    f"etcd at {asked} does not answer ({details}): check that it is up, has a majority, and endpoints and ca_file"
                )

    def _options(self) -> dict[str, Any]:
        metadata = [("token", self._token)] if self._token is not None else None
        return {"timeout": self._timeout_seconds, "metadata": metadata}

    async def _connect(self) -> None:
        channel = self._channel
        if channel is None:
            member = self._members[self._present]
            if self._encrypted:
                ca, cert, key = (_content(path) for path in self._files)
                trust = grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=cert)
                channel = grpc.aio.secure_channel(member, trust, options=_CHANNEL)
            else:
                channel = grpc.aio.insecure_channel(member, options=_CHANNEL)
            kv, leases = self._rpc.KVStub(channel), self._rpc.LeaseStub(channel)
            self._stubs = {name: getattr(kv, name) for name in ("Range", "Txn")}
            self._stubs |= {name: getattr(leases, name) for name in ("LeaseGrant", "LeaseRevoke", "LeaseKeepAlive")}
            self._channel = channel
        if self._token is None and self._user is not None:
            asked = self._rpc.AuthenticateRequest(name=self._user, password=self._password)
            self._token = (await self._rpc.AuthStub(channel).Authenticate(asked, timeout=self._timeout_seconds)).token


def _members(endpoints: str | Sequence[str], *, encrypt: bool) -> tuple[list[str], bool]:
    given = [each.strip() for each in (endpoints.split(",") if isinstance(endpoints, str) else endpoints)]
    found = [_ENDPOINT.fullmatch(each) for each in given]
    if not found or not all(found):
        raise ConfigurationError(
            "an endpoint of the election by etcd should look like https://host:2379; user and password are options of their own"
        )
    schemes = {match[1] or ("https" if encrypt else "http") for match in found if match}
    if len(schemes) > 1:
        raise ConfigurationError("the endpoints of the election by etcd are partly https: write all alike")
    if encrypt and schemes == {"http"}:
        raise ConfigurationError("the election by etcd has certificates, but its endpoints say http: write https")
    return [match[2] for match in found if match], schemes == {"https"}


def _content(path: str | None) -> bytes | None:
    try:
        return Path(path).read_bytes() if path is not None else None
    except OSError as error:
        raise ConfigurationError(f"the election by etcd cannot read {path} ({error.strerror}): correct its options") from error
