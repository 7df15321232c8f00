"""Whoever asks is the first argument of every function that a door calls, and has a name that can be kept."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

from goconductor import control
from goconductor.control.actor import ANYBODY, NAME_CHARACTERS_MAX, Actor
from goconductor.control.faults import RequestInvalidError
from goconductor.control.sagas.queries import history
from goconductor.control.sagas.requests import ask
from goconductor.engine.node import Node
from goconductor.gateway.gateway import Gateway
from goconductor.lifecycle.facts.events import PauseRequested
from goconductor.ports.store import Store
from tests.control.conftest import Bench

FOR_NOBODY = {
    "webhooks.requests.found_row": "a part of a request that an actor has asked",
    "sagas.attended.fenced": "a part of a request that an actor has asked",
    "definitions.versions.plan_of": "a part of what an actor has asked for",
    "installation.readiness.readiness": "a machine asks whether this process serves",
    "sagas.requests.migrator": "a part of a request that an actor has asked",
    "sagas.requests.kept": "a part of a request that an actor has asked",
    "sagas.requests.stands": "a part of a request that an actor has asked",
    "sagas.requests.keepable": "a part of a request that an actor has asked",
    "sagas.requests.check_restart": "a part of a request that an actor has asked",
    "sagas.requests.with_what_is_allowed": "a part of a request that an actor has asked",
    "sagas.signals.append": "a part of a request that an actor has asked",
    "dataflows.asking.signal": "a part of a run that an actor has asked",
    "dataflows.asking.restart": "a part of a run that an actor has asked",
    "sagas.starting.plan_of": "a part of what an actor has asked for",
    "sagas.starting.start_fire": "the leader fires what an actor has scheduled",
    "sagas.queries.surroundings": "a part of what an actor has asked for",
    "sagas.children.started_by": "a part of what an actor has asked for",
    "sagas.restarts.check": "a part of what an actor has asked for",
    "sagas.restarts.restart": "a part of a request that an actor has asked",
    "sagas.restarts.restarted_as": "a part of what an actor has asked for",
}
"""Functions that reach the store, and that no actor asks for."""


REACHING = {Node, Store, Gateway | None}


def reaching() -> Iterator[tuple[str, Any]]:
    """Every public function of the room that is given the engine, the store or the gateway."""
    for each in pkgutil.walk_packages(control.__path__, f"{control.__name__}."):
        where = each.name.removeprefix(f"{control.__name__}.")
        if where.startswith("doctor."):  # its checks are parts of one examination
            continue
        module = importlib.import_module(each.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_") and REACHING & {*arguments(function)}:
                yield f"{where}.{name}", function


def arguments(function: Any) -> list[Any]:
    hints = get_type_hints(inspect.unwrap(function))
    return [hints.get(name) for name in inspect.signature(function).parameters]


FUNCTIONS = dict(reaching())


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - FOR_NOBODY))
def test_the_actor_comes_first(name: str) -> None:
    assert next(iter(inspect.signature(FUNCTIONS[name]).parameters)) == "actor"
    assert arguments(FUNCTIONS[name])[0] is Actor


def test_every_exception_is_still_there() -> None:
    assert FOR_NOBODY.keys() <= FUNCTIONS.keys()
    assert {
        "sagas.requests.ask",
        "sagas.starting.start",
        "sagas.queries.list_sagas",
        "installation.changes.change",
    } <= FUNCTIONS.keys()


def test_an_actor_of_whom_nothing_is_known_has_the_default_namespace_and_no_role() -> None:
    assert (ANYBODY.name, ANYBODY.roles, ANYBODY.namespace) == ("", frozenset(), "default")


@pytest.mark.parametrize(
    ("name", "says"),
    [("x" * (NAME_CHARACTERS_MAX + 1), "by is 256 characters, at most 255 are kept"), ("a\0b", "by "), ("\ud800", "by ")],
)
def test_a_name_that_cannot_be_kept_is_refused(name: str, says: str) -> None:
    with pytest.raises(RequestInvalidError, match=says) as refused:
        Actor(name)
    assert [fault.path for fault in refused.value.faults] == ["by"]


@pytest.mark.parametrize("breaker", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"])
def test_a_name_that_would_forge_a_line_of_the_log_is_refused(breaker: str) -> None:
    with pytest.raises(RequestInvalidError, match="give a name of one line") as refused:
        Actor(f"ann{breaker}2026-01-01 INFO schedule 'nightly' was deleted (by bob)")
    assert [fault.path for fault in refused.value.faults] == ["by"]


@pytest.mark.parametrize("name", ["ann", "Ann O'Neil", "Ελένη", "山田\u3000花子", "ops (night shift)"])
def test_a_name_in_any_script_is_kept(name: str) -> None:
    assert Actor(name).name == name


async def test_the_history_keeps_the_name(bench: Bench) -> None:
    saga_id = await bench.start(card="busy")
    await ask(Actor("ann"), bench.node, saga_id, PauseRequested(by="somebody else"))
    assert (await history(ANYBODY, bench.node, saga_id)).entries[-1].data == {"by": "ann"}
