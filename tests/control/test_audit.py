"""Each request that changes something is noted: who asked for what, by which door, and how it ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.audit import noting, reading
from goconductor.control.audit.noting import AT_ONCE, Bounded, Bounds, kind_of, note_refusal
from goconductor.control.audit.origin import coming
from goconductor.control.audit.reading import AuditEntry, entries, verify
from goconductor.control.authority.authenticating import UnauthenticatedError
from goconductor.control.authority.keys import KeyNotFoundError, create_key, revoke_key
from goconductor.control.authority.roles import ForbiddenError
from goconductor.control.definitions.versions import register
from goconductor.control.faults import RequestInvalidError
from goconductor.control.sagas import bulk, signals
from goconductor.control.sagas.requests import Precautions, RefusedNowError, ask
from goconductor.control.sagas.starting import start
from goconductor.control.schedules import requests as schedules
from goconductor.errors import GoConductorError, RequestRefusedError, StoreUnavailableError
from goconductor.lifecycle.facts.events import AbortRequested, PauseRequested, ResumeRequested
from goconductor.ports.store import AuditRow, Note
from goconductor.ports.store.leading.audit import BEGINNING, link
from goconductor.recovery.chaining import Chaining
from tests.control.conftest import Bench

ANN = Actor("ann", frozenset({"operator"}))


async def noted(bench: Bench, **filters: str) -> list[AuditEntry]:
    """What the audit log says, the oldest first."""
    return (await entries(ANN, bench.node, limit=500, **filters)).entries[::-1]  # type: ignore[arg-type]


async def chained(bench: Bench, limit: int = 500) -> None:
    term = await bench.world.store.terms.raise_epoch("leader", 1e9)
    assert term is not None
    chaining = Chaining(bench.node, limit=limit)
    while await chaining.chain_once(term.epoch):
        pass


def outcomes(found: list[AuditEntry]) -> list[str]:
    return [each.outcome for each in found]


async def test_a_request_is_noted_with_who_asked_for_it_and_how_that_is_known(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    with coming(door="rest", address="10.0.0.7", means="key 1f0c2a9b77d4"):
        await ask(ANN, bench.node, saga_id, PauseRequested(reason="lunch"), Precautions(request_id="r1"))
    (row,) = await noted(bench)
    assert (row.actor, row.roles, row.means, row.door, row.address) == (
        *("ann", ["operator"], "key 1f0c2a9b77d4", "rest", "10.0.0.7"),
    )
    assert (row.function, row.object, row.detail, row.request_id) == (
        *("sagas.requests.ask", f"saga {saga_id}", "PauseRequested", "r1"),
    )
    assert (row.outcome, row.problem, row.seq, row.hash) == ("done", "", None, None)


async def test_a_request_that_came_twice_is_noted_as_one_that_changed_nothing(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    for _ in range(2):
        await ask(ANN, bench.node, saga_id, PauseRequested(), Precautions(request_id="r1"))
    assert outcomes(await noted(bench)) == ["done", "unchanged"]


async def test_a_request_that_is_refused_is_noted_with_the_kind_of_its_error(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    with pytest.raises(RefusedNowError):
        await ask(ANN, bench.node, saga_id, ResumeRequested())
    with pytest.raises(RequestInvalidError):
        await ask(ANN, bench.node, saga_id, AbortRequested(reason="x" * 3_000))
    assert [(row.outcome, row.problem) for row in await noted(bench)] == [
        ("refused", "refused-now"),
        ("refused", "request-invalid"),
    ]


async def test_one_of_two_requests_at_one_moment_is_noted_as_done(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    both = (ask(Actor(name), bench.node, saga_id, PauseRequested()) for name in ("ann", "bob"))
    await asyncio.gather(*both, return_exceptions=True)
    assert sorted(outcomes(await noted(bench))) == ["done", "refused"]


async def test_nothing_is_noted_of_what_nobody_knows_and_the_error_is_the_databases(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> object:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(bench.world.store.keys, "revoke", away)
    with pytest.raises(StoreUnavailableError):
        await revoke_key(ANN, bench.node, "0" * 12)
    assert await noted(bench) == []


async def test_a_bulk_is_noted_before_it_begins_and_each_saga_for_itself(bench: Bench) -> None:
    sagas = [await bench.start(card="busy") for _ in range(3)]
    asked = bulk.read_bulk("pause", reason="")
    chosen = await bulk.select(ANN, bench.node)
    await bulk.bulk(ANN, bench.node, asked, chosen, dry_run=True)
    assert await noted(bench) == []
    await bulk.bulk(ANN, bench.node, asked, chosen)
    first, *others = await noted(bench)
    assert (first.function, first.object, first.detail, first.outcome) == ("sagas.bulk.bulk", "3 sagas", "pause", "begun")
    assert {row.object for row in others} == {f"saga {each}" for each in sagas}
    assert outcomes(others) == ["done"] * 3


async def test_starts_are_noted_where_the_settings_want_that_and_nothing_else_of_them(bench: Bench) -> None:
    await register(ANN, bench.node, bench.saga.definition)
    (registered,) = await noted(bench)
    await start(ANN, bench.node, "order", {"stock": "tea", "card": "4242"})
    assert await noted(bench) == [registered]
    bench.node.audits_starts = True
    given = {"stock": "canary", "card": "4242"}
    first = await start(ANN, bench.node, "order", given, key="k1")
    again = await start(ANN, bench.node, "order", given, key="k1")
    assert again.existing
    _, row, unchanged = await noted(bench)
    assert (row.function, row.object, row.detail, row.request_id, row.outcome) == (
        *("sagas.starting.start", f"saga {first.saga_id}", "order", "k1", "done"),
    )
    assert unchanged.outcome == "unchanged"


async def test_no_secret_and_no_payload_gets_into_a_row(bench: Bench) -> None:
    made = await create_key(ANN, bench.node, "ci", ["viewer"])
    await revoke_key(ANN, bench.node, made.key)
    saga_id = await bench.start(card="busy")
    with pytest.raises(RequestRefusedError):
        await signals.signal(ANN, bench.node, saga_id, f"paid {made.key}", {"canary": 1})
    with pytest.raises(RequestRefusedError):
        await schedules.pause(ANN, bench.node, made.key)
    with pytest.raises(RequestInvalidError):
        await signals.report(ANN, bench.node, "canary", output={"canary": 1})
    rows = await noted(bench)
    assert len(rows) == 5
    for row in rows:
        assert made.key[16:] not in row.model_dump_json()
        assert "canary" not in row.model_dump_json()
    assert rows[1].object == f"key {made.detail.key_id}"


async def test_what_cannot_be_kept_or_shown_is_replaced(bench: Bench) -> None:
    with pytest.raises(GoConductorError):
        await schedules.pause(ANN, bench.node, "a\0b\ud800\n" + "x" * 1_000)
    (row,) = await noted(bench)
    assert row.object == ("schedule a?b??" + "x" * 1_000)[:255]


async def test_a_flood_of_refusals_writes_a_bounded_number_of_rows_that_say_how_many_are_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    bounds = Bounds(known=Bounded(lambda: now[0]), strangers=Bounded(lambda: now[0]))
    monkeypatch.setitem(noting._BOUNDS, bench.world.store.audit, bounds)
    for _ in range(AT_ONCE + 50):
        await note_refusal(bench.world.store.audit, ANN, None, KeyNotFoundError())
    assert len(await noted(bench)) == AT_ONCE
    now[0] += 1.0
    await note_refusal(bench.world.store.audit, ANN, None, KeyNotFoundError())
    assert [row.left_out for row in await noted(bench)] == [0] * AT_ONCE + [50]
    saga_id = await bench.start(card="busy")  # what changes something is noted, whatever else goes on
    for _ in range(50):
        await note_refusal(bench.world.store.audit, ANN, None, KeyNotFoundError())
    await ask(ANN, bench.node, saga_id, PauseRequested())
    assert (await noted(bench))[-1].outcome == "done"


async def test_strangers_who_knock_without_end_hide_no_refusal_of_somebody_known(bench: Bench) -> None:
    for _ in range(AT_ONCE + 50):
        await note_refusal(bench.world.store.audit, ANYBODY, None, UnauthenticatedError())
    await note_refusal(bench.world.store.audit, ANN, "authority.keys.create_key", ForbiddenError())
    (row,) = await noted(bench, by="ann")
    assert (row.problem, row.left_out) == ("forbidden", 0)


async def test_the_chain_is_sound_and_goes_on_from_its_head(bench: Bench) -> None:
    nothing = await verify(ANN, bench.node)
    assert (nothing.sound, nothing.rows, nothing.head) == (True, 0, None)
    for _ in range(5):
        await create_key(ANN, bench.node, "ci", ["viewer"])
    await chained(bench, limit=2)
    first = await verify(ANN, bench.node)
    assert (first.sound, first.rows, first.first_seq, first.head_seq, first.unplaced) == (True, 5, 1, 5, 0)
    await create_key(ANN, bench.node, "ci", ["viewer"])
    assert (await verify(ANN, bench.node)).unplaced == 1
    await chained(bench)
    later = await verify(ANN, bench.node, against=first.head)
    assert (later.sound, later.rows) == (True, 6)
    assert later.head != first.head


@pytest.mark.parametrize("harm", ["changed", "gone", "made anew", "cut off"])
async def test_a_row_that_was_changed_or_is_gone_is_found(bench: Bench, harm: str) -> None:
    for _ in range(5):
        await create_key(ANN, bench.node, "ci", ["viewer"])
    await chained(bench)
    head = (await verify(ANN, bench.node)).head
    data = bench.world.store.data
    match harm:
        case "changed":
            data.audit[2] = _with(data.audit[2], actor="eve")
        case "gone":
            del data.audit[2]
        case "cut off":
            del data.audit[3:]
        case "made anew":
            before = BEGINNING
            for n, row in enumerate(data.audit):
                forged = _with(row, actor="eve")
                before = link(before, n + 1, forged)
                data.audit[n] = _with(forged, hash=before)
    proof = await verify(ANN, bench.node)
    if harm in ("changed", "gone"):
        assert (proof.sound, proof.broken_at) == (False, 3 if harm == "changed" else 4)
    else:
        assert proof.sound  # so whoever wants to be sure keeps a head elsewhere
    assert not (await verify(ANN, bench.node, against=head)).sound


async def test_the_chain_can_be_verified_after_its_beginning_was_let_go(bench: Bench) -> None:
    for _ in range(5):
        await create_key(ANN, bench.node, "ci", ["viewer"])
    await chained(bench)
    head = (await verify(ANN, bench.node)).head
    data = bench.world.store.data
    data.audit = data.audit[2:]
    proof = await verify(ANN, bench.node, against=head)
    assert (proof.sound, proof.first_seq, proof.rows) == (True, 3, 3)
    data.audit[1] = _with(data.audit[1], actor="eve")
    assert (await verify(ANN, bench.node)).broken_at == 4


async def test_the_chain_is_sound_while_retention_takes_its_beginning_from_under_the_reader(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PORTION", 2)
    for _ in range(8):
        await create_key(ANN, bench.node, "ci", ["viewer"])
    await chained(bench)
    data, audit = bench.world.store.data, bench.world.store.audit
    placed, first = audit.placed, (await audit.placed(after=0, limit=1))[0].hash or b""

    async def after_retention(*, after: int, limit: int) -> list[AuditRow]:
        if after == 2:
            data.audit = [row for row in data.audit if (row.seq or 0) > 4]
        return await placed(after=after, limit=limit)

    monkeypatch.setattr(audit, "placed", after_retention)
    proof = await verify(ANN, bench.node, against=first.hex())
    assert (proof.sound, proof.first_seq, proof.head_seq, proof.rows) == (True, 5, 8, 4)
    data.audit[1] = _with(data.audit[1], actor="eve")
    assert (await verify(ANN, bench.node)).broken_at == 6


@pytest.mark.parametrize(
    "wrong", [{"outcome": "donne"}, {"limit": 0}, {"limit": 501}, {"before": 0}, {"before": 2**63}, {"by": "a\0"}]
)
async def test_filters_that_cannot_be_are_refused(bench: Bench, wrong: dict[str, object]) -> None:
    with pytest.raises(RequestInvalidError):
        await entries(ANN, bench.node, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["", "x", "0" * 63, "g" * 64])
async def test_a_hash_that_is_none_is_refused(bench: Bench, wrong: str) -> None:
    with pytest.raises(RequestInvalidError, match="64 hexadecimal digits"):
        await verify(ANN, bench.node, against=wrong)


def test_the_kind_of_an_error_is_its_class_and_of_a_fault_of_ours_nothing_is_told() -> None:
    assert kind_of(KeyNotFoundError()) == "key-not-found"
    assert kind_of(ValueError("secret")) == "internal-error"


def _with(row: AuditRow, **facts: Any) -> AuditRow:
    note: dict[str, Any] = {name: facts.pop(name) for name in list(facts) if name in Note.__struct_fields__}
    return replace(row, note=replace(row.note, **note), **facts)
