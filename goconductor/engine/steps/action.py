"""A step as its owner wrote it: the action, and what undoes it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

import msgspec
from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor.engine.steps.limits import facts_of
from goconductor.engine.steps.signature import Signature, read, shape
from goconductor.errors import DefinitionError, PayloadError
from goconductor.ports.journal import Journal
from goconductor.ports.store import Limit
from goconductor.saga.data.values import copied
from goconductor.saga.retry import Retry
from goconductor.saga.types.schemas import read_as

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")
A = DefaultedTypeVar("A", default=Any)
"""The type of a call's result: the output, or what is awaited for it."""

TIMEOUT_SECONDS = 300.0
"""Seconds that an attempt may take where neither the definition nor the step has a limit."""


class Action(Generic[P, R, A]):
    """A step as its owner wrote it. Calling it calls the function, so it can be tested like one: an ``async def`` is awaited."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        participant: str,
        name: str,
        journal: Journal[Any] | None,
        retry: Retry | None,
        compensation_retry: Retry | None,
        timeout_seconds: float | None,
        concurrency: int | None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.participant = participant
        self.name = name
        self.journal = journal
        self.retry = retry
        self.compensation_retry = compensation_retry
        self.timeout_seconds = timeout_seconds
        self.concurrency = concurrency
        self.compensation_function: Callable[..., Any] | None = None
        self.limit: Limit | None = None
        self.offered = True
        """Whether others are told that this process has it."""
        self.runner: Any = None
        """Runs it in place of the engine's own runners, where its code is not in this process: a
        :class:`~goconductor.engine.running.runners.Runner` with ``as_undo()``, which answers the one for a declared undo."""

    @property
    def target(self) -> str:
        """``participant.step``, the name by which definitions run it."""
        return f"{self.participant}.{self.name}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> A:
        answer: A = self.function(*args, **kwargs)
        return answer

    @overload
    def compensation(self, function: Callable[P2, Awaitable[None]], /) -> Callable[P2, Awaitable[None]]: ...
    @overload
    def compensation(self, function: Callable[P2, None], /) -> Callable[P2, None]: ...
    def compensation(self, function: Any, /) -> Any:
        """Declare what undoes this step. It takes the action's inputs by name, and its output where it wants it.

        Raises:
            DefinitionError: the step has a compensation already, or this is no function that could be called as one.
        """
        if self.compensation_function is not None:
            raise DefinitionError(self.target, [f"step {self.target!r} has a compensation already; keep one of them."])
        if found := shape(function, f"the compensation of step {self.name!r}", **taken(self.journal)):
            raise DefinitionError(self.target, found)
        self.compensation_function = function
        return function

    @functools.cached_property
    def signature(self) -> Signature:
        """Return how the action is called."""
        return read(self.function, transactional=self.journal is not None)

    @functools.cached_property
    def compensation_signature(self) -> Signature | None:
        """Return how the compensation is called, if there is one."""
        if self.compensation_function is None:
            return None
        return read(self.compensation_function, transactional=self.journal is not None, action=self.signature)

    @property
    def parameters(self) -> dict[str, bool]:
        """The names of its inputs, and of each whether a definition must give it a value."""
        return {name: name in self.signature.required for name in self.signature.inputs}

    @property
    def returns(self) -> Any:
        """The type of its output, as it is annotated."""
        return self.signature.returns

    def refusal_of(self, name: str, value: Any) -> str | None:
        """Return why a JSON value does not fit one of its inputs; None if it does."""
        try:
            self.signature.inputs[name](copied(value))
        except PayloadError as error:
            return str(error)
        return None

    def taken(self, name: str) -> dict[str, Any]:
        """Return the JSON Schema of what becomes one of its inputs; an empty one where its type says nothing."""
        return read_as(self.signature.types.get(name, Any))

    def problems(self) -> list[str]:
        """Return what is wrong with the two functions' signatures."""
        compensation = self.compensation_signature
        return [*self.signature.problems, *(compensation.problems if compensation is not None else ())]

    def facts(self) -> dict[str, object]:
        """Return what other services may know of this step."""
        return {
            "compensation": self.compensation_function is not None,
            "journal": self.journal is not None,
            "inputs": sorted(self.signature.inputs),
            "timeout_seconds": self.timeout_seconds or TIMEOUT_SECONDS,
            "retry": msgspec.to_builtins(self.retry) if self.retry is not None else None,
            **({} if self.limit is None else facts_of(self.limit)),
        }


def taken(journal: Journal[Any] | None) -> dict[str, bool]:
    """Return what a journal means for the shape of a step."""
    return {"transactional": journal is not None, "on_threads": bool(getattr(journal, "on_threads", False))}
