"""What the audit log says of a request: a *note*, which is written in the transaction of the change that the request makes.

A note stands in the context of the request while that is made (:class:`Noting`). Whatever changes something durable for it takes
the note along: a statement of the store writes it beside its own rows, an append or a start carries it into its batch. So there
is no change without its note and no note of a change that was not made. What was noted by then is noted once, however many
statements a request needs; a task that outlives the request finds it closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as the audit log keeps it. It has neither payloads nor secrets.

    Args:
        namespace: of the request.
        actor: the name of who asks; empty where none is known.
        roles: the actor's roles, parted by spaces.
        means: how the actor was authenticated, such as ``key 1f0c2a9b77d4``; empty where nobody asked.
        door: where the request came in: rest, grpc, cli or python.
        address: the address of who asks; empty where it is not known.
        function: what was called, by its name below ``goconductor.control``.
        object: what it was about, such as ``saga 01930c…``.
        detail: what was asked of it, in a few words.
        request_id: the request's id, if its sender gave one.
        outcome: ``done``, ``begun``, ``unchanged`` or ``refused``.
        problem: the kind of the error, of a refusal.
        left_out: how many refusals before this one the process has not noted, as there were too many.
    """

    namespace: str = "default"
    actor: str = ""
    roles: str = ""
    means: str = ""
    door: str = ""
    address: str = ""
    function: str = ""
    object: str = ""
    detail: str = ""
    request_id: str = ""
    outcome: str = "done"
    problem: str = ""
    left_out: int = 0


class Noting(msgspec.Struct):
    """A request on its way.

    Args:
        note: what is to be written with the change that it makes.
        is_written: whether that was done.
        is_over: whether the request has its answer.
    """

    note: Note
    is_written: bool = False
    is_over: bool = False


_NOTING: ContextVar[Noting | None] = ContextVar("what is noted of the request", default=None)


@contextmanager
def noting(of: Noting | None) -> Iterator[None]:
    """Enter a context in which a request is made.

    Args:
        of: the request; None is nobody's.
    """
    before = _NOTING.get()
    _NOTING.set(of)
    try:
        yield
    finally:
        _NOTING.set(before)
        if of is not None:
            of.is_over = True


def present() -> Noting | None:
    """Return the request that is being made; None where it is nobody's, or has its answer."""
    found = _NOTING.get()
    return None if found is None or found.is_over else found


def unwritten() -> Note | None:
    """Return the note that is to be written with the next change; None where there is none."""
    found = _NOTING.get()
    return None if found is None or found.is_over or found.is_written else found.note


def written() -> None:
    """Say that the note is durable."""
    if (found := _NOTING.get()) is not None:
        found.is_written = True
