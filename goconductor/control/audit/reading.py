"""What people ask of the audit log: what it says, and whether it still says what it said."""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import BaseModel, Field

from goconductor.control.actor import Actor
from goconductor.control.faults import Fault, RequestInvalidError, text_faults
from goconductor.control.models import moment
from goconductor.engine.node import Node
from goconductor.ports.store import Audit, AuditRow, AuditWanted
from goconductor.ports.store.leading.audit import BEGINNING, link

PAGE_MAX = 500
"""Greatest number of rows in a page."""
PORTION = 1_000
"""Rows that are read at one time where all are."""
CHARACTERS_MAX = 255
"""Greatest length of a text that entries are filtered by, in characters."""
ID_MAX = 2**63 - 1
OUTCOMES = ("done", "begun", "unchanged", "refused")
_HASH = re.compile("[0-9a-f]{64}")


class AuditEntry(BaseModel):
    """A request, as the audit log has it."""

    id: int = Field(description="its number; the next page goes on before it", examples=[412])
    at: datetime
    namespace: str
    actor: str = Field(description="who asked; empty where no name was given", examples=["ann"])
    roles: list[str] = Field(examples=[["operator"]])
    means: str = Field(
        description="how the actor was authenticated; empty where nobody asked, so that the name is a claim",
        examples=["key 1f0c2a9b77d4"],
    )
    door: str = Field(description="rest, grpc, cli or python", examples=["rest"])
    address: str = Field(description="the address of who asked, or of the proxy before us", examples=["10.0.0.7"])
    function: str = Field(description="what was called", examples=["sagas.requests.ask"])
    object: str = Field(description="what it was about", examples=["saga 01930c7e-0000-7000-8000-000000000000"])
    detail: str = Field(description="what was asked of it", examples=["SkipRequested refund"])
    request_id: str
    outcome: str = Field(description="done, begun, unchanged or refused", examples=["done"])
    problem: str = Field(description="the kind of the error, of a refusal", examples=["refused-now"])
    left_out: int = Field(description="refusals before this one that were too many to note")
    seq: int | None = Field(description="its place in the chain; null until the leader has given it one")
    hash: str | None = Field(description="its link, in hexadecimal digits; null until then")


class AuditPage(BaseModel):
    """Requests, the newest first."""

    entries: list[AuditEntry]
    before: int | None = Field(description="where the next page goes on; null at the end")


class AuditProof(BaseModel):
    """What became of the audit log's chain."""

    sound: bool = Field(description="whether every link fits, and the hash that was given is one of them")
    rows: int = Field(description="rows in the chain")
    first_seq: int | None = Field(
        description="the first place; above 1 where older rows were let go. Then this row's own facts stand unproven, as its "
        "link was made of one that is gone"
    )
    head_seq: int | None = Field(description="the last place")
    head: str | None = Field(description="the last link: keep it elsewhere, and compare against it later")
    broken_at: int | None = Field(description="the first place that does not fit; null where all do")
    problem: str | None = Field(description="what is wrong there")
    unplaced: int = Field(description="rows that the leader has not chained yet, at most 1,000")


async def entries(
    actor: Actor,
    node: Node,
    *,
    by: str | None = None,
    function: str | None = None,
    about: str | None = None,
    outcome: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> AuditPage:
    """Return what was asked, the newest first.

    Args:
        actor: the actor of the request.
        node: the engine.
        by: only requests of the actor of this name.
        function: only calls of this function, such as ``sagas.requests.ask``.
        about: only requests about this, such as ``saga 01930c…`` or ``key 1f0c2a9b77d4``.
        outcome: only those that ended so: done, begun, unchanged or refused.
        since: only those from this moment on, with a time zone.
        until: only those before this moment, with a time zone.
        before: only those older than the row of this id, from the page before.
        limit: greatest number in the page, 1 to 500.

    Raises:
        RequestInvalidError: a filter cannot be one; names every place.
        StoreUnavailableError: the database cannot be reached.
    """
    found: list[Fault] = []
    for name, text in (("by", by), ("function", function), ("about", about)):
        found += text_faults(name, text or "", CHARACTERS_MAX)
    if outcome is not None and outcome not in OUTCOMES:
        found.append(Fault("outcome", f"is {outcome[:60]!a}; give one of {', '.join(OUTCOMES)}"))
    for name, time in (("since", since), ("until", until)):
        if time is not None and time.tzinfo is None:
            found.append(Fault(name, "has no time zone; write one behind it, such as Z"))
    if before is not None and not 0 < before <= ID_MAX:
        found.append(Fault("before", "is no id of a row; take it from the page before"))
    if not 1 <= limit <= PAGE_MAX:
        found.append(Fault("limit", f"is {limit}; give 1 to {PAGE_MAX}"))
    if found:
        raise RequestInvalidError("the request", found)
    wanted = AuditWanted(
        actor=by,
        function=function,
        object=about,
        outcome=outcome,
        since=None if since is None else since.timestamp(),
        until=None if until is None else until.timestamp(),
    )
    rows = await node.store.audit.newest(wanted, limit=limit + 1, before=before)
    page = rows[:limit]
    return AuditPage(entries=[_entry(row) for row in page], before=page[-1].id if len(rows) > limit else None)


async def verify(actor: Actor, node: Node, *, against: str | None = None) -> AuditProof:
    """Compute the chain anew, and say where it does not fit first.

    Args:
        actor: the actor of the request.
        node: the engine.
        against: a link that somebody has kept elsewhere: the chain must have it. Without one, somebody who may write the table
            can have made the whole chain anew.

    Raises:
        RequestInvalidError: the hash cannot be one.
        StoreUnavailableError: the database cannot be reached.
    """
    kept = None if against is None else against.strip().lower()
    if kept is not None and not _HASH.fullmatch(kept):
        problem = f"is {(against or '')[:70]!a}; give the 64 hexadecimal digits of a link, as verify has printed them"
        raise RequestInvalidError("the request", [Fault("against", problem)])
    audit = node.store.audit
    first: AuditRow | None = None
    last: AuditRow | None = None
    is_met, rows = kept is None, 0
    broken_at: int | None = None
    misfit: str | None = None
    while portion := await audit.placed(after=0 if last is None else last.seq or 0, limit=PORTION):
        for row in portion:
            if misfit is None and await _was_let_go(audit, last, row):
                first, last, rows = None, None, 0  # the chain begins here now
            if misfit is None and (misfit := _misfit(last, row)) is not None:
                broken_at = row.seq
            first, last, rows = first or row, row, rows + 1
            is_met = is_met or (row.hash or b"").hex() == kept
    if not is_met and misfit is None:
        misfit = "no link is the one that was given: the chain was made anew, it is of another installation, or the row is let go"
    return AuditProof(
        sound=misfit is None,
        rows=rows,
        first_seq=None if first is None else first.seq,
        head_seq=None if last is None else last.seq,
        head=None if last is None else (last.hash or b"").hex(),
        broken_at=broken_at,
        problem=misfit,
        unplaced=len(await audit.unplaced(limit=PORTION)),
    )


async def _was_let_go(audit: Audit, last: AuditRow | None, row: AuditRow) -> bool:
    """Return whether retention has meanwhile taken the beginning of the chain, and all that was read of it with it."""
    if last is None or row.seq == (last.seq or 0) + 1:
        return False
    beginning = await audit.placed(after=0, limit=1)
    return all((each.seq or 0) > (last.seq or 0) for each in beginning)


def _misfit(last: AuditRow | None, row: AuditRow) -> str | None:
    """Return why a row does not fit behind the last; None where it does. Before the first there is nothing, or what is let go."""
    seq = row.seq or 0
    if last is None:
        if seq != 1 or row.hash == link(BEGINNING, seq, row):
            return None
    elif seq != (last.seq or 0) + 1:
        return f"after row {last.seq} comes row {seq}: what was between them is gone"
    elif row.hash == link(last.hash or b"", seq, row):
        return None
    return f"the link of row {seq} is not made of what it says: it, or its link, was changed"


def _entry(row: AuditRow) -> AuditEntry:
    note = row.note
    return AuditEntry(
        id=row.id,
        at=moment(row.at),
        namespace=note.namespace,
        actor=note.actor,
        roles=note.roles.split(),
        means=note.means,
        door=note.door,
        address=note.address,
        function=note.function,
        object=note.object,
        detail=note.detail,
        request_id=note.request_id,
        outcome=note.outcome,
        problem=note.problem,
        left_out=note.left_out,
        seq=row.seq,
        hash=None if row.hash is None else row.hash.hex(),
    )
