"""The installation as a whole: readiness, participants, the leader, dead letters, and which bus and election are used."""

from __future__ import annotations

import re
from typing import Any

from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.audit import reading
from goconductor.control.audit.noting import check_changes
from goconductor.control.authority.authenticating import Authenticator
from goconductor.control.doors.limits import DEAD_SECONDS_MAX, DRAIN_SECONDS_MAX, LETTERS_MAX, LOCKS_MAX
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.installation import changes, dead_letters
from goconductor.control.installation.locks import locks
from goconductor.control.installation.participants import DEAD_SECONDS, leader, participants
from goconductor.control.installation.readiness import readiness
from goconductor.control.models import ParticipantList
from goconductor.control.sagas.filters import read_time
from goconductor.control.sagas.requests import REASON_CHARACTERS_MAX
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.grpc.documents import message
from goconductor.grpc.fields import given, saga_id, text, within
from goconductor.grpc.v1 import operations_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing
from goconductor.ports.store.leading.choices import BUS, ELECTION

_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


class OperationCalls:
    """The methods of ``Operations``.

    Args:
        node: the engine.
        settings: has the names of buses and elections.
        authenticator: of the door; None where nobody is asked.
    """

    def __init__(self, node: Node, settings: Settings, authenticator: Authenticator | None = None) -> None:
        self._authenticator = authenticator
        self._node = node
        self._named = {BUS: list(settings.bus.named()), ELECTION: list(settings.election.named())}

    async def get_readiness(self, _request: Nothing, _context: Any) -> pb.Readiness:
        """Say whether requests can be served."""
        return message(pb.Readiness, await readiness(self._node, self._authenticator))

    async def list_participants(self, request: pb.ListParticipantsRequest, _context: Any) -> pb.ParticipantList:
        """Return participants with their instances."""
        seconds = within("dead_seconds", given(request, "dead_seconds", DEAD_SECONDS), 0, DEAD_SECONDS_MAX)
        found = ParticipantList(participants=await participants(ANYBODY, self._node, dead_seconds=seconds))
        return message(pb.ParticipantList, found)

    async def get_leader(self, _request: Nothing, _context: Any) -> pb.LeaderDetail:
        """Return the leader."""
        return message(pb.LeaderDetail, await leader(ANYBODY, self._node))

    async def list_locks(self, request: pb.ListLocksRequest, _context: Any) -> pb.LockPage:
        """Return locks by key."""
        found = await locks(
            ANYBODY,
            self._node,
            key=given(request, "key"),
            saga_id=saga_id(request) if request.HasField("saga_id") else None,
            limit=within("limit", given(request, "limit", 50), 1, LOCKS_MAX),
            after=given(request, "after"),
        )
        return message(pb.LockPage, found)

    async def list_dead_letters(self, request: pb.ListDeadLettersRequest, _context: Any) -> pb.DeadLetterPage:
        """Return messages that were given up on, newest first."""
        limit = within("limit", given(request, "limit", 50), 1, LETTERS_MAX)
        before = given(request, "before")
        if before is not None:
            within("before", before, 1, dead_letters.LETTER_ID_MAX)
        return message(pb.DeadLetterPage, await dead_letters.dead_letters(ANYBODY, self._node, limit=limit, before=before))

    async def redrive_dead_letter(self, request: pb.RedriveDeadLetterRequest, _context: Any) -> pb.DeadLetterDetail:
        """Send a message to its topic again, then forget it."""
        return message(pb.DeadLetterDetail, await dead_letters.redrive(asked_by(request.by), self._node, request.letter_id))

    async def drop_dead_letter(self, request: pb.DropDeadLetterRequest, _context: Any) -> pb.DeadLetterDetail:
        """Forget a message for good."""
        reason = text("reason", request.reason, REASON_CHARACTERS_MAX)
        dropped = await dead_letters.drop(asked_by(request.by), self._node, request.letter_id, reason=reason)
        return message(pb.DeadLetterDetail, dropped)

    async def list_audit(self, request: pb.ListAuditRequest, _context: Any) -> pb.AuditPage:
        """Return what was asked, the newest first."""
        found = await reading.entries(
            asked_by(),
            self._node,
            by=given(request, "by"),
            function=given(request, "function"),
            about=given(request, "about"),
            outcome=given(request, "outcome"),
            since=read_time(given(request, "since"), name="since"),
            until=read_time(given(request, "until"), name="until"),
            before=given(request, "before"),
            limit=given(request, "limit", 50),
        )
        return message(pb.AuditPage, found)

    async def verify_audit(self, request: pb.VerifyAuditRequest, _context: Any) -> pb.AuditProof:
        """Compute the chain of the audit log anew."""
        return message(pb.AuditProof, await reading.verify(asked_by(), self._node, against=given(request, "against")))

    async def get_choice(self, request: pb.GetChoiceRequest, _context: Any) -> pb.ChangeDetail:
        """Return which bus, or which election, is used."""
        named = self._names(request.kind)
        return message(pb.ChangeDetail, await changes.present(ANYBODY, self._node.store, request.kind, named=named))

    async def migrate(self, request: pb.MigrateRequest, _context: Any) -> pb.ChangeDetail:
        """Change it for another while sagas run, as far as it can go now."""
        named = self._names(request.kind)
        if not _NAME.fullmatch(request.to):
            raise _invalid("to", "should be the name of one of the settings' own: 1 to 60 letters, digits, '_' and '-'")
        wanted = given(request, "drain_seconds", changes.DRAIN_SECONDS)
        check_changes(self._node.reads_only)  # the function has the store alone, which does not know that
        found = await changes.change(
            asked_by(request.by),
            self._node.store,
            request.kind,
            to=request.to,
            named=named,
            drain_seconds=within("drain_seconds", wanted, 0, DRAIN_SECONDS_MAX),
            force=request.force,
        )
        return message(pb.ChangeDetail, found)

    def _names(self, kind: str) -> list[str]:
        if kind not in self._named:
            raise _invalid("kind", f"is {kind[:63]!a}; it should be {BUS} or {ELECTION}")
        return self._named[kind]


def _invalid(name: str, problem: str) -> RequestInvalidError:
    return RequestInvalidError("the request", [Fault(name, problem)])
