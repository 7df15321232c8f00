"""Steps that are declared by the data they take and give."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor.dataflow.hints import Builder, read
from goconductor.dataflow.transients import HERE
from goconductor.engine.steps.action import Action
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.steps.signature import Signature
from goconductor.ports.journal import Journal
from goconductor.saga.retry import Retry

P = ParamSpec("P")
R = TypeVar("R")
A = DefaultedTypeVar("A", default=Any)
Tx = TypeVar("Tx")
Tx_co = TypeVar("Tx_co", covariant=True)


class BuilderAction(Action[P, R, A]):
    """A step that is a builder.

    Attributes:
        builder: what it takes and gives.
    """

    builder: Builder

    @functools.cached_property
    def signature(self) -> Signature:
        """Return how it is called: a token is read as the transient that it stands for."""
        plain = super().signature
        return replace(plain, inputs={name: HERE.opening(convert) for name, convert in plain.inputs.items()})


class _BuilderDecorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> BuilderAction[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> BuilderAction[P, R, R]: ...


class _TransactionalBuilderDecorator(Protocol[Tx_co]):
    def __call__(
        self, function: Callable[Concatenate[Tx_co, P], Awaitable[R]], /
    ) -> BuilderAction[P, R, Coroutine[Any, Any, R]]: ...


class BuilderRegistry(StepRegistry):
    """One service's steps, of which some are builders."""

    @overload
    def builder(self, function: Callable[P, Awaitable[R]], /) -> BuilderAction[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def builder(self, function: Callable[P, R], /) -> BuilderAction[P, R, R]: ...
    @overload
    def builder(
        self,
        /,
        *,
        transaction: Journal[Tx],
        name: str | None = None,
        retry: Retry | None = None,
        compensation_retry: Retry | None = None,
        timeout: float | str | None = None,
        concurrency: int | None = None,
        concurrency_total: int | None = None,
        rate: str | None = None,
    ) -> _TransactionalBuilderDecorator[Tx]: ...
    @overload
    def builder(
        self,
        /,
        *,
        transaction: None = None,
        name: str | None = None,
        retry: Retry | None = None,
        compensation_retry: Retry | None = None,
        timeout: float | str | None = None,
        concurrency: int | None = None,
        concurrency_total: int | None = None,
        rate: str | None = None,
    ) -> _BuilderDecorator: ...
    def builder(self, function: Any = None, /, **options: Any) -> Any:
        """Declare a builder: a step that says by its type hints which data it takes and gives.

        A parameter is a datum that the builder consumes, unless its annotation has a marker (:class:`Consumes`,
        :class:`Optionals`, :class:`Access`). What it returns is the datum that it produces, named by the function or by
        :class:`Produces`; None is none. All else is as :meth:`step` has it.

        Args:
            function: the builder, where the decorator is used without brackets.
            options: as of :meth:`step`.

        Raises:
            ArgumentError: as of :meth:`step`.
            DefinitionError: as of :meth:`step`; or the markers contradict each other.
            ValueError: a timeout, concurrency or rate is out of range.
        """

        def declare(declared: Callable[..., Any]) -> BuilderAction[..., Any]:
            action = self.step(**options)(declared)
            try:
                builder = read(declared, action.target, action.signature.inputs, action)
            except BaseException:
                del self.steps[action.name]
                self._limits.pop(action.name, None)
                raise
            made: BuilderAction[..., Any] = BuilderAction(
                declared,
                participant=action.participant,
                name=action.name,
                journal=action.journal,
                retry=action.retry,
                compensation_retry=action.compensation_retry,
                timeout_seconds=action.timeout_seconds,
                concurrency=action.concurrency,
            )
            made.limit = action.limit
            builder.code = made
            made.builder = builder
            self.steps[action.name] = made
            return made

        return declare if function is None else declare(function)
