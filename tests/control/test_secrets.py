"""Secrets: kept encrypted, filled into settings, wrapped anew; and what somebody with the database alone can do about them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from goconductor import app, errors
from goconductor.control.actor import Actor
from goconductor.control.faults import RequestInvalidError
from goconductor.control.secrets.filling import fill
from goconductor.control.secrets.keeping import (
    SECRETS_MAX,
    SecretNotFoundError,
    delete_secret,
    list_secrets,
    rewrap_secrets,
    set_secret,
    verify_secrets,
)
from goconductor.control.settings.sections import SecretSettings
from goconductor.control.settings.settings import Settings
from goconductor.errors import HIDDEN, RequestRefusedError, SecretError, StoreUnavailableError, without_passwords
from goconductor.ports.store import AuditWanted, SecretRow
from goconductor.stores.memory import MemoryStore
from tests.contracts.wrapping_keys import text_of

ANN = Actor("ann")
CANARY = "CaNaRyInTheMine"
BUS: Any = {"url": "${secret:bus}"}
DATABASE: Any = {"url": "postgresql://app:pw@db.example/sagas"}


class Keys:
    """A file of wrapping keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.are("k1")

    def are(self, *ids: str) -> None:
        self.path.write_text(text_of(ids))

    @property
    def settings(self) -> SecretSettings:
        return SecretSettings(kind="file", options={"path": str(self.path)})

    def referring(self, text: str) -> Settings:
        bus: Any = {"url": text}
        return Settings(database=DATABASE, bus=bus, secrets=self.settings)


@pytest.fixture(autouse=True)
def _nothing_is_hidden_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_SECRETS", [])


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def value_of(store: MemoryStore, keys: Keys, name: str) -> str:
    """What a process that begins now would get."""
    url = (await fill(keys.referring(f"${{secret:{name}}}"), store.secrets)).bus.url
    assert url is not None
    return url.get_secret_value()


async def filled_with(store: MemoryStore, keys: Keys, *names: str) -> None:
    for name in names:
        await set_secret(ANN, store, keys.settings, name, f"value of {name}")


async def audited(store: MemoryStore) -> list[tuple[str, str, str]]:
    rows = await store.audit.newest(AuditWanted(), limit=100, before=None)
    return [(row.note.function, row.note.object, row.note.outcome) for row in reversed(rows)]


@pytest.mark.parametrize("value", ["x", CANARY, "two\nlines\n", " spaces ", "näïve \N{SNOWMAN}", "x" * 65_536, "${secret:other}"])
async def test_a_value_comes_back_as_it_was(store: MemoryStore, keys: Keys, value: str) -> None:
    detail = await set_secret(ANN, store, keys.settings, "bus", value)
    assert (detail.name, detail.version, detail.key_id, detail.created_by) == ("bus", 1, "k1", "ann")
    assert await value_of(store, keys, "bus") == value


async def test_what_is_kept_listed_and_audited_has_no_value(store: MemoryStore, keys: Keys) -> None:
    await set_secret(ANN, store, keys.settings, "bus", CANARY)
    (row,) = await store.secrets.every()
    listed = await list_secrets(ANN, store)
    audit = await store.audit.newest(AuditWanted(), limit=100, before=None)
    text = repr(row) + listed.model_dump_json() + repr(audit)
    assert CANARY not in text
    assert CANARY.encode() not in row.sealed + row.wrapped
    assert (await audited(store)) == [("secrets.keeping.set_secret", "secret bus", "done")]


async def test_each_version_is_encrypted_by_a_key_of_its_own(store: MemoryStore, keys: Keys) -> None:
    await set_secret(ANN, store, keys.settings, "bus", CANARY)
    (one,) = await store.secrets.every()
    await set_secret(ANN, store, keys.settings, "bus", CANARY)
    (other,) = await store.secrets.every()
    assert (one.version, other.version) == (1, 2)
    assert one.sealed != other.sealed
    assert one.wrapped != other.wrapped


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("", "x", "name is none"),
        (f"{CANARY}!", "x", "name is none"),
        ("a" * 61, "x", "name is none"),
        ("bus", "", "is empty"),
        ("bus", f"{CANARY}\0", "zero byte"),
        ("bus", f"{CANARY}\ud800", "no text"),
        ("bus", CANARY * 5000, "at most 65,536"),
    ],
)
async def test_nonsense_is_refused_and_not_quoted(store: MemoryStore, keys: Keys, name: str, value: str, problem: str) -> None:
    with pytest.raises(RequestInvalidError, match=problem) as refused:
        await set_secret(ANN, store, keys.settings, name, value)
    with contextlib.suppress(SecretNotFoundError):
        await delete_secret(ANN, store, name)
    assert CANARY not in str(refused.value) + str(await audited(store))
    assert await store.secrets.every() == []


async def test_there_is_a_greatest_number_of_them(store: MemoryStore, keys: Keys) -> None:
    for number in range(SECRETS_MAX):
        await store.secrets.put(name=f"s{number}", version=1, key_id="k1", wrapped=b"w", sealed=b"s", by="ann")
    with pytest.raises(RequestRefusedError, match="1,000 secrets"):
        await set_secret(ANN, store, keys.settings, "one-more", "x")
    assert (await set_secret(ANN, store, keys.settings, "s1", "x")).version == 2
    await delete_secret(ANN, store, "s2")
    assert (await set_secret(ANN, store, keys.settings, "one-more", "x")).version == 1
    with pytest.raises(RequestRefusedError, match="1,000 secrets"):
        await set_secret(ANN, store, keys.settings, "s2", "x")


async def test_a_deleted_secret_is_gone_and_its_versions_go_on(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "bus")
    await delete_secret(ANN, store, "bus")
    assert (await list_secrets(ANN, store)).secrets == []
    with pytest.raises(SecretNotFoundError):
        await delete_secret(ANN, store, "bus")
    with pytest.raises(SecretError, match=r"there is no secret 'bus', to which bus\.url refers.*goconductor secrets set bus"):
        await value_of(store, keys, "bus")
    assert (await set_secret(ANN, store, keys.settings, "bus", "again")).version == 2
    assert await value_of(store, keys, "bus") == "again"


async def test_of_several_set_at_once_each_has_a_version_and_one_is_last(store: MemoryStore, keys: Keys) -> None:
    values = [f"value {number}" for number in range(8)]
    made = await asyncio.gather(*(set_secret(ANN, store, keys.settings, "bus", value) for value in values))
    assert sorted(each.version for each in made) == [*range(1, 9)]
    last = next(value for value, each in zip(values, made, strict=True) if each.version == 8)
    assert await value_of(store, keys, "bus") == last


async def test_rows_that_are_swapped_do_not_decrypt(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "one", "other")
    one, other = await store.secrets.every()
    for facts in (
        {"wrapped": other.wrapped, "sealed": other.sealed},
        {"wrapped": other.wrapped},
        {"sealed": other.sealed},
    ):
        store.data.secrets["one"] = replace(one, **facts)
        with pytest.raises(SecretError, match=r"the secret 'one' cannot be decrypted: .*(changed|another)"):
            await value_of(store, keys, "one")


async def test_an_earlier_version_does_not_decrypt_as_a_later_one(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "bus")
    (before,) = await store.secrets.every()
    await set_secret(ANN, store, keys.settings, "bus", "new")
    store.data.secrets["bus"] = replace(before, version=2)
    with pytest.raises(SecretError, match="the secret 'bus' cannot be decrypted"):
        await value_of(store, keys, "bus")


async def test_a_ciphertext_that_was_changed_does_not_decrypt(store: MemoryStore, keys: Keys) -> None:
    await set_secret(ANN, store, keys.settings, "bus", CANARY)
    (row,) = await store.secrets.every()
    for part, length in itertools.product(("wrapped", "sealed"), (0, 1, 13, 28, 29)):
        store.data.secrets["bus"] = replace(row, **{part: getattr(row, part)[:length]})
        with pytest.raises(SecretError, match="the secret 'bus' cannot be decrypted") as refused:
            await value_of(store, keys, "bus")
        assert CANARY not in repr(refused.value) + repr(refused.value.__cause__) + repr(refused.value.__context__)


async def test_a_dump_without_the_wrapping_key_says_which_key_is_missing(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "one", "other")
    keys.are("k7")
    with pytest.raises(SecretError, match=r"'one' cannot be decrypted: the wrapping key 'k1' is not among.*it has: k7"):
        await value_of(store, keys, "one")
    keys.path.write_text(text_of(["other"]).replace("other:", "k1:"))  # another key under that name
    with pytest.raises(SecretError, match="it is another key, or the row was changed"):
        await value_of(store, keys, "one")
    keys.path.unlink()
    with pytest.raises(SecretError, match=r"cannot be read \(No such file or directory\)"):
        await value_of(store, keys, "one")


async def test_all_that_hinders_a_process_is_told_at_once(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "one")
    keys.are("k2")
    await filled_with(store, keys, "two")
    settings = keys.referring("amqp://${secret:one}:${secret:tow}@h/${secret:two}")
    with pytest.raises(SecretError) as refused:
        await fill(settings, store.secrets)
    assert "there is no secret 'tow'" in str(refused.value)
    assert "did you mean two?" in str(refused.value)
    assert "the secret 'one' cannot be decrypted" in str(refused.value)


async def test_without_a_keyring_the_error_says_what_to_set(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "bus")
    with pytest.raises(SecretError, match=r"secrets\.kind is not set.*'bus'"):
        await fill(Settings(database=DATABASE, bus=BUS), store.secrets)
    for options, problem in (({}, "missing a required argument: 'path'"), ({"paht": "x"}, "it has: path")):
        wrong = SecretSettings(kind="file", options=options)
        with pytest.raises(SecretError, match=problem):
            await set_secret(ANN, store, wrong, "bus", "x")
    assert [outcome for _, _, outcome in await audited(store)] == ["done", "refused", "refused"]


async def test_settings_without_references_ask_nobody(keys: Keys) -> None:
    settings = keys.referring("amqp://h")
    nothing: Any = None
    assert await fill(settings, nothing) is settings


async def test_data_keys_are_wrapped_by_the_newest_key_and_values_stay(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "one", "two")
    await delete_secret(ANN, store, "two")
    await filled_with(store, keys, "three")
    before = {row.name: row for row in await store.secrets.every()}
    keys.are("k1", "k2")
    assert (await verify_secrets(ANN, store, keys.settings)).older == ["one", "three"]
    done = await rewrap_secrets(ANN, store, keys.settings)
    assert (done.key_id, done.rewrapped, done.problems) == ("k2", ["one", "three"], [])
    keys.are("k2")  # the old one can go
    assert (await verify_secrets(ANN, store, keys.settings)).sound == ["one", "three"]
    assert [await value_of(store, keys, name) for name in ("one", "three")] == ["value of one", "value of three"]
    assert {row.name: row.sealed for row in await store.secrets.every()} == {name: row.sealed for name, row in before.items()}
    assert (await rewrap_secrets(ANN, store, keys.settings)).rewrapped == []
    assert [row for row in await audited(store) if "rewrap" in row[0]] == [
        ("secrets.keeping.rewrap_secrets", "secrets", "done"),
        ("secrets.keeping.rewrap_secrets", "secrets", "unchanged"),
    ]


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after", range(4))
async def test_rewrapping_may_be_killed_in_the_middle_and_repeated(
    store: MemoryStore, keys: Keys, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "c"]
    await filled_with(store, keys, *names)
    keys.are("k1", "k2")
    rewrap, count = store.secrets.rewrap, itertools.count()

    async def dies(*given: Any, **more: Any) -> bool:
        if next(count) == after:
            raise Killed
        return await rewrap(*given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(store.secrets, "rewrap", dies)
        try:
            await rewrap_secrets(ANN, store, keys.settings)
        except Killed:
            assert after < 3
    assert [await value_of(store, keys, name) for name in names] == [f"value of {name}" for name in names]
    assert len((await rewrap_secrets(ANN, store, keys.settings)).rewrapped) == 3 - min(after, 3)
    keys.are("k2")
    assert (await verify_secrets(ANN, store, keys.settings)).sound == names


async def test_a_secret_set_while_keys_are_wrapped_anew_keeps_its_new_value(
    store: MemoryStore, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled_with(store, keys, "bus")
    keys.are("k1", "k2")
    rewrap = store.secrets.rewrap

    async def overtaken(*given: Any, **more: Any) -> bool:
        await set_secret(ANN, store, keys.settings, "bus", "newer")
        return await rewrap(*given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(store.secrets, "rewrap", overtaken)
        assert (await rewrap_secrets(ANN, store, keys.settings)).rewrapped == []
    assert await value_of(store, keys, "bus") == "newer"


async def test_what_cannot_be_wrapped_anew_is_told_and_hinders_no_other(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "one")
    keys.are("k2")
    await filled_with(store, keys, "two")
    keys.are("k2", "k3")
    done = await rewrap_secrets(ANN, store, keys.settings)
    assert done.rewrapped == ["two"]
    assert [problem.startswith("the secret 'one' cannot be decrypted: the wrapping key 'k1'") for problem in done.problems] == [
        True
    ]


async def test_verifying_names_what_cannot_be_decrypted_and_what_is_referred_to_in_vain(store: MemoryStore, keys: Keys) -> None:
    await filled_with(store, keys, "one", "two")
    store.data.secrets["two"] = replace(store.data.secrets["two"], sealed=b"")
    references = keys.referring("${secret:one}${secret:three}").references
    found = await verify_secrets(ANN, store, keys.settings, references)
    assert found.sound == ["one"]
    assert ["'two' cannot be decrypted" in found.problems[0], "no secret 'three'" in found.problems[1]] == [True, True]


@pytest.mark.parametrize("shape", ["{}", '{{"password": "{}"}}', "amqp://shop@{}/", "a\n{}"])
async def test_a_value_that_was_filled_in_is_hidden_in_logs(
    store: MemoryStore, keys: Keys, shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = f'{CANARY}"@\N{SNOWMAN}\nline two'
    await set_secret(ANN, store, keys.settings, "bus", value)
    await value_of(store, keys, "bus")
    for form in forms(value):
        text = shape.format(form)
        assert CANARY not in without_passwords(text)
        assert HIDDEN in without_passwords(text)
    with caplog.at_level(logging.INFO):
        logging.getLogger("goconductor").warning("the broker said %s", shape.format(value))
    assert CANARY not in caplog.text


def forms(value: str) -> Sequence[str]:
    return [value, "CaNaRyInTheMine%22%40%E2%98%83%0Aline%20two", 'CaNaRyInTheMine\\"@\\u2603\\nline two']


async def test_an_option_of_the_keyring_that_is_no_text_is_told_as_a_setting(store: MemoryStore) -> None:
    with pytest.raises(SecretError, match=r"secrets\.options do not fit the keyring 'file': path is of type int"):
        await set_secret(ANN, store, SecretSettings(kind="file", options={"path": 5}), "bus", CANARY)


async def test_a_process_that_begins_waits_on_where_the_database_goes_away_before_its_secrets_are_read(
    store: MemoryStore, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled_with(store, keys, "bus")
    every, answers = store.secrets.every, [StoreUnavailableError("it fails over")]

    async def away() -> list[SecretRow]:
        if answers:
            raise answers.pop()
        return await every()

    monkeypatch.setattr(store.secrets, "every", away)
    monkeypatch.setattr(app, "make_store", lambda *_: store)
    url = (await app.with_secrets(keys.referring("${secret:bus}"))).bus.url
    assert url is not None
    assert url.get_secret_value() == "value of bus"
