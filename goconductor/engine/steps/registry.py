"""What a service offers: its steps, declared by decorators.

::

    payments = Participant("payments")

    @payments.step(transaction=journal, retry=Retry(attempts_max=5), timeout="10s")
    async def charge(tx: Connection, order_id: str, amount_cents: int) -> Receipt: ...

    @charge.compensation
    async def refund(tx: Connection, order_id: str, receipt: Receipt | None) -> None: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from types import NoneType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from goconductor.engine.steps.action import Action, taken
from goconductor.engine.steps.hooks import Hooks
from goconductor.engine.steps.limits import limit_of
from goconductor.engine.steps.listeners import Listener
from goconductor.engine.steps.signature import shape
from goconductor.errors import DefinitionError, check_type, nearest, unfit
from goconductor.ports.journal import Journal, ThreadJournal
from goconductor.ports.store import Limit
from goconductor.saga.checking.code import unfit_inputs, unfit_reads, unfit_undo
from goconductor.saga.checking.known import Known
from goconductor.saga.checking.references import misplaced
from goconductor.saga.definition import Definition, Undo, each_saga
from goconductor.saga.ids import is_name, split_target
from goconductor.saga.retry import Retry, seconds

P = ParamSpec("P")
R = TypeVar("R")
Tx = TypeVar("Tx")
Tx_co = TypeVar("Tx_co", covariant=True)


class _StepDecorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Action[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Action[P, R, R]: ...


class _TransactionalStepDecorator(Protocol[Tx_co]):
    def __call__(self, function: Callable[Concatenate[Tx_co, P], Awaitable[R]], /) -> Action[P, R, Coroutine[Any, Any, R]]: ...


class _ThreadStepDecorator(Protocol[Tx_co]):
    def __call__(self, function: Callable[Concatenate[Tx_co, P], R], /) -> Action[P, R, R]: ...


class StepRegistry:
    """One service's steps.

    Args:
        name: the participant's name; definitions refer to ``name.step``.
        concurrency: greatest number of its steps that run at once in one process.

    Raises:
        ArgumentError: the name is no text, or the concurrency no whole number.
        ValueError: the name is not valid, or the concurrency is below 1.
    """

    def __init__(self, name: str, *, concurrency: int = 1000) -> None:
        check_type("name", name, str, "the participant's name, such as 'payments'")
        check_type("concurrency", concurrency, int, "a whole number of steps")
        if not is_name(name):
            raise ValueError(f"{name!r} cannot name a participant: use 1 to 100 letters, digits, '_' or '-'")
        if concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        self.name = name
        self.concurrency = concurrency
        self.steps: dict[str, Action[..., Any]] = {}
        self._limits: dict[str, Limit] = {}
        self.listeners: list[Listener] = []
        self._hooks = Hooks()

    @overload
    def step(self, function: Callable[P, Awaitable[R]], /) -> Action[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def step(self, function: Callable[P, R], /) -> Action[P, R, R]: ...
    @overload
    def step(  # type: ignore[overload-overlap]  # a journal of threads is a journal
        self,
        /,
        *,
        transaction: ThreadJournal[Tx],
        name: str | None = None,
        retry: Retry | None = None,
        compensation_retry: Retry | None = None,
        timeout: float | str | None = None,
        concurrency: int | None = None,
        concurrency_total: int | None = None,
        rate: str | None = None,
    ) -> _ThreadStepDecorator[Tx]: ...
    @overload
    def step(
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
    ) -> _TransactionalStepDecorator[Tx]: ...
    @overload
    def step(
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
    ) -> _StepDecorator: ...
    def step(
        self,
        function: Any = None,
        /,
        *,
        transaction: Journal[Any] | None = None,
        name: str | None = None,
        retry: Retry | None = None,
        compensation_retry: Retry | None = None,
        timeout: float | str | None = None,
        concurrency: int | None = None,
        concurrency_total: int | None = None,
        rate: str | None = None,
    ) -> Any:
        """Declare a step: ``async def``, or a plain ``def`` that then runs in a thread.

        Args:
            function: the action, where the decorator is used without brackets.
            transaction: the journal of the service's database; the step then gets an open transaction as its first parameter,
                and its effect there happens once.
            name: the step's name; the function's by default.
            retry: how often the action is tried, where the definition leaves it open.
            compensation_retry: the same for the compensation.
            timeout: how long one attempt may take: seconds, or a string such as ``"10s"``.
            concurrency: how many may run at once in one process.
            concurrency_total: how many may run at once over all instances, its compensation included.
            rate: how many may begin within a time over all instances, such as ``"10/s"``, ``"100/m"``, ``"1000/h"``.

        Raises:
            ArgumentError: the name is no text, the transaction no journal, a concurrency no whole number, or the rate no text.
            DefinitionError: the name cannot be one or is taken, or this is no function that could be called as a step.
            ValueError: a timeout, concurrency or rate is out of range.
        """
        check_type("name", name, (str, NoneType), "the step's name, such as 'charge'")
        if transaction is not None and (isinstance(transaction, type) or not hasattr(transaction, "run_action")):
            raise unfit("transaction", transaction, "the journal of the service's database, such as AsyncpgJournal(url)")
        if not isinstance(concurrency, bool):
            check_type("concurrency", concurrency, (int, NoneType), "a whole number of steps")

        def declare(declared: Callable[..., Any]) -> Action[..., Any]:
            step_name = str(name or getattr(declared, "__name__", type(declared).__name__))
            problems = shape(declared, f"step {step_name!r}", **taken(transaction))
            if not is_name(step_name):
                problems.append(f"{step_name!r} cannot name a step: use 1 to 100 letters, digits, '_' or '-'.")
            if step_name in self.steps:
                problems.append(f"{self.name!r} has a step {step_name!r} already; give one of them another name.")
            policies: dict[str, Any] = {"retry": retry, "compensation_retry": compensation_retry}
            for what, policy in policies.items():
                if policy is not None and not isinstance(policy, Retry):
                    problems.append(f"the {what} of step {step_name!r} is {policy!r}; write it as Retry(attempts_max=…).")
            if problems:
                raise DefinitionError(f"{self.name}.{step_name}", problems)
            if concurrency is not None and (isinstance(concurrency, bool) or concurrency < 1):
                raise ValueError(f"the concurrency of step {step_name!r} must be at least 1")
            action: Action[..., Any] = Action(
                declared,
                participant=self.name,
                name=step_name,
                journal=transaction,
                retry=retry,
                compensation_retry=compensation_retry,
                timeout_seconds=None if timeout is None else seconds(timeout),
                concurrency=concurrency,
            )
            action.limit = limit_of(action.target, concurrency_total, rate)
            if action.limit is not None:
                self._limits[step_name] = action.limit
            self.steps[step_name] = action
            return action

        return declare if function is None else declare(function)

    def listen(self, listener: Listener) -> None:
        """Add a listener to this participant's steps and sagas.

        Raises:
            ArgumentError: it is not a listener.
        """
        check_type("listener", listener, Listener, "an object of a class that is derived from Listener")
        self.listeners.append(listener)


def check(registry: StepRegistry) -> None:
    """Refuse steps that could not be called.

    Raises:
        DefinitionError: with all problems of all steps.
    """
    problems = [problem for action in registry.steps.values() for problem in action.problems()]
    if problems:
        raise DefinitionError(registry.name, problems)


def check_definition(registry: StepRegistry, definition: Definition, input_type: Any = Any) -> None:
    """Refuse a definition that asks a participant for what it does not have. One without steps is asked for nothing.

    Args:
        registry: the participant's steps.
        definition: that can run otherwise.
        input_type: the type that its schema was made from, where that is at hand.

    Raises:
        DefinitionError: with all problems.
    """
    if not registry.steps:
        return
    found = [
        f"{where}{problem}"
        for where, saga in each_saga(definition)
        for problem in _unfit(registry, saga, input_type if saga is definition else Any)
    ]
    if found:
        raise DefinitionError(definition.name, found)


def _unfit(registry: StepRegistry, definition: Definition, input_type: Any) -> list[str]:
    problems: list[str] = []
    code = {step.id: _action(registry, f"step {step.id!r}", step.run, problems) for step in definition.steps if step.run}
    kinds: dict[str | None, Any] = {
        step.id: action.returns for step in definition.steps if step.fallback is None and (action := code.get(step.id))
    }
    known = Known({None: input_type, **kinds}, definition.input_schema)
    for step, seen in known.each(definition.steps):
        if not step.run:
            continue  # nobody runs it
        action = code[step.id] if seen is known else _action(registry, f"step {step.id!r}", step.run, problems)
        problems += [] if action is None else unfit_inputs(step, action, seen)
        if isinstance(step.undo, Undo) and step.undo.run:
            undo = _action(registry, f"the undo of step {step.id!r}", step.undo.run, problems)
            problems += [] if undo is None else unfit_undo(definition, step, undo, seen)
    return [*problems, *misplaced(definition, kinds), *unfit_reads(definition.steps, Known(kinds))]


def _action(registry: StepRegistry, who: str, run: str, problems: list[str]) -> Action[..., Any] | None:
    """Return the code of a target; None where it is another participant's, or a problem."""
    participant, name = split_target(run)
    if participant != registry.name:
        return None
    if (action := registry.steps.get(name)) is None:
        problems.append(
            f"{who} runs {run!r}, but participant {registry.name!r} has no such step here; {nearest(name, registry.steps)}"
        )
    return action


def facts(registry: StepRegistry) -> dict[str, dict[str, object]]:
    """Return what other services may know of a participant's steps, by name."""
    return {name: action.facts() for name, action in registry.steps.items() if action.offered}


def limits(registry: StepRegistry) -> dict[str, Limit]:
    """Return the limits over all instances, by the steps' names; it grows with the steps."""
    return registry._limits  # noqa: SLF001  (of this module; no user needs it)


def hooks(registry: StepRegistry) -> Hooks:
    """Return the calls between the engine and what runs the steps elsewhere."""
    return registry._hooks  # noqa: SLF001  (of this module; no user needs it)
