"""Where a request comes from: a door says so once for each request, and the audit log keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request comes from.

    Args:
        door: rest, grpc, cli or python.
        address: of who asks, as the network has it; of a proxy, where one stands in between.
        means: how who asks was authenticated, such as ``key 1f0c2a9b77d4``; empty where nobody asked, so that a name is a claim.
    """

    door: str = "python"
    address: str = ""
    means: str = ""


_ORIGIN: ContextVar[Origin] = ContextVar("where the request comes from", default=Origin())  # noqa: B039  (it is frozen)


@contextmanager
def coming(*, door: str | None = None, address: str | None = None, means: str | None = None) -> Iterator[None]:
    """Enter a context whose requests come from there; what is None stays as it was.

    Args:
        door: as of :class:`Origin`, as the others are.
        address: see there.
        means: see there.
    """
    before = _ORIGIN.get()
    _ORIGIN.set(
        Origin(
            door=before.door if door is None else door,
            address=before.address if address is None else address,
            means=before.means if means is None else means,
        )
    )
    try:
        yield
    finally:
        _ORIGIN.set(before)  # and not `reset`: a stream that its client has left is closed in another context


def origin() -> Origin:
    """Return where the present request comes from."""
    return _ORIGIN.get()
