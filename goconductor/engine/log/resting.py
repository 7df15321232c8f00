"""Tells who follows a saga that an append of this process has left it with nothing to do.

A run of a dataflow does nothing until its saga comes to rest. Where the steps run in the same process, each append of theirs
passes by here, so the run need not ask the database how far they are. What other processes append is not seen: whoever follows a
saga looks at it now and then as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from goconductor.engine.facts.log import View


class Follower:
    """What one who follows a saga has noticed.

    Attributes:
        rested: set when an append of this process has left the saga with nothing to do, until :meth:`take`.
    """

    def __init__(self) -> None:
        self.rested = asyncio.Event()
        self._view: View | None = None

    def notice(self, view: View) -> None:
        """Note that the saga rests, as an append of this process has left it."""
        self._view = view
        self.rested.set()

    def take(self) -> View | None:
        """Return the saga as it came to rest since the last time; None where it did not."""
        view, self._view = self._view, None
        self.rested.clear()
        return view


class Resting:
    """Who follows which sagas."""

    def __init__(self) -> None:
        self.followers: dict[int, list[Follower]] = {}
        """By the saga's id as a number. Where it is empty nobody is told, and nothing is called."""

    @contextmanager
    def following(self, saga_id: UUID) -> Iterator[Follower]:
        """Enter a context in which a saga is followed."""
        follower = Follower()
        followers = self.followers.setdefault(saga_id.int, [])
        followers.append(follower)
        try:
            yield follower
        finally:
            followers.remove(follower)
            if not followers:
                del self.followers[saga_id.int]

    def tell(self, view: View) -> None:
        """Tell all who follow a saga that it rests."""
        for each in self.followers.get(view.state.saga_id.int, ()):
            each.notice(view)
