"""How a step's function is called: what each of its parameters is for.

The transaction is the first positional parameter of a transactional step; the context is told by its annotation; all other
parameters are inputs, by name. A compensation takes the action's inputs by name, and the action's output by the parameter whose
annotation is the action's return type, or ``Annotated[T, Output]`` where that would be ambiguous.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from goconductor.errors import PayloadError
from goconductor.participant.context import StepContext
from goconductor.participant.typed import Convert, decoder


class Output:
    """``Annotated[T, Output]`` marks the parameter of a compensation that takes the action's output."""


@dataclass(frozen=True)
class Signature:
    """The parameters of a step's function, by what they are for."""

    inputs: dict[str, Convert]
    required: frozenset[str]
    context: str | None
    output: str | None
    decode_output: Convert
    returns: Any
    is_async: bool
    problems: tuple[str, ...] = field(default=())

    def arguments(self, inputs: Mapping[str, Any], context: StepContext, output: Any = None) -> dict[str, Any]:
        """Keyword arguments of a call.

        Raises:
            PayloadError: an input is missing, or does not fit its type.
        """
        arguments: dict[str, Any] = {}
        for name, convert in self.inputs.items():
            if name in inputs:
                try:
                    arguments[name] = convert(inputs[name])
                except PayloadError as error:
                    raise PayloadError(f"input {name!r}, {error.path}", error.problem) from None
            elif name in self.required:
                raise PayloadError(f"input {name!r}", "the saga's definition gives it no value; add it to the step's inputs")
        if self.context is not None:
            arguments[self.context] = context
        if self.output is not None:
            arguments[self.output] = self.decode_output(output)
        return arguments


def read(function: Callable[..., Any], *, transactional: bool, action: Signature | None = None) -> Signature:
    """Read a function's signature; what is wrong with it stands in ``problems``.

    Args:
        function: the step's function.
        transactional: its first parameter takes the transaction.
        action: the signature of the action, if ``function`` is its compensation.
    """
    name = getattr(function, "__qualname__", repr(function))
    problems: list[str] = []
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        hints = {}
        problems.append(f"{name} has an annotation that cannot be read ({error}); import that name at run time, in its module")
    parameters = list(inspect.signature(function).parameters.values())
    if transactional:
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            problems.append(f"{name} is transactional: its first parameter must take the transaction")
        parameters = parameters[1:]
    inputs: dict[str, Convert] = {}
    required: set[str] = set()
    context: str | None = None
    output: tuple[str, Any] | None = None
    for parameter in parameters:
        annotation = hints.get(parameter.name, inspect.Parameter.empty)
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY):
            problems.append(f"{name} has the parameter {parameter}; inputs are handed over by name, so spell them out")
        elif annotation is StepContext:
            context = parameter.name
        elif action is not None and _takes_output(parameter.name, annotation, action):
            output = (parameter.name, annotation)
        else:
            inputs[parameter.name] = decoder(_bare(annotation))
            if parameter.default is inspect.Parameter.empty:
                required.add(parameter.name)
            if action is not None and parameter.name not in action.inputs and parameter.default is inspect.Parameter.empty:
                problems.append(
                    f"{name} takes {parameter.name!r}, which is neither an input of its action nor its output; "
                    f"name it like an input, or annotate it as Annotated[{_spelt(annotation)}, Output]"
                )
    if output is not None and not _admits_none(_bare(output[1])):
        problems.append(
            f"{name} takes the action's output as {output[0]!r}: {_spelt(_bare(output[1]))}; the outcome may be unknown, "
            f"so annotate it as {_spelt(_bare(output[1]))} | None"
        )
    return Signature(
        inputs=inputs,
        required=frozenset(required),
        context=context,
        output=None if output is None else output[0],
        decode_output=decoder(_bare(output[1])) if output is not None else decoder(Any),
        returns=hints.get("return", inspect.Parameter.empty),
        is_async=inspect.iscoroutinefunction(function),
        problems=tuple(problems),
    )


def _takes_output(name: str, annotation: Any, action: Signature) -> bool:
    if get_origin(annotation) is Annotated and any(part is Output for part in get_args(annotation)[1:]):
        return True
    if (
        name in action.inputs
        or annotation is inspect.Parameter.empty
        or action.returns in (inspect.Parameter.empty, Any, NoneType)
    ):
        return False
    return bool(_without_none(_bare(annotation)) == _without_none(_bare(action.returns)))


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        return frozenset(part for part in get_args(annotation) if part is not NoneType)
    return frozenset({annotation})


def _admits_none(annotation: Any) -> bool:
    return annotation in (Any, inspect.Parameter.empty, object) or NoneType in get_args(annotation)


def _spelt(annotation: Any) -> str:
    return annotation.__name__ if inspect.isclass(annotation) else str(annotation)
