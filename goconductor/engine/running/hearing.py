"""What the code of a step raised: counted, logged, reported to the observer and the listeners.

A traceback is logged once, and again where the next attempt fails in another way. There is none for work that waits before any
code of the step was called. :mod:`.journals` logs about a journal that cannot be used, once for all sagas.
"""

from __future__ import annotations

import logging
from collections import Counter

from goconductor.engine.observer import Observer
from goconductor.engine.running.attempt import NotBegunError
from goconductor.engine.steps.context import StepContext
from goconductor.engine.steps.failures import is_refusal, is_unexpected, text_of, traceback_of
from goconductor.engine.steps.listeners import notify
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.work.granted import Granted
from goconductor.saga.definition import StepRole
from goconductor.saga.ids import Direction


class Hearing:
    """Handles the errors of user code.

    Args:
        registry: the steps' code, and the listeners.
        counts: the counters of errors.
        observer: called for each error.
    """

    def __init__(self, registry: StepRegistry, counts: Counter[str], observer: Observer) -> None:
        self._registry = registry
        self._counts = counts
        self._observer = observer

    async def __call__(self, work: Granted, context: StepContext, error: BaseException) -> None:
        """Handle one error, in the task of its step."""
        self._counts["step_errors"] += 1
        self._observer.step_raised(context, error)
        forward = work.plan.roles[work.step] is StepRole.RETRIABLE
        answer = is_refusal(error) and context.direction is Direction.ACTION and not forward
        level = logging.INFO if answer else logging.WARNING  # a saga that is refused turns back, and nobody is at fault
        waits = error if isinstance(error, NotBegunError) else None
        if not (waits and waits.of_journal) and context.logger.isEnabledFor(level):
            side = "compensation" if context.direction is Direction.COMPENSATION else "action"
            text = "the %s of step %r raised %s: %s"
            shown = error if not waits and is_unexpected(error) and self._is_news(work, error) else None
            context.logger.log(level, text, side, context.step, type(error).__name__, text_of(error), exc_info=shown)
        await notify(self._registry.listeners, "on_error", context, error, step=work.plan.owners_of[work.direction][work.step][1])

    def _is_news(self, work: Granted, error: BaseException) -> bool:
        """Return whether this attempt failed in another way than the one before, whose traceback has been logged."""
        action = self._registry.steps[work.plan.owners_of[work.direction][work.step][1]]
        own = work.direction is Direction.COMPENSATION and not work.undoes
        function = action.compensation_function if own else action.function
        before = work.view.state.step(work.step).failure
        return before is None or before.traceback != traceback_of(error, function)
