"""Listeners see what happens, and can change nothing: what they raise is logged and forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from goconductor.aio.cancellation import is_ours
from goconductor.engine.steps.context import StepContext
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")


class Listener:
    """Subclass it and override methods to observe; each may be ``def`` or ``async def``.

    Attributes:
        steps: only these steps of the participant (names in code) are observed; None means all.
    """

    steps: frozenset[str] | None = None

    def before_step(self, context: StepContext) -> Any:
        """Observe a step whose code is about to be called."""

    def after_step(self, context: StepContext, output: Any) -> Any:
        """Observe a step that returned; ``output`` is what is recorded."""

    def on_error(self, context: StepContext, error: BaseException) -> Any:
        """Observe a step that raised. The participant goes on: this is a place to look, not to catch."""

    def saga_started(self, saga_id: UUID, saga: str) -> Any:
        """Observe a saga that this instance started."""

    def saga_ended(self, saga_id: UUID, status: SagaStatus) -> Any:
        """Observe a saga whose end this instance appended."""


async def notify(listeners: Iterable[Listener], method: str, *arguments: Any, step: str | None = None) -> None:
    """Call a method of all listeners, one after the other."""
    for listener in listeners:
        if step is not None and listener.steps is not None and step not in listener.steps:
            continue
        try:
            answer = getattr(listener, method)(*arguments)
            if inspect.isawaitable(answer):
                await answer
        except BaseException as error:
            if is_ours(error):
                raise
            logger.exception("listener %s raised in %s; it is ignored", type(listener).__qualname__, method)
