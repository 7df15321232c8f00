"""The log keeps an event's body as it was written, byte for byte: whoever reads it is given what the first attempt was given."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goconductor.ports.store import Known, LogEntry
from goconductor.saga.data.values import decode, encode
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.material import Saga, begin, event

pytestmark = pytest.mark.postgres

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | floats | texts
keepable = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5))

AT_THE_BOUNDS: list[Any] = [
    {"note": "x", "a": 1, "Z": 2, "ä": 3, "": 4},
    *(-0.0, 0.0, 1.0, 1, 1e16, -1e16, 1e22, 1.7976931348623157e308, 5e-324, 0.1, 123456789012345678.0),
    *(2**63 - 1, -(2**63), "\x01\x1f\x7f \\u0000 é\U0001f600\uffff", "", [], {}, [[]], {"a": {}}),
]


def bodies_of(entries: list[LogEntry]) -> list[bytes]:
    return [entry.data for entry in entries]


async def test_hundreds_of_values_come_back_from_the_log_as_the_bytes_that_they_were(store: PostgresStore) -> None:
    values = AT_THE_BOUNDS + [{"k": value, "again": [value]} for value in AT_THE_BOUNDS]

    @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(keepable, max_size=20))
    def gather(more: list[Any]) -> None:
        values.extend(more)

    gather()
    bodies = [encode({"output": value}) for value in values]
    saga = await begin(store)
    await store.log.append([saga.append(*(event(data=body) for body in bodies))])
    found = (await store.sagas.history(saga.saga_id, limit=len(bodies) + 1))[1:]
    assert len(found) == len(bodies) > 200
    assert bodies_of(found) == bodies
    assert [repr(decode(entry.data)["output"]) for entry in found] == [repr(value) for value in values]
    [tail] = await store.log.read([Known(saga.saga_id)])
    assert bodies_of(tail.entries)[1:] == bodies


@pytest.mark.parametrize("body", [b'{"b": 1,  "a": 2, "b": 3}', b'{"n": 18446744073709551616, "x": 1E+2, "y": 1.50}'])
async def test_what_another_writer_wrote_is_kept_as_well(store: PostgresStore, body: bytes) -> None:
    saga = await begin(store)
    await store.log.append([saga.append(event(data=body))])
    assert bodies_of(await store.sagas.history(saga.saga_id))[1:] == [body]


async def test_a_log_of_the_release_before_is_read_on_and_may_still_be_written_to_by_it(postgres_url: str) -> None:
    """Its processes run on while the schema is changed: what they write is cast to ``jsonb`` before it becomes text."""
    body = b'{"note": "x", "a": -0.0}'
    await migrate(postgres_url, revision="0003")
    before = await asyncpg.connect(postgres_url)
    write = """
        INSERT INTO goconductor.saga_log
            (saga_id, seq, tag, event_id, event, step, round, attempt, token, participant, data, at)
        SELECT $1::uuid, $2::bigint, 1, $1::uuid, 'ActionSucceeded', 's', 0, 1, 0, 'p',
            convert_from($3::bytea, 'UTF8')::jsonb, now()
    """
    look = "SELECT data FROM goconductor.saga_log WHERE saga_id = $1 ORDER BY seq"
    saga = Saga()
    await before.execute(write, saga.saga_id, 1, body)
    assert [row[0] for row in await before.fetch(look, saga.saga_id)] == ['{"a": 0.0, "note": "x"}']  # as jsonb has it
    await migrate(postgres_url)
    await before.execute(write, saga.saga_id, 2, body)
    assert [row[0] for row in await before.fetch(look, saga.saga_id)] == ['{"a": 0.0, "note": "x"}'] * 2
    await before.close()
    store = PostgresStore(postgres_url)
    await store.open()
    assert [decode(each) for each in bodies_of(await store.sagas.history(saga.saga_id))] == [{"a": 0.0, "note": "x"}] * 2
    await store.close()
