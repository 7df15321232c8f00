"""Who may do what: every function of control needs something, every role gives something, and a key is told from a forged one."""

from __future__ import annotations

import asyncio

import pytest

from goconductor.control.actor import ANYBODY, Actor, asked_by, known_as
from goconductor.control.authority import authenticating
from goconductor.control.authority.authenticating import Authenticator, Principal, UnauthenticatedError
from goconductor.control.authority.keys import KeyNotFoundError, create_key, digest_of, list_keys, revoke_key
from goconductor.control.authority.rates import Rates, TooManyRequestsError
from goconductor.control.authority.roles import GIVES, NEEDS, ForbiddenError, Permission, check_permitted, check_works_for
from goconductor.control.faults import RequestInvalidError
from goconductor.control.roles import Role
from goconductor.errors import StoreUnavailableError
from goconductor.ports.store import KeyRow
from goconductor.stores.memory import MemoryStore
from goconductor.stores.memory.reading.keys import MemoryKeys
from tests.control.conftest import Bench
from tests.control.test_actor import FOR_NOBODY, FUNCTIONS

PURE = {"definitions.loading.read", "definitions.json_schema.definition_schema", "installation.readiness.readiness"}
"""Functions behind doors that need no actor."""
ANN = Actor("ann")


def test_every_function_of_control_needs_a_permission_and_nothing_else_does() -> None:
    missing = FUNCTIONS.keys() - FOR_NOBODY - NEEDS.keys()
    assert not missing, f"say in NEEDS of goconductor/control/authority/roles.py what {sorted(missing)} need"
    assert NEEDS.keys() - PURE == FUNCTIONS.keys() - FOR_NOBODY


def test_every_role_gives_what_it_should_and_no_more() -> None:
    assert GIVES.keys() == set(Role)
    assert {role for role in Role if Permission.ADMINISTER in GIVES[role]} == {Role.ADMIN}
    assert {role for role in Role if Permission.DEPLOY in GIVES[role]} == {Role.DEPLOYER, Role.ADMIN}
    assert {role for role in Role if Permission.OPERATE in GIVES[role]} == {Role.OPERATOR, Role.ADMIN}
    assert {role for role in Role if Permission.WORK in GIVES[role]} == {Role.WORKER, Role.ADMIN}
    assert {role for role in Role if Permission.READ not in GIVES[role]} == {Role.WORKER}


@pytest.mark.parametrize("roles", [frozenset(), frozenset({"root"}), frozenset({"viewer"}), frozenset({"Admin"})])
def test_what_no_role_gives_is_refused_and_logged(roles: frozenset[str], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ForbiddenError, match="it needs one of: admin, operator"):
        check_permitted(Actor("ann", roles), "sagas.requests.ask")
    assert "'ann' was refused sagas.requests.ask" in caplog.text


@pytest.mark.parametrize("function", [None, "sagas.requests.nothing", ""])
def test_what_is_in_no_table_is_refused_even_to_an_admin(function: str | None) -> None:
    with pytest.raises(ForbiddenError, match="no role gives it"):
        check_permitted(Actor("root", frozenset({"admin"})), function)


def test_a_role_of_a_worker_may_be_bound_and_then_gives_the_work_of_one_participant() -> None:
    bound = Actor("mill", frozenset({"worker:payments", "worker:stock"}))
    check_permitted(bound, "installation.workers.join")
    check_works_for(bound, "payments")
    check_works_for(bound, "stock")
    for other in ("orders", "payment", "payments2", "", "worker:payments"):
        with pytest.raises(ForbiddenError, match="it needs the role worker:"):
            check_works_for(bound, other)
    for whole in ({"worker"}, {"admin"}, {"worker", "worker:stock"}, set()):  # of nobody who was asked who it is
        check_works_for(Actor("mill", frozenset(whole)), "payments")
    for function in ("sagas.queries.saga_status", "sagas.starting.start", "authority.keys.create_key"):
        with pytest.raises(ForbiddenError):
            check_permitted(bound, function)
    with pytest.raises(ForbiddenError):
        check_permitted(Actor("eve", frozenset({"admin:payments", "viewer:x"})), "sagas.queries.saga_status")


def test_roles_add_up() -> None:
    check_permitted(Actor("ci", frozenset({"operator", "deployer"})), "definitions.versions.register")
    check_permitted(Actor("ci", frozenset({"operator", "deployer"})), "sagas.starting.start")


async def test_somebody_who_is_known_can_claim_to_ask_for_another_and_never_to_be_another() -> None:
    assert (asked_by("bob"), asked_by()) == (Actor("bob"), ANYBODY)
    with known_as(Actor("ci", frozenset({"operator"}))):
        assert asked_by() == asked_by("ci") == Actor("ci", frozenset({"operator"}))
        assert asked_by("bob") == Actor("ci on behalf of bob", frozenset({"operator"}))
    assert asked_by("bob") == Actor("bob")


async def test_a_key_is_shown_once_and_kept_as_a_hash(bench: Bench) -> None:
    made = await create_key(ANN, bench.node, "ci", ["viewer", "operator", "viewer"], expires_days=90)
    (kept,) = await bench.node.store.keys.newest(limit=10)
    assert (kept.digest, kept.roles, kept.created_by) == (digest_of(made.key), ("operator", "viewer"), "ann")
    assert made.key not in repr(kept)
    assert made.key.split("_")[2] not in (await list_keys(ANN, bench.node)).model_dump_json()


@pytest.mark.parametrize(
    ("name", "roles", "days", "says"),
    [
        ("a b", ["viewer"], None, "name is 'a b'"),
        ("ci", [], None, "roles is empty"),
        ("ci", ["operatr"], None, "did you mean operator"),
        ("ci", ["worker:"], None, "write a participant's name"),
        ("ci", ["worker:a b"], None, "write a participant's name"),
        ("ci", ["admin:payments"], None, "there are: admin"),
        ("ci", ["viewer"], 0, "expires_days is 0"),
        ("ci", ["viewer"], float("nan"), "expires_days is nan"),
    ],
)
async def test_a_key_that_cannot_be_is_refused(bench: Bench, name: str, roles: list[str], days: float | None, says: str) -> None:
    with pytest.raises(RequestInvalidError, match=says):
        await create_key(ANN, bench.node, name, roles, expires_days=days)


async def test_a_key_is_revoked_by_its_id_or_by_itself(bench: Bench) -> None:
    one, two = [await create_key(ANN, bench.node, "ci", ["viewer"]) for _ in range(2)]
    assert (await revoke_key(ANN, bench.node, one.detail.key_id)).revoked_by == "ann"
    assert (await revoke_key(Actor("bob"), bench.node, two.key)).revoked_by == "bob"
    assert (await revoke_key(Actor("eve"), bench.node, two.key)).revoked_by == "bob"
    for nothing in ("", "0" * 12, "gck_", "\0", "x" * 100):
        with pytest.raises(KeyNotFoundError):
            await revoke_key(ANN, bench.node, nothing)


@pytest.fixture
def known(bench: Bench) -> Authenticator:
    return Authenticator(lambda: bench.node.store.keys)


async def test_a_key_is_its_holder_and_nothing_near_it_is(bench: Bench, known: Authenticator) -> None:
    key = (await create_key(ANN, bench.node, "ci", ["viewer"])).key
    for said in (f"Bearer {key}", f"bearer  {key} "):
        assert (await known.principal([said])).actor == Actor("ci", frozenset({"viewer"}))
    forged = key[:-1] + ("0" if key[-1] != "0" else "1")
    other = f"gck_{'0' * 12}_{'0' * 64}"
    wrong = (forged, other, "", "gck_", key.upper(), key + "0", f"{key} {key}", f"{key}\n{key}", "a" * 9000)
    for said in (*(f"Bearer {each}" for each in wrong), key, f"Basic {key}", "Bearer", "", f"Bearer{key}"):
        with pytest.raises(UnauthenticatedError):
            await known.principal([said])
    with pytest.raises(UnauthenticatedError, match="twice"):
        await known.principal([f"Bearer {key}"] * 2)
    with pytest.raises(UnauthenticatedError):
        await known.principal([])


class Counted(MemoryKeys):
    """Keys that count who reads them, and can be out of reach."""

    reads = 0
    away = False

    async def live(self) -> list[KeyRow]:
        self.reads += 1
        if self.away:
            raise StoreUnavailableError
        return await super().live()


def counted_keys(bench: Bench) -> Counted:
    store = bench.node.store
    assert isinstance(store, MemoryStore)
    return Counted(store.data)


async def test_requests_and_strangers_cost_no_read_each(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticating, "READ_SECONDS", float("inf"))
    monkeypatch.setattr(authenticating, "AGAIN_SECONDS", 0.0)
    counted = counted_keys(bench)
    known = Authenticator(lambda: counted)
    key = (await create_key(ANN, bench.node, "ci", ["viewer"])).key
    await asyncio.gather(*(known.principal([f"Bearer {key}"]) for _ in range(50)))
    assert counted.reads <= 2
    strangers = (known.principal([f"Bearer gck_{n:012x}_{'0' * 64}"]) for n in range(200))
    answers = await asyncio.gather(*strangers, return_exceptions=True)
    assert {type(each) for each in answers} == {UnauthenticatedError}
    assert counted.reads <= 5
    younger = (await create_key(ANN, bench.node, "young", ["viewer"])).key
    assert (await known.principal([f"Bearer {younger}"])).actor.name == "young"


async def test_while_the_database_is_away_nobody_new_is_known_and_nobody_is_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticating, "READ_SECONDS", 0.0)
    counted = counted_keys(bench)
    known = Authenticator(lambda: counted)
    key = (await create_key(ANN, bench.node, "ci", ["viewer"])).key
    principal = await known.principal([f"Bearer {key}"])
    counted.away = True
    with pytest.raises(StoreUnavailableError):
        await known.principal([f"Bearer {key}"])
    assert await known.stands(principal)
    counted.away = False
    assert await known.principal([f"Bearer {key}"]) == principal


async def test_what_lasts_ends_soon_after_its_key(bench: Bench, known: Authenticator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticating, "READ_SECONDS", 0.0)
    monkeypatch.setattr(authenticating, "LOOK_SECONDS", 0.01)
    made = await create_key(ANN, bench.node, "ci", ["viewer"])
    principal = await known.principal([f"Bearer {made.key}"])
    began = asyncio.Event()

    async def last() -> None:
        async with known.held(principal):
            began.set()
            await asyncio.Event().wait()

    lasting = asyncio.create_task(last())
    await began.wait()
    await revoke_key(ANN, bench.node, made.detail.key_id)
    with pytest.raises(UnauthenticatedError, match="revoked, or is over"):
        await lasting
    assert not await known.stands(principal)


async def test_what_lasts_is_looked_at_again_after_a_look_that_failed_in_any_way(
    bench: Bench, known: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticating, "LOOK_SECONDS", 0.0)
    looks: list[PermissionError | bool] = [PermissionError("a right was revoked"), True, False]

    async def stands(_principal: Principal) -> bool:
        look = looks.pop(0)
        if isinstance(look, PermissionError):
            raise look
        return look

    principal = await known.principal([f"Bearer {(await create_key(ANN, bench.node, 'ci', ['viewer'])).key}"])
    monkeypatch.setattr(known, "stands", stands)
    with pytest.raises(UnauthenticatedError):
        async with known.held(principal):
            await asyncio.Event().wait()


async def test_a_timeout_of_a_call_is_none_of_its_key(bench: Bench, known: Authenticator) -> None:
    principal = await known.principal([f"Bearer {(await create_key(ANN, bench.node, 'ci', ['viewer'])).key}"])
    with pytest.raises(TimeoutError):
        async with known.held(principal):
            raise TimeoutError


def test_a_key_may_make_so_many_requests_and_its_neighbour_as_many() -> None:
    now = 100.0
    rates = Rates(5.0, clock=lambda: now)
    for _ in range(10):
        rates.take("one")
    with pytest.raises(TooManyRequestsError):
        rates.take("one")
    rates.take("other")
    now += 0.21
    rates.take("one")
    with pytest.raises(TooManyRequestsError):
        rates.take("one")
    now += 3600.0
    for _ in range(10):
        rates.take("one")
    with pytest.raises(TooManyRequestsError):
        rates.take("one")


def test_a_rate_below_one_lets_one_through_now_and_then() -> None:
    now = 0.0
    rates = Rates(0.1, clock=lambda: now)
    rates.take("one")
    with pytest.raises(TooManyRequestsError):
        rates.take("one")
    now = 10.1
    rates.take("one")
