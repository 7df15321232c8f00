"""Operators step in from the command line, on a real PostgreSQL with a real participant beside it."""

from __future__ import annotations

import getpass
import json
from typing import Any
from uuid import UUID

import pytest

from goconductor.engine.node import Node
from goconductor.lifecycle.facts.status import ActionStatus
from tests.doors.conftest import INPUT
from tests.doors.prompt import Answer, Prompt

pytestmark = pytest.mark.postgres

UNKNOWN = "01920000-0000-7000-8000-000000000000"


class Operator:
    """Somebody at the command line of a shop."""

    def __init__(self, prompt: Prompt, node: Node) -> None:
        self.node = node
        self.ask = prompt.ask

    async def start(self, **input: Any) -> str:
        started = await self.node.starting.start("order", {**INPUT, **input})
        return str(started.saga_id)

    async def stuck(self) -> str:
        """A saga whose stock cannot be put back."""
        started = await self.node.starting.start("order", {**INPUT, "sku": "glued", "card": "declined"})
        await self.node.wait_for_end(started.saga_id, 300)
        return str(started.saga_id)

    async def waiting(self) -> str:
        """A saga whose charge waits an hour for its next attempt."""
        saga_id = UUID(await self.start(card="busy"))
        while (await self.node.view(saga_id)).state.step("charge").action.status is not ActionStatus.BACKOFF:
            pass
        return str(saga_id)

    async def last(self, saga_id: str) -> dict[str, Any]:
        line: dict[str, Any] = (await self.ask("saga", "story", saga_id, "--json")).json["lines"][-1]
        return line


@pytest.fixture
async def operator(command_line: Prompt, open_shop: Node) -> Operator:
    return Operator(command_line, open_shop)


def told(answer: Answer) -> tuple[int, str]:
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1, answer.err
    return answer.code, answer.err.strip()


async def test_a_saga_is_paused_resumed_aborted_and_its_history_says_by_whom(operator: Operator) -> None:
    saga_id = await operator.waiting()
    paused = await operator.ask("saga", "pause", saga_id, "--reason", "stocktaking", "--by", "ann", "--json")
    assert (paused.code, paused.json["status"], paused.json["reason"]) == (0, "paused", "stocktaking")
    assert (await operator.last(saga_id))["text"] == "ann paused the saga: stocktaking."
    resumed = await operator.ask("saga", "resume", saga_id)
    assert (resumed.code, resumed.lines[0]) == (0, f"order {saga_id} running")
    assert (await operator.last(saga_id))["by"] == getpass.getuser()
    aborted = await operator.ask("saga", "abort", saga_id, "--reason", "no longer wanted", "--json")
    assert aborted.json["status"] in ("compensating", "compensated")
    watched = await operator.ask("saga", "watch", saga_id)
    assert (watched.code, watched.lines[-1]) == (1, f"order {saga_id}  compensated")


async def test_a_saga_is_terminated_only_with_a_reason(operator: Operator) -> None:
    saga_id = await operator.waiting()
    code, says = told(await operator.ask("saga", "terminate", saga_id))
    assert (code, "reason is missing" in says) == (2, True)
    ended = await operator.ask("saga", "terminate", saga_id, "--reason", "a test", "--json")
    assert (ended.code, ended.json["reason"]) == (0, "terminated: a test")
    assert ended.json["status"] in ("terminating", "terminated")
    watched = await operator.ask("saga", "watch", saga_id)
    assert (watched.code, watched.lines[-1]) == (1, f"order {saga_id}  terminated")


async def test_a_stuck_step_is_given_another_input_and_tried_again(operator: Operator) -> None:
    await operator.ask(
        "saga", "start", "order", "--input", json.dumps(INPUT), "--wait", "300"
    )  # so that there is tea to be put back
    saga_id = await operator.stuck()
    edited = await operator.ask("saga", "edit", saga_id, "reserve", "--input", 'sku="tea"', "--reason", "soaked off", "--json")
    assert (edited.code, edited.json["steps"][0]["edited"]) == (0, {"sku": "tea"})
    assert (await operator.ask("saga", "retry", saga_id, "reserve")).code == 0
    assert (await operator.ask("saga", "watch", saga_id)).lines[-1] == f"order {saga_id}  compensated"


async def test_a_stuck_step_is_skipped_or_declared(operator: Operator) -> None:
    skipped = await operator.ask(
        "saga", "skip", await operator.stuck(), "reserve", "--reason", "written off", "--force", "--json"
    )
    assert (skipped.code, skipped.json["status"], skipped.json["late_effects"]) == (0, "compensated", True)
    saga_id = await operator.stuck()
    code, _ = told(await operator.ask("saga", "declare", saga_id, "reserve", "--did-not-happen", "--reason", "looked"))
    assert code == 1
    declared = await operator.ask("saga", "declare", saga_id, "reserve", "--happened", "--reason", "seen on the shelf", "--json")
    assert (declared.code, declared.json["status"], declared.json["late_effects"]) == (0, "compensated", False)


async def test_a_request_that_is_asked_again_under_its_name_changes_nothing(operator: Operator) -> None:
    saga_id = await operator.waiting()
    abort = ("saga", "abort", saga_id, "--reason", "no longer wanted", "--request-id", "a-1")
    assert (await operator.ask(*abort)).code == 0
    await operator.node.wait_for_end(UUID(saga_id), 300)
    again = await operator.ask(*abort, "--json")
    assert (again.code, again.json["status"]) == (0, "compensated")
    code, says = told(await operator.ask("saga", "terminate", saga_id, "--reason", "enough", "--request-id", "a-1"))
    assert (code, "use a new id for a new request" in says) == (1, True)


async def test_of_two_who_saw_the_same_the_second_is_refused(operator: Operator) -> None:
    saga_id = await operator.waiting()
    revision = (await operator.ask("saga", "show", saga_id, "--json")).json["revision"]
    assert (await operator.ask("saga", "pause", saga_id, "--revision", revision)).code == 0
    code, says = told(await operator.ask("saga", "abort", saga_id, "--revision", revision))
    assert (code, "look again" in says) == (1, True)


async def test_what_is_refused_says_what_is_allowed_instead(operator: Operator) -> None:
    saga_id = await operator.waiting()
    cases: list[tuple[list[str], int, str]] = [
        (["resume", saga_id], 1, "allowed now: pause, abort, restart, terminate, retry, declare, edit_input"),
        (["retry", saga_id, "reserve"], 1, "its compensation none; stuck steps: none"),
        (["retry", saga_id, "reserv"], 4, "did you mean reserve"),
        (["pause", UNKNOWN], 4, f"there is no saga {UNKNOWN}"),
        (["pause", saga_id, "--revision", "seven"], 2, "is no revision of a saga"),
        (["skip", saga_id, "charge"], 2, "reason is missing"),
        (["edit", saga_id, "charge", "--input", "card", "--reason", "x"], 2, "--input: write NAME=VALUE, each name once"),
        (["edit", saga_id, "charge", "--input", "card=x", "--reason", "x"], 2, "--input card: $: is not JSON"),
        (["edit", saga_id, "charge", "--input", "cart=1", "--reason", "x"], 1, "its inputs are: card"),
        (["declare", saga_id, "charge", "--happened", "--output", "@none", "--reason", "x"], 2, "--output @none: cannot be read"),
    ]
    for arguments, code, says in cases:
        got, text = told(await operator.ask("saga", *arguments))
        assert (got, says in text, text.startswith("goconductor: ")) == (code, True, True), (arguments, text)


async def test_lists_are_filtered_and_paged(operator: Operator) -> None:
    done = (
        await operator.ask("saga", "start", "order", "--input", json.dumps(INPUT), "--wait", "300", "--label", "team=x", "--json")
    ).json
    declined = json.dumps({**INPUT, "card": "declined"})
    turned = (await operator.ask("saga", "start", "order", "--input", declined, "--wait", "300", "--json")).json

    async def listed(*arguments: str) -> list[str]:
        answer = await operator.ask("saga", "list", "--json", *arguments)
        assert answer.code == 0, answer.err
        return [saga["saga_id"] for saga in answer.json["sagas"]]

    both = [turned["saga_id"], done["saga_id"]]
    assert await listed() == both
    assert await listed("--status", "completed", "--status", "compensated") == both
    assert await listed("--label", "team=x") == [done["saga_id"]]
    assert await listed("--error", "was declined") == [turned["saga_id"]]
    assert await listed("--started-after", "2020-01-01", "--updated-after", "2020-01-01T00:00:00Z") == both
    assert await listed("--started-before", "2020-01-01") == []
    assert await listed("--updated-before", "2020-01-01") == []
    page = (await operator.ask("saga", "list", "--limit", "1", "--json")).json
    assert await listed("--limit", "1", "--cursor", page["cursor"]) == [done["saga_id"]]
    assert f"more: --cursor {page['cursor']}" in (await operator.ask("saga", "list", "--limit", "1")).lines
    for arguments, says in [
        (["--started-after", "yesterday"], "--started-after"),
        (["--label", "team"], "write name=value"),
        (["--cursor", "x"], "cursor"),
    ]:
        code, text = told(await operator.ask("saga", "list", *arguments))
        assert (code, says in text) == (2, True), text


async def test_a_dry_run_of_a_restart_tells_what_would_go_back(operator: Operator) -> None:
    saga_id = await operator.waiting()
    told = (await operator.ask("saga", "restart", saga_id, "--reason", "so", "--dry-run", "--json")).json
    assert (told["accepted"], "charge" in told["steps"]) == (True, True)
    shown = await operator.ask("saga", "restart", saga_id, "--reason", "so", "--from", "charge", "--dry-run")
    assert shown.code == 0
    assert f"would be accepted; ask with --revision {told['revision']}" in shown.out
    await operator.ask("saga", "abort", saga_id)
    refused = await operator.ask("saga", "restart", saga_id, "--reason", "so", "--dry-run")
    assert refused.code == 1
    assert "would be refused: " in refused.out


async def test_a_saga_that_has_ended_is_restarted_as_a_new_one(operator: Operator) -> None:
    old = await operator.start(card="declined")
    await operator.node.wait_for_end(UUID(old), 300)
    arguments = ("saga", "restart-as-new", old, "--reason", "so", "--input", 'card="4242"', "--request-id", "monday")
    new = (await operator.ask(*arguments, "--json")).json["restarted_as"]
    shown = await operator.ask(*arguments)
    assert (shown.code, f"restarted as saga {new}" in " ".join(shown.out.split())) == (0, True)
    assert f"restarted from saga {old}" in " ".join((await operator.ask("saga", "show", new)).out.split())
    await operator.node.wait_for_end(UUID(new), 300)
    assert (await operator.ask("saga", "show", new, "--json")).json["status"] == "completed"
    code, text = told(await operator.ask("saga", "restart-as-new", new, "--reason", "so"))
    assert (code, "restart it with despite_effects" in text) == (1, True)
