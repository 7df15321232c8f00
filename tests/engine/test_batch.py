"""Batches: what arrives while others are in flight shares the next; several lanes never contradict each other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from goconductor.engine.log.batch import SHARE_MIN, Batcher

Item = tuple[str, int]


class Database:
    """Takes batches, and answers each when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[Item]] = []
        self.answers: list[asyncio.Future[None]] = []

    async def flush(self, items: list[Item]) -> Sequence[Item]:
        self.batches.append(items)
        self.answers.append(asyncio.get_running_loop().create_future())
        await self.answers[-1]
        return items


async def turn() -> None:
    """Let everybody go on who can."""
    for _ in range(6):
        await asyncio.sleep(0)


async def test_what_arrives_while_a_batch_is_in_flight_is_the_next_batch() -> None:
    database = Database()
    batcher = Batcher(database.flush)
    first = batcher.submit(("a", 1))
    await turn()
    others = [batcher.submit(("b", number)) for number in range(3)]
    await turn()
    assert database.batches == [[("a", 1)]]
    database.answers[0].set_result(None)
    assert await first == ("a", 1)
    await turn()
    assert database.batches[1:] == [[("b", 0), ("b", 1), ("b", 2)]]
    database.answers[1].set_result(None)
    assert await asyncio.gather(*others) == database.batches[1]


async def test_two_lanes_share_what_there_is() -> None:
    database = Database()
    batcher = Batcher(database.flush, lanes=2)
    calls = [batcher.submit((str(number), number)) for number in range(4 * SHARE_MIN)]
    await turn()
    assert [len(batch) for batch in database.batches] == [2 * SHARE_MIN, 2 * SHARE_MIN]
    for answer in database.answers:
        answer.set_result(None)
    assert [number for _, number in await asyncio.gather(*calls)] == list(range(4 * SHARE_MIN))


async def test_a_few_calls_are_not_split() -> None:
    database = Database()
    batcher = Batcher(database.flush, lanes=2)
    calls = [batcher.submit((str(number), number)) for number in range(SHARE_MIN)]
    await turn()
    assert [len(batch) for batch in database.batches] == [SHARE_MIN]
    database.answers[0].set_result(None)
    await asyncio.gather(*calls)


async def test_one_subject_is_never_in_two_batches_at_once() -> None:
    database = Database()
    batcher = Batcher(database.flush, lanes=2, subject=lambda item: item[0])
    first = batcher.submit(("a", 1))
    await turn()
    second, other = batcher.submit(("a", 2)), batcher.submit(("b", 3))
    await turn()
    assert database.batches == [[("a", 1)], [("b", 3)]]
    database.answers[0].set_result(None)
    await first
    await turn()
    assert database.batches[2:] == [[("a", 2)]]
    for answer in database.answers[1:]:
        answer.set_result(None)
    assert list(await asyncio.gather(second, other)) == [("a", 2), ("b", 3)]


async def test_who_calls_in_the_very_moment_in_which_a_lane_ends_is_not_forgotten() -> None:
    async def flush(items: list[Item]) -> Sequence[Item]:
        return items

    batcher = Batcher(flush)

    async def caller(turns: int) -> None:
        await batcher.submit(("a", 0))
        for _ in range(turns):
            await asyncio.sleep(0)
        await batcher.submit(("a", turns))

    async with asyncio.timeout(300):
        for turns in range(6):
            await caller(turns)
        await asyncio.gather(*(caller(turns) for turns in range(6)))


async def test_an_error_belongs_to_the_callers_of_its_batch() -> None:
    async def flush(items: list[Item]) -> Sequence[Item]:
        if items[0][0] == "bad":
            raise ValueError("bad")
        return items

    batcher = Batcher(flush)
    bad = batcher.submit(("bad", 1))
    assert isinstance((await asyncio.gather(bad, return_exceptions=True))[0], ValueError)
    assert await batcher.submit(("good", 2)) == ("good", 2)


@given(
    calls=st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 4)), max_size=60),
    flights=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    lanes=st.integers(1, 3),
    items_max=st.integers(1, 8),
)
def test_every_call_is_answered_once_in_its_subjects_order(
    calls: list[tuple[str, int]], flights: list[int], lanes: int, items_max: int
) -> None:
    done: list[Item] = []
    flying: Counter[str] = Counter()
    most = 0

    async def flush(items: list[Item]) -> Sequence[Item]:
        nonlocal most
        assert 1 <= len(items) <= items_max
        subjects = {subject for subject, _ in items}
        assert not any(flying[subject] for subject in subjects)
        flying.update(subjects)
        most = max(most, flying.total())
        for _ in range(flights[len(done) % len(flights)]):
            await asyncio.sleep(0)
        flying.subtract(subjects)
        done.extend(items)
        return items

    async def run() -> None:
        batcher = Batcher(flush, lanes=lanes, items_max=items_max, subject=lambda item: item[0])

        async def call(subject: str, number: int, turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            assert await batcher.submit((subject, number)) == (subject, number)

        async with asyncio.timeout(300):
            await asyncio.gather(*(call(subject, number, turns) for number, (subject, turns) in enumerate(calls)))
        await batcher.close()

    asyncio.run(run())
    assert sorted(number for _, number in done) == list(range(len(calls)))
    for name in "abcde":
        asked = sorted((turns, number) for number, (subject, turns) in enumerate(calls) if subject == name)
        assert [number for subject, number in done if subject == name] == [number for _, number in asked]


async def test_callers_whom_a_flush_leaves_out_get_an_error_and_wait_for_nothing() -> None:
    async def forgetful(items: list[Item]) -> Sequence[Item]:
        return items[:1]

    batcher = Batcher(forgetful)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(batcher.submit(("a", number)) for number in range(2)), return_exceptions=True)
        assert answers[0] == ("a", 0)
        assert isinstance(answers[1], ValueError)
        assert await batcher.ask(("b", 1)) == ("b", 1)
