"""A flow, as a program holds it: its steps, changed at run time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

import msgspec

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.doors.arguments import checked
from goconductor.control.doors.conductor import Conductor, engine
from goconductor.control.flows import editing
from goconductor.control.flows.editing import FlowDetail, FlowStepDetail
from goconductor.errors import ArgumentError, check_type, nearest
from goconductor.saga.writing.alone import step_alone
from goconductor.saga.writing.builder import Saga
from goconductor.saga.writing.steps import PolicyOptions, Step, StepOptions
from goconductor.saga.writing.undo import Undo


class FlowStepOptions(PolicyOptions, total=False):
    """The options of a step of a flow. Other steps are named by their ids."""

    after: Sequence[str]
    """Steps that must have ended before, beside those that ``inputs`` refer to."""
    before: Sequence[str]
    """Steps that come after it from now on."""
    fallback: str | None
    """The step that runs where this one fails for good. Its output then stands for this one's."""
    undo: Undo | Literal["none"] | None
    """What undoes the step in place of its owner's compensation; ``"none"`` says that nothing needs to."""


class Flow:
    """A saga whose steps are added, replaced and taken out at run time, by services that need not know each other.

    ::

        flow = Flow(conductor, "order")
        await flow.create_step(charge, inputs={"cents": flow.input.cents}, after=["reserve"], before=["ship"])

    Each edit is a new version of the definition, checked like any; executions that are on their way keep theirs. It is made of
    the newest version, whoever else edits the flow at the same time. With ``made_of`` it is made of that version or not at all.
    Each returns the flow as it is then, and raises:

    - ``ArgumentError``: an argument is of a wrong type.
    - ``DefinitionError``: the flow could not run so; has all problems.
    - ``FlowChangedError``: it is not at ``made_of`` any more; has what differs.
    - ``DefinitionNotFoundError``: there is no such flow, or no such version of it.
    - ``RequestRefusedError``: the flow is in the code of a living instance, or pinned; or an instance does not know what it uses.
    - ``StoreUnavailableError``: the database cannot be reached. The edit may have been accepted; it can be repeated.

    Args:
        conductor: of this process.
        name: the flow's name. There need be none of it yet: its first step makes it.

    Raises:
        ArgumentError: an argument is of a wrong type.
    """

    def __init__(self, conductor: Conductor, name: str) -> None:
        check_type("conductor", conductor, Conductor, "a conductor, such as connect() gives it")
        check_type("name", name, str, "the flow's name, such as 'order'")
        self._node = engine(conductor)
        self.name = name
        self._places = Saga[Any](name)

    @property
    def input(self) -> Any:
        """The place of the input of an execution: ``flow.input.sku``."""
        return self._places.input

    def output(self, step: str) -> Any:
        """Return the place of a step's output, whoever has added it: ``flow.output("charge").receipt``.

        Args:
            step: its id.

        Raises:
            ArgumentError: it is no text.
        """
        return self._places.later(step).output

    @checked
    async def lookup(self, version: str | None = None) -> FlowDetail:
        """Read the flow with its steps.

        Args:
            version: None takes the one that new executions take.
        """
        return await editing.lookup(ANYBODY, self._node, self.name, version)

    @checked
    async def lookup_step(self, step: str) -> FlowStepDetail:
        """Read one step of the flow.

        Args:
            step: its id.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        return await editing.lookup_step(ANYBODY, self._node, self.name, step)

    async def create_step(
        self, step: Any, /, *, made_of: str | None = None, by: str = "", **options: Unpack[FlowStepOptions]
    ) -> FlowDetail:
        """Add a step. Added again the same, it changes nothing, so a service may do it whenever it starts.

        Args:
            step: the action, or ``"participant.step"``; or a step of any kind as a document, which then has all its options.
            made_of: the version that the flow must be at.
            by: the name of the actor.
            options: what :class:`FlowStepOptions` lists.

        Raises:
            StepExistsError: the flow has another step of this id.
        """
        document = self._document(step, made_of, options)
        return await editing.create_step(Actor(by), self._node, self.name, document, made_of=made_of)

    async def replace_step(
        self, step: Any, /, *, made_of: str | None = None, by: str = "", **options: Unpack[FlowStepOptions]
    ) -> FlowDetail:
        """Put a step in the place of the one of its id. Without ``after`` it has the same steps before it.

        Args:
            step: as of :meth:`create_step`.
            made_of: the version that the flow must be at.
            by: the name of the actor.
            options: what :class:`FlowStepOptions` lists.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        document = self._document(step, made_of, options)
        return await editing.replace_step(Actor(by), self._node, self.name, document, made_of=made_of)

    @checked
    async def delete_step(self, step: str, *, made_of: str | None = None, by: str = "") -> FlowDetail:
        """Take a step out. Those that came after it come after the steps before it.

        Args:
            step: its id.
            made_of: the version that the flow must be at.
            by: the name of the actor.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        return await editing.delete_step(Actor(by), self._node, self.name, step, made_of=made_of)

    def _document(self, step: Any, made_of: str | None, options: FlowStepOptions) -> dict[str, Any]:
        check_type("made_of", made_of, (str, type(None)), "a version of the flow, as lookup() shows it")
        if isinstance(step, Mapping):
            if options:
                raise ArgumentError(f"a document has its options itself; put {', '.join(sorted(options))} into it")
            return dict(step)
        given: dict[str, Any] = {**options}
        before = _names("before", given.pop("before", ()))
        if "after" in given:
            given["after"] = [Step[Any](name) for name in _names("after", given["after"])]
        if given.get("fallback") is not None:
            check_type("fallback", given["fallback"], str, "the id of a step")
            given["fallback"] = Step[Any](given["fallback"])
        if unknown := sorted(given.keys() - StepOptions.__optional_keys__):
            raise ArgumentError(f"a step has no option {unknown[0]!r}; {nearest(unknown[0], FlowStepOptions.__optional_keys__)}")
        written: dict[str, Any] = msgspec.to_builtins(step_alone(self.name, step, **given))
        if "after" in given:
            written["after"] = [each.id for each in given["after"]]
        return written | {"before": before}


def _names(option: str, given: object) -> list[str]:
    check_type(option, given, Sequence, "a list of the ids of steps")
    if isinstance(given, str):
        raise ArgumentError(f"{option} is a text; give a list of the ids of steps: [{given!r}]")
    assert isinstance(given, Sequence)  # noqa: S101  (asked above)
    for name in given:
        check_type(option, name, str, "the id of a step, such as 'charge'")
    return list(given)
