"""Names, ids and keys."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.saga.ids import idempotency_key, is_name, saga_id, split_target

ENTROPY_MAX = 2**74 - 1


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


@given(st.integers(0, 2**47), st.integers(1, 2**40), st.integers(0, ENTROPY_MAX), st.integers(0, ENTROPY_MAX))
def test_ids_made_later_sort_later(milliseconds: int, later: int, first: int, second: int) -> None:
    before, after = saga_id(milliseconds / 1000, first), saga_id((milliseconds + later + 1) / 1000, second)
    assert before < after
    assert str(before) < str(after)


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
