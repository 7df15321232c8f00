"""Were effects lost or made twice? Checked from the services' databases, beside what the saga log says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

import msgspec

from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.saga.ids import Direction, idempotency_key, read_task_token
from goconductor.testing.checkers import Recorded


class Movement(msgspec.Struct, frozen=True):
    """An effect on an account, as the service kept it: the effect's key, the amount, the balance after it."""

    key: str
    account: str
    amount: int
    balance: int


def money(before: Mapping[str, int], now: Mapping[str, int], movements: Iterable[Movement]) -> Iterator[str]:
    """I1: nothing was made or lost, each account is the sum of its movements, and no balance was ever below zero.

    Args:
        before: the balances at the beginning, by account.
        now: those at the end.
        movements: all effects between, of all databases.
    """
    if sum(before.values()) != sum(now.values()):
        yield f"there were {sum(before.values())}, and there are {sum(now.values())}"
    expected = Counter(before)
    for movement in movements:
        if movement.account in before:
            expected[movement.account] += movement.amount
        if movement.balance < 0:
            yield f"account {movement.account} was at {movement.balance} after {movement.key}"
    for account, balance in now.items():
        if balance != expected[account]:
            yield f"account {account} holds {balance}, its movements add up to {expected[account]}"


def one_effect(
    sagas: Iterable[Recorded], effects: Mapping[str, int], journal: Mapping[str, str], transactional: frozenset[str]
) -> Iterator[str]:
    """I2: a key has one effect at most; what succeeded has one; a compensation has one exactly if its action has. In each round,
    and for each step that a map became: of a completed saga just what its steps ended with stays, of a compensated one nothing.

    Args:
        sagas: all sagas.
        effects: how often each idempotency key had its effect, in the services' databases.
        journal: the state that the services' journals hold under each key.
        transactional: the steps, as ``participant.step``, whose effects are in ``effects``.
    """
    unknown = {key: times for key, times in effects.items() if times}
    turns: defaultdict[UUID, set[tuple[str, int]]] = defaultdict(set)
    for token in map(read_task_token, unknown.keys() | journal.keys()):
        turns[token.saga_id].add((token.step, token.round))
    for saga in sagas:
        saga_id, status = saga.head.saga_id, saga.head.status
        ends = {name: (step.action.status, step.round) for name, step in saga.steps().items()}
        succeeded = {(event.step, event.round) for event in saga.events if isinstance(event, e.ActionSucceeded)}
        for step, round in sorted(turns[saga_id] | succeeded):
            if step not in saga.plan.steps or saga.plan.steps[step].run not in transactional:
                continue
            keys = [idempotency_key(saga_id, step, side, round) for side in (Direction.ACTION, Direction.COMPENSATION)]
            action, compensation = (unknown.pop(key, 0) for key in keys)
            done = [journal.get(key) == "done" for key in keys]
            where = f"step {step!r}" + (f" in round {round}" if round else "")
            told = f"saga {saga_id} ({status}), {where}: {action} effects, {compensation} compensations"
            if action != done[0] or compensation != (done[0] and done[1]):
                yield f"{told}; its journal says {[journal.get(key) for key in keys]}"
            if (step, round) in succeeded and not action:
                yield f"{told}, though the log says that it succeeded"
            stays = status == SagaStatus.COMPLETED and ends.get(step) == (ActionStatus.SUCCEEDED, round)
            if status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED) and action - compensation != stays:
                yield f"{told}, in a {status} saga"
    yield from (f"{times} effects of {key}, which no saga knows" for key, times in unknown.items())
