"""Sagas written in Python: a way to write the same document.

::

    order = Saga("order-processing", input=Order)
    stock = order.step("inventory.reserve", inputs={"sku": order.input.sku})
    paid = order.step(charge, inputs={"order_id": order.input.id})
    order.step("shipping.ship", inputs={"receipt": paid.output}, after=[stock, paid], pivot=True)

Where the code of a step is at hand, the action itself is given, and its policies go into the definition; someone else's step is
given by name. ``saga.input`` and ``step.output`` are places: what is read from them is a reference, not a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import NoneType
from typing import Any, Generic, TypeVar, cast

import msgspec
from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor.errors import DefinitionError, check_type, unfit
from goconductor.saga.checking.code import unfit_reads, unfit_undo
from goconductor.saga.checking.known import Known
from goconductor.saga.checking.references import misplaced
from goconductor.saga.checking.validate import problems
from goconductor.saga.data.references import Place, Reference
from goconductor.saga.definition import Binding, Definition, Lock
from goconductor.saga.retry import seconds as duration
from goconductor.saga.types.annotations import cannot_come
from goconductor.saga.types.references import binding_by_position
from goconductor.saga.writing.adding.collected import Named, binding_of
from goconductor.saga.writing.adding.steps import Steps
from goconductor.saga.writing.described import misshapen, result_type, schema_of
from goconductor.saga.writing.groups.compiling import compiled
from goconductor.saga.writing.groups.forms import of_plain
from goconductor.saga.writing.options import check_locks

I = DefaultedTypeVar("I", default=Any)  # noqa: E741  (a saga that names no type of its input takes any)
O = DefaultedTypeVar("O", default=Any)  # noqa: E741  (the type of a saga's result is not known until `returns`)
T = TypeVar("T")


class Saga(Steps, Named, Generic[I, O]):
    """A saga's definition, being written.

    Args:
        name: the saga's name.
        input: the type of its input; its JSON Schema goes into the definition.
        input_schema: the same as a schema, where there is no type.
        timeout: seconds, or a string such as ``"10m"``: after that the saga compensates, unless its pivot was sent.
        locks: what the saga must hold before its first step begins.
        priority: of its steps where they wait for room in a process, from -100 to 100; greater ones come first. A start may give
            another one.

    Raises:
        ArgumentError: something is of a wrong type.
        ValueError: the timeout is no duration.
    """

    def __init__(
        self,
        name: str,
        *,
        input: type[I] | None = None,
        input_schema: dict[str, Any] | None = None,
        timeout: float | str | None = None,
        locks: Sequence[Lock] = (),
        priority: int = 0,
    ) -> None:
        check_type("name", name, str, "the saga's name, such as 'order'")
        check_type("input_schema", input_schema, (dict, NoneType), "a JSON Schema as a dict")
        if isinstance(input, _VALUES) or (not isinstance(input, type) and dataclasses.is_dataclass(input)):
            raise unfit("input", input, "a type, such as a dataclass")
        self.name = name
        self.input_type = input
        check_type("locks", locks, Sequence, "a list of locks: locks=[Lock('account:{input.account_id}')]")
        check_locks(locks)
        if isinstance(priority, bool):
            raise unfit("priority", priority, "a whole number, such as 10")
        check_type("priority", priority, int, "a whole number, such as 10")
        self._priority = priority
        self._input_schema = input_schema
        self._locks = tuple(locks)
        self._timeout_seconds = None if timeout is None else duration(timeout)
        super().__init__()
        self._output: Binding | None = None
        self._definition: Definition | None = None
        self._result_type: Any = Any

    @property
    def input(self) -> I:
        """The place of the saga's input."""
        return cast("I", Place(Reference.to("input", None)))

    def returns(self, place: T) -> Saga[I, T]:
        """Declare the result of a completed saga: a place, or a constant. Without it, the outputs of all steps by their ids.

        Args:
            place: the value that ``result()`` returns, of the type declared there: ``paid.output``.

        Returns:
            This saga; type checkers then know the type of its result.
        """
        self._definition = None
        self._output = binding_of("place", place)
        return cast("Saga[I, T]", self)

    @property
    def definition(self) -> Definition:
        """The document, checked.

        Raises:
            DefinitionError: it cannot run; with all problems.
        """
        if self._definition is None:
            types = self._types()
            definition = Definition(
                name=self.name,
                steps=self._written(types),
                output=None if self._output is None else binding_by_position(self._output, types),
                timeout_seconds=self._timeout_seconds,
                locks=self._locks,
                priority=self._priority,
                input_schema=self._input_schema if self._input_schema is not None else schema_of(self.name, self.input_type),
            )
            found: list[str] = []
            if self._has_frames():
                definition, found = compiled(of_plain(definition), full_names=True)
            found += misshapen(definition) or problems(definition)
            if (why := cannot_come(self.input_type)) is not None:
                found.append(f"its input cannot be kept: {why}")
            found += misplaced(definition, types)
            known = Known(types, definition.input_schema)
            found += [*self._unfit(known), *unfit_reads(definition.steps, Known(types))]
            undone = self._undone()
            for step in definition.steps if undone else ():
                if step.id in undone:
                    found += unfit_undo(definition, step, undone[step.id], known)
            if found:
                raise DefinitionError(self.name, found)
            self._definition, self._result_type = definition, result_type(definition, types)
        return self._definition

    @property
    def sagas(self) -> tuple[Saga[Any, Any], ...]:
        """The sagas, written in Python, that its steps start."""
        return tuple(each for each in self._started() if isinstance(each, Saga))

    @property
    def result_type(self) -> Any:
        """The type of what a completed saga answers; Any where the code declares none. A step that was skipped answers None.

        Raises:
            DefinitionError: as :attr:`definition`.
        """
        if self._definition is None:
            _ = self.definition  # which finds the type as well
        return self._result_type

    def _types(self) -> dict[str | None, Any]:
        """Return the type of each step's output by its id, and the type of the input under None."""
        return {None: self.input_type, **self._outputs()}

    def _changed(self) -> None:
        self._definition = None


_VALUES = (str, int, float, bytes, dict, list, tuple, set, frozenset, msgspec.Struct)
"""Types of values, as opposed to annotations."""
