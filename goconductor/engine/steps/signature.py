"""How a step's function is called: what each of its parameters is for.

The transaction is the first positional parameter of a transactional step; the context is recognised by its annotation; what is
annotated with a :class:`Factory` is made for the call; all other parameters are inputs, by name. A compensation takes the
action's inputs by name, and the action's output by the parameter whose annotation is the action's return type, or
``Annotated[T, Output]`` where that would be ambiguous.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from goconductor.engine.steps.context import StepContext
from goconductor.errors import PayloadError, meant, unfit
from goconductor.saga.types.annotations import cannot_come, cannot_go, spelt
from goconductor.saga.types.decoding import Convert, decoder


class Output:
    """``Annotated[T, Output]`` marks the parameter of a compensation that takes the action's output."""


class Factory:
    """``Annotated[T, Factory(make)]`` marks a parameter that is made anew for each run of a step, and is no input.

    Args:
        make: is given the run's :class:`StepContext`, and returns the value. It is called on the event loop, before the step's
            code; where it raises, the step fails without being called.

    Raises:
        ArgumentError: it cannot be called.
    """

    def __init__(self, make: Callable[[StepContext], Any]) -> None:
        if not callable(make):
            raise unfit("make", make, "a function that takes a StepContext and returns the value")
        self.make = make


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
    factories: dict[str, Callable[[StepContext], Any]] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=dict)
    """Of the inputs, as they are annotated."""

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
        for name, make in self.factories.items():
            arguments[name] = make(context)
        return arguments


@dataclass(frozen=True)
class AnyInputs(Signature):
    """How code is called whose inputs have whatever names a definition gives them."""

    def arguments(self, inputs: Mapping[str, Any], context: StepContext, output: Any = None) -> dict[str, Any]:
        """Return the arguments of such code: ``inputs`` by their names, ``context`` and the action's ``output``."""
        return {"inputs": dict(inputs), "context": context, "output": output}


ANY_INPUTS = AnyInputs(
    inputs={}, required=frozenset(), context="context", output=None, decode_output=decoder(Any), returns=Any, is_async=True
)


def shape(function: Any, what: str, *, transactional: bool, on_threads: bool = False) -> list[str]:
    """Return what keeps a thing from being called as a step, whatever its annotations; checked when it is declared.

    Args:
        function: the declared thing.
        what: its name in a message, such as ``step 'pack'``.
        transactional: whether it takes a transaction.
        on_threads: whether that belongs to a thread.
    """
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        kind = type(function).__name__
        return [f"{what} is a {kind}, not a function; declare a function in a module that calls it."]
    problems = []
    parameters = [] if inspect.ismethod(function) else list(function.__code__.co_varnames[: function.__code__.co_argcount])
    outside, _, _ = function.__qualname__.rpartition(".")
    if parameters[:1] in (["self"], ["cls"]) and outside and not outside.endswith("<locals>"):
        problems.append(
            f"{what} is a method of {outside}, and nobody would give it {parameters[0]!r}; "
            "declare a function, or declare the method of an object: participant.step(thing.method)."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        problems.append(f"{what} is a generator: calling it runs nothing; return its values as a list in place of 'yield'.")
    inside = inspect.unwrap(function)
    if not inspect.iscoroutinefunction(function) and inspect.iscoroutinefunction(inside):
        problems.append(
            f"{what} is a plain 'def' around an 'async def', so its coroutine would be handed back and never run; "
            "write the wrapper as 'async def', and await what it calls."
        )
    elif on_threads and inspect.iscoroutinefunction(function):
        problems.append(f"transactional {what} must be a plain 'def': the transaction of its journal belongs to a thread.")
    elif transactional and not on_threads and not inspect.iscoroutinefunction(function):
        problems.append(f"transactional {what} must be 'async def': its transaction belongs to the event loop.")
    return problems


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
    except Exception as error:  # noqa: BLE001  (annotations are expressions, which may raise anything)
        hints = {}
        problems.append(
            f"{name} has an annotation that cannot be read ({error}); import that name at run time, at the top of its module"
        )
    parameters = list(inspect.signature(function).parameters.values())
    if transactional:
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            problems.append(f"{name} is transactional: its first parameter must take the transaction")
        parameters = parameters[1:]
    inputs: dict[str, Convert] = {}
    types: dict[str, Any] = {}
    required: set[str] = set()
    context: str | None = None
    output: tuple[str, Any] | None = None
    factories: dict[str, Callable[[StepContext], Any]] = {}
    for parameter in parameters:
        annotation = hints.get(parameter.name, inspect.Parameter.empty)
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY):
            problems.append(f"{name} has the parameter {parameter}; inputs are handed over by name, so spell them out")
        elif annotation is StepContext:
            context = parameter.name
        elif (factory := _factory(annotation)) is not None:
            factories[parameter.name] = factory.make
            if inspect.iscoroutinefunction(factory.make):
                problems.append(
                    f"{name} has {parameter.name!r} made by an 'async def', which nobody would await; write a plain 'def'"
                )
        elif action is not None and _takes_output(parameter.name, annotation, action):
            output = (parameter.name, annotation)
        else:
            types[parameter.name] = _bare(annotation)
            inputs[parameter.name] = _decoder(name, parameter.name, _bare(annotation), problems)
            needed = parameter.default is inspect.Parameter.empty
            if needed:
                required.add(parameter.name)
            if action is not None and parameter.name not in action.inputs:
                near = meant(parameter.name, action.inputs)
                if needed or near:
                    problems.append(
                        f"{name} takes {parameter.name!r}, which is neither an input of its action nor its output"
                        f"{f' (did you mean {near!r}?)' if near else ''}; "
                        f"name it like an input, or annotate it as Annotated[{spelt(annotation)}, Output]"
                    )
    if output is not None and not _admits_none(_bare(output[1])):
        problems.append(
            f"{name} takes the action's output as {output[0]!r}: {spelt(_bare(output[1]))}; the outcome may be unknown, "
            f"so annotate it as {spelt(_bare(output[1]))} | None"
        )
    returns = hints.get("return", inspect.Parameter.empty)
    if action is None and (why := cannot_go(_bare(returns))) is not None:
        problems.append(f"{name} returns what cannot be kept: {why}")
    return Signature(
        inputs=inputs,
        required=frozenset(required),
        context=context,
        output=None if output is None else output[0],
        decode_output=_decoder(name, output[0], _bare(output[1]), problems) if output is not None else decoder(Any),
        returns=_bare(returns),
        is_async=inspect.iscoroutinefunction(function),
        problems=tuple(problems),
        factories=factories,
        types=types,
    )


def _decoder(function: str, parameter: str, annotation: Any, problems: list[str]) -> Convert:
    """Return how the parameter's values are read; that they cannot be is a problem of its own."""
    why = cannot_come(annotation)
    if why is None:
        try:
            return decoder(annotation)
        except TypeError as error:
            why = str(error)
    problems.append(f"{function} takes {parameter!r}, which no saga can give it: {why}")
    return decoder(Any)


def _factory(annotation: Any) -> Factory | None:
    extras = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((each for each in extras if isinstance(each, Factory)), None)


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
