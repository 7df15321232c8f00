"""Edits of a flow, one step at a time: a definition in, a definition out.

An edit keeps the order of the others. A step that comes between two others is named by its follower (``before``). Where a step
is taken out, those that came after it come after the steps before it, so nothing begins earlier than it did.

Services add their steps each time they start. So a step that is there already, the same and at its place, is added again without
a change, also where others have put steps of theirs before it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from goconductor.control.sagas.requests import StepNotFoundError
from goconductor.errors import DefinitionError, PayloadError, RequestRefusedError, nearest
from goconductor.saga.data.values import check_value
from goconductor.saga.definition import Definition, Step, with_body
from goconductor.saga.graph import predecessors


class StepExistsError(RequestRefusedError):
    """The flow has another step of this id; replace that one, or choose another id."""


class FlowStep(Step, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A step as it is added to a flow.

    Args:
        before: ids of the steps that come after it from now on.
        from_step: of one that executes a flow (``saga``): the step of that flow to start at.
    """

    before: tuple[str, ...] = ()
    from_step: str | None = None


class OwnFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a flow itself is to have from now on. What is not given stays as it is.

    Args:
        priority: of the steps of its executions where they wait for room in a process, from -100 to 100; greater ones come first.
        timeout_seconds: after this long an execution compensates, unless its pivot was sent; None removes the limit.
    """

    priority: int | msgspec.UnsetType = msgspec.UNSET
    timeout_seconds: float | msgspec.UnsetType | None = msgspec.UNSET


class Placed(msgspec.Struct, frozen=True):
    """A step and its place in a flow.

    Args:
        step: what is added.
        before: ids of the steps that come after it.
        from_step: the step of the flow that it executes, to start at.
        names_place: whether ``after`` of the step was given; if not, a step that replaces another keeps the place of that one.
    """

    step: Step
    before: tuple[str, ...] = ()
    from_step: str | None = None
    names_place: bool = True


def read_step(flow: str, document: Any) -> Placed:
    """Read a step from a document.

    Args:
        flow: the flow's name, for errors.
        document: the form of :class:`~goconductor.saga.definition.Step`, and perhaps ``before`` and ``from_step``.

    Raises:
        DefinitionError: it has another shape; has all problems.
    """
    if isinstance(document, Mapping) and "flow" in document:
        raise DefinitionError(flow, ['$.flow: a step that executes a flow has its name as "saga": {"name": "billing"}.'])
    try:
        check_value(document)
        written = msgspec.convert(document, FlowStep)
    except PayloadError as error:
        raise DefinitionError(flow, [str(error)]) from None
    except msgspec.ValidationError as error:
        from goconductor.control.schema_faults import struct_faults  # noqa: PLC0415  (imports much)

        raise DefinitionError(flow, [str(fault) for fault in struct_faults(FlowStep, document)] or [str(error)]) from None
    step = Step(**{name: getattr(written, name) for name in Step.__struct_fields__})
    if written.from_step is not None and step.saga is None:
        raise DefinitionError(flow, ["$.from_step: only a step that executes a flow has it; add saga, or take it out."])
    return Placed(step, written.before, written.from_step, "after" in document)


def created(flow: str, definition: Definition | None, new: Placed) -> Definition:
    """Return the flow with one more step; unchanged where it has that step.

    Args:
        flow: its name.
        definition: None where the flow has no steps yet.
        new: the step. A flow without steps begins with it.

    Raises:
        StepExistsError: another step has this id.
        DefinitionError: a step that it is to come before is not there.
    """
    steps = {} if definition is None else {step.id: step for step in definition.steps}
    _known(flow, steps, new.before)
    there = steps.get(new.step.id)
    if there is None:
        steps = _behind(steps, new) | {new.step.id: new.step}
    elif not _stands(there, new) or any(there.id not in steps[name].after for name in new.before):
        raise StepExistsError(
            f"flow {flow!r} has another step {there.id!r}; replace that one (replace_step), or choose another id for yours"
        )
    return _with(flow, definition, steps.values())


def replaced(flow: str, definition: Definition, new: Placed) -> Definition:
    """Return the flow with another step in the place of the one of its id.

    Raises:
        StepNotFoundError: there is none.
        DefinitionError: a step that it is to come before is not there.
    """
    steps = {step.id: step for step in definition.steps}
    old = _there(flow, steps, new.step.id)
    _known(flow, steps, new.before)
    step = new.step if new.names_place else msgspec.structs.replace(new.step, after=old.after)
    return _with(flow, definition, (_behind(steps, new) | {step.id: step}).values())


def deleted(flow: str, definition: Definition, step_id: str) -> Definition:
    """Return the flow without a step. Those that came after it come after the steps before it.

    Raises:
        StepNotFoundError: there is none.
    """
    steps = {step.id: step for step in definition.steps}
    gone = _there(flow, steps, step_id)
    before = predecessors(gone)
    return _with(flow, definition, (_bridged(step, gone.id, before) for step in definition.steps if step is not gone))


def changed(definition: Definition, fields: OwnFields) -> Definition:
    """Return the flow with other fields of its own, and the same steps."""
    given = {name: getattr(fields, name) for name in fields.__struct_fields__}
    return msgspec.structs.replace(definition, **{name: value for name, value in given.items() if value is not msgspec.UNSET})


def _with(flow: str, definition: Definition | None, steps: Iterable[Step]) -> Definition:
    if definition is None:
        return Definition(name=flow, steps=tuple(steps))
    return msgspec.structs.replace(definition, steps=tuple(steps))


def _behind(steps: Mapping[str, Step], new: Placed) -> dict[str, Step]:
    """Return the steps, those behind the new one naming it."""
    return {
        name: msgspec.structs.replace(step, after=tuple(dict.fromkeys((*step.after, new.step.id))))
        if name in new.before
        else step
        for name, step in steps.items()
    }


def _bridged(step: Step, gone: str, before: tuple[str, ...]) -> Step:
    if gone not in step.after:
        return step
    after = dict.fromkeys(name for each in step.after for name in (before if each == gone else (each,)))
    return msgspec.structs.replace(step, after=tuple(after))


def _stands(there: Step, new: Placed) -> bool:
    """Return whether this step is there, perhaps with steps of others before it."""
    written = _as_written(there, new.step)
    same = msgspec.structs.replace(written, after=()) == msgspec.structs.replace(new.step, after=())
    return same and {*new.step.after} <= {*there.after}


def _as_written(there: Step, new: Step) -> Step:
    """Return a step without the versions of other sagas that the new one leaves open: they were found when it was added."""
    if there.saga is not None and new.saga is not None and new.saga.version is None:
        return msgspec.structs.replace(there, saga=msgspec.structs.replace(there.saga, version=None))
    if there.body and len(there.body) == len(new.body):
        return with_body(there, map(_as_written, there.body, new.body))
    return there


def _there(flow: str, steps: Mapping[str, Step], name: str) -> Step:
    if (step := steps.get(name)) is None:
        raise StepNotFoundError(f"flow {flow!r} has no step {name[:100]!a}; {nearest(name, steps)}")
    return step


def _known(flow: str, steps: Mapping[str, Step], before: Iterable[str]) -> None:
    if unknown := [name for name in before if name not in steps]:
        raise DefinitionError(
            flow, [f"it has no step {name[:100]!a} before which one could be put; {nearest(name, steps)}." for name in unknown]
        )
