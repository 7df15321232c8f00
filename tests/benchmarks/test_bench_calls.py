"""The report on calls says how many there are, and where they were added or saved."""

from __future__ import annotations

from bench_calls import report


def test_the_functions_whose_calls_differ_most_come_first() -> None:
    before, now = {"fold": 3.0, "hash": 16.0, "gone": 1.0}, {"fold": 4.5, "hash": 7.0, "new": 0.5}
    assert report(before, now, shown=3) == [
        "20 calls a saga before, 12 calls a saga now",
        "    7.00    -9.00  hash",
        "    4.50    +1.50  fold",
        "    0.00    -1.00  gone",
    ]


def test_without_an_earlier_version_those_that_are_called_most_come_first() -> None:
    assert report({}, {"fold": 3.0, "hash": 16.0}, shown=1) == ["19 calls a saga now", "   16.00   +16.00  hash"]
