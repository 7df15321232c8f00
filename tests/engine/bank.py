"""A bank whose accounts are locked, for tests of locks."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from goconductor import Lock, RefusedError, Retry, Saga, StepContext
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import (
    SignalReceived,
)
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.clock import settle
from goconductor.testing.world import World

ONCE = Retry(attempts_max=1)


class Bank:
    """A bank whose accounts are locked; what it does is noted, with the lock's number."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Any]] = []
        self.numbers: list[dict[str, int]] = []
        self.steps = StepRegistry("bank")

        @self.steps.step(retry=ONCE)
        async def book(account: str, context: StepContext) -> str:
            self.done.append(("book", account))
            self.numbers.append(dict(context.locks))
            if account == "closed":
                raise RefusedError("it is closed")
            return account

        @book.compensation
        async def unbook(account: str, context: StepContext) -> None:
            self.done.append(("unbook", account))
            self.numbers.append(dict(context.locks))

        @self.steps.step(retry=ONCE)
        async def close(account: str) -> None:
            self.done.append(("close", account))

        self.book, self.close = book, close


def account(path: str, **options: Any) -> Lock:
    return Lock(f"account:{{{path}}}", **options)


def one(bank: Bank, **options: Any) -> Saga[Any]:
    """Book on one account, and wait for a signal with the lock in hand."""
    saga = Saga[Any]("one")
    booked = saga.step(bank.book, inputs={"account": saga.input["a"]}, locks=[account("input.a", **options)])
    saga.wait("go", after=[booked])
    return saga


def two(bank: Bank) -> Saga[Any]:
    """Book on one account and, after a signal, on another one."""
    saga = Saga[Any]("two")
    first = saga.step(bank.book, id="first", inputs={"account": saga.input["a"]}, locks=[account("input.a")])
    go = saga.wait("go", after=[first])
    saga.step(bank.book, id="second", inputs={"account": saga.input["b"]}, after=[go], locks=[account("input.b")])
    return saga


async def started(world: World, saga: Saga[Any], *accounts: tuple[str, str]) -> list[UUID]:
    """Start sagas, one after the other, each with its two accounts."""
    found = []
    for a, b in accounts:
        found.append(await world.start(saga, {"a": a, "b": b}))
        await world.clock.advance(1.0)
    return found


async def go(node: Node, saga_id: UUID) -> None:
    await node.request(saga_id, SignalReceived(name="go", id="1"))
    await settle()


async def status(world: World, saga_id: UUID) -> SagaStatus:
    await settle()
    return (await world.state(saga_id)).status


async def holders(world: World, key: str) -> list[UUID]:
    return [row.saga_id for row in await world.store.locks.rows(key=key, limit=100) if row.held]


async def waiting(world: World, key: str) -> list[UUID]:
    return [row.saga_id for row in await world.store.locks.rows(key=key, limit=100) if not row.held]
