# ruff: noqa: S101 - assertions are what a suite is made of
"""Which bus and which election are used: the duties of :class:`goconductor.ports.store.Choices`, and their fence on terms."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from goconductor.ports.store import Store
from goconductor.ports.store.leading.choices import BUS, ELECTION, Choice, Phase, Report
from goconductor.testing.contracts.store.material import StoreFixtures

JOINING = Choice(kind=BUS, chosen="old", beside="new", phase=Phase.JOINING, number=1, by="anna")


class ChoicesContract(StoreFixtures):
    """Choices."""

    async def test_choice_1_at_first_nothing_was_chosen(self, store: Store) -> None:
        assert await store.choices.current(BUS) is None

    async def test_choice_1_everybody_reads_what_was_chosen_last(self, store: Store, other: Store) -> None:
        before = await store.terms.database_time()
        assert await store.choices.choose(JOINING)
        assert await store.choices.choose(replace(JOINING, kind=ELECTION, chosen="postgres"))
        found = await other.choices.current(BUS)
        assert found is not None
        assert before <= found.since <= await store.terms.database_time()
        assert replace(found, since=0.0) == JOINING
        drained = Choice(kind=BUS, chosen="new", beside="old", phase=Phase.DRAINING, number=2)
        assert await other.choices.choose(drained)
        found = await store.choices.current(BUS)
        assert found is not None
        assert replace(found, since=0.0) == drained

    async def test_choice_2_only_the_next_number_is_accepted(self, store: Store) -> None:
        assert not await store.choices.choose(replace(JOINING, number=2))
        assert not await store.choices.choose(replace(JOINING, number=0))
        assert await store.choices.current(BUS) is None
        assert await store.choices.choose(JOINING)
        for number in (1, 3):
            assert not await store.choices.choose(replace(JOINING, chosen="another", number=number))
        found = await store.choices.current(BUS)
        assert found is not None
        assert found.chosen == "old"

    async def test_choice_2_of_two_who_choose_at_once_one_is_refused(self, store: Store, other: Store) -> None:
        chosen = await asyncio.gather(
            *((store, other)[n % 2].choices.choose(replace(JOINING, by=f"asker {n}")) for n in range(6))
        )
        assert sum(chosen) == 1
        found = await store.choices.current(BUS)
        assert found is not None
        assert found.by == f"asker {chosen.index(True)}"

    async def test_choice_3_an_instance_says_what_it_speaks(self, store: Store, other: Store) -> None:
        instance = await store.instances.register("payments", "pod-0", {})
        assert instance.reports == {}
        bus = Report(names=["old", "new"], uses="old", number=1, problem="not there yet")
        election = Report(names=["etcd"], uses="etcd", number=0, quiet=True)
        await store.choices.report(instance.serial, BUS, replace(bus, number=0))
        await store.choices.report(instance.serial, ELECTION, election)
        await store.choices.report(instance.serial, BUS, bus)
        assert [each.reports for each in await other.instances.registered("payments")] == [{BUS: bus, ELECTION: election}]
        assert [each.reports for each, _ in await other.instances.presence(dead_since=0)] == [{BUS: bus, ELECTION: election}]

    async def test_term_8_while_one_election_is_chosen_no_other_raises_the_epoch(self, store: Store, other: Store) -> None:
        assert await store.choices.choose(replace(JOINING, kind=ELECTION, chosen="old"))
        assert await store.terms.raise_epoch("anna", 10.0, election="new") is None
        term = await other.terms.raise_epoch("bert", 10.0, election="old")
        assert term is not None
        assert (term.election, await store.terms.current()) == ("old", term)

    async def test_term_8_another_elections_term_is_waited_for_and_its_own_is_not(self, store: Store, other: Store) -> None:
        old = await store.terms.raise_epoch("anna", 600.0, election="old")
        assert old is not None
        assert await other.terms.raise_epoch("bert", 600.0, 7, election="new") is None
        assert await store.terms.current() == old
        assert await store.terms.last_evidence() is None
        again = await other.terms.raise_epoch("carl", 600.0, election="old")
        assert again is not None
        await store.terms.resign(again)
        new = await other.terms.raise_epoch("bert", 600.0, 7, election="new")
        assert new is not None
        assert (new.epoch, new.election) == (again.epoch + 1, "new")
        renewed = await other.terms.renew(new, 600.0)
        assert renewed is not None
        assert renewed.election == "new"
