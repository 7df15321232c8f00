"""The catalogue of operators' requests: what each asks for, of what, with which parameters, and whether it must be explained.

The doors make their paths, commands and help of this list, :mod:`goconductor.lifecycle.requests.allowed` tries each
of its requests, and :mod:`goconductor.control.sagas.requests` refuses by it what a door was given. What a request means for
a saga is decided in :mod:`goconductor.lifecycle.moves.requests`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import OperatorRequest, StepEvent
from goconductor.lifecycle.facts.restart import RestartAsNew

Asked: TypeAlias = OperatorRequest | RestartAsNew
"""What can be asked: an event of the saga, or another saga in its place."""


class Request(enum.StrEnum):
    """What an operator may ask for."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    RESTART = "restart"
    RESTART_AS_NEW = "restart_as_new"
    TERMINATE = "terminate"
    DROP_SIGNAL = "drop_signal"
    MIGRATE = "migrate"
    RETRY = "retry"
    SKIP = "skip"
    DECLARE = "declare"
    EDIT_INPUT = "edit_input"


class Kind(enum.Enum):
    """What the value of a parameter is."""

    FLAG = enum.auto()
    """True or false."""
    TEXT = enum.auto()
    """A text of 1 to 255 characters."""
    STEP = enum.auto()
    """The name of a step."""
    VALUE = enum.auto()
    """Any JSON value."""
    VALUES = enum.auto()
    """JSON values by name; at least one, where it must be given."""


class Parameter(NamedTuple):
    """A value that an operator gives beside the step and the reason.

    Attributes:
        name: its name in the event.
        kind: the type of its value.
        about: its meaning, as a clause.
        required: whether it must be given; if not, its event has a default.
    """

    name: str
    kind: Kind
    about: str
    required: bool = False


class Operation(NamedTuple):
    """One request of the catalogue.

    Attributes:
        request: its name.
        event: what stands in the log once it is accepted; for another saga in its place, what is asked of that.
        summary: what it does, in sentences.
        parameters: what it takes beside the step and the reason.
        why: why it must be explained, as a clause in which ``{step}`` is the step; empty where a reason may be left out.
    """

    request: Request
    event: type[Asked]
    summary: str
    parameters: tuple[Parameter, ...] = ()
    why: str = ""

    @property
    def about_step(self) -> bool:
        """Whether it is about one step, and not about the saga as a whole."""
        return issubclass(self.event, StepEvent)

    @property
    def of_ended(self) -> bool:
        """Whether it is for a saga that has ended; any other request is not."""
        return self.event is RestartAsNew

    @property
    def needs_reason(self) -> bool:
        """Whether it is refused without a reason."""
        return bool(self.why)

    @property
    def takes_reason(self) -> bool:
        """Whether a reason can be given."""
        return "reason" in self.event.__struct_fields__

    def default(self, parameter: Parameter) -> Any:
        """Return what a parameter is that is not given and need not be."""
        return next(field.default for field in msgspec.structs.fields(self.event) if field.name == parameter.name)

    def asked(self, *, step: str = "", round: int = 0, reason: str = "", values: Mapping[str, Any] | None = None) -> Asked:
        """Make the event of such a request.

        Args:
            step: its step, where it is about one.
            round: the step's round.
            reason: why, where it takes a reason.
            values: its parameters, by name.
        """
        fields = dict(values or {})
        if self.about_step:
            fields |= {"step": step, "round": round}
        if self.takes_reason:
            fields["reason"] = reason
        made: Asked = self.event(**fields)
        return made


CATALOGUE = (
    Operation(
        Request.PAUSE,
        e.PauseRequested,
        "Start no new steps of the saga. Running steps go on, and their outcomes are recorded.",
        (Parameter("children", Kind.FLAG, "pause the sagas that its steps start as well; they are resumed with it"),),
    ),
    Operation(Request.RESUME, e.ResumeRequested, "End the pause of the saga, and of those that were paused with it."),
    Operation(Request.ABORT, e.AbortRequested, "Compensate what the saga has done. Refused once its pivot is due."),
    Operation(
        Request.RESTART,
        e.RestartRequested,
        "Compensate a step and all that comes after it, and then run them again in a new round; without a step, all that the "
        "saga has done. Refused once its pivot is due.",
        (
            Parameter("from_step", Kind.STEP, "the step from which it begins again"),
            Parameter("inputs", Kind.VALUES, "other values for inputs of that step, by the names that the definition gives"),
        ),
        why="a restart undoes what stands",
    ),
    Operation(
        Request.RESTART_AS_NEW,
        RestartAsNew,
        "Begin a new saga in place of one that has ended, with the same input or another one. Each then names the other. A saga "
        "is restarted once; the new one can be, when it has ended as well.",
        (
            Parameter("inputs", Kind.VALUES, "other values for members of its input, by name"),
            Parameter("version", Kind.TEXT, "of the definition: 'active', or one of its versions; by default the one it had"),
            Parameter("despite_effects", Kind.FLAG, "also if effects of the old saga remain, so that they may be there twice"),
        ),
        why="a restart does again what was done",
    ),
    Operation(
        Request.TERMINATE,
        e.TerminationRequested,
        "End the saga as it is. Nothing is compensated. Owners of steps that run, or whose outcome is unknown, first write the "
        "steps' keys in their journals, so that no effect can come later.",
        (Parameter("forced", Kind.FLAG, "end it at once, without their journals; late effects are possible"),),
        why="terminating leaves effects standing",
    ),
    Operation(
        Request.DROP_SIGNAL,
        e.SignalDropped,
        "Forget a signal that no step has taken, so that there is room for others. Its id stays known.",
        (Parameter("signal", Kind.TEXT, "the signal's id, as the saga shows it", required=True),),
        why="dropping a signal loses what it says",
    ),
    Operation(
        Request.MIGRATE,
        e.SagaMigrated,
        "Move the saga to another version of its definition. Refused unless all that has happened to it would have happened "
        "under that version as well.",
        (Parameter("version", Kind.TEXT, "the version, as the list of definitions shows it", required=True),),
    ),
    Operation(
        Request.RETRY,
        e.RetryRequested,
        "Try a stuck step again, its action or its compensation, under the same idempotency key.",
    ),
    Operation(
        Request.SKIP,
        e.SkipRequested,
        "Go on without a stuck step. Its owner first writes the step's keys in its journal, so that no effect can come later.",
        (Parameter("forced", Kind.FLAG, "do not wait for its owner's journal; late effects are possible"),),
        why="skipping step {step!a} leaves its work undone",
    ),
    Operation(
        Request.DECLARE,
        e.OutcomeDeclared,
        "Declare what a person found out about a stuck step: that it happened, or that it did not and never will.",
        (
            Parameter("happened", Kind.FLAG, "whether it happened", required=True),
            Parameter("output", Kind.VALUE, "the output that its action would have had"),
        ),
        why="declaring the outcome of step {step!a} stands in for its own word",
    ),
    Operation(
        Request.EDIT_INPUT,
        e.InputEdited,
        "Give other values for inputs of a step that is stuck or waits for a retry. Retry a stuck step afterwards.",
        (Parameter("inputs", Kind.VALUES, "values by the names that the definition gives", required=True),),
        why="editing the input of step {step!a} departs from its saga's definition",
    ),
)
"""Every request, in the order in which they are shown."""

OPERATIONS: dict[type[Asked], Operation] = {operation.event: operation for operation in CATALOGUE}
"""The same requests by the class of the event."""
