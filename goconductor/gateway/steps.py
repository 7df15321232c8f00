"""The steps of a participant whose code workers have, as the engine sees them."""

from __future__ import annotations

import functools
from typing import Any

import jsonschema
from jsonschema.validators import validator_for

from goconductor.engine.steps.action import Action
from goconductor.engine.steps.context import StepContext
from goconductor.engine.steps.signature import ANY_INPUTS, Signature
from goconductor.errors import PayloadError
from goconductor.gateway.protocol import OfferedStep
from goconductor.saga.data import values

WORKERS = "workers"
"""The fact about a step that distinguishes workers' steps from a participant's own."""


async def _elsewhere(inputs: dict[str, Any], context: StepContext, output: Any) -> Any:
    """Stand for code that is not here; the action's runner has it run."""
    del inputs, context, output
    raise NotImplementedError


class WorkerAction(Action[..., Any]):
    """A step that workers run. What a worker says when it registers may change it while it is there.

    Args:
        participant: whose step it is.
        name: its name.
        runner: has workers run it.

    Attributes:
        described: what the last worker said of it.
    """

    def __init__(self, participant: str, name: str, runner: Any) -> None:
        super().__init__(
            _elsewhere,
            participant=participant,
            name=name,
            journal=None,
            retry=None,
            compensation_retry=None,
            timeout_seconds=None,
            concurrency=0,
        )
        self.runner = runner
        self.described = OfferedStep(name=name)

    def describe(self, step: OfferedStep) -> None:
        """Take over what a worker says. A compensation that was offered once is not forgotten while the participant is here: with
        the last worker that has it, the effect would stand for ever.
        """
        self.described = step
        self.retry, self.compensation_retry = step.retry, step.compensation_retry
        self.timeout_seconds = step.timeout_seconds
        if step.compensation:
            self.compensation_function = _elsewhere

    @functools.cached_property
    def signature(self) -> Signature:
        """Return how its action is called."""
        return ANY_INPUTS

    @functools.cached_property
    def compensation_signature(self) -> Signature | None:
        """Return how its compensation is called: always alike, though there may be none yet."""
        return ANY_INPUTS

    def problems(self) -> list[str]:
        """Return nothing: a registration is checked where it comes in."""
        return []

    @property
    def parameters(self) -> dict[str, bool]:
        """The names of its inputs, as the last worker has said them."""
        return dict(self.described.inputs or {})

    def refusal_of(self, name: str, value: Any) -> str | None:
        """Return why a JSON value does not fit one of its inputs; None if it does, or nothing is known of it."""
        schema = self.described.schemas.get(name)
        if schema is None:
            return None
        error = jsonschema.exceptions.best_match(validator_for(schema, _DIALECT)(schema).iter_errors(value))
        return None if error is None else f"{error.json_path}: {error.message}"

    def taken(self, name: str) -> dict[str, Any]:
        """Return the JSON Schema that a worker gave of one of its inputs; an empty one where it gave none."""
        schema = self.described.schemas.get(name)
        return schema if isinstance(schema, dict) else {}

    def facts(self) -> dict[str, object]:
        """Return what other services may know of this step."""
        return {**super().facts(), WORKERS: True, "inputs": sorted(self.described.inputs or ())}


_DIALECT = jsonschema.Draft202012Validator


def check_schema(schema: Any) -> str | None:
    """Return why something is no JSON Schema; None if it is one."""
    try:
        validator_for(schema, _DIALECT).check_schema(schema)
    except (jsonschema.SchemaError, TypeError, AttributeError) as error:
        return str(error).partition("\n")[0]
    return None


def fitted(action: WorkerAction, inputs: dict[str, Any]) -> bytes:
    """Return inputs as a worker gets them.

    Raises:
        PayloadError: one is missing, or does not fit its schema.
    """
    for name, needed in (action.described.inputs or {}).items():
        if name in inputs:
            if (why := action.refusal_of(name, inputs[name])) is not None:
                raise PayloadError(f"input {name!r}", why)
        elif needed:
            raise PayloadError(f"input {name!r}", "the saga's definition gives it no value; add it to the step's inputs")
    return values.encode(inputs)
