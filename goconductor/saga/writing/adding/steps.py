"""Adding steps of every kind, and steps that hold others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from goconductor.errors import check_type, unfit
from goconductor.saga.data.references import Place, Reference, reference_of
from goconductor.saga.definition import Map as MapDefinition
from goconductor.saga.definition import Step as StepDefinition
from goconductor.saga.types.references import by_position
from goconductor.saga.writing.adding.calls import Calls
from goconductor.saga.writing.adding.collected import Collected, Nested
from goconductor.saga.writing.adding.waits import Waits
from goconductor.saga.writing.fields import placed
from goconductor.saga.writing.options import check_options
from goconductor.saga.writing.steps import Step


class Steps(Calls, Waits):
    """Steps that are being written, with the calls that add more: those of a saga, or those of a map."""

    def later(self, id: str, /) -> Step[Any]:
        """Return a step that is added further down, to be named above it: ``fallback=order.later("invoice")``.

        Args:
            id: the step's id in the saga.

        Raises:
            ArgumentError: it is no text.
        """
        check_type("id", id, str, "the id of a step that is added further down, such as 'invoice'")
        return Step(id)

    def map(
        self,
        over: object,
        /,
        *,
        id: str | None = None,
        after: Sequence[Step[Any]] = (),
        when: str | None = None,
        join: Literal["all", "any"] | int = "all",
    ) -> Map:
        """Add steps for each item of a list: ``lines = order.map(order.input.lines)``, and then ``lines.step(…)``.

        Args:
            over: the place of the list.
            id: the step's id in the saga; by default ``"map"``.
            after: steps that must have ended before.
            when: a CEL condition over ``input`` and ``steps``. If it is false, the step is skipped.
            join: how many items must succeed: ``"all"``, ``"any"`` for one, or a number. The others are undone.

        Raises:
            ArgumentError: something is of a wrong type.
        """
        check_options({"id": id, "after": after, "when": when, "join": join}, lambda each: isinstance(each, Step))
        if not isinstance(over, Place):
            raise unfit("over", over, "the place of a list, such as order.input.lines")
        self._changed()
        made = Map(
            self,
            StepDefinition(
                id=id or "map",
                map=MapDefinition(over=str(reference_of(over)), do=(), join=join),
                **placed({"after": after, "when": when}),
            ),
        )
        self._steps.append(made)
        return made


class Map(Steps, Nested, Step[list[Any]]):
    """Steps that are done for each item of a list. Its output is a list: of each item what its last step gave."""

    def __init__(self, around: Collected, definition: StepDefinition) -> None:
        Steps.__init__(self)
        Step.__init__(self, definition.id)
        self._around = around
        self._own = definition

    @property
    def item(self) -> Any:
        """The place of the item that a step is for."""
        return Place(Reference.to("item", None))

    @property
    def index(self) -> int:
        """The place of the item's number in the list, from 0."""
        return cast("int", Place(Reference.to("index", None)))

    def _changed(self) -> None:
        self._around._changed()  # noqa: SLF001

    def _filled(self, types: Mapping[str | None, Any]) -> StepDefinition:
        own = by_position(self._own, types)
        assert own.map is not None  # noqa: S101  (it was made with one)
        here = {each.id for each in self._steps}
        inside = {name: kind for name, kind in types.items() if name not in here} | self._outputs()
        return msgspec.structs.replace(own, map=msgspec.structs.replace(own.map, do=self._written(inside)))
