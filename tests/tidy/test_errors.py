"""The tree at the top of errors.py is the tree of the classes."""

from __future__ import annotations

import inspect
import pickle
import re
from uuid import UUID

import pytest

from goconductor import RefusedNowError, RequestInvalidError, errors
from goconductor.control.faults import Fault
from goconductor.lifecycle.requests.catalogue import Request

CLASSES = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}


def drawn() -> dict[str, str | None]:
    """Each class in the docstring with the one that it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│├└─ ]*)([A-Z]\w+Error)\b", line):
            branches, name = found.groups()
            del path[len(branches) // 4 :]
            parents[name] = path[-1] if path else None
            path.append(name)
    return parents


def test_the_drawing_is_the_tree() -> None:
    real = {name: kind.__mro__[1].__name__ for name, kind in CLASSES.items()}
    assert drawn() == {**real, "GoConductorError": None}


@pytest.mark.parametrize("kind", CLASSES.values())
def test_every_error_says_what_it_is(kind: type[Exception]) -> None:
    assert kind.__doc__


def test_the_docstring_is_the_default_message() -> None:
    assert "list the sagas" in str(errors.SagaNotFoundError())
    assert str(errors.SagaNotFoundError("no saga 7")) == "no saga 7"


WITH_ARGUMENTS = [
    errors.DefinitionError("order", ["step 'a' is twice: rename one"]),
    errors.PayloadError("$.a", "is none"),
    errors.ConditionError("a > b", "has no b"),
    errors.StuckError("it is stuck", saga_id=UUID(int=7), reason="glued"),
    errors.TemporaryError("busy", delay_seconds=3),
    errors.MessageError("unreadable", newer=True),
    RequestInvalidError("the request", [Fault("key", "is empty")]),
    RefusedNowError("it waits", [Request.RESUME]),
]


@pytest.mark.parametrize("error", WITH_ARGUMENTS, ids=lambda error: type(error).__name__)
def test_an_error_crosses_to_another_process_as_it_is(error: Exception) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), vars(there)) == (type(error), str(error), vars(error))


def test_every_fault_of_a_definition_is_listed() -> None:
    error = errors.DefinitionError("order", ["step 'a' is twice: rename one", "step 'b' needs 'x': produce it"])
    assert str(error).splitlines() == [
        "Saga 'order' cannot run:",
        "  1. step 'a' is twice: rename one",
        "  2. step 'b' needs 'x': produce it",
    ]
