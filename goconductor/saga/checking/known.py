"""What is known of a saga's data before it runs: the schema of its input, and the types of what its steps return.

From both comes what a reference can mean (:meth:`Known.of`). What is not known may be anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, NamedTuple

from goconductor.errors import PayloadError
from goconductor.saga.data.fitting import Described, of_kinds
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Step
from goconductor.saga.types.annotations import is_pydantic_model, parts
from goconductor.saga.types.references import binding_by_position, type_of
from goconductor.saga.types.schemas import written_as, written_by_pydantic


class Known(NamedTuple):
    """What is known of the data that steps see.

    Attributes:
        types: the type of each step's output by its id, and under None that of the input.
        schema: the input's JSON Schema, which counts before its type.
        items: of steps in a map, what the item may be, each by itself; nothing where that is not known.
            What the turn before has given is not known to a step in a repeat.
    """

    types: Mapping[str | None, Any] = {}
    schema: Mapping[str, Any] | None = None
    items: tuple[Described, ...] = ()

    def of(self, binding: Binding) -> list[Described]:
        """Return what the value of a reference may be, each by itself; nothing where there is no such place, or no reference."""
        if binding.ref is None:
            return []
        try:
            reference = Reference.parse(binding.ref)
        except PayloadError:
            return []  # is reported with the reference
        if reference.root == "index":
            return [of_kinds("number")]
        if reference.root == "previous":
            return []
        if reference.root == "item":
            return [each for item in self.items for each in item.at(*reference.keys)]
        placed = binding_by_position(binding, self.types)
        if reference.root == "input" and self.schema is not None:
            # what a model of pydantic's is given may differ from what it is kept as
            schemas = [self.schema, *written_by_pydantic(self.types.get(None, Any))]
            return [each for schema in schemas for each in Described(schema, schema).at(*Reference.parse(placed.ref or "").keys)]
        if any(map(is_pydantic_model, parts(self.types.get(reference.step)))):
            return []  # pydantic may write a field in another form than its type's
        if (kind := type_of(placed, self.types)) in (None, NoneType):
            return []  # who reports the outcome of a step that was handed out may give an output all the same
        schema = written_as(kind)
        return [Described(schema, schema)]

    def each(self, steps: Iterable[Step]) -> Iterator[tuple[Step, Known]]:
        """Yield steps and those of the maps and repeats among them, each with what is known to it."""
        for step in steps:
            yield step, self
            if step.body:
                yield from self.inside(step, [each.id for each in step.body]).each(step.body)

    def inside(self, around: Step, steps: Collection[str], types: Mapping[str | None, Any] = {}) -> Known:
        """Return what is known to the steps in a map or a repeat.

        Args:
            around: the map, or the repeat.
            steps: the ids of the steps in it.
            types: those of their outputs that are known.
        """
        outside = {name: kind for name, kind in self.types.items() if name not in steps}
        if around.map is None:
            return Known(outside | dict(types), self.schema, self.items)
        items = tuple(each for some in self.of(Binding(ref=around.map.over)) for each in some.items)
        return Known(outside | dict(types), self.schema, items)


NOTHING = Known()
"""Nothing is known."""
