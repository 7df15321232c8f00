"""Steps of a saga written in Python: the object that stands for one, and the options of each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, TypedDict, TypeVar, cast

from goconductor.saga.data.references import Place, Reference
from goconductor.saga.definition import Lock
from goconductor.saga.retry import Retry
from goconductor.saga.writing.undo import Undo

O_co = TypeVar("O_co", covariant=True)


class Step(Generic[O_co]):
    """A step of a saga being written."""

    def __init__(self, step_id: str) -> None:
        self.id = step_id

    @property
    def output(self) -> O_co:
        """The place of the step's output; null where the step was skipped."""
        return cast("O_co", Place(Reference.to("steps", self.id)))


class PolicyOptions(TypedDict, total=False):
    """The options of a step that runs code, but for those that name other steps and what undoes it."""

    id: str | None
    """The step's id in the saga; by default the name of its code."""
    inputs: Mapping[str, object]
    """Parameter name → a place (``order.input.sku``, ``paid.output``) or a constant."""
    compensation: bool | None
    """Whether the code has one, where only its name is given. None: only its owner knows."""
    when: str | None
    """A CEL condition over ``input`` and ``steps``. If it is false, the step is skipped."""
    pivot: bool
    """After this step's success the saga only goes forward."""
    retry: Retry | None
    """Attempts of the action, and the waits between them."""
    compensation_retry: Retry | None
    """Attempts of the compensation, and the waits between them."""
    timeout: float | str | None
    """Time limit of one attempt: seconds, or a string such as ``"10s"``."""
    total_timeout: float | str | None
    """Time limit of all attempts of the action together, with the waits between them. None: no end."""
    allow_fail: bool
    """The saga goes on without this step where it fails for good."""
    unknowns_max: int | None
    """Lost outcomes (its process was killed in the middle) after which the step is given up. 1: it never runs again once it may
    have run. By default 3, or 10 where giving up leaves the saga stuck, and not before 30 s."""


class CodeOptions(PolicyOptions, total=False):
    """The options of a step that runs code, whatever undoes it."""

    locks: Sequence[Lock]
    """What the saga must hold before the step begins."""
    after: Sequence[Step[Any]]
    """Steps that must have ended before, beside those that ``inputs`` refer to."""
    fallback: Step[Any] | None
    """The step that runs where this one fails for good. Its output then stands for this one's."""


class StepOptions(CodeOptions, total=False):
    """The options of a step."""

    undo: Undo | Literal["none"] | None
    """What undoes the step in place of its owner's compensation; ``"none"`` says that nothing needs to."""


class WaitOptions(TypedDict, total=False):
    """The options of a step that waits for a signal or an approval."""

    id: str | None
    """The step's id in the saga."""
    where: str | None
    """A CEL condition over ``payload``, ``input`` and ``steps``. If it is false, the signal is for other steps."""
    timeout: float | str | None
    """Seconds, or a string such as ``"2d"``, after which the step fails. None waits without an end."""
    after: Sequence[Step[Any]]
    """Steps that must have ended before."""
    when: str | None
    """A CEL condition over ``input`` and ``steps``. If it is false, the step is skipped."""
    allow_fail: bool
    """The saga goes on where the signal does not come in time."""
    fallback: Step[Any] | None
    """The step that runs in that case. Its output then stands for this one's."""


class ValueOptions(TypedDict, total=False):
    """The options of a step that works something out."""

    id: str | None
    """The step's id in the saga."""
    inputs: Mapping[str, object]
    """Name in ``inputs`` of the expression → a place (``order.input.sku``, ``paid.output``) or a constant."""
    after: Sequence[Step[Any]]
    """Steps that must have ended before."""
    when: str | None
    """A CEL condition over ``input`` and ``steps``. If it is false, the step is skipped."""
    allow_fail: bool
    """The saga goes on where the expression cannot be evaluated."""
    fallback: Step[Any] | None
    """The step that runs in that case. Its output then stands for this one's."""


class MapOptions(TypedDict, total=False):
    """The options of a step that becomes several, some for each item of a list."""

    id: str | None
    """The step's id in the saga."""
    join: Literal["all", "any"] | int
    """How many items must succeed: ``"all"``, ``"any"`` for one, or a number. The others are undone."""
    concurrency: int | None
    """How many items may be at work at one time, on the way back as well. None: all of them."""
    locks: Sequence[Lock]
    """What the saga must hold before the first item begins; the keys may refer to ``{item}``."""
    after: Sequence[Step[Any]]
    """Steps that must have ended before."""
    when: str | None
    """A CEL condition over ``input`` and ``steps``. If it is false, the step is skipped."""
    allow_fail: bool
    """The saga goes on where too few items succeed, or there is no list."""
    fallback: Step[Any] | None
    """The step that runs in that case. Its output then stands for this one's."""


class RepeatOptions(TypedDict, total=False):
    """The options of a step that is done turn by turn until a condition holds."""

    id: str | None
    """The step's id in the saga."""
    delay: float | str | None
    """How much time passes between two turns: seconds, or a string such as ``"30s"``. None: the next one begins at once."""
    at_max: Literal["fail", "go_on"]
    """What happens where the condition is false after the last turn: the step has failed, or the saga goes on."""
    locks: Sequence[Lock]
    """What the saga must hold before the first turn begins."""
    after: Sequence[Step[Any]]
    """Steps that must have ended before."""
    when: str | None
    """A CEL condition over ``input`` and ``steps``. If it is false, the step is skipped."""


class SagaOptions(TypedDict, total=False):
    """The options of a step that starts a saga."""

    id: str | None
    """The step's id in the saga."""
    inputs: Mapping[str, object]
    """Name in the input of that saga → a place (``order.input.sku``, ``paid.output``) or a constant."""
    undo: Undo | None
    """What undoes that saga once it has completed. Without one, before the pivot, that saga undoes itself."""
    compensation_retry: Retry | None
    """Attempts of the undo, and the waits between them."""
    locks: Sequence[Lock]
    """What this saga must hold before that one is started."""
    after: Sequence[Step[Any]]
    """Steps that must have ended before, beside those that ``inputs`` refer to."""
    when: str | None
    """A CEL condition over ``input`` and ``steps``. If it is false, the step is skipped."""
    allow_fail: bool
    """The saga goes on where that one was compensated."""
    fallback: Step[Any] | None
    """The step that runs in that case. Its output then stands for this one's."""
