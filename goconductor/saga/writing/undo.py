"""A declared undo of a saga written in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goconductor.errors import check_type, unfit
from goconductor.saga.data.references import Place


class Undo:
    """What undoes a step, in place of the compensation that its service has. Any participant may run it.

    ::

        paid = order.step("payments.charge", undo=Undo("ledger.refund", inputs={"receipt": order.later("charge").output}))

    Args:
        action: an action, or ``"participant.step"``. It runs under the key of the step's compensation.
        inputs: parameter name → a constant, or a place: of the saga's input, of the step's own output (null where nobody knows
            it), or of the output of a step before it.

    Raises:
        ArgumentError: something is of a wrong type.
    """

    def __init__(self, action: Any, /, *, inputs: Mapping[str, object] | None = None) -> None:
        if not isinstance(action, str) and (isinstance(action, type | Place) or not hasattr(action, "compensation_function")):
            raise unfit("action", action, "a function that is declared by @participant.step, or 'participant.step' as a text")
        check_type("inputs", inputs or {}, Mapping, "a dict: parameter → a place (order.input.sku) or a constant")
        for parameter in inputs or {}:
            check_type("a key of inputs", parameter, str, "the name of a parameter")
        self.code: Any = None if isinstance(action, str) else action
        """The code, where it is at hand."""
        self.target: str = action if isinstance(action, str) else action.target
        """The code's name, as ``participant.step``."""
        self.inputs = dict(inputs or {})
