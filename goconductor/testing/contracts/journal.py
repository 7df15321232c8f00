# ruff: noqa: S101 - assertions are what a suite is made of
"""What every effect journal must do; the numbers are the duties of :class:`goconductor.ports.journal.Journal`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any
from uuid import uuid4

import pytest

from goconductor.errors import JournalError, PayloadError
from goconductor.ports.journal import EffectKey, Entry, Found, Journal

TIMEOUT_SECONDS = 300.0
"""Seconds of an attempt that no test reaches."""


class JournalContract(ABC):
    """Subclass it as ``TestMyJournal``, give the fixture ``journal`` and the three methods.

    "Effects" are rows of text that a step writes with its transaction, into a place that the suite can read.
    """

    @pytest.fixture
    @abstractmethod
    async def journal(self) -> Journal[Any]:
        """Provide a journal whose table exists, on an empty database."""

    @abstractmethod
    async def write(self, tx: Any, effect: str) -> None:
        """Write an effect in the open transaction."""

    @abstractmethod
    async def effects(self) -> list[str]:
        """Provide the committed effects, in any order."""

    @abstractmethod
    async def until_one_waits(self) -> None:
        """Return when a run waits for another run that holds its key."""

    @pytest.fixture
    def key(self) -> EffectKey:
        name = uuid4().hex
        return EffectKey(f"{name}:action", f"{name}:compensation")

    async def act(self, journal: Journal[Any], key: EffectKey, effect: str = "charged", result: bytes = b'"ok"') -> Entry:
        async def call(tx: Any) -> bytes:
            await self.write(tx, effect)
            return result

        return await journal.run_action(key, call, timeout_seconds=TIMEOUT_SECONDS)

    async def compensate(self, journal: Journal[Any], key: EffectKey, effect: str = "refunded") -> Entry:
        async def call(tx: Any, output: bytes) -> None:
            await self.write(tx, f"{effect} {output.decode()}")

        return await journal.run_compensation(key, call, timeout_seconds=TIMEOUT_SECONDS)

    async def test_1_an_action_runs_once_and_its_result_is_found_again(self, journal: Journal[Any], key: EffectKey) -> None:
        assert await self.act(journal, key) == Entry(found=Found.RAN, result=b'"ok"')
        assert await self.act(journal, key) == Entry(found=Found.SEEN, result=b'"ok"')
        assert await self.effects() == ["charged"]

    async def test_1_another_round_is_another_effect(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key)
        assert (await self.act(journal, EffectKey(key.action + "/1", key.compensation + "/1"))).found is Found.RAN
        assert await self.effects() == ["charged", "charged"]

    async def test_1_a_result_may_hold_any_bytes(self, journal: Journal[Any], key: EffectKey) -> None:
        anything = bytes(range(256))
        await self.act(journal, key, result=anything)
        assert (await self.act(journal, key)).result == anything

    async def test_1_an_empty_result_is_a_result(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key, result=b"")
        assert await self.act(journal, key) == Entry(found=Found.SEEN, result=b"")

    async def test_2_what_the_action_raises_passes_through_and_nothing_stays(self, journal: Journal[Any], key: EffectKey) -> None:
        class CardReaderOnFireError(Exception):
            pass

        async def call(tx: Any) -> bytes:
            await self.write(tx, "charged")
            raise CardReaderOnFireError

        with pytest.raises(CardReaderOnFireError):
            await journal.run_action(key, call, timeout_seconds=TIMEOUT_SECONDS)
        assert await self.effects() == []
        assert (await self.act(journal, key)).found is Found.RAN

    async def test_2_a_cancelled_action_leaves_nothing(self, journal: Journal[Any], key: EffectKey) -> None:
        inside = asyncio.Event()

        async def call(tx: Any) -> bytes:
            await self.write(tx, "charged")
            inside.set()
            await asyncio.Event().wait()
            return b"never"

        run = asyncio.create_task(journal.run_action(key, call, timeout_seconds=TIMEOUT_SECONDS))
        await inside.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert await self.effects() == []
        assert (await self.act(journal, key)).found is Found.RAN

    async def test_2_a_compensation_that_raises_can_be_tried_again(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key)

        async def call(tx: Any, _output: bytes) -> None:
            await self.write(tx, "refunded")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await journal.run_compensation(key, call, timeout_seconds=TIMEOUT_SECONDS)
        assert await self.effects() == ["charged"]
        assert (await self.compensate(journal, key)).found is Found.RAN

    async def test_3_a_final_failure_stands(self, journal: Journal[Any], key: EffectKey) -> None:
        failed = Entry(found=Found.FAILED, result=b'"declined"')
        assert await journal.fail_action(key, b'"declined"', timeout_seconds=TIMEOUT_SECONDS) == failed
        assert await self.act(journal, key) == failed
        assert await journal.fail_action(key, b'"another"', timeout_seconds=TIMEOUT_SECONDS) == failed
        assert await self.effects() == []

    async def test_3_a_success_is_found_instead_of_a_failure(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key)
        entry = await journal.fail_action(key, b'"declined"', timeout_seconds=TIMEOUT_SECONDS)
        assert entry == Entry(found=Found.SEEN, result=b'"ok"')

    async def test_3_a_refusal_is_found_instead_of_a_failure(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.compensate(journal, key)
        assert (await journal.fail_action(key, b"1", timeout_seconds=TIMEOUT_SECONDS)).found is Found.REFUSED

    async def test_4_a_compensation_gets_the_stored_output_and_runs_once(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key, result=b'"receipt 7"')
        assert (await self.compensate(journal, key)).found is Found.RAN
        assert (await self.compensate(journal, key)).found is Found.SEEN
        assert sorted(await self.effects()) == ["charged", 'refunded "receipt 7"']

    async def test_4_a_compensation_without_an_effect_calls_nothing(self, journal: Journal[Any], key: EffectKey) -> None:
        assert (await self.compensate(journal, key)).found is Found.NULL
        assert (await self.compensate(journal, key)).found is Found.SEEN
        assert await self.effects() == []

    async def test_4_a_late_action_is_refused_after_a_null_compensation(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.compensate(journal, key)
        assert (await self.act(journal, key)).found is Found.REFUSED
        assert await self.effects() == []

    async def test_4_an_action_that_failed_has_a_null_compensation_and_stays_failed(
        self, journal: Journal[Any], key: EffectKey
    ) -> None:
        await journal.fail_action(key, b'"declined"', timeout_seconds=TIMEOUT_SECONDS)
        assert (await self.compensate(journal, key)).found is Found.NULL
        assert await self.act(journal, key) == Entry(found=Found.FAILED, result=b'"declined"')

    async def test_4_a_late_action_finds_its_success_after_its_compensation(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key)
        await self.compensate(journal, key)
        assert (await self.act(journal, key)).found is Found.SEEN
        assert sorted(await self.effects()) == ["charged", 'refunded "ok"']

    async def test_5_settling_refuses_what_did_not_happen(self, journal: Journal[Any], key: EffectKey) -> None:
        for _ in range(2):
            assert await journal.settle(key, timeout_seconds=TIMEOUT_SECONDS) == Entry(found=Found.REFUSED)
        assert (await self.act(journal, key)).found is Found.REFUSED
        assert await self.effects() == []

    async def test_5_settling_tells_what_happened(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key, result=b'"shipped"')
        assert await journal.settle(key, timeout_seconds=TIMEOUT_SECONDS) == Entry(found=Found.SEEN, result=b'"shipped"')

    async def test_5_settling_tells_a_final_failure(self, journal: Journal[Any], key: EffectKey) -> None:
        await journal.fail_action(key, b'"no"', timeout_seconds=TIMEOUT_SECONDS)
        assert await journal.settle(key, timeout_seconds=TIMEOUT_SECONDS) == Entry(found=Found.FAILED, result=b'"no"')

    async def test_6_skipping_refuses_both_late_comers(self, journal: Journal[Any], key: EffectKey) -> None:
        for _ in range(2):
            assert (await journal.skip(key, timeout_seconds=TIMEOUT_SECONDS)).found is Found.REFUSED
        assert (await self.act(journal, key)).found is Found.REFUSED
        assert (await self.compensate(journal, key)).found is Found.REFUSED
        assert await self.effects() == []

    async def test_6_a_compensation_is_refused_after_its_skip_though_its_action_ran(
        self, journal: Journal[Any], key: EffectKey
    ) -> None:
        await self.act(journal, key)
        assert (await journal.skip(key, timeout_seconds=TIMEOUT_SECONDS)).found is Found.REFUSED
        assert (await self.compensate(journal, key)).found is Found.REFUSED
        assert await self.effects() == ["charged"]

    async def test_6_skipping_tells_that_the_compensation_had_run(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key)
        await self.compensate(journal, key)
        assert (await journal.skip(key, timeout_seconds=TIMEOUT_SECONDS)).found is Found.SEEN

    async def test_6_a_null_compensation_counts_as_run(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.compensate(journal, key)
        assert (await journal.skip(key, timeout_seconds=TIMEOUT_SECONDS)).found is Found.SEEN

    async def test_6_skipping_leaves_a_failed_action_failed(self, journal: Journal[Any], key: EffectKey) -> None:
        await journal.fail_action(key, b'"no"', timeout_seconds=TIMEOUT_SECONDS)
        assert (await journal.skip(key, timeout_seconds=TIMEOUT_SECONDS)).found is Found.REFUSED
        assert (await self.act(journal, key)).found is Found.FAILED

    async def test_7_of_two_actions_at_once_one_runs_and_the_other_sees(self, journal: Journal[Any], key: EffectKey) -> None:
        first, release = await self._hold_action(journal, key)
        second = asyncio.create_task(self.act(journal, key, "charged again"))
        await self.until_one_waits()
        release.set()
        assert await first == Entry(found=Found.RAN, result=b'"first"')
        assert await second == Entry(found=Found.SEEN, result=b'"first"')
        assert await self.effects() == ["charged first"]

    async def test_7_who_waits_runs_when_the_first_one_fails(self, journal: Journal[Any], key: EffectKey) -> None:
        first, _ = await self._hold_action(journal, key)
        second = asyncio.create_task(self.act(journal, key, "charged second"))
        await self.until_one_waits()
        first.cancel()
        assert (await second).found is Found.RAN
        assert await self.effects() == ["charged second"]

    async def test_7_a_compensation_waits_for_its_action_and_meets_its_effect(
        self, journal: Journal[Any], key: EffectKey
    ) -> None:
        action, release = await self._hold_action(journal, key)
        compensation = asyncio.create_task(self.compensate(journal, key))
        await self.until_one_waits()
        release.set()
        assert (await action).found is Found.RAN
        assert (await compensation).found is Found.RAN
        assert sorted(await self.effects()) == ["charged first", 'refunded "first"']

    async def test_7_a_compensation_is_null_when_the_action_it_waited_for_fails(
        self, journal: Journal[Any], key: EffectKey
    ) -> None:
        action, _ = await self._hold_action(journal, key)
        compensation = asyncio.create_task(self.compensate(journal, key))
        await self.until_one_waits()
        action.cancel()
        assert (await compensation).found is Found.NULL
        assert (await self.act(journal, key)).found is Found.REFUSED
        assert await self.effects() == []

    async def test_7_a_skip_waits_for_a_compensation_that_runs(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key)
        inside, release = asyncio.Event(), asyncio.Event()

        async def call(tx: Any, _output: bytes) -> None:
            await self.write(tx, "refunded")
            inside.set()
            await release.wait()

        compensation = asyncio.create_task(journal.run_compensation(key, call, timeout_seconds=TIMEOUT_SECONDS))
        await inside.wait()
        skip = asyncio.create_task(journal.skip(key, timeout_seconds=TIMEOUT_SECONDS))
        await self.until_one_waits()
        release.set()
        assert (await compensation).found is Found.RAN
        assert (await skip).found is Found.SEEN

    async def test_7_of_ten_at_once_one_runs(self, journal: Journal[Any], key: EffectKey) -> None:
        entries = await asyncio.gather(*(self.act(journal, key, f"charged {i}", b"%d" % i) for i in range(10)))
        assert sorted(entry.found for entry in entries) == [Found.RAN, *[Found.SEEN] * 9]
        assert len({entry.result for entry in entries}) == 1
        assert len(await self.effects()) == 1

    async def test_7_actions_and_compensations_at_once_leave_nothing_or_both(self, journal: Journal[Any], key: EffectKey) -> None:
        entries = await asyncio.gather(
            *(run(journal, key) for run in (self.act, self.compensate) * 5),
        )
        action = next((entry for entry in entries[::2] if entry.found is Found.RAN), None)
        assert [entry.found for entry in entries[1::2]].count(Found.RAN if action else Found.NULL) == 1
        assert sorted(await self.effects()) == (["charged", 'refunded "ok"'] if action else [])

    async def test_a_transaction_ends_by_itself_and_what_was_stopped_in_it_cannot_commit(
        self, journal: Journal[Any], key: EffectKey
    ) -> None:
        stopped, resume = await self._hold_action(journal, key, timeout_seconds=1.0)
        assert (await self.act(journal, key, "charged second")).found is Found.RAN
        resume.set()
        with pytest.raises(JournalError):
            await stopped
        assert await self.effects() == ["charged second"]

    async def test_who_waits_too_long_is_told_so_and_has_changed_nothing(self, journal: Journal[Any], key: EffectKey) -> None:
        first, release = await self._hold_action(journal, key)
        text = ""
        while "another run" not in text:  # on a busy machine it may not even have a connection by then
            with pytest.raises(JournalError) as raised:
                await journal.settle(key, timeout_seconds=1.0)
            text = str(raised.value)
        release.set()
        assert (await first).found is Found.RAN

    async def test_9_a_result_too_large_is_refused_and_nothing_happened(self, journal: Journal[Any], key: EffectKey) -> None:
        with pytest.raises(PayloadError, match=str(journal.result_bytes_max)):
            await self.act(journal, key, result=b"x" * (journal.result_bytes_max + 1))
        assert await self.effects() == []
        largest = b"x" * journal.result_bytes_max
        assert await self.act(journal, key, result=largest) == Entry(found=Found.RAN, result=largest)

    async def test_10_forgetting_takes_the_old_and_leaves_the_young(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key)
        assert await journal.forget(3600) == 0
        assert (await self.act(journal, key)).found is Found.SEEN
        await self.compensate(journal, key)
        assert await journal.forget(0) == 2
        assert (await self.act(journal, key)).found is Found.RAN

    async def test_the_table_may_be_created_by_many_at_once_and_again(self, journal: Journal[Any], key: EffectKey) -> None:
        await self.act(journal, key)
        await asyncio.gather(*(journal.create_table() for _ in range(5)))
        assert (await self.act(journal, key)).found is Found.SEEN

    async def _hold_action(
        self, journal: Journal[Any], key: EffectKey, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> tuple[asyncio.Task[Entry], asyncio.Event]:
        """Run an action that has written its effect and holds its transaction open; return it, and the event that lets it
        return.
        """
        inside, release = asyncio.Event(), asyncio.Event()

        async def call(tx: Any) -> bytes:
            await self.write(tx, "charged first")
            inside.set()
            await release.wait()
            return b'"first"'

        while True:
            run = asyncio.create_task(journal.run_action(key, call, timeout_seconds=timeout_seconds))
            arriving = asyncio.create_task(inside.wait())
            await asyncio.wait([run, arriving], return_when=asyncio.FIRST_COMPLETED)
            if inside.is_set():
                return run, release
            arriving.cancel()
            with pytest.raises(JournalError):  # its time was over before it got there, as on a busy machine
                await run
