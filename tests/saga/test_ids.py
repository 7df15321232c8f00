"""Names, ids and keys."""

from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys
from collections import Counter
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goconductor.saga.ids import HOMES, home, home_of, idempotency_key, is_name, saga_id, split_target, uuid_of

ENTROPY_MAX = 2**74 - 1

names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,20}[A-Za-z0-9])?", fullmatch=True)
keys = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize("name", ["a", "A1", "charge_card", "charge-card", "0", "x" * 100])
def test_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "_a", "a_", "a.b", "a b", "a/b", "ä", "a\n", "x" * 101, "a\0b", "$a"])
def test_not_a_name(name: str) -> None:
    assert not is_name(name)


def test_a_target_is_split() -> None:
    assert split_target("payments.charge-card") == ("payments", "charge-card")


@pytest.mark.parametrize("target", ["", "payments", "payments.", ".charge", "a.b.c", "a b.c"])
def test_a_target_that_is_none_says_what_one_looks_like(target: str) -> None:
    with pytest.raises(ValueError, match=r"participant\.step"):
        split_target(target)


@given(st.floats(0, 2**38), st.integers(0, ENTROPY_MAX))
def test_a_sagas_id_is_a_uuid_of_version_7_that_holds_the_time_and_all_the_entropy(seconds: float, entropy: int) -> None:
    made = saga_id(seconds, entropy)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == int(seconds * 1000)
    assert (made.int >> 64 & 0xFFF) << 62 | made.int & (1 << 62) - 1 == entropy


@given(st.integers(0, 2**128 - 1))
def test_a_uuid_of_a_number_is_the_one_that_its_constructor_makes(number: int) -> None:
    made, usual = uuid_of(number), UUID(int=number)
    assert (made, hash(made), str(made), made.is_safe) == (usual, hash(usual), str(usual), usual.is_safe)
    assert (type(made), copy.copy(made), pickle.loads(pickle.dumps(made))) == (UUID, usual, usual)


@given(st.integers(0, 2**47), st.integers(1, 2**40), st.integers(0, ENTROPY_MAX), st.integers(0, ENTROPY_MAX))
def test_ids_made_later_sort_later(milliseconds: int, later: int, first: int, second: int) -> None:
    before, after = saga_id(milliseconds / 1000, first), saga_id((milliseconds + later + 1) / 1000, second)
    assert before < after
    assert str(before) < str(after)


@given(names, names, keys, st.floats(0, 2**38), st.integers(0, ENTROPY_MAX))
def test_the_same_start_key_gives_the_same_home_whatever_is_drawn(
    namespace: str, saga: str, key: str, seconds: float, entropy: int
) -> None:
    made = saga_id(seconds, entropy, home(namespace, saga, key))
    assert home_of(made) == home(namespace, saga, key) < HOMES
    assert made.int >> 10 == saga_id(seconds, entropy).int >> 10, "a home takes ten bits, and changes no other"


PINNED = {
    ("default", "order", "order-1"): 967,
    ("default", "order", "order-2"): 850,
    ("default", "invoice", "order-1"): 941,
    ("acme", "order", "order-1"): 1001,
    ("default", "order", ""): 172,
    ("default", "order", "Bestellung/7 für Jürgen \N{SNOWMAN}"): 776,
}
"""The homes of sagas that may stand in somebody's log. They must never change."""


def test_a_home_is_the_same_for_ever_and_in_every_process() -> None:
    assert {names: home(*names) for names in PINNED} == PINNED
    program = f"from goconductor.saga.ids import home; print([home(*names) for names in {[*PINNED]!a}])"
    for seed in ("0", "1"):  # Python's own hash of a text depends on it
        ran = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == str([*PINNED.values()])


CHI_SQUARED_MAX = 1_330
"""Of fair draws over 1,024 homes, one in four thousand million is above this (mean 1,023, deviation 45)."""


def _chi_squared(homes: list[int]) -> float:
    """How far these homes are from an even spread."""
    count, expected = Counter(homes), len(homes) / HOMES
    return sum((count[number] - expected) ** 2 for number in range(HOMES)) / expected


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**64))
def test_drawn_homes_are_spread_evenly(seed: int) -> None:
    chance = random.Random(seed)
    assert _chi_squared([home_of(saga_id(0, chance.getrandbits(74))) for _ in range(20 * HOMES)]) < CHI_SQUARED_MAX


@settings(max_examples=10, deadline=None)
@given(names, names, keys, st.integers(0, 2**62), st.sampled_from([1, 2, 10, 1000, 1024]))
def test_homes_of_numbered_keys_are_spread_evenly(namespace: str, saga: str, prefix: str, first: int, stride: int) -> None:
    homes = [home(namespace, saga, f"{prefix}{first + stride * number}") for number in range(20 * HOMES)]
    assert _chi_squared(homes) < CHI_SQUARED_MAX


def test_a_key_is_the_same_on_every_retry_and_another_for_everything_else() -> None:
    one = UUID(int=1)
    assert idempotency_key(one, "charge", "action", 0) == f"{one}/charge/action/0"
    keys = {
        idempotency_key(saga, step, direction, turn)
        for saga in (one, UUID(int=2))
        for step in ("charge", "ship")
        for direction in ("action", "compensation")
        for turn in (0, 1)
    }
    assert len(keys) == 16
