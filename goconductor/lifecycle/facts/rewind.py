"""A rewind, as the state has it while it goes on."""

from __future__ import annotations

from typing import Any

import msgspec


class Rewind(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some steps go back, and then forward again (:mod:`goconductor.lifecycle.moves.returning.rewinding`).

    Args:
        steps: they, in the order of the plan.
        inputs: values for inputs of a step in its new round, as an operator gave them.
        edits: the step that has them; the first of all, if empty.
    """

    steps: tuple[str, ...]
    inputs: dict[str, Any] | None = None
    edits: str = ""


class Way(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a savepoint stands that has given up a way (:mod:`goconductor.lifecycle.moves.returning.savepoints`).

    Args:
        number: which of its ways it is on, from 0; what came before it is given up.
        because: why the last one was given up.
    """

    number: int
    because: str = ""
