"""The election itself; the package describes how it works and what it promises."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from goconductor.elections import may_be_taken, raise_by_evidence
from goconductor.elections.etcd.client import EtcdClient
from goconductor.errors import ElectionError
from goconductor.ports.store import Term, Terms


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
        user: None if etcd asks for none, or knows users by their certificates.
        password: of the user.
        ca_file: the authority that signed the members' certificates, as PEM; None trusts gRPC's own list.
        cert_file: our certificate, as PEM, if members ask for one.
        key_file: its key, as PEM.
        timeout_seconds: time limit of one request; at most a quarter of a term, so that there is time for another member.
        client: the library whose messages are used, ``aetcd`` or ``etcd3``; the latter needs ``protobuf<4``.

    Raises:
        ConfigurationError: the options contradict one another, or the library cannot be imported beside this protobuf.
        PluginNotFoundError: the library is not installed.
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
        client: str = "aetcd",
    ) -> None:
        self._terms = terms
        self._key = f"/{group}/leader".encode()
        self._client = EtcdClient(client, endpoints, (user, password), (ca_file, cert_file, key_file), timeout_seconds)
        self._lock: _Lock | None = None

    async def open(self) -> None:
        """Look at the key.

        Raises:
            ElectionError: no member answers, or this user may not read the key.
            ConfigurationError: a certificate cannot be read.
        """
        for last in range(self._client.endpoints - 1, -1, -1):
            try:
                await self._client.read(self._key)
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
            candidate: its name.
            term_seconds: how long the term lasts unless it is renewed; the lease is as long, in whole seconds.

        Raises:
            ElectionError: etcd cannot be reached, has no majority, or does not let this user write the key.
        """
        lock, self._lock = self._lock, None
        if lock is not None:
            await self._client.revoke(lock.lease)
        key = await self._client.read(self._key)
        if key is not None:
            if not await may_be_taken(self._terms, key.value):
                return None
            await self._client.delete_if(key.create_revision, self._key)
        lease = await self._client.grant(max(1, math.ceil(term_seconds)))
        term = None
        try:
            term = await self._lead(candidate, term_seconds, lease)
        finally:
            if term is None:
                with contextlib.suppress(ElectionError):  # it ends by itself
                    await self._client.revoke(lease)
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
            await self._client.revoke(lock.lease)
        return renewed

    async def resign(self, term: Term) -> None:
        try:
            await self._terms.resign(term)
        finally:
            lock = self._lock
            if lock is not None and lock.epoch == term.epoch:
                self._lock = None
                await self._client.revoke(lock.lease)

    async def _lead(self, candidate: str, term_seconds: float, lease: int) -> Term | None:
        """Lock, raise the epoch, write it into the lock."""
        created = await self._client.put_if(0, self._key, b"", lease)
        if created is None:
            return None
        lock = _Lock(lease, created)
        term = await raise_by_evidence(self._terms, candidate, term_seconds, created, lambda: self._holds(lock))
        if term is None:
            return None
        marked = None
        try:
            marked = await self._client.put_if(lock.revision, self._key, str(term.epoch).encode(), lease)
        finally:
            if marked is None:  # we were stopped in between, until the lease was over, or etcd is away
                await self._terms.resign(term)
        if marked is None:
            return None
        self._lock = _Lock(lease, lock.revision, term.epoch)
        return term

    async def _holds(self, lock: _Lock) -> bool:
        key = await self._client.read(self._key)
        return key is not None and bool(key.create_revision == lock.revision)
