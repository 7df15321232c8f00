"""Filters as people write them, and cursors that know their filters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.control.faults import RequestInvalidError
from goconductor.control.sagas.filters import EXPLAINING_EVENTS, cursor_of, read_cursor, read_labels, read_time, wanted
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store import ID_SLACK_SECONDS, id_bound
from goconductor.saga.ids import saga_id

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
filters = st.fixed_dictionaries(
    {},
    optional={
        "saga": texts,
        "status": st.lists(st.sampled_from(SagaStatus), max_size=3),
        "labels": st.dictionaries(texts, texts, max_size=3),
        "error": texts,
        "started_after": st.datetimes(timezones=st.just(UTC), min_value=datetime(1980, 1, 1)),  # noqa: DTZ001
    },
)


@given(filters, filters, st.uuids())
def test_a_cursor_leads_back_with_its_own_filters_and_with_no_others(
    one: dict[str, Any], other: dict[str, Any], before: UUID
) -> None:
    cursor = cursor_of(wanted(**one), before)
    assert read_cursor(wanted(**one), cursor) == before
    assert cursor.isascii()
    if wanted(**one) != wanted(**other):
        with pytest.raises(RequestInvalidError, match="other filters"):
            read_cursor(wanted(**other), cursor)


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(RequestInvalidError, match="cursor"):
        read_cursor(wanted(), text)


def test_the_order_of_statuses_and_labels_says_nothing() -> None:
    one = wanted(status=["stuck", "paused"], labels={"a": "1", "b": "2"})
    assert one == wanted(status=["paused", "stuck", "paused"], labels={"b": "2", "a": "1"})
    assert wanted(status="stuck") == wanted(status=["stuck"])


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00.5z", datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31 12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_times_are_read(text: str, at: datetime) -> None:
    assert read_time(text, name="since") == at


@pytest.mark.parametrize(
    "text", ["", "now", "2026-01-31T12:00:00", "2026-13-01", "0000-01-01", "1790000000", "2026-01-31T25:00Z", "²026-01-31"]
)
def test_what_is_no_time_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(RequestInvalidError, match=r"since .* is no time"):
        read_time(text, name="since")


@pytest.mark.parametrize("given_labels", [["a"], ["=a"], ["a=1", "a=2"]])
def test_what_is_no_label_is_refused(given_labels: list[str]) -> None:
    with pytest.raises(RequestInvalidError, match="write name=value"):
        read_labels(given_labels)


def test_every_fault_of_a_filter_is_told() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(RequestInvalidError) as refused:
        wanted(status=["stuk"], started_after=naive, labels={f"l{n}": "" for n in range(21)}, error="x" * 201, saga="\0")
    assert {fault.path for fault in refused.value.faults} == {"status", "started_after", "label", "error", "saga"}
    assert "did you mean stuck?" in str(refused.value)


def test_the_events_that_tell_are_those_with_a_failure_or_a_reason() -> None:
    assert {"ActionFailed", "OutcomeUnknown", "AbortRequested", "InputEdited"} <= set(EXPLAINING_EVENTS)
    assert not {"SagaStarted", "ActionSucceeded"} & set(EXPLAINING_EVENTS)


@given(st.floats(0, 2**37), st.integers(0, 2**74 - 1))
def test_the_ids_of_a_time_are_within_its_bounds(at: float, entropy: int) -> None:
    made = saga_id(at, entropy)
    assert id_bound(at) <= made < id_bound(at + timedelta(milliseconds=2).total_seconds())
    assert id_bound(at - ID_SLACK_SECONDS) <= made
