"""Retries: how often, after which wait, and always the same answer."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import ArgumentError
from goconductor.saga.retry import (
    ACTION_PATIENCE,
    ACTION_RETRY,
    COMPENSATION_RETRY,
    LAST_PATIENCE,
    LOST_RETRY,
    RETRIABLE_RETRY,
    Retry,
    patience,
    seconds,
)

policies = st.builds(
    Retry,
    attempts_max=st.none() | st.integers(1, 50),
    initial_seconds=st.floats(0, 60),
    factor=st.floats(1, 100),
    max_seconds=st.floats(60, 86_400),
    jitter=st.floats(0, 1),
    on=st.sampled_from([(), ("OSError",)]),
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [(5, 5.0), (0.25, 0.25), ("250ms", 0.25), ("10s", 10.0), ("1.5m", 90.0), ("2h", 7200.0), (" 1 d ", 86_400.0)],
)
def test_a_duration(written: float | str, meant: float) -> None:
    assert seconds(written) == pytest.approx(meant)


@pytest.mark.parametrize("written", ["", "10", "ten seconds", "-1s", "1e3s", "10 s s", "1w"])
def test_a_duration_that_is_none_shows_how_one_is_written(written: str) -> None:
    with pytest.raises(ValueError, match=r"'250ms', '10s', '5m', '2h', '1d'"):
        seconds(written)


@pytest.mark.parametrize("written", [0, -1, float("inf"), float("nan"), "0s"])
def test_a_duration_is_above_zero_and_finite(written: float | str) -> None:
    with pytest.raises(ValueError, match="above zero and finite"):
        seconds(written)


def test_nothing_lasts_for_more_than_a_hundred_years() -> None:
    assert seconds("36525d") == 3_155_760_000
    for long in ("36526d", 1e12):
        with pytest.raises(ValueError, match="at most 3155760000 seconds, a hundred years"):
            seconds(long)
    assert Retry(initial_seconds=1e300, max_seconds=1e301, jitter=0).wait_seconds(3, "key") == 3_155_760_000


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"attempts_max": 0}, "attempts_max"),
        ({"initial_seconds": -1}, "initial_seconds"),
        ({"initial_seconds": 61}, "initial_seconds"),
        ({"max_seconds": float("inf")}, "max_seconds"),
        ({"factor": 0.5}, "factor"),
        ({"factor": 101}, "factor"),
        ({"jitter": 1.5}, "jitter"),
        ({"jitter": float("nan")}, "jitter"),
        ({"on": ["requests.Timeout"]}, "'requests.Timeout' in retry.on is no name of an error type; write it without its module"),
        ({"not_on": [""]}, "retry.not_on"),
        ({"on": ["E" * 101]}, "retry.on"),
        ({"on": [f"E{n}" for n in range(51)]}, "at most 50"),
        ({"on": ["OSError"], "not_on": ["ValueError", "OSError"]}, "'OSError' stands in retry.on and in retry.not_on"),
    ],
)
def test_a_policy_out_of_range_is_refused_also_from_a_document(wrong: dict[str, object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        msgspec.convert(wrong, Retry)


def test_how_often() -> None:
    assert [Retry(attempts_max=3).allows(attempt) for attempt in (1, 2, 3, 4)] == [True, True, False, False]
    assert RETRIABLE_RETRY.allows(10**9)
    assert not Retry(attempts_max=1).allows(1)
    assert ACTION_RETRY.attempts_max == 3
    assert COMPENSATION_RETRY.attempts_max == 10


def test_names_of_errors_are_given_as_a_tuple() -> None:
    with pytest.raises(ArgumentError, match=r"retry.on .*tuple of names"):
        Retry(on="ConnectionError")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"a name in retry.not_on .*as a text"):
        Retry(not_on=(ConnectionError,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "errors", "again"),
    [
        (Retry(), [{"ValueError"}], True),
        (Retry(on=("OSError",)), [{"ConnectionError", "OSError"}], True),
        (Retry(on=("OSError", "KeyError")), [{"KeyError", "LookupError"}], True),
        (Retry(on=("OSError",)), [{"ValueError"}], False),
        (Retry(not_on=("ValueError",)), [{"KeyError"}], True),
        (Retry(not_on=("ValueError",)), [{"UnicodeError", "ValueError"}], False),
        (Retry(on=("OSError",), not_on=("ConnectionError",)), [{"ConnectionError", "OSError"}], False),
        (Retry(on=("OSError",), not_on=("ConnectionError",)), [{"TimeoutError", "OSError"}], True),
        (Retry(on=("OSError",)), [{"OSError"}, {"ValueError"}], False),
        (Retry(not_on=("ValueError",)), [{"OSError"}, {"ValueError"}], False),
    ],
)
def test_a_policy_names_errors_or_what_they_derive_from(policy: Retry, errors: list[set[str]], again: bool) -> None:
    assert policy.covers(errors) is again


def test_an_event_carries_a_policy_without_its_names() -> None:
    plain = Retry(attempts_max=5)
    assert plain.counts_only() is plain
    assert Retry(attempts_max=5, on=("OSError",), not_on=("KeyError",)).counts_only() == plain


def test_waits_double_up_to_their_maximum() -> None:
    policy = Retry(initial_seconds=1, factor=2, max_seconds=10, jitter=0)
    assert [policy.wait_seconds(attempt, "key") for attempt in range(1, 7)] == [1, 2, 4, 8, 10, 10]


@given(policies, st.integers(1, 10_000), st.text(max_size=20))
def test_a_wait_lies_between_the_policys_and_that_plus_jitter(policy: Retry, attempt: int, key: str) -> None:
    bare = msgspec.structs.replace(policy, jitter=0.0).wait_seconds(attempt, key)
    assert 0 <= bare <= policy.max_seconds
    assert bare <= policy.wait_seconds(attempt, key) <= bare * (1 + policy.jitter)


@given(policies, st.integers(1, 20), st.text(max_size=20))
def test_the_same_key_and_attempt_always_wait_equally_long(policy: Retry, attempt: int, key: str) -> None:
    again = msgspec.json.decode(msgspec.json.encode(policy), type=Retry)
    assert again.wait_seconds(attempt, key) == policy.wait_seconds(attempt, key)


def test_jitter_spreads_the_waits_of_many_sagas_evenly() -> None:
    waits = [Retry(initial_seconds=1, jitter=1).wait_seconds(1, f"saga-{n}") for n in range(4000)]
    quarters = [sum(1 + n / 4 <= wait < 1 + (n + 1) / 4 for wait in waits) for n in range(4)]
    assert sum(quarters) == 4000
    assert all(800 < quarter < 1200 for quarter in quarters)


def test_the_jitter_is_the_same_on_every_machine() -> None:
    """A log that was written elsewhere must replay to the same times here."""
    assert Retry().wait_seconds(1, "00000000-0000-0000-0000-000000000001/charge/action/0") == pytest.approx(JITTERED, abs=1e-12)


JITTERED = 0.5765479237943458


def test_patience_needs_both_losses_and_time_unless_the_definition_has_its_own_word() -> None:
    assert not ACTION_PATIENCE.is_over(3, 29.9)
    assert not ACTION_PATIENCE.is_over(2, 3600.0)
    assert ACTION_PATIENCE.is_over(3, 30.0)
    assert patience(None, LAST_PATIENCE) is LAST_PATIENCE
    assert patience(1, LAST_PATIENCE).is_over(1, 0.0)


def test_what_logs_leave_open_never_changes() -> None:
    """A log says nothing of a policy that is the default, so a replay takes ours: another value would be another past."""
    fields = ("attempts_max", "initial_seconds", "factor", "max_seconds", "jitter")
    kept = [ACTION_RETRY, RETRIABLE_RETRY, COMPENSATION_RETRY, LOST_RETRY, Retry()]
    assert [[getattr(retry, field) for field in fields][1:] for retry in kept] == [[0.5, 2.0, 60.0, 0.2]] * 5
    assert [retry.attempts_max for retry in kept] == [3, None, 10, None, 3]
    assert [(p.losses_max, p.seconds_min) for p in (ACTION_PATIENCE, LAST_PATIENCE)] == [(3, 30.0), (10, 30.0)]
