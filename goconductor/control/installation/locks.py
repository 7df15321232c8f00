"""Locks of sagas: who holds them, and who waits for them."""

from __future__ import annotations

import re
from uuid import UUID

from goconductor.control.actor import Actor
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import LockDetail, LockPage, moment
from goconductor.engine.node import Node
from goconductor.errors import PayloadError
from goconductor.ports.store import LockCursor, LockRow, cursor_of
from goconductor.saga.data.keys import KEY_CHARACTERS_MAX
from goconductor.saga.data.values import check_value

_AFTER = re.compile(r"([01])-(\d{1,18})-(.+)", re.DOTALL)


async def locks(
    actor: Actor,
    node: Node,
    *,
    key: str | None = None,
    saga_id: UUID | None = None,
    limit: int = 50,
    after: str | None = None,
) -> LockPage:
    """Return locks by key: first who holds it, then who waits for it, in the order of the queue.

    Args:
        actor: the actor of the request.
        node: the engine.
        key: only this lock.
        saga_id: only locks that this saga holds or waits for; others that do are shown as well.
        limit: greatest number of rows in the page.
        after: where the page before has ended.

    Raises:
        RequestInvalidError: the key is too long or no text, or there is no such page.
        StoreUnavailableError: the database cannot be reached.
    """
    found = _faults(key, after)
    if found:
        raise RequestInvalidError("the request", found)
    rows = await node.store.locks.rows(key=key, saga_id=saga_id, after=None if after is None else _cursor(after), limit=limit + 1)
    page = rows[:limit]
    return LockPage(locks=[_detail(row) for row in page], after=_spelt(cursor_of(page[-1])) if len(rows) > limit else None)


def _faults(key: str | None, after: str | None) -> list[Fault]:
    found: list[Fault] = []
    if key is not None and not 0 < len(key) <= KEY_CHARACTERS_MAX:
        found.append(Fault("key", f"should be 1 to {KEY_CHARACTERS_MAX} characters"))
    if after is not None and _AFTER.fullmatch(after) is None:
        found.append(Fault("after", "is not one that a page has had; send it as it came"))
    for name, value in (("key", key), ("after", after)):
        try:
            check_value(value)
        except PayloadError as problem:
            found.append(Fault(name, problem.problem))
    return found


def _cursor(after: str) -> LockCursor:
    given = _AFTER.fullmatch(after)
    assert given is not None  # noqa: S101  (it was looked at)
    return LockCursor(given[3], given[1] == "1", int(given[2]))


def _spelt(cursor: LockCursor) -> str:
    return f"{int(cursor.waits)}-{cursor.number}-{cursor.key}"


def _detail(row: LockRow) -> LockDetail:
    return LockDetail(
        key=row.key,
        saga_id=row.saga_id,
        mode="shared" if row.shared else "exclusive",
        held=row.held,
        number=row.number if row.held else None,
        since=moment(row.since),
        status=row.status or None,
    )
