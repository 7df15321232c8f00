"""Caches keep what came last, by number or by weight, and no more than they may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from goconductor.aio.recent import Recent, RecentByWeight


def test_the_oldest_goes_first() -> None:
    recent = Recent[str, int](count_max=2)
    for number, key in enumerate("abc"):
        recent.put(key, number)
    assert list(recent.items()) == [("b", 1), ("c", 2)]


def test_what_is_put_again_or_used_is_the_newest() -> None:
    recent = Recent[str, int](count_max=3)
    for number, key in enumerate("abc"):
        recent.put(key, number)
    recent.put("a", 10)
    assert recent.use("b") == 1
    recent.put("d", 3)
    assert list(recent.items()) == [("a", 10), ("b", 1), ("d", 3)]


def test_asking_whether_it_is_kept_is_no_use() -> None:
    recent = Recent[str, int](count_max=2)
    recent.put("a", 0)
    recent.put("b", 1)
    assert "a" in recent
    recent.put("c", 2)
    assert "a" not in recent
    assert recent.use("a") is None


def test_what_is_taken_out_makes_room() -> None:
    recent = Recent[str, int](count_max=2)
    recent.put("a", 0)
    recent.put("b", 1)
    assert recent.pop("a") == 0
    assert recent.pop("a") is None
    recent.put("c", 2)
    assert "b" in recent
    assert len(recent) == 2


def test_the_newest_is_kept_whatever_it_weighs() -> None:
    recent = RecentByWeight[str, str](count_max=3, weight_max=10)
    recent.put("light", "x", 1)
    recent.put("heavy", "y", 100)
    assert (recent.get("light"), recent.get("heavy"), recent.weight) == (None, "y", 100)
    recent.put("light", "z", 1)
    assert (recent.get("light"), recent.get("heavy"), recent.weight) == ("z", None, 1)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 12), st.booleans()), max_size=60))
def test_the_weight_is_that_of_what_is_kept_and_within_its_bounds(entries: list[tuple[str, int, bool]]) -> None:
    recent = RecentByWeight[str, int](count_max=4, weight_max=20)
    for key, weight, taken_out in entries:
        if taken_out:
            recent.pop(key)
        else:
            recent.put(key, weight, weight)
            assert recent.get(key) == weight
        kept = [found for each in "abcdefgh" if (found := recent.get(each)) is not None]
        assert recent.weight == sum(kept)
        assert len(recent) == len(kept) <= 4
        assert recent.weight <= 20 or len(kept) == 1
