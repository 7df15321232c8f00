"""What a run asks of its saga: what anybody may ask, but on top of the state that it has just seen.

So nothing is read before, and the answer is the saga as it is then. Both stand in the audit log as what they are.
"""

from __future__ import annotations

import asyncio
from typing import Any

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.sagas.requests import ANSWER_SECONDS, OPEN, check_restart, with_what_is_allowed
from goconductor.control.sagas.signals import append
from goconductor.engine.facts.log import View
from goconductor.engine.log.folding import Expected
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError, StoreUnavailableError
from goconductor.lifecycle.facts.events import RestartRequested, SignalReceived


@noted("saga {view.state.saga_id}", detail=lambda given: given["name"], called="sagas.signals.signal")
async def signal(actor: Actor, node: Node, view: View, name: str, payload: Any, *, request_id: str) -> View:
    """Tell a saga that something has happened, where it has not moved on since it was seen.

    Args:
        actor: who tells it.
        node: the engine.
        view: the saga as it was seen.
        name: the event that a step of it waits for.
        payload: JSON values that can be kept.
        request_id: the signal's id, which no other signal has had.

    Returns:
        the saga with the signal.

    Raises:
        SagaChangedError: it has moved on.
        RequestRefusedError: it cannot take the signal.
        StoreUnavailableError: the database cannot be reached; whether the signal was recorded is then open.
    """
    event = SignalReceived(name=name, id=request_id, payload=payload, by=actor.name)
    return await append(node, await node.plan_of(view.state), view, event, Expected(view.seq, view.tag))


@noted(
    "saga {view.state.saga_id}", detail=lambda given: f"{RestartRequested.__name__} {given['step']}", called="sagas.requests.ask"
)
async def restart(actor: Actor, node: Node, view: View, step: str, *, reason: str) -> View:
    """Restart a saga from a step, where it has not moved on since it was seen.

    Args:
        actor: who asks.
        node: the engine.
        view: the saga as it was seen.
        step: one of its steps.
        reason: why.

    Returns:
        the saga as it begins again.

    Raises:
        SagaChangedError: it has moved on.
        RequestRefusedError: its state does not allow this, or there is older code that could not go on with it.
        StoreUnavailableError: the database cannot be reached; whether the request was recorded is then open.
    """
    await check_restart(node, await node.plan_of(view.state))
    event = RestartRequested(from_step=step, reason=reason, by=actor.name)
    saga_id = view.state.saga_id
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await node.request(saga_id, event, expected=Expected(view.seq, view.tag), known=view)
    except TimeoutError:
        raise StoreUnavailableError(OPEN) from None
    except RequestRefusedError as error:
        raise await with_what_is_allowed(node, saga_id, error) from None
