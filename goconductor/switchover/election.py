"""Several elections as one: candidates campaign in the chosen one, and a leader of another resigns.

**Never two leaders during a change.** The store alone numbers and ends a term, in whichever election it was won. Once the choice
is made, the store raises the epoch for candidates of the chosen election only, and not before the term of the other one is over.
One statement checks that and raises it (duty 8 of :class:`goconductor.ports.store.Terms`). A leader that knows of the change
stops its work, then resigns, and its successor begins at once. A leader that does not know yet keeps its term by renewing it. A
leader that is cut off loses its term, as always, and trusts itself for less long than the term lasts. So nobody has to be waited
for, and a change that nobody ends leaves no installation without a leader.

A process that was left behind by a change of the bus cannot send where the others read. It neither campaigns nor goes on leading,
because the messages of its sweep would reach nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from goconductor.aio.first_of import first_of
from goconductor.errors import ElectionError, GoConductorError, StoreError
from goconductor.ports.election import Election
from goconductor.ports.store import Term, Terms
from goconductor.ports.store.leading.choices import Choice, Report
from goconductor.recovery.beside import Duty
from goconductor.recovery.leadership import LeadTerm
from goconductor.redaction import logger_of
from goconductor.switchover.follower import Follower

logger = logger_of("goconductor.switchover")


class ElectionTerms:
    """The store's terms, as one named election sees them: the epochs that it raises bear its name.

    Args:
        terms: the store's terms.
        election: its name.
    """

    def __init__(self, terms: Terms, election: str) -> None:
        self._terms = terms
        self._election = election

    async def raise_epoch(
        self, holder: str, term_seconds: float, evidence: int | None = None, *, election: str = ""
    ) -> Term | None:
        """Raise the epoch as the port defines it, under this election's name."""
        return await self._terms.raise_epoch(holder, term_seconds, evidence, election=election or self._election)

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        return await self._terms.renew(term, term_seconds)

    async def resign(self, term: Term) -> None:
        await self._terms.resign(term)

    async def current(self) -> Term | None:
        return await self._terms.current()

    async def last_evidence(self) -> int | None:
        return await self._terms.last_evidence()

    async def database_time(self) -> float:
        return await self._terms.database_time()


class SwitchableElection:
    """The elections that a process names, as one :class:`goconductor.ports.election.Election`.

    Args:
        makes: makes each election by its name, with the terms given to it.
        terms: the store's terms.
        follower: follows the choice of the election.
        unfit: answers whether this process could not do a leader's work now.
    """

    def __init__(
        self,
        makes: Mapping[str, Callable[[Terms], Election]],
        *,
        terms: Terms,
        follower: Follower,
        unfit: Callable[[], bool] = lambda: False,
    ) -> None:
        self._makes = makes
        self._terms = terms
        self._follower = follower
        self._unfit = unfit
        self._made = {name: make(ElectionTerms(terms, name)) for name, make in makes.items()}
        self._open: set[str] = set()
        self._closing: list[Election] = []
        self._won: str | None = None
        """The election in which the present term was won."""
        self._moved = asyncio.Event()
        self._opening = asyncio.Lock()
        self._campaigning = asyncio.Lock()

    async def open(self) -> None:
        """Open the chosen election.

        Raises:
            ElectionError: the election, or the store with its choice, cannot be reached.
            ConfigurationError: the settings do not name the chosen election, or the leaf refuses them.
        """
        try:
            await self._follower.begin()
        except StoreError as error:
            raise ElectionError(f"which election is used cannot be looked up: {error}; see that the database is up") from error
        self._follower.follow(self._arrive)
        await self._ready(self._follower.choice.chosen)

    async def close(self) -> None:
        await self._follower.close()
        await asyncio.gather(*(election.close() for election in (*self._made.values(), *self._closing)))

    async def campaign(self, candidate: str, term_seconds: float) -> Term | None:
        chosen = self._follower.choice.chosen
        if chosen not in self._made:
            raise ElectionError(f"the settings do not name the election {chosen!r}; add it to election.others")
        if self._unfit() or (len(self._made) > 1 and await self._another_rules(chosen)):
            return None
        async with self._campaigning:
            election = await self._ready(chosen)
            self._won = None
            term = await election.campaign(candidate, term_seconds)
            if term is not None:
                self._won = chosen
                self._mark()
        return term

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        return None if self._won is None else await self._made[self._won].renew(term, term_seconds)

    async def resign(self, term: Term) -> None:
        async with self._campaigning:  # it is not closed meanwhile
            won, self._won = self._won, None
            if won is not None:
                await self._made[won].resign(term)

    def while_chosen(self, lead: Duty) -> Duty:
        """Return a leader's work that ends when another election is chosen, so that its leader resigns and campaigns there."""

        async def led(term: LeadTerm) -> None:
            await first_of(lead(term), self._moved.wait())

        return led

    async def _another_rules(self, chosen: str) -> bool:
        """Return whether a term that was won elsewhere is in force: then it would be of no use to win the lock here."""
        term = await self._terms.current()
        return term is not None and term.election not in {"", chosen} and term.ends_at > await self._terms.database_time()

    async def _ready(self, name: str) -> Election:
        async with self._opening:
            if name not in self._open:
                await self._made[name].open()
                self._open.add(name)
            return self._made[name]

    async def _arrive(self, choice: Choice) -> Report:
        problem = "" if choice.chosen in self._made else f"the settings do not name {choice.chosen!r}"
        for name in choice.in_use:
            if name in self._made:
                try:
                    await self._ready(name)
                except GoConductorError as error:
                    problem = problem or f"{name!r}: {error}"
        self._mark()
        leads_elsewhere = self._won not in {None, choice.chosen}
        if not problem and not leads_elsewhere:
            await self._leave(self._open - set(choice.in_use))
        uses = self._won or choice.chosen
        return self._follower.report(uses, problem=problem or ("it still leads" if leads_elsewhere else ""), quiet=True)

    def _mark(self) -> None:
        """Let the leader's work go on or end: it goes on if the term was won where it counts now, and the process is fit."""
        if self._won in {None, self._follower.choice.chosen} and not self._unfit():
            self._moved.clear()
        else:
            self._moved.set()

    async def _leave(self, names: set[str]) -> None:
        for name in names:
            async with self._campaigning, self._opening:
                if name == self._won:
                    continue
                self._open.discard(name)
                left, self._made[name] = self._made[name], self._makes[name](ElectionTerms(self._terms, name))
            try:
                await left.close()
            except asyncio.CancelledError:
                self._closing.append(left)  # ``close`` ends it
                raise
            logger.info("the election %r is used no more, and closed", name)
