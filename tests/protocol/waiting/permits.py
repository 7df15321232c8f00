"""Permits: a step with ``concurrency_total = 1``, and two pieces of work.

A permit is a row with its lease's token. Leases run out, processes die, the database may crash and empty the table of leases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.explorer import FAULT, MESSAGE, SWEEP, WORK, Move, Promise
from tests.protocol.runs import put

TOKENS = 4  # tokens are drawn in a circle, which is enough to tell two leases apart here


class Faults(NamedTuple):
    """How often each thing may still happen."""

    lost_leases: int = 0
    crashes: int = 0
    database_crashes: int = 0
    lost_messages: int = 0


NO_FAULTS = Faults()


class Lease(NamedTuple):
    token: int
    expired: bool = False


class Working(NamedTuple):
    """A process at work. Its lease counts until it runs out, though a crash may have emptied the table."""

    work: int
    token: int
    in_time: bool = True


class State(NamedTuple):
    done: tuple[bool, bool]
    leases: tuple[Lease | None, Lease | None]
    counter: int  # where permits are no rows
    processes: tuple[Working | None, Working | None]
    silent: bool  # the leases were emptied less than one lease's life ago
    messages: frozenset[int]
    token: int
    left: Faults


@dataclass(frozen=True)
class Permits:
    """The world and its rules. A rule's first value is the one that holds."""

    left: Faults = NO_FAULTS
    count_on: str = ""  # sweep, or messages alone

    permits: str = "rows"  # living rows | counter: a number in a logged row | unlogged: a number in an unlogged one
    ends_with_lease: bool = False  # a row whose lease has run out is free for all, and not only for who takes that lease over
    given_back_with_lease: bool = True  # only by whoever deleted the lease with that token
    silence: bool = True  # after the leases were emptied nobody takes a permit for one lease's life
    wakes: bool = True  # who gives a permit back wakes a step that was refused

    def begin(self) -> State:
        return State((False, False), (None, None), 0, (None, None), False, frozenset((0, 1)), 1, self.left)

    def given_back(self, state: State, *, deleted: bool) -> int:
        if self.permits == "rows":
            return state.counter
        return state.counter - 1 if deleted or not self.given_back_with_lease else state.counter

    def woken(self, state: State) -> frozenset[int]:
        return state.messages | {work for work in (0, 1) if not state.done[work]} if self.wakes else state.messages

    def moves(self, state: State) -> Iterator[Move[State]]:
        for place, working in enumerate(state.processes):
            if working is not None:
                yield from self.working(state, place, working)
            elif place == 0 or state.processes[0] is not None:  # idle processes are alike
                yield from self.taking(state, place)
        yield from self.leases_end(state)
        left = state.left
        for message in state.messages if left.lost_messages else ():
            lost = state._replace(messages=state.messages - {message}, left=left._replace(lost_messages=left.lost_messages - 1))
            yield Move(f"the message for work {message} is lost", FAULT, lost)

    def taking(self, state: State, place: int) -> Iterator[Move[State]]:
        rows = sum(lease is not None and not (self.ends_with_lease and lease.expired) for lease in state.leases)
        taken = rows if self.permits == "rows" else state.counter
        for work in (0, 1):
            lease = state.leases[work]
            if state.done[work] or (lease is not None and not lease.expired):
                continue
            own = lease is not None and not self.ends_with_lease  # whoever takes an expired lease over takes its permit too
            free = taken - own < 1 and not (state.silent and self.silence)
            heard = state._replace(messages=state.messages - {work})
            if free:
                token = state.token
                after = state._replace(
                    leases=put(state.leases, work, Lease(token)),
                    counter=state.counter + (self.permits != "rows" and not own),
                    processes=put(state.processes, place, Working(work, token)),
                    token=(token + 1) % TOKENS,
                )
                label = f"process {place} takes the lease of work {work}, and a permit"
                if work in state.messages:
                    yield Move(label, MESSAGE, after._replace(messages=heard.messages))
                yield Move(label, SWEEP, after)
            elif work in state.messages:
                yield Move(f"process {place}: no permit for work {work}", MESSAGE, heard)

    def working(self, state: State, place: int, working: Working) -> Iterator[Move[State]]:
        work, token, in_time = working
        lease = state.leases[work]
        own = lease is not None and lease.token == token
        idle = state._replace(processes=put(state.processes, place, None))
        ended = idle._replace(
            done=put(state.done, work, True),
            leases=put(state.leases, work, None) if own else state.leases,
            counter=self.given_back(state, deleted=own),
        )
        yield Move(f"process {place} ends work {work}", WORK, ended._replace(messages=self.woken(state) - {work}))
        if state.left.crashes:
            yield Move(f"process {place} dies", FAULT, idle._replace(left=state.left._replace(crashes=state.left.crashes - 1)))
        if in_time and not own and state.silent:
            late = put(state.processes, place, working._replace(in_time=False))
            yield Move(f"the lease of process {place} would have run out by now", WORK, state._replace(processes=late))

    def leases_end(self, state: State) -> Iterator[Move[State]]:
        left = state.left
        for work, lease in enumerate(state.leases):
            if lease is None:
                continue
            holder = next(
                (place for place, own in enumerate(state.processes) if own is not None and own[:2] == (work, lease.token)), None
            )
            if lease.expired:
                freed = state._replace(leases=put(state.leases, work, None), counter=self.given_back(state, deleted=True))
                yield Move(f"the leader frees the lease of work {work}", SWEEP, freed._replace(messages=self.woken(state)))
                continue
            expired = state._replace(leases=put(state.leases, work, lease._replace(expired=True)))
            if holder is None:
                yield Move(f"the lease of work {work} runs out", WORK, expired)
            elif left.lost_leases:
                late = put(state.processes, holder, Working(work, lease.token, in_time=False))
                spent = left._replace(lost_leases=left.lost_leases - 1)
                yield Move(
                    f"the lease of work {work} runs out, its holder lives", FAULT, expired._replace(processes=late, left=spent)
                )
        if left.database_crashes and any(state.leases):
            spent = left._replace(database_crashes=left.database_crashes - 1)
            count = 0 if self.permits == "unlogged" else state.counter
            emptied = state._replace(leases=(None, None), counter=count, silent=True, left=spent)
            yield Move("DATABASE CRASH: the leases are emptied", FAULT, emptied)
        if state.silent and not any(own is not None and own.in_time and not self.held(state, own) for own in state.processes):
            yield Move("one lease's life has passed", WORK, state._replace(silent=False, messages=self.woken(state)))

    @staticmethod
    def held(state: State, own: Working) -> bool:
        lease = state.leases[own.work]
        return lease is not None and lease.token == own.token

    def broken(self, state: State) -> str | None:
        if sum(own is not None and own.in_time for own in state.processes) > 1:
            return "two run under a limit of one, and neither lease has run out"
        return "the count is below nothing" if state.counter < 0 else None

    def promises(self) -> tuple[Promise[State], ...]:
        if not self.count_on:
            return ()
        by = {"sweep": frozenset({WORK, SWEEP}), "messages": frozenset({WORK, MESSAGE})}[self.count_on]
        return (Promise(f"all work ends by the {self.count_on}", by, lambda state: state.done == (True, True)),)
