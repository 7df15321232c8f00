"""Where the values of steps outside of maps and repeats come from; :mod:`goconductor.saga.items` reads those of steps inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from goconductor.errors import PayloadError
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding

Source: TypeAlias = Reference | tuple[Reference, ...] | Binding
"""Where a value comes from: a place, the places of a step and of its fallbacks, or a constant. The places of an optional one end
with :data:`NOWHERE`."""

NOWHERE = Reference("", "input", None, ())
"""Stands for null where there is no such place."""


def value_at(source: Source, input: Any, outputs: Mapping[str, Any]) -> Any:
    """Return a value.

    Args:
        source: where it comes from.
        input: the saga's.
        outputs: by step id.

    Raises:
        PayloadError: the reference leads nowhere in this saga's data.
    """
    if isinstance(source, tuple):
        optional = source[-1] is NOWHERE
        source = next((one for one in source if outputs.get(one.step or "") is not None), source[0])
        if optional:
            try:
                return source.resolve(input, outputs)
            except PayloadError:
                return None
    return source.value if isinstance(source, Binding) else source.resolve(input, outputs)
