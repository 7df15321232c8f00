"""Adding steps of every kind, and steps that hold others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack, cast

from goconductor.errors import check_type, unfit
from goconductor.saga.checking.known import Known
from goconductor.saga.data.references import Place, Reference, reference_of
from goconductor.saga.definition import Map as MapDefinition
from goconductor.saga.definition import Repeat as RepeatDefinition
from goconductor.saga.definition import Step as StepDefinition
from goconductor.saga.definition import with_body
from goconductor.saga.retry import seconds as duration
from goconductor.saga.types.references import by_position
from goconductor.saga.writing.adding.calls import Calls
from goconductor.saga.writing.adding.collected import Collected, Frame, Named, Nested
from goconductor.saga.writing.adding.waits import Waits
from goconductor.saga.writing.fields import placed
from goconductor.saga.writing.groups.forms import Case as CaseDefinition
from goconductor.saga.writing.groups.forms import WrittenStep, below, of_steps
from goconductor.saga.writing.options import check_options
from goconductor.saga.writing.steps import MapOptions, RepeatOptions, Step


class Steps(Calls, Waits):
    """Steps that are being written, with the calls that add more: those of a saga, of a map, or of a repeat."""

    def later(self, id: str, /) -> Step[Any]:
        """Return a step that is added further down, to be named above it: ``fallback=order.later("invoice")``.

        Args:
            id: the step's id in the saga.

        Raises:
            ArgumentError: it is no text.
        """
        check_type("id", id, str, "the id of a step that is added further down, such as 'invoice'")
        return Step(below(self._path, id))

    def group(self, id: str, /, *, after: Sequence[Step[Any]] = (), when: str | None = None) -> Group:
        """Add a sequence of steps with a name: ``shipping = order.group("shipping")``, and then ``shipping.step(…)``.

        Who comes after the group comes after its last step, whose output is the group's.

        Args:
            id: the group's id in the saga.
            after: steps that must have ended before.
            when: a CEL condition over ``input`` and ``steps``, asked once. If it is false, all of its steps are skipped.

        Raises:
            ArgumentError: something is of a wrong type.
        """
        made = Group(self, *_framed(id, after, when))
        self._changed()
        self._steps.append(made)
        return made

    def switch(self, id: str, /, *, after: Sequence[Step[Any]] = (), when: str | None = None) -> Switch:
        """Add a switch, whose first case that fits is taken: ``way = order.switch("way")``, then ``way.case("good", when=…)``.

        Its output is the name of the case that was taken; null where none was.

        Args:
            id: the switch's id in the saga.
            after: steps that must have ended before.
            when: a CEL condition over ``input`` and ``steps``. If it is false, no case is taken.

        Raises:
            ArgumentError: something is of a wrong type.
        """
        made = Switch(self, *_framed(id, after, when))
        self._changed()
        self._steps.append(made)
        return made

    def map(self, over: object, /, **options: Unpack[MapOptions]) -> Map:
        """Add steps for each item of a list: ``lines = order.map(order.input.lines)``, and then ``lines.step(…)``.

        Args:
            over: the place of the list.
            options: what :class:`MapOptions` lists; the id is ``"map"`` by default.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
        """
        check_options(options, lambda each: isinstance(each, Step), MapOptions.__annotations__)
        if not isinstance(over, Place):
            raise unfit("over", over, "the place of a list, such as order.input.lines")
        self._changed()
        made = Map(
            self,
            StepDefinition(
                id=options.get("id") or "map",
                map=MapDefinition(
                    over=str(reference_of(over)),
                    do=(),
                    join=options.get("join", "all"),
                    concurrency=options.get("concurrency"),
                ),
                **placed(options),
            ),
        )
        self._steps.append(made)
        return made

    def repeat(self, *, until: str, max: int, **options: Unpack[RepeatOptions]) -> Repeat:
        """Add steps that are done turn by turn: ``poll = order.repeat(until="steps.ask.output.ready", max=10)``, and then
        ``poll.step(…)``.

        Args:
            until: a CEL condition that is asked at the end of each turn, over ``steps`` (those of the turn first), ``input``,
                ``index`` and ``previous``. Where it holds, that turn was the last.
            max: how many turns there may be.
            options: what :class:`RepeatOptions` lists; the id is ``"repeat"`` by default.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
            ValueError: the delay is no duration.
        """
        check_options(options, lambda each: isinstance(each, Step), RepeatOptions.__annotations__)
        check_type("until", until, str, "a CEL condition as a text, such as 'steps.ask.output.ready'")
        check_type("max", max, int, "how many turns there may be")
        delay = options.get("delay")
        self._changed()
        made = Repeat(
            self,
            StepDefinition(
                id=options.get("id") or "repeat",
                repeat=RepeatDefinition(
                    do=(),
                    until=until,
                    max=max,
                    delay_seconds=None if delay is None else duration(delay),
                    at_max=options.get("at_max", "fail"),
                ),
                **placed(options),
            ),
        )
        self._steps.append(made)
        return made


class Growing(Steps, Nested):
    """Steps that are done several times in a saga."""

    def __init__(self, around: Collected, definition: StepDefinition) -> None:
        Steps.__init__(self)
        self._around = around
        self._own = definition

    @property
    def index(self) -> int:
        """The place of the item's number in the list, or of the turn's number, from 0."""
        return cast("int", Place(Reference.to("index", None)))

    def _changed(self) -> None:
        self._around._changed()  # noqa: SLF001

    def _filled(self, types: Mapping[str | None, Any]) -> StepDefinition:
        here = {each.id for each in self._steps}
        inside = {name: kind for name, kind in types.items() if name not in here} | self._outputs()
        return with_body(by_position(self._own, types), self._written(inside))

    def _unfit(self, known: Known) -> Iterator[str]:
        yield from super()._unfit(known.inside(self._own, [each.id for each in self._steps], self._outputs()))


class Map(Growing, Step[list[Any]]):
    """Steps that are done for each item of a list. Its output is a list: of each item what its last step gave."""

    def __init__(self, around: Collected, definition: StepDefinition) -> None:
        Growing.__init__(self, around, definition)
        Step.__init__(self, below(around._path, definition.id))  # noqa: SLF001

    @property
    def item(self) -> Any:
        """The place of the item that a step is for."""
        return Place(Reference.to("item", None))


class Repeat(Growing, Step[Any]):
    """Steps that are done turn by turn until a condition holds. Its output is what the last step of the last turn gave."""

    def __init__(self, around: Collected, definition: StepDefinition) -> None:
        Growing.__init__(self, around, definition)
        Step.__init__(self, below(around._path, definition.id))  # noqa: SLF001

    @property
    def previous(self) -> Any:
        """The place of what the turn before has given; null in the first turn."""
        return Place(Reference.to("previous", None))


def _framed(id: str, after: Sequence[Step[Any]], when: str | None) -> tuple[str, dict[str, Any]]:
    """Check what a group or a switch is given, and return its id and the fields that steps of all kinds have."""
    check_type("id", id, str, "the id of the step, such as 'shipping'")
    check_options({"after": after, "when": when}, lambda each: isinstance(each, Step))
    return id, {"after": tuple(step.id for step in after), "when": when}


class Group(Steps, Frame, Step[Any]):
    """Steps that run one after the other. Its output is that of its last step."""

    def __init__(self, around: Collected, id: str, placed: dict[str, Any]) -> None:
        path = below(around._path, id)  # noqa: SLF001
        Steps.__init__(self, path)
        Step.__init__(self, path)
        self._around, self._own_id, self._placed = around, id, placed

    def _changed(self) -> None:
        self._around._changed()  # noqa: SLF001

    def _filled(self, types: Mapping[str | None, Any]) -> WrittenStep:
        return WrittenStep(id=self._own_id, steps=of_steps(self._written(types)), **self._placed)

    def _shown(self) -> dict[str | None, Any]:
        return self._outputs()


class Case(Steps, Step[Any]):
    """Steps that run one after the other where their case of a switch is taken."""

    def __init__(self, around: Switch, name: str, when: str | None) -> None:
        Steps.__init__(self, below(around.id, name))
        Step.__init__(self, below(around.id, name))
        self._around, self._name, self._when = around, name, when

    def _changed(self) -> None:
        self._around._changed()  # noqa: SLF001

    def _filled(self, types: Mapping[str | None, Any]) -> CaseDefinition:
        return CaseDefinition(case=self._name, steps=of_steps(self._written(types)), when=self._when)


class Switch(Frame, Step[str | None]):
    """Cases, of which the first whose condition holds is taken. Its output is that case's name."""

    def __init__(self, around: Collected, id: str, placed: dict[str, Any]) -> None:
        path = below(around._path, id)  # noqa: SLF001
        Frame.__init__(self, path)
        Step.__init__(self, path)
        self._around, self._own_id, self._placed = around, id, placed
        self._cases: list[Case] = []

    def case(self, name: str, /, *, when: str | None = None) -> Case:
        """Add a case: ``good = way.case("good", when="steps.score.output > 700")``, and then ``good.step(…)``.

        Args:
            name: its name.
            when: a CEL condition over ``input`` and ``steps``; the last case may have none, and is then taken where no other is.

        Raises:
            ArgumentError: something is of a wrong type.
        """
        check_type("name", name, str, "the name of the case, such as 'good'")
        check_options({"when": when}, lambda each: isinstance(each, Step))
        self._changed()
        made = Case(self, name, when)
        self._cases.append(made)
        return made

    def _changed(self) -> None:
        self._around._changed()  # noqa: SLF001

    def _filled(self, types: Mapping[str | None, Any]) -> WrittenStep:
        return WrittenStep(id=self._own_id, switch=tuple(case._filled(types) for case in self._cases), **self._placed)  # noqa: SLF001

    def _unfit(self, known: Known) -> Iterator[str]:
        for case in self._cases:
            yield from case._unfit(known)  # noqa: SLF001

    def _started(self) -> Iterator[Named]:
        for case in self._cases:
            yield from case._started()  # noqa: SLF001

    def _undone(self) -> dict[str, Any]:
        return {name: code for case in self._cases for name, code in case._undone().items()}  # noqa: SLF001

    def _shown(self) -> dict[str | None, Any]:
        return {name: kind for case in self._cases for name, kind in case._outputs().items()}  # noqa: SLF001
