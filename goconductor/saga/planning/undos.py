"""Declared undos of a definition, as its plan knows them: the code of those that somebody runs, and what the others wait for."""

from __future__ import annotations

from collections.abc import Mapping

from goconductor.saga.definition import Child, Undo, Wait


def waits_of(undoes: Mapping[str, Undo]) -> dict[str, Wait]:
    """Return what says that a step is undone, of each step whose undo nobody runs."""
    return {step: undo.wait for step, undo in undoes.items() if undo.wait is not None}


def sagas_of(undoes: Mapping[str, Undo]) -> dict[str, Child]:
    """Return the saga that undoes each step, of those that a saga undoes."""
    return {step: undo.saga for step, undo in undoes.items() if undo.saga is not None}


def code_of(code: Mapping[str, str], undoes: Mapping[str, Undo]) -> dict[str, str]:
    """Return what undoes each step, of those that some code undoes.

    Args:
        code: what each step runs, as ``participant.step``.
        undoes: the declared undo of each step that has one.
    """
    known = {**code, **{step: undo.run for step, undo in undoes.items()}}
    return {step: run for step, run in known.items() if run}
