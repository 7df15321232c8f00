"""Values that a saga works out itself: CEL expressions whose answer is any JSON value.

The evaluator, the data and the caps are those of :mod:`goconductor.saga.expressions.conditions`. Two are added. An answer may
copy all that is named, and each of its parts becomes an object of Python's; so taking it over counts as `Value.ANSWER_WORK`
operations, which bounds an answer to 16 MiB before it is made. And what is kept of it stands in the log, in the state and in
messages, so it has at most `BYTES_MAX`.

A map has another order in each process. Here its keys are sorted, so that all processes make the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from goconductor.errors import ConditionError, PayloadError
from goconductor.saga.data.values import check_value, written
from goconductor.saga.expressions.condition_text import ROOTS
from goconductor.saga.expressions.conditions import Expression

ABOUT_INPUTS = ROOTS | {"inputs"}
"""The names of the data that a value may ask about: ``inputs`` are its step's own."""
BYTES_MAX = 256 * 1024
"""The longest answer, as JSON."""

_NO_JSON = frozenset({"BYTES", "TIMESTAMP", "DURATION", "TYPE"})


@lru_cache(maxsize=1_024)
def compile_value(source: str, roots: frozenset[str] = ABOUT_INPUTS) -> Value:
    """Compile an expression; the same text again costs nothing.

    Args:
        source: a CEL expression over the roots.
        roots: the names of the data that it may ask about.

    Raises:
        ConditionError: it does not compile, may cost too much on any data, or gives what JSON does not have; names the place
            and the remedy.
    """
    return Value(source, roots)


class Value(Expression):
    """A compiled expression, made by `compile_value`."""

    __slots__ = ()

    ANSWER_WORK = 8

    def _unfit(self, kind: str) -> str:
        return "which JSON does not have; make a text of it, by string(…)" if kind in _NO_JSON else ""

    def of(self, data: Mapping[str, Any]) -> Any:
        """Return the value on this data, made of JSON values: the same in every process with this release of the evaluator.

        Args:
            data: ``{"input": …, "steps": {step_id: {"output": …, "skipped": bool}}, "inputs": {…}}``, made of JSON values.

        Raises:
            ConditionError: the data is too large or cannot be kept, a field is missing, types do not fit, or the answer cannot
                be kept.
        """
        value = _sorted(self._answer(data).plain_value())
        try:
            check_value(value)
            written(value, bytes_max=BYTES_MAX)
        except PayloadError as error:
            raise ConditionError(self.source, f"gives what cannot be kept: {error}") from None
        return value


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return [_sorted(each) for each in value]
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda key: (str(type(key)), key))}
    return value
