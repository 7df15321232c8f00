"""Whether a process can serve requests."""

from __future__ import annotations

import asyncio

from goconductor.control.authority.authenticating import Authenticator
from goconductor.control.models import Readiness
from goconductor.engine.node import Node
from goconductor.errors import GoConductorError

READY = "ready"
PATIENCE_SECONDS = 3.0
"""Seconds that the database has to answer."""


async def readiness(node: Node, authenticator: Authenticator | None = None) -> Readiness:
    """Return whether requests can be served: the store is reached and its schema fits.

    A bus that is away is reported too, but hinders nothing: what is started meanwhile runs when the bus is back. So is an
    identity provider whose keys cannot be read: API keys are taken all the same. A server that only reads is not ready, so that
    a rollout of such servers ends with the first.

    Args:
        node: the engine.
        authenticator: of the door, whose state is told beside; None where nobody is asked, or tells no state.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await node.store.sagas.heads(limit=1)
        store = READY
    except TimeoutError:
        store = f"the database does not answer within {PATIENCE_SECONDS:g} s; look at its load and locks"
    except GoConductorError as error:
        store = str(error)
    parts = {"store": store, "bus": node.bus_problem or READY}
    if authenticator is not None and authenticator.takes_tokens:
        parts["oidc"] = await _of_tokens(authenticator)
    if node.reads_only:
        parts["secrets"] = "one cannot be read, so this server reads only; its log has the reason"  # strangers may ask
    return Readiness(ready=store == READY and not node.reads_only, parts=parts)


async def _of_tokens(authenticator: Authenticator) -> str:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await authenticator.trouble() or READY
    except TimeoutError:
        return "the identity provider has not answered yet"
