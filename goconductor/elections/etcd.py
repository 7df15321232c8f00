"""The election by etcd (3.4 to 3.6): who creates the key, under a lease, may raise the epoch.

The key is created in a transaction that demands that it is not there; its *create revision*, which etcd never gives twice, is
the evidence. The lease lasts a term and is kept alive by each renewal; when its holder dies etcd deletes the key with it. What
else holds for every election by another system, two holders at once and revisions that go back, stands in
:mod:`goconductor.elections`.

Without a majority of etcd's members nobody wins and nobody renews, and the leader steps down when its trust runs out. A leader
that was cut off for a shorter time goes on. The smallest lease of etcd is some two seconds; it delays only the one case in
which a candidate dies between lock and epoch.

The client is aetcd's protocol over channels of our own: its own client knows neither TLS, nor a second endpoint, nor a token
that has run out.

Not promised: that only one candidate believes to lead. That needs the fencing token; see :mod:`goconductor.recovery.leadership`.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from aetcd import rpc

from goconductor.elections import may_be_taken, raise_by_evidence
from goconductor.errors import ConfigurationError, ElectionError
from goconductor.ports.store import Term, Terms

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
"""What a healthy member says; after anything else the next endpoint is tried."""


@dataclass(frozen=True)
class _Lock:
    lease: int
    revision: int
    epoch: int = 0


class EtcdElection:
    """An :class:`goconductor.ports.election.Election` by a key of etcd that is under a lease.

    Args:
        terms: the store, which numbers the terms and knows their ends.
        endpoints: one or more members, such as ``https://etcd-1:2379``; a list, or a text with commas.
        group: candidates of one group elect one leader; the key is ``/<group>/leader``.
        user: None if etcd asks for none, or tells users by their certificates.
        password: of the user.
        ca_file: who signed the members' certificates, as PEM; None trusts gRPC's own list.
        cert_file: our certificate, as PEM, if members ask for one.
        key_file: its key, as PEM.
        timeout_seconds: how long one request may take; at most a quarter of a term, so that there is time for another member.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        endpoints: str | Sequence[str] = "http://127.0.0.1:2379",
        group: str = "goconductor",
        user: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        timeout_seconds: float = 1.0,
    ) -> None:
        self._terms = terms
        self._key = f"/{group}/leader".encode()
        self._client = _Client(endpoints, (user, password), (ca_file, cert_file, key_file), timeout_seconds)
        self._lock: _Lock | None = None

    async def open(self) -> None:
        """Look at the key.

        Raises:
            ElectionError: no member answers, or this user may not read the key.
            ConfigurationError: a certificate cannot be read.
        """
        for last in range(self._client.endpoints - 1, -1, -1):
            try:
                await self._read()
            except ElectionError:
                if not last:
                    raise
            else:
                return

    async def close(self) -> None:
        self._lock = None
        await self._client.close()

    async def campaign(self, candidate: str, term_seconds: float) -> Term | None:
        """Try to lead.

        Args:
            candidate: who it is.
            term_seconds: how long the term lasts unless it is renewed; the lease is as long, in whole seconds.

        Raises:
            ElectionError: etcd cannot be reached, has no majority, or does not let this user write the key.
        """
        lock, self._lock = self._lock, None
        if lock is not None:
            await self._let_go(lock.lease)
        key = await self._read()
        if key is not None:
            if not await may_be_taken(self._terms, key.value):
                return None
            await self._transact(key.create_revision, [_deletion(self._key)])
        granted = await self._client.call("LeaseGrant", rpc.LeaseGrantRequest(TTL=max(1, math.ceil(term_seconds))))
        term = None
        try:
            term = await self._lead(candidate, term_seconds, granted.ID)
        finally:
            if term is None:
                with contextlib.suppress(ElectionError):  # it ends by itself
                    await self._let_go(granted.ID)
        return term

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        lock = self._lock
        if lock is None or lock.epoch != term.epoch:
            return None
        if not await self._client.keep_alive(lock.lease) or not await self._holds(lock):
            self._lock = None
            return None
        renewed = await self._terms.renew(term, term_seconds)
        if renewed is None:
            self._lock = None
            await self._let_go(lock.lease)
        return renewed

    async def resign(self, term: Term) -> None:
        try:
            await self._terms.resign(term)
        finally:
            lock = self._lock
            if lock is not None and lock.epoch == term.epoch:
                self._lock = None
                await self._let_go(lock.lease)

    async def _lead(self, candidate: str, term_seconds: float, lease: int) -> Term | None:
        """Lock, raise the epoch, write it into the lock."""
        created = await self._transact(0, [_put(self._key, b"", lease)])
        if created is None:
            return None
        lock = _Lock(lease, created)
        term = await raise_by_evidence(self._terms, candidate, term_seconds, created, lambda: self._holds(lock))
        if term is None:
            return None
        marked = None
        try:
            marked = await self._transact(lock.revision, [_put(self._key, str(term.epoch).encode(), lease)])
        finally:
            if marked is None:  # we were stopped in between, until the lease was over, or etcd is away
                await self._terms.resign(term)
        if marked is None:
            return None
        self._lock = _Lock(lease, lock.revision, term.epoch)
        return term

    async def _read(self) -> Any:
        answer = await self._client.call("Range", rpc.RangeRequest(key=self._key))
        return answer.kvs[0] if answer.kvs else None

    async def _holds(self, lock: _Lock) -> bool:
        key = await self._read()
        return key is not None and bool(key.create_revision == lock.revision)

    async def _transact(self, revision: int, requests: list[Any]) -> int | None:
        """Do it if the key's create revision is this one (0: there is no key). The transaction's own revision, else None."""
        unchanged = rpc.Compare(key=self._key, target=rpc.Compare.CREATE, result=rpc.Compare.EQUAL, create_revision=revision)
        try:
            answer = await self._client.call("Txn", rpc.TxnRequest(compare=[unchanged], success=requests))
        except _NoLeaseError:
            return None
        return int(answer.header.revision) if answer.succeeded else None

    async def _let_go(self, lease: int) -> None:
        """End a lease, and the key with it if it is under this lease."""
        with contextlib.suppress(_NoLeaseError):
            await self._client.call("LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease))


def _put(key: bytes, value: bytes, lease: int) -> Any:
    return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease))


def _deletion(key: bytes) -> Any:
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))


class _NoLeaseError(ElectionError):
    """The lease is over."""


class _Client:
    """One channel to one member, and after a failure one to the next."""

    def __init__(
        self,
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

    async def call(self, method: str, request: Any) -> Any:
        """One request.

        Raises:
            ElectionError: there is no good answer.
        """
        return await self._answered(lambda: self._stubs[method](request, **self._options()))

    async def keep_alive(self, lease: int) -> bool:
        """Prolong a lease by what it was granted; False if it is over."""

        async def first_answer() -> int:
            requests = iter([rpc.LeaseKeepAliveRequest(ID=lease)])
            answers = [answer async for answer in self._stubs["LeaseKeepAlive"](requests, **self._options())]
            return int(answers[0].TTL) if answers else 0

        return bool(await self._answered(first_answer) > 0)

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
                raise _NoLeaseError from error
            asked = self._members[self._present]
            if error.code() not in _ANSWERS:
                self._present = (self._present + 1) % len(self._members)
                await self.close()
            raise ElectionError(self._explained(error, asked)) from error

    def _is_about_token(self, error: grpc.aio.AioRpcError) -> bool:
        """It has run out, or the users were changed since."""
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
            kv, leases = rpc.KVStub(channel), rpc.LeaseStub(channel)
            self._stubs = {name: getattr(kv, name) for name in ("Range", "Txn")}
            self._stubs |= {name: getattr(leases, name) for name in ("LeaseGrant", "LeaseRevoke", "LeaseKeepAlive")}
            self._channel = channel
        if self._token is None and self._user is not None:
            asked = rpc.AuthenticateRequest(name=self._user, password=self._password)
            self._token = (await rpc.AuthStub(channel).Authenticate(asked, timeout=self._timeout_seconds)).token


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
