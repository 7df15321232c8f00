"""What data a builder takes and gives, read from its type hints.

::

    @quotes.builder
    async def price(
        car: Car,                                        # consumes the datum "car"
        owner: Annotated[Person, Consumes("customer")],  # consumes "customer"
        voucher: Annotated[Voucher | None, Optionals],   # takes "voucher" where it is there
        tariff: Annotated[Tariff | None, Access],        # reads "tariff" where it is there
    ) -> Price: ...                                      # produces "price"

A builder *consumes* data: it runs once all of them are there. *Optionals* are taken where they are there; a new value runs the
builder again. What it merely *accesses* it reads where it is there, and a new value runs nothing. It *produces* one datum.
A datum is named by its parameter, or by the marker; what a builder produces is named by its function, or by the marker.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from goconductor.errors import DefinitionError, check_type
from goconductor.saga.ids import split_target
from goconductor.saga.types.annotations import spelt
from goconductor.saga.writing.code import Code

DATUM = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,78}[A-Za-z0-9]|[A-Za-z]")
"""Names of data, as Python names parameters. None has a ``-``, which the steps have that a dataflow adds."""


class Datum:
    """A marker of a parameter, or of what is returned.

    Args:
        name: the datum's name; by default that of the parameter, or of the function.
    """

    def __init__(self, name: str | None = None) -> None:
        check_type("name", name, (str, NoneType), "the name of a datum, such as 'price'")
        self.name = name


class Consumes(Datum):
    """``Annotated[T, Consumes("car")]``: the builder needs the datum. A parameter without a marker is read so, too."""


class Optionals(Datum):
    """``Annotated[T | None, Optionals]``: the builder takes the datum where it is there, and runs again by a new value."""


class Access(Datum):
    """``Annotated[T | None, Access]``: the builder reads the datum where it is there; a new value runs nothing."""


class Produces(Datum):
    """``-> Annotated[T, Produces("price")]``: the datum that the builder gives."""


class Builder:
    """A builder, as a dataflow knows it. Made by :meth:`Participant.builder`; by hand for one of another service.

    Args:
        run: its code, as ``participant.step``.
        produces: the datum that it gives.
        consumes: the data that it needs: their names, which are its inputs as well, or input → datum.
        optionals: the same of those that it takes where they are there.
        access: the same of those that it reads where they are there.
        code: the code itself, where it is at hand.

    Raises:
        ArgumentError: something is of a wrong type.
        DefinitionError: a name cannot be one, or an input is named twice.
    """

    def __init__(
        self,
        run: str,
        *,
        produces: str,
        consumes: Sequence[str] | Mapping[str, str] = (),
        optionals: Sequence[str] | Mapping[str, str] = (),
        access: Sequence[str] | Mapping[str, str] = (),
        code: Code | None = None,
    ) -> None:
        check_type("run", run, str, "the builder's code, as 'participant.step'")
        check_type("produces", produces, str, "the name of a datum, such as 'price'")
        self.run = run
        self.produces = produces
        self.consumes = _by_input("consumes", consumes)
        self.optionals = _by_input("optionals", optionals)
        self.access = _by_input("access", access)
        self.code = code
        if found := [*self._problems()]:
            raise DefinitionError(run, found)

    @property
    def builder(self) -> Builder:
        """This one: an action that is a builder has the same attribute."""
        return self

    def _problems(self) -> Iterator[str]:
        try:
            split_target(self.run)
        except ValueError as error:
            yield f"{error}; name the builder's code so."
        taken = [*self.consumes.items(), *self.optionals.items(), *self.access.items()]
        for name in dict.fromkeys([self.produces, *(datum for _, datum in taken)]):
            if not DATUM.fullmatch(name):
                yield (
                    f"builder {self.run!r} names a datum {name[:100]!a}; use 1 to 80 letters, digits and '_', beginning with a "
                    "letter and ending with a letter or digit."
                )
        for each in sorted({one for one, _ in taken if sum(one == other for other, _ in taken) > 1}):
            yield f"builder {self.run!r} takes its input {each!r} in two ways; keep one of them."


def _by_input(what: str, names: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    wanted = f"the names of data: {what}=['car'], or input → datum"
    check_type(what, names, (Mapping, list, tuple), wanted)
    pairs = dict(names.items()) if isinstance(names, Mapping) else {name: name for name in names}
    for input, datum in pairs.items():
        check_type(f"a name in {what}", input, str, wanted)
        check_type(f"a name in {what}", datum, str, wanted)
    return pairs


def read(function: Callable[..., Any], run: str, inputs: Collection[str], code: Code) -> Builder:
    """Read a builder's data from its type hints.

    Args:
        function: the builder's code.
        run: its name, as ``participant.step``.
        inputs: the parameters that take data.
        code: the action.

    Raises:
        DefinitionError: a hint contradicts itself; has all faults.
    """
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001  (annotations are expressions; the check of the step reports it)
        hints = {}
    found: list[str] = []
    taken: dict[type[Datum], dict[str, str]] = {Consumes: {}, Optionals: {}, Access: {}}
    for name in inputs:
        hint = hints.get(name, Any)
        marker = _marker(run, f"its parameter {name!r}", hint, tuple(taken), found) or Consumes()
        taken[type(marker)][name] = marker.name or name
        plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if not isinstance(marker, Consumes) and plain not in (Any, object) and NoneType not in get_args(plain):
            found.append(
                f"builder {run!r} takes {name!r} where it is there, so it may be None; annotate it as {spelt(plain)} | None."
            )
    produces = _marker(run, "what it returns", hints.get("return", Any), (Produces,), found) or Produces()
    if found:
        raise DefinitionError(run, found)
    return Builder(
        run,
        produces=produces.name or run.rpartition(".")[2],
        consumes=taken[Consumes],
        optionals=taken[Optionals],
        access=taken[Access],
        code=code,
    )


def _marker(run: str, what: str, hint: Any, kinds: tuple[type[Datum], ...], found: list[str]) -> Datum | None:
    """Return the marker in an annotation; None without one. What is wrong with it is added to ``found``."""
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    markers = [each() if isinstance(each, type) else each for each in extras if _is_marker(each)]
    if len(markers) > 1:
        found.append(f"builder {run!r} marks {what} {len(markers)} times; keep one marker.")
    if wrong := next((each for each in markers if not isinstance(each, kinds)), None):
        there = " or ".join(kind.__name__ for kind in kinds)
        found.append(f"builder {run!r} marks {what} by {type(wrong).__name__}, which does not belong there; use {there}.")
        return None
    return markers[0] if markers else None


def _is_marker(extra: object) -> bool:
    return isinstance(extra, Datum) or (isinstance(extra, type) and issubclass(extra, Datum))
