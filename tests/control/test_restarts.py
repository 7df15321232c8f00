"""A saga that has ended is restarted as a new one: once, whoever asks, and each of the two names the other."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from goconductor import Participant
from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.faults import RequestInvalidError
from goconductor.control.models import SagaDetail
from goconductor.control.sagas import bulk as bulks
from goconductor.control.sagas.bulk import Selected, read_bulk
from goconductor.control.sagas.queries import history, list_sagas, saga_status
from goconductor.control.sagas.requests import Precautions, RefusedNowError, RequestIdReusedError, ask, expected_of
from goconductor.control.sagas.starting import DefinitionNotFoundError, InputRefusedError, start
from goconductor.control.sagas.story import saga_story
from goconductor.dataflow.dataflow import Dataflow
from goconductor.errors import SagaChangedError, SagaNotFoundError
from goconductor.lifecycle.facts.events import SkipRequested, TerminationRequested
from goconductor.lifecycle.facts.restart import RestartAsNew
from goconductor.saga.definition import Binding, Definition, Step
from tests.control.conftest import Bench

ANN = Actor("ann")


async def restart(bench: Bench, saga_id: UUID, *, id: str | None = None, revision: str | None = None, **given: Any) -> SagaDetail:
    asked = RestartAsNew(**{"reason": "the bank is back", **given})
    seen = None if revision is None else expected_of(revision)
    return await ask(ANN, bench.node, saga_id, asked, Precautions(seen, id))


async def detail(bench: Bench, saga_id: UUID) -> SagaDetail:
    return await saga_status(ANYBODY, bench.node, saga_id)


async def compensated(bench: Bench) -> UUID:
    saga_id = await bench.start(card="declined")
    await bench.world.end_of(saga_id)
    return saga_id


async def test_the_new_saga_has_the_same_input_and_each_names_the_other(bench: Bench) -> None:
    plan = await bench.node.definitions.register(bench.saga.definition)
    given = {"stock": "tea", "card": "declined"}
    old = (await start(ANYBODY, bench.node, plan, given, key="order-17", labels={"customer": "17"}, priority=7)).saga_id
    await bench.world.end_of(old)
    before = await detail(bench, old)
    assert (before.allowed, before.restarted_as, before.restarted_from) == (["restart_as_new"], None, None)
    answer = await restart(bench, old)
    new = answer.restarted_as
    assert new is not None
    await bench.world.end_of(new)
    after = await detail(bench, new)
    assert (after.input, after.version, after.restarted_from) == (before.input, before.version, old)
    assert after.labels == {"customer": "17", "goconductor/restarted-from": str(old)}
    assert bench.seen.count(("charge", "declined")) == 2
    assert (answer.saga_id, answer.status, answer.allowed, answer.revision) == (old, "compensated", [], before.revision)
    rows = {row.saga_id: row.restarted_from for row in (await list_sagas(ANYBODY, bench.node)).sagas}
    assert rows == {old: None, new: old}
    found = await list_sagas(ANYBODY, bench.node, labels={"goconductor/restarted-from": str(old)})
    assert [row.saga_id for row in found.sagas] == [new]
    state = (await bench.node.view(new)).state
    assert state.priority == 7
    assert (await start(ANYBODY, bench.node, plan, given, key="order-17")).saga_id == old  # the key stays with the old one


async def test_the_history_of_the_new_saga_says_who_asked_and_why(bench: Bench) -> None:
    old = await compensated(bench)
    new = (await restart(bench, old, inputs={"card": "4242"}, id="monday")).restarted_as
    assert new is not None
    await bench.world.end_of(new)
    assert (await detail(bench, new)).status == "completed"
    assert bench.seen[-2:] == [("reserve", "tea"), ("charge", "4242")]
    begun = (await history(ANYBODY, bench.node, new)).entries[0]
    asked = {"inputs": {"card": "4242"}, "reason": "the bank is back", "by": "ann"}
    assert begun.data["restart"] == {"saga_id": str(old), "asked": asked, "request_id": "monday"}
    line = (await saga_story(ANYBODY, bench.node, new)).lines[0]
    assert (line.by, line.text) == ("ann", f"ann restarted saga {old} as this one with another card: the bank is back.")


async def test_a_saga_is_restarted_once_and_the_new_one_can_be(bench: Bench) -> None:
    old = await compensated(bench)
    new = (await restart(bench, old)).restarted_as
    assert new is not None
    with pytest.raises(RefusedNowError, match=f"was restarted before, as saga {new}; see to that one"):
        await restart(bench, old)
    await bench.world.end_of(new)
    newer = (await restart(bench, new)).restarted_as
    assert newer not in (None, new, old)
    assert (await detail(bench, new)).restarted_from == old


async def test_a_request_with_an_id_makes_one_saga_however_often_it_comes(bench: Bench) -> None:
    old = await compensated(bench)
    answers = await asyncio.gather(*(restart(bench, old, id="monday") for _ in range(5)))
    assert len({each.restarted_as for each in answers}) == 1
    again = await restart(bench, old, id="monday", revision="1-1")  # it was answered before, wherever the saga is
    assert again.restarted_as == answers[0].restarted_as
    with pytest.raises(RequestIdReusedError):
        await restart(bench, old, id="monday", inputs={"card": "4242"})
    assert len((await list_sagas(ANYBODY, bench.node)).sagas) == 2


async def test_of_two_operators_one_restarts_it(bench: Bench) -> None:
    old = await compensated(bench)
    answers = await asyncio.gather(*(restart(bench, old, id=f"of {n}") for n in range(5)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in answers) == ["RefusedNowError"] * 4 + ["SagaDetail"]


async def test_what_has_not_ended_or_was_seen_elsewhere_is_not_restarted(bench: Bench) -> None:
    busy = await bench.start(card="busy")
    with pytest.raises(RefusedNowError, match="is running; only sagas that have ended can be restarted as a new one"):
        await restart(bench, busy)
    old = await compensated(bench)
    with pytest.raises(SagaChangedError):
        await restart(bench, old, revision="1-1")
    with pytest.raises(SagaNotFoundError):
        await restart(bench, uuid4())
    with pytest.raises(RequestInvalidError, match="a restart does again what was done"):
        await restart(bench, old, reason=" ")
    with pytest.raises(RequestInvalidError, match="are empty"):
        await restart(bench, old, inputs={})
    assert (await detail(bench, old)).restarted_as is None


async def test_what_stands_would_be_there_twice_so_it_must_be_meant(bench: Bench) -> None:
    done = await bench.start()
    await bench.world.end_of(done)
    with pytest.raises(RefusedNowError, match="is completed, so what reserve and charge did may stand, and would be there twice"):
        await restart(bench, done)
    assert (await restart(bench, done, despite_effects=True)).restarted_as is not None
    cut = await bench.start(card="busy")
    await ask(ANN, bench.node, cut, TerminationRequested(reason="stocktaking", forced=True))
    with pytest.raises(RefusedNowError, match="is terminated, so what reserve and charge did may stand, and would"):
        await restart(bench, cut)
    assert (await restart(bench, cut, despite_effects=True)).restarted_as is not None
    left = await bench.stuck()
    await ask(ANN, bench.node, left, SkipRequested("reserve", reason="paid in cash", forced=True))
    with pytest.raises(RefusedNowError, match="is compensated, so what reserve did may stand; an effect may even come"):
        await restart(bench, left)


async def test_another_version_is_taken_where_it_is_said(bench: Bench) -> None:
    old = await compensated(bench)
    first = (await detail(bench, old)).version
    steps = bench.saga.definition.steps
    again = Step(id="again", run="shop.charge", inputs=steps[1].inputs)
    newer = await bench.node.definitions.register(Definition(name=bench.saga.name, steps=(*steps, again)))
    assert newer.version != first
    with pytest.raises(DefinitionNotFoundError):
        await restart(bench, old, version="none")
    new = (await restart(bench, old, version="active")).restarted_as
    assert new is not None
    assert (await detail(bench, new)).version == newer.version
    await bench.world.end_of(new)
    newest = (await restart(bench, new, version=first)).restarted_as
    assert newest is not None
    assert (await detail(bench, newest)).version == first


async def test_an_input_that_the_version_does_not_take_is_refused(bench: Bench) -> None:
    step = Step(id="charge", run="shop.charge", inputs={"card": Binding(ref="$.input.card")})
    schema = {"type": "object", "properties": {"card": {"type": "integer"}}}
    plan = await bench.node.definitions.register(Definition(name="typed", steps=(step,), input_schema=schema))
    old = (await start(ANYBODY, bench.node, plan, {"card": 1})).saga_id
    await bench.world.end_of(old)
    with pytest.raises(InputRefusedError):
        await restart(bench, old, inputs={"card": "tea"}, despite_effects=True)
    bare = await bench.node.definitions.register(Definition(name="bare", steps=(Step(id="b", run="shop.charge"),)))
    listed = (await start(ANYBODY, bench.node, bare, [1, 2])).saga_id
    await bench.world.end_of(listed)
    with pytest.raises(RequestInvalidError, match="the input of the saga is no object"):
        await restart(bench, listed, inputs={"card": 1}, despite_effects=True)


async def test_many_are_restarted_by_one_request(bench: Bench) -> None:
    olds = [await compensated(bench) for _ in range(3)]
    done, busy = await bench.start(), await bench.start(card="busy")
    selected = [Selected(saga_id=each) for each in (*olds, done, busy)]
    asked = read_bulk("restart_as_new", reason="the bank is back", values={"inputs": {"card": "4242"}})
    dry = await bulks.bulk(ANN, bench.node, asked, selected, dry_run=True)
    assert [each.outcome for each in dry.sagas] == ["allowed"] * 3 + ["refused"] * 2
    assert "what reserve and charge did may stand" in (dry.sagas[3].problem or "")
    first = await bulks.bulk(ANN, bench.node, asked, selected, request_id="monday")
    again = await bulks.bulk(ANN, bench.node, asked, selected, request_id="monday")
    assert first == again
    assert [each.outcome for each in first.sagas] == ["done"] * 3 + ["refused"] * 2
    assert len({each.restarted_as for each in first.sagas[:3]} - {None}) == 3
    assert (await detail(bench, olds[0])).restarted_as == first.sagas[0].restarted_as


async def test_a_run_of_a_dataflow_is_run_again_under_another_id(bench: Bench) -> None:
    garage = Participant("garage")

    @garage.builder
    async def car(card: str) -> str:
        return card

    plan = await bench.node.definitions.register(Dataflow("cars", target="car", builders=[garage]).saga.definition)
    old = (await start(ANYBODY, bench.node, plan, None)).saga_id
    await ask(ANN, bench.node, old, TerminationRequested(reason="enough"))
    with pytest.raises(RefusedNowError, match="is a dataflow, whose data its runs have given: run it under another id"):
        await restart(bench, old)
