"""A rewind, as the state has it while it goes on."""

from __future__ import annotations

from typing import Any

import msgspec


class Rewind(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some steps go back, and then forward again (:mod:`goconductor.lifecycle.moves.returning.rewinding`).

    Args:
        steps: they, in the order of the plan.
        inputs: values for inputs of the first of them in its new round, as an operator gave them.
    """

    steps: tuple[str, ...]
    inputs: dict[str, Any] | None = None
