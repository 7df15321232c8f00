# ruff: noqa: S101 - assertions are what a suite is made of
"""What every election must do; the numbers are the duties of :class:`goconductor.ports.election.Election`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from goconductor.errors import FencedError
from goconductor.ports.election import Election
from goconductor.ports.store import Lease, LeaseKey, Store, Term
from goconductor.saga.ids import Direction

Elect = Callable[[], Awaitable[Election]]

PATIENCE_SECONDS = 300.0
"""Seconds that a test tries again: generous, as the machine may be busy."""


class ElectionContract(ABC):
    """Subclass it as ``TestMyElection`` and give the two fixtures."""

    usurps = False
    """Whether it is an election of one, which its candidate always wins: a second one takes over, and the first is fenced."""

    term_seconds = 0.4
    """Seconds of terms whose end a test waits for; raise it for a server that is slow to answer."""

    @pytest.fixture
    @abstractmethod
    async def store(self) -> Store:
        """Provide an open store, empty."""

    @pytest.fixture
    @abstractmethod
    async def elect(self, store: Store) -> Elect:
        """Provide a factory of open candidates of one and the same election; the fixture closes them."""

    async def until_over(self, store: Store, term: Term) -> None:
        """Return when the term has ended by the database's clock."""
        while await store.terms.database_time() <= term.ends_at:
            pass

    async def win(self, election: Election, candidate: str) -> Term:
        """Win a term that outlasts the test, however busy the machine is."""
        term = await election.campaign(candidate, 3600)
        assert term is not None, f"{candidate} should have won"
        return term

    async def win_shortly(self, election: Election, candidate: str) -> Term:
        """Win a term whose end the test waits for. On a busy machine it may be over before it was won, so this tries again."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (term := await election.campaign(candidate, self.term_seconds)) is None:
                pass
        return term

    async def write(self, store: Store, term: Term) -> None:
        """Write what only the leader may write."""
        lease = Lease(key=LeaseKey(uuid4(), "inventory.reserve", Direction.ACTION), instance=1, token=1)
        await store.recovery.free([lease], epoch=term.epoch)

    async def test_1_the_only_candidate_becomes_leader(self, store: Store, elect: Elect) -> None:
        before = await store.terms.database_time()
        term = await self.win(await elect(), "anna")
        assert term.holder == "anna"
        assert before + 3600 <= term.ends_at <= await store.terms.database_time() + 3600
        assert await store.terms.current() == term
        await self.write(store, term)

    async def test_2_the_epoch_rises_with_every_term(self, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        epochs = []
        for candidate in (anna, bert, anna, anna, bert):
            term = await self.win(candidate, "someone")
            epochs.append(term.epoch)
            await candidate.resign(term)
        assert epochs == sorted(set(epochs))
        assert epochs[0] > 0

    async def test_3_a_silent_leader_is_replaced_after_its_terms_end(self, store: Store, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        old, new = await self.replace(store, anna, bert)
        assert new.epoch > old.epoch
        assert await anna.renew(old, self.term_seconds) is None

    async def test_4_a_renewal_prolongs_the_term(self, store: Store, elect: Elect) -> None:
        anna = await elect()
        term = await self.win(anna, "anna")
        for _ in range(3):
            renewed = await anna.renew(term, 7200)
            assert renewed is not None
            assert (renewed.epoch, renewed.holder) == (term.epoch, "anna")
            assert renewed.ends_at >= term.ends_at
            assert await store.terms.current() == renewed
            term = renewed
        await self.write(store, term)

    async def test_5_a_late_renewal_of_an_old_term_changes_nothing(self, store: Store, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        old, new = await self.replace(store, anna, bert)
        for _ in range(2):
            assert await anna.renew(old, 3600) is None
        assert await store.terms.current() == new
        assert await bert.renew(new, 3600) is not None

    async def test_5_a_late_resignation_of_an_old_term_does_not_unseat_the_new_one(self, store: Store, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        old, new = await self.replace(store, anna, bert)
        await anna.resign(old)
        assert await store.terms.current() == new
        assert await bert.renew(new, 3600) is not None

    async def test_5_late_calls_of_ones_own_old_term_change_nothing_for_ones_new_one(self, store: Store, elect: Elect) -> None:
        anna = await elect()
        old, new = await self.replace(store, anna, anna)
        assert await anna.renew(old, 3600) is None
        await anna.resign(old)
        assert await store.terms.current() == new
        assert await anna.renew(new, 3600) is not None

    async def test_6_a_leader_resigns_and_a_follower_takes_over_at_once(self, store: Store, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        old = await self.win(anna, "anna")
        await anna.resign(old)
        new = await self.win(bert, "bert")
        assert new.epoch > old.epoch
        assert await store.terms.current() == new

    async def test_6_who_resigned_renews_nothing(self, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        old = await self.win(anna, "anna")
        await anna.resign(old)
        await anna.resign(old)
        await self.win(bert, "bert")
        assert await anna.renew(old, self.term_seconds) is None

    async def test_7_closing_resigns_nothing_and_may_be_done_twice(self, store: Store, elect: Elect) -> None:
        anna = await elect()
        term = await self.win(anna, "anna")
        await anna.close()
        await anna.close()
        assert await store.terms.current() == term

    async def test_a_write_with_an_old_fencing_token_is_refused_by_the_store(self, store: Store, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        old, new = await self.replace(store, anna, bert)
        with pytest.raises(FencedError):
            await self.write(store, old)
        await self.write(store, new)

    async def test_a_replaced_leader_that_writes_on_is_refused_each_time(self, store: Store, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        old, new = await self.replace(store, anna, bert)
        accepted = refused = 0
        for _ in range(5):
            await self.write(store, new)
            try:
                await self.write(store, old)
                accepted += 1
            except FencedError:
                refused += 1
        assert (accepted, refused) == (0, 5)

    async def replace(self, store: Store, anna: Election, bert: Election) -> tuple[Term, Term]:
        """Let Anna lead and be silent until her term's end, so that Bert leads."""
        old = await self.win_shortly(anna, "anna")
        await self.until_over(store, old)
        return old, await self.win(bert, "bert")

    async def test_1_a_second_candidate_is_denied_and_told_so_at_once(self, store: Store, elect: Elect) -> None:
        anna, bert = await elect(), await elect()
        leading = await anna.campaign("anna", 3600)
        for _ in range(3):
            second = await bert.campaign("bert", 3600)
            assert (second is not None) == self.usurps
            leading = second or leading
            assert await store.terms.current() == leading

    async def test_2_of_ten_candidates_at_once_one_leads(self, store: Store, elect: Elect) -> None:
        await self.race(store, [await elect() for _ in range(10)])

    async def test_2_ten_race_for_a_stale_term_and_one_wins(self, store: Store, elect: Elect) -> None:
        anna, *others = [await elect() for _ in range(11)]
        old = await self.win_shortly(anna, "anna")
        await self.until_over(store, old)
        won = await self.race(store, others)
        assert won.epoch > old.epoch
        assert await anna.renew(old, self.term_seconds) is None

    async def test_2_ten_race_for_a_term_that_was_resigned_and_one_wins(self, store: Store, elect: Elect) -> None:
        anna, *others = [await elect() for _ in range(11)]
        await anna.resign(await self.win(anna, "anna"))
        await self.race(store, others)

    async def test_3_who_renews_in_time_is_not_replaced(self, store: Store, elect: Elect) -> None:
        """Renew in time; where the machine was too slow, it is all done again."""
        anna, bert = await elect(), await elect()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self.renewed_in_time(store, anna, bert):
                pass

    async def renewed_in_time(self, store: Store, anna: Election, bert: Election) -> bool:
        """Let Anna lead for two terms, while Bert campaigns; False if a whole term went by between two of her renewals."""
        began = await store.terms.database_time()
        first = term = await self.win_shortly(anna, "anna")
        while (now := await store.terms.database_time()) <= first.ends_at + self.term_seconds:
            renewed = await anna.renew(term, self.term_seconds)
            if renewed is not None:
                assert renewed.epoch == first.epoch
                term, began = renewed, now
                usurper = await bert.campaign("bert", self.term_seconds)
                if usurper is None:
                    continue
                await bert.resign(usurper)
                if self.usurps:
                    break
            assert await store.terms.database_time() > began + self.term_seconds, "she renewed in time, and lost her term"
            await anna.resign(term)
            return False
        return True

    async def race(self, store: Store, candidates: list[Election]) -> Term:
        # A term long enough that nobody's ends within the race.
        terms = await asyncio.gather(*(one.campaign(f"candidate {i}", 3600) for i, one in enumerate(candidates)))
        assert self.usurps or sum(term is not None for term in terms) == 1
        kept = [await one.renew(term, 3600) for one, term in zip(candidates, terms, strict=True) if term is not None]
        (won,) = (term for term in kept if term is not None)
        assert await store.terms.current() == won
        return won
