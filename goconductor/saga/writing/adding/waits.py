"""Adding steps that nobody runs: they wait, or work something out."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, TypeVar, Unpack, overload

import msgspec

from goconductor.errors import check_type, unfit
from goconductor.saga.data.references import Place, reference_of
from goconductor.saga.definition import Delay, Savepoint, Wait
from goconductor.saga.definition import Step as StepDefinition
from goconductor.saga.retry import seconds as duration
from goconductor.saga.writing.adding.collected import Collected, bindings_of
from goconductor.saga.writing.fields import placed
from goconductor.saga.writing.options import check_options
from goconductor.saga.writing.steps import Step, ValueOptions, WaitOptions

T = TypeVar("T")


class Waits(Collected):
    """The calls that add such steps."""

    def delay(
        self,
        seconds: float | str | None = None,
        /,
        *,
        until: object = None,
        id: str | None = None,
        after: Sequence[Step[Any]] = (),
        when: str | None = None,
        allow_fail: bool = False,
        fallback: Step[Any] | None = None,
    ) -> Step[None]:
        """Add a step that lets time pass. Nobody runs it, and there is nothing to undo.

        Args:
            seconds: how long from when its turn has come: seconds, or a string such as ``"10m"``.
            until: in place of that, the place of a time in the saga's data (``order.input.ship_at``): a text as RFC 3339 writes
                it, or seconds since 1970. A time in the past ends the step at once.
            id: the step's id in the saga; by default ``"delay"``.
            after: steps that must have ended before.
            when: a CEL condition over ``input`` and ``steps``. If it is false, the step is skipped.
            allow_fail: the saga goes on where there is no time at ``until``.
            fallback: the step that runs in that case.

        Raises:
            ArgumentError: something is of a wrong type, or not one of ``seconds`` and ``until`` is given.
            ValueError: ``seconds`` is no duration.
        """
        options = {"id": id, "after": after, "when": when, "allow_fail": allow_fail, "fallback": fallback}
        check_options(options, lambda each: isinstance(each, Step))
        if (seconds is None) == (until is None) or not isinstance(until, Place | NoneType):
            raise unfit("until", until, "a place, such as order.input.ship_at; or give seconds in its stead: saga.delay('10m')")
        return self._add(
            StepDefinition(
                id=id or "delay",
                delay=Delay(
                    seconds=None if seconds is None else duration(seconds),
                    until=None if until is None else str(reference_of(until)),
                ),
                **placed(options),
            )
        )

    @overload
    def wait(self, event: str, /, *, output: type[T], **options: Unpack[WaitOptions]) -> Step[T]: ...
    @overload
    def wait(self, event: str, /, **options: Unpack[WaitOptions]) -> Step[Any]: ...
    def wait(self, event: str, /, *, output: Any = None, **options: Unpack[WaitOptions]) -> Step[Any]:
        """Add a step that waits for a signal. Its output is the signal's payload.

        Args:
            event: the name of the signal, as :meth:`SagaHandle.signal` gives it. By default it is the step's id.
            output: the type of the payload.
            options: what :class:`WaitOptions` lists.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
            ValueError: the timeout is no duration.
        """
        check_type("event", event, str, "the name of a signal, such as 'payment'")
        return self._waits(Wait(event=event), options.get("id") or event, options, output)

    def approval(self, question: str, /, **options: Unpack[WaitOptions]) -> Step[dict[str, str]]:
        """Add a step that waits for a person who approves. Its output has who did (``by``), and why (``reason``).

        Args:
            question: what the person is asked. The approval names the step's id, which is ``"approval"`` by default.
            options: what :class:`WaitOptions` lists; in ``where``, ``payload.by`` and ``payload.reason`` are the approval's.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
            ValueError: the timeout is no duration.
        """
        check_type("question", question, str, "the question that a person answers, such as 'Release the money?'")
        return self._waits(Wait(approval=question), options.get("id") or "approval", options)

    def _waits(self, wait: Wait, step_id: str, options: WaitOptions, output: Any = None) -> Step[Any]:
        check_options(dict(options) | {"id": step_id}, lambda each: isinstance(each, Step))
        timeout = options.get("timeout")
        wait = msgspec.structs.replace(
            wait, where=options.get("where"), timeout_seconds=None if timeout is None else duration(timeout)
        )
        return self._add(StepDefinition(id=step_id, wait=wait, **placed(options)), output=output)

    @overload
    def value(self, expression: str, /, *, output: type[T], **options: Unpack[ValueOptions]) -> Step[T]: ...
    @overload
    def value(self, expression: str, /, **options: Unpack[ValueOptions]) -> Step[Any]: ...
    def value(self, expression: str, /, *, output: Any = None, **options: Unpack[ValueOptions]) -> Step[Any]:
        """Add a step that works something out of the saga's data. Nobody runs it, and there is nothing to undo.

        Args:
            expression: CEL over ``inputs``, and over ``input`` and ``steps``; steps that it names come before it by ``after``.
            output: the type of what it gives.
            options: what :class:`ValueOptions` lists; the id is ``"value"`` by default.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
        """
        check_type("expression", expression, str, "a CEL expression as a text, such as 'input.price * input.pieces'")
        step_id = options.get("id") or "value"
        check_options(dict(options) | {"id": step_id}, lambda each: isinstance(each, Step))
        return self._add(
            StepDefinition(
                id=step_id,
                value=expression,
                inputs=bindings_of("inputs", options.get("inputs", {})),
                **placed(options),
            ),
            output=output,
        )

    def savepoint(
        self,
        name: str,
        /,
        *,
        otherwise: Sequence[str],
        first: str = "first",
        after: Sequence[Step[Any]] = (),
        when: str | None = None,
    ) -> Step[str]:
        """Add a place that the saga goes back to where something after it fails for good, to go on another way.

        The step's output is the name of the way that the saga is on. So a step on one of them has
        ``when="steps.NAME.output == 'invoice'"``, and comes after the savepoint.

        Args:
            name: the step's id.
            otherwise: the names of the other ways, in the order in which they are tried, each once.
            first: the name of the way that is tried first.
            after: steps that must have ended before; they stay as they are.
            when: a CEL condition over ``input`` and ``steps``. If it is false, there is no savepoint here.

        Raises:
            ArgumentError: something is of a wrong type.
        """
        check_type("name", name, str, "the savepoint's id, such as 'payment'")
        check_type("first", first, str, "the name of the first way, such as 'card'")
        check_type("otherwise", otherwise, (list, tuple), "a list of the other ways' names, such as ['invoice']")
        for number, way in enumerate(otherwise):
            check_type(f"otherwise[{number}]", way, str, "the name of a way, such as 'invoice'")
        options = {"after": after, "when": when}
        check_options(options, lambda each: isinstance(each, Step))
        ways = Savepoint(otherwise=tuple(otherwise), first=first)
        return self._add(StepDefinition(id=name, savepoint=ways, **placed(options)), output=str)
