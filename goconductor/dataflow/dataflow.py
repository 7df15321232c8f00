"""A dataflow written in Python: the datum that is wanted, and the builders that may make it.

::

    quote = Dataflow("quote", target="offer", builders=[quotes], resolve={"price": fair_price})
    first = await conductor.run(quote, "customer-17", {"car": {"kind": "van"}})
    first.missing  # {"customer": ["quotes.fair_price"]}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any

from goconductor.dataflow.hints import Builder
from goconductor.dataflow.resolving import of_transients, resolve
from goconductor.dataflow.shape import written
from goconductor.errors import DefinitionError, check_type, unfit
from goconductor.saga.definition import Definition
from goconductor.saga.writing.builder import Saga

_BUILDERS = "a list of participants, of builders, or of both: builders=[quotes]"


class Dataflow:
    """A saga by its data. Which builders run, and in which order, is inferred from what they take and give.

    Args:
        name: its name; it is that of the saga's definition.
        target: the datum that it is for. Only the builders that this needs run.
        builders: participants, all builders of which may be used, and single builders.
        resolve: datum → the builder that produces it, where several could: the builder itself, or ``"participant.step"``.
        given: the data that come from outside. A datum that is neither given nor produced is then a fault. Without it, all that
            no builder produces come from outside.
        transients: those data from outside that are kept nowhere: no log, message or database has them.
        timeout: seconds, or a string such as ``"7d"``: a saga of it that is open for longer is undone.
        priority: of its builders where they wait for room in a process, from -100 to 100; greater ones come first.

    Raises:
        ArgumentError: something is of a wrong type.
    """

    def __init__(
        self,
        name: str,
        *,
        target: str,
        builders: Sequence[Any],
        resolve: Mapping[str, Any] | None = None,
        given: Sequence[str] | None = None,
        transients: Collection[str] = (),
        timeout: float | str | None = None,
        priority: int = 0,
    ) -> None:
        check_type("name", name, str, "the dataflow's name, such as 'quote'")
        check_type("target", target, str, "the name of a datum, such as 'offer'")
        check_type("resolve", resolve, (Mapping, NoneType), "datum → builder: resolve={'price': fair_price}")
        if isinstance(given, str) or not isinstance(given, Sequence | NoneType):
            raise unfit("given", given, "the names of data: given=['car', 'customer']")
        if isinstance(transients, str) or not isinstance(transients, Collection):
            raise unfit("transients", transients, "the names of data: transients={'card'}")
        for option, names in (("given", given or ()), ("transients", transients)):
            for each in names:
                check_type(f"a name in {option}", each, str, "the name of a datum, such as 'car'")
        self.name = name
        self.target = target
        self._builders = [*_builders(builders)]
        self._chosen = {datum: _run_of(datum, each) for datum, each in (resolve or {}).items()}
        self._given = given
        self._transients = tuple(transients)
        self._timeout = timeout
        self._priority = priority
        self._saga: Saga[None, Any] | None = None

    @property
    def saga(self) -> Saga[None, Any]:
        """The saga that it is.

        Raises:
            DefinitionError: it cannot run; has all problems, each with the builder and the datum.
        """
        if self._saga is None:
            resolved, found = resolve(self.target, self._builders, self._chosen, self._given)
            if found := found or [*of_transients(self._transients, resolved)]:
                raise DefinitionError(self.name, found)
            saga = written(
                *(self.name, self.target, resolved.builders, resolved.outside),
                transients=self._transients,
                timeout=self._timeout,
                priority=self._priority,
            )
            _ = saga.definition  # which is checked here, once
            self._saga = saga
        return self._saga

    @property
    def definition(self) -> Definition:
        """The document, checked: a step for each datum.

        Raises:
            DefinitionError: as :attr:`saga`.
        """
        return self.saga.definition


def _builders(given: object) -> Iterator[Builder]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise unfit("builders", given, _BUILDERS)
    for number, each in enumerate(given):
        steps = getattr(each, "steps", None)
        candidates = [*steps.values()] if isinstance(steps, Mapping) else [each]
        found = [one.builder for one in candidates if isinstance(getattr(one, "builder", None), Builder)]
        if not found and not isinstance(steps, Mapping):
            raise unfit(f"builders[{number}]", each, "a participant, or what @participant.builder has made")
        yield from found


def _run_of(datum: object, builder: object) -> str:
    check_type("a key of resolve", datum, str, "the name of a datum")
    found = getattr(builder, "builder", None)
    if isinstance(found, Builder):
        return found.run
    if not isinstance(builder, str):
        raise unfit(f"resolve[{datum!r}]", builder, "a builder, or 'participant.step'")
    return builder
