"""Signals and approvals from the command line, on a real PostgreSQL."""

from __future__ import annotations

import pytest

from goconductor.control.actor import ANYBODY
from goconductor.control.definitions import loading, versions
from goconductor.engine.node import Node
from tests.doors.prompt import Prompt
from tests.doors.test_rest_signals import PAYOUT

pytestmark = pytest.mark.postgres


async def test_a_saga_is_told_and_approved_and_shows_what_it_waits_for(command_line: Prompt, open_shop: Node) -> None:
    await versions.register(ANYBODY, open_shop, loading.read(PAYOUT))
    saga_id = str((await open_shop.starting.start("payout", {}, key="p-1")).saga_id)
    shown = (await command_line.ask("saga", "show", saga_id)).out
    assert "payout" in shown
    assert "waits for signal 'payment' until" in shown
    assert "round" not in shown
    few = await command_line.ask(
        "saga", "signal", saga_id, "payment", "--payload", '{"cents": 5}', "--by", "bank", "--request-id", "b1"
    )
    assert (few.code, "no step has taken signal payment (b1)" in few.out, "by bank" in few.out) == (0, True, True)
    again = await command_line.ask(
        "saga", "signal", saga_id, "payment", "--payload", '{"cents": 7}', "--by", "bank", "--request-id", "b1"
    )
    assert (again.code, again.out) == (1, "")
    paid = await command_line.ask("saga", "signal", "payout/p-1", "payment", "--payload", '{"cents": 7}', "--json")
    assert paid.json["steps"][1]["waits_for"]["approval"] == "Release the money?"
    assert "waits for approval" in (question := (await command_line.ask("saga", "show", saga_id)).out)
    assert "round 0" in question
    late = await command_line.ask("saga", "approve", "payout/p-1", "release", "--reason", "fine", "--revision", "1-1")
    assert (late.code, "moved on" in late.err) == (1, True)
    unexplained = await command_line.ask("saga", "approve", saga_id, "release")
    assert (unexplained.code, "reason is missing" in unexplained.err) == (2, True)
    approved = await command_line.ask(
        "saga", "approve", "payout/p-1", "release", "--reason", "fine", "--by", "ann", "--round", "0", "--json"
    )
    assert (approved.json["status"], approved.json["output"]) == ("completed", {"by": "ann", "reason": "fine"})
    story = (await command_line.ask("saga", "story", saga_id)).out
    assert "bank sent the signal payment" in story
    assert "ann approved release: fine" in story
