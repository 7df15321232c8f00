"""One request about many sagas: each gets it for itself, once for each id, and the report has every one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.definitions import loading, versions
from goconductor.control.faults import RequestInvalidError
from goconductor.control.models import SagaDetail
from goconductor.control.sagas import bulk as bulks
from goconductor.control.sagas import requests, starting
from goconductor.control.sagas.bulk import SAGAS_MAX, BulkReport, Selected, read_bulk, select
from goconductor.control.sagas.queries import history, saga_status
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import PayloadError, PermanentError, StoreUnavailableError
from goconductor.lifecycle.facts.events import SkipRequested
from goconductor.testing.clock import settle
from tests.control.conftest import Bench


async def ask(
    bench: Bench, request: str, *sagas: UUID, id: str | None = None, dry_run: bool = False, by: str = "ann", **given: Any
) -> BulkReport:
    selected = [Selected(saga_id=each) for each in sagas]
    return await bulks.bulk(Actor(by), bench.node, read_bulk(request, **given), selected, request_id=id, dry_run=dry_run)


def outcomes(report: BulkReport) -> list[str]:
    return [each.outcome.value for each in report.sagas]


async def events(bench: Bench, saga_id: UUID) -> list[str]:
    return [entry.event for entry in (await history(ANYBODY, bench.node, saga_id)).entries]


async def test_each_saga_has_its_own_answer(bench: Bench) -> None:
    busy, ended, nowhere = await bench.start(card="busy"), await bench.start(), uuid4()
    report = await ask(bench, "pause", busy, nowhere, ended, reason="stocktaking", id="monday")
    assert outcomes(report) == ["done", "not_found", "refused"]
    assert report.counts == {"done": 1, "not_found": 1, "refused": 1}
    assert (report.request, report.request_id, report.dry_run) == ("pause", "monday", False)
    assert (report.sagas[0].status, report.sagas[2].status) == ("paused", "completed")
    assert "allowed now: restart_as_new" in (report.sagas[2].problem or "")
    assert await bench.last(busy) == ("PauseRequested", {"reason": "stocktaking", "by": "ann"})


async def test_a_dry_run_changes_nothing_and_its_answer_is_a_selection(bench: Bench) -> None:
    busy, ended = await bench.start(card="busy"), await bench.start()
    before = (await saga_status(ANYBODY, bench.node, busy)).revision
    report = await ask(bench, "abort", busy, ended, dry_run=True)
    assert (outcomes(report), report.request_id) == (["allowed", "refused"], None)
    assert "does not accept abort now; allowed: restart_as_new" in (report.sagas[1].problem or "")
    assert report.sagas[0].revision == before == (await saga_status(ANYBODY, bench.node, busy)).revision
    await ask(bench, "pause", busy, reason="another operator")
    selected = [Selected(saga_id=each.saga_id, revision=each.revision) for each in report.sagas[:1]]
    for dry_run in (True, False):
        again = await bulks.bulk(ANYBODY, bench.node, read_bulk("abort"), selected, dry_run=dry_run)
        assert outcomes(again) == ["refused"]
    assert "AbortRequested" not in await events(bench, busy)


async def test_a_bulk_is_repeated_under_its_id_and_each_saga_has_it_once(bench: Bench) -> None:
    first, second = await bench.start(card="busy"), await bench.start(card="busy")
    assert outcomes(await ask(bench, "pause", first, reason="r", id="monday")) == ["done"]
    assert outcomes(await ask(bench, "pause", first, second, reason="r", id="monday")) == ["done", "done"]
    assert (await events(bench, first)).count("PauseRequested") == 1
    other = await ask(bench, "pause", first, reason="another one", id="monday")
    assert outcomes(other) == ["refused"]
    named = await ask(bench, "resume", second)
    assert named.request_id
    assert outcomes(await ask(bench, "resume", second, id=named.request_id)) == ["done"]
    assert (await events(bench, second)).count("ResumeRequested") == 1


async def test_a_retry_is_about_each_stuck_step_and_a_repeat_tries_none_again(bench: Bench) -> None:
    stuck, busy = await bench.stuck(), await bench.start(card="busy")
    dry = await ask(bench, "retry", stuck, busy, dry_run=True)
    assert [(each.outcome, each.steps) for each in dry.sagas] == [("allowed", ["reserve"]), ("refused", [])]
    assert dry.sagas[1].problem == "none of its steps is stuck; name the step that is meant"
    report = await ask(bench, "retry", stuck, busy, id="monday")
    assert [(each.outcome, each.steps) for each in report.sagas] == [("done", ["reserve"]), ("refused", [])]
    assert (await bench.world.end_of(stuck)).status == "stuck"  # it cannot be put back, however often
    assert outcomes(await ask(bench, "retry", stuck, id="monday")) == ["done"]
    assert (await events(bench, stuck)).count("RetryRequested") == 1
    assert outcomes(await ask(bench, "retry", busy, step="charge")) == ["done"]
    nowhere = await ask(bench, "retry", busy, step="charg", dry_run=True)
    assert nowhere.sagas[0].problem == "it has no step 'charg'; did you mean charge?"


async def test_parameters_go_with_it(bench: Bench) -> None:
    stuck = await bench.stuck()
    report = await ask(bench, "skip", stuck, reason="soaked off", values={"forced": True})
    assert (report.sagas[0].outcome, report.sagas[0].status) == ("done", "compensated")
    assert (await saga_status(ANYBODY, bench.node, stuck)).late_effects


async def test_a_filter_selects_what_fits_now(bench: Bench) -> None:
    stuck, busy = await bench.stuck(), await bench.start(card="busy")
    assert {each.saga_id for each in await select(ANYBODY, bench.node, saga="order")} == {stuck, busy}
    assert [each.saga_id for each in await select(ANYBODY, bench.node, status=["stuck"])] == [stuck]
    assert await select(ANYBODY, bench.node, saga="another") == []
    with pytest.raises(RequestInvalidError, match="fits more than 1 sagas; narrow it"):
        await select(ANYBODY, bench.node, saga="order", sagas_max=1)


@pytest.mark.parametrize(
    ("request_", "given", "says"),
    [
        ("paus", {}, r"request 'paus' is unknown; did you mean pause\?"),
        ("pause", {"step": "charge"}, "step is given, but pause is about the saga as a whole; leave it out"),
        ("pause", {"values": {"forced": True}}, "values.forced is unknown; there are: children"),
        ("skip", {"values": {"force": True}}, r"values.force is unknown; did you mean forced\?"),
        ("skip", {"values": {"forced": "yes"}}, "values.forced should be true or false"),
        ("declare", {"values": {"happened": True}}, "step is missing: declare is about one step, so name it"),
        ("declare", {"step": "charge"}, "values.happened is missing: whether it happened"),
        ("retry", {"reason": "so"}, "reason is given, but retry takes none; leave it out"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_its_place(request_: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestInvalidError, match=says):
        read_bulk(request_, **given)


@pytest.mark.parametrize(
    ("sagas", "given", "says"),
    [
        ([], {}, "sagas are 0; name 1 to 500 of them"),
        ([UUID(int=n) for n in range(SAGAS_MAX + 1)], {}, "sagas are 501; name 1 to 500 of them"),
        ([UUID(int=7), UUID(int=7)], {}, "name 00000000-0000-0000-0000-000000000007 more than once"),
        ([UUID(int=7)], {"id": "ü"}, "request_id should be 1 to 255 printable ASCII characters"),
        ([UUID(int=7)], {"id": "r" * 101}, "request_id is longer than 100 characters"),
    ],
)
async def test_a_selection_that_makes_no_sense_is_refused_as_a_whole(
    bench: Bench, sagas: Sequence[UUID], given: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestInvalidError, match=says):
        await ask(bench, "resume", *sagas, **given)


async def test_what_no_saga_could_accept_is_refused_as_a_whole(bench: Bench) -> None:
    busy = await bench.start(card="busy")
    with pytest.raises(RequestInvalidError, match="reason is missing"):
        await ask(bench, "terminate", busy)
    with pytest.raises(PayloadError, match="inputs"):
        await ask(bench, "edit_input", busy, step="charge", reason="so", values={"inputs": {"card": "\0"}})
    with pytest.raises(RequestInvalidError, match="revision"):
        await bulks.bulk(ANYBODY, bench.node, read_bulk("resume"), [Selected(saga_id=busy, revision="now")])


async def test_without_a_database_nothing_was_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = await bench.start(card="busy")

    async def away(*_: object) -> None:
        raise StoreUnavailableError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(bench.node.store.log, "read", away)
        with pytest.raises(StoreUnavailableError, match="the database is away"):
            await ask(bench, "resume", busy)
    assert "ResumeRequested" not in await events(bench, busy)


async def test_a_saga_that_cannot_be_read_keeps_no_other_one_from_its_answer(bench: Bench) -> None:
    first, unreadable, last = [await bench.start(card="busy") for _ in range(3)]
    stored = bench.world.store.data.logs[unreadable]
    stored[-1] = msgspec.structs.replace(stored[-1], event="OfANewerRelease")
    report = await ask(bench, "pause", first, unreadable, last, reason="stocktaking")
    assert outcomes(report) == ["done", "unknown", "done"]
    assert "(OfANewerRelease) cannot be read by this version" in (report.sagas[1].problem or "")
    assert outcomes(await ask(bench, "pause", unreadable, reason="stocktaking")) == ["unknown"]


async def test_a_request_that_may_have_been_recorded_is_reported_with_its_id(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, answered = await bench.start(card="busy"), requests.ask

    async def recorded_but_not_answered(*about: Any) -> SagaDetail:
        await answered(*about)
        raise StoreUnavailableError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(bulks, "ask", recorded_but_not_answered)
        report = await ask(bench, "pause", busy, reason="stocktaking")
    assert outcomes(report) == ["unknown"]
    assert (await events(bench, busy)).count("PauseRequested") == 1
    assert outcomes(await ask(bench, "pause", busy, reason="stocktaking", id=report.request_id)) == ["done"]
    assert (await events(bench, busy)).count("PauseRequested") == 1


class Lines:
    """A saga with one stuck step for each of its lines, whose names are as long as names of steps may be."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.map, self.step = bench, "m" * 90, "x" * 90

    async def start(self, lines: int) -> tuple[UUID, list[str]]:
        printer = StepRegistry("printer")

        @printer.step
        async def warm() -> None:
            pass

        @printer.step
        async def label() -> None:
            raise PermanentError("out of paper")

        node = await self.bench.world.node(printer)
        labels = {"over": "$.input.lines", "do": [{"id": self.step, "run": "printer.label"}]}
        steps = [{"id": "warm", "run": "printer.warm", "pivot": True}, {"id": self.map, "after": ["warm"], "map": labels}]
        await versions.register(ANYBODY, node, loading.read({"name": "labels", "steps": steps}))
        started = await starting.start(ANYBODY, node, "labels", {"lines": [*range(lines)]})
        await settle()
        return started.saga_id, [f"{self.map}[{line}].{self.step}" for line in range(lines)]


async def test_steps_that_have_had_it_are_told_where_another_one_refuses(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    saga_id, (first, second) = await Lines(bench).start(2)
    asked = requests.ask

    async def another_operator_is_faster(*about: Any) -> SagaDetail:
        detail = await asked(*about)
        await requests.ask(Actor("bob"), bench.node, saga_id, SkipRequested(second, reason="written by hand"))
        return detail

    with monkeypatch.context() as patch:
        patch.setattr(bulks, "ask", another_operator_is_faster)
        (found,) = (await ask(bench, "retry", saga_id)).sagas
    assert (found.outcome, found.steps) == ("partly", [first])
    assert (found.problem or "").startswith(f"step {second!r} has not had it: ")
    assert (await events(bench, saga_id)).count("RetryRequested") == 1


async def test_a_long_id_and_long_names_of_steps_are_kept_and_repeated(bench: Bench) -> None:
    saga_id, steps = await Lines(bench).start(2)
    for _ in range(2):
        (found,) = (await ask(bench, "retry", saga_id, id="r" * 100)).sagas
        assert (found.outcome, found.steps) == ("done", steps)
        await settle()
    assert (await events(bench, saga_id)).count("RetryRequested") == 2
