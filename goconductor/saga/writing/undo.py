"""A declared undo of a saga written in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goconductor.errors import check_type, unfit
from goconductor.saga.data.references import Place
from goconductor.saga.definition import Wait
from goconductor.saga.retry import seconds as duration


class Undo:
    """What undoes a step, in place of the compensation that its service has. Any participant may run it.

    ::

        paid = order.step("payments.charge", undo=Undo("ledger.refund", inputs={"receipt": order.later("charge").output}))

    Args:
        action: an action, or ``"participant.step"``. It runs under the key of the step's compensation. Left out where
            ``wait`` is given.
        inputs: parameter name → a constant, or a place: of the saga's input, of the step's own output (null where nobody knows
            it), or of the output of a step before it.
        wait: in place of code, what says that the step is undone; :meth:`signal` and :meth:`approval` make one. Where a saga
            undoes the step, :meth:`saga` says so.

    Raises:
        ArgumentError: something is of a wrong type.
    """

    def __init__(self, action: Any = "", /, *, inputs: Mapping[str, object] | None = None, wait: Wait | None = None) -> None:
        if wait is not None:
            check_type("wait", wait, Wait, "a Wait, such as Undo.approval('…') makes")
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
        self.wait = wait
        """In place of code, what says that the step is undone."""
        self.started: Any = None
        """In place of code, the saga that undoes the step: written in Python, or its name."""

    @classmethod
    def saga(cls, saga: Any, /, *, inputs: Mapping[str, object] | None = None) -> Undo:
        """Make an undo that is a saga: the step is undone when that saga has completed.

        Args:
            saga: that saga, written in Python, or the name of a registered one.
            inputs: name in the input of that saga → a constant or a place, as of :class:`Undo`.

        Raises:
            ArgumentError: something is of a wrong type.
        """
        if not isinstance(saga, str) and not (hasattr(saga, "definition") and hasattr(saga, "sagas")):
            raise unfit("saga", saga, "a saga written in Python, or the name of a registered one")
        made = cls(inputs=inputs)
        made.started = saga
        return made

    @classmethod
    def signal(cls, event: str, *, timeout: float | str | None = None) -> Undo:
        """Make an undo that is done when a signal says so, which comes while it waits.

        Args:
            event: the signal's name.
            timeout: how long it may take until an operator is told: seconds, or a text such as ``"2d"``; None: for ever.

        Raises:
            ValueError: the timeout is no duration.
        """
        return cls(wait=Wait(event=event, timeout_seconds=None if timeout is None else duration(timeout)))

    @classmethod
    def approval(cls, question: str, *, timeout: float | str | None = None) -> Undo:
        """Make an undo that a person sees to, and then approves.

        Args:
            question: what the person is asked to undo.
            timeout: as of :meth:`signal`.

        Raises:
            ValueError: the timeout is no duration.
        """
        return cls(wait=Wait(approval=question, timeout_seconds=None if timeout is None else duration(timeout)))
