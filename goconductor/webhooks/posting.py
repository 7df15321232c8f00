"""One attempt: a request to an endpoint, and what its answer means.

Taken is what was answered with a status from 200 to 299, as Standard Webhooks wants it. All else has failed: also a redirect,
which is not followed, and an answer that does not come in time. Of an answer's body nothing is used or kept: an address that the
settings allow by mistake would tell what it says.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from goconductor.errors import StepError
from goconductor.ports.store import Delivery
from goconductor.system.http.exchange import Request, exchange
from goconductor.system.http.steps import USER_AGENT, retry_after
from goconductor.webhooks.address import Rules
from goconductor.webhooks.endpoint import Endpoint
from goconductor.webhooks.signing import headers

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
ANSWER_BYTES_MAX = 16 * 1024
"""Bytes of an answer's body that are read, and thrown away."""
GONE = 410
"""The status of an endpoint that wants nothing any more."""
WAITS = frozenset({429, 502, 503, 504})
"""Statuses after which the whole endpoint is left alone for as long as it says."""


class Answered(NamedTuple):
    """What became of an attempt.

    Args:
        problem: why it failed; empty where it was taken.
        is_gone: whether the endpoint says that it is there no more.
        rest_seconds: for how long it wants to be left alone, in seconds; None where it does not say.
    """

    problem: str = ""
    is_gone: bool = False
    rest_seconds: float | None = None


class Posting:
    """Sends to endpoints.

    Args:
        rules: whom the settings allow.
        timeout_seconds: that one attempt may take.
    """

    def __init__(self, rules: Rules, *, timeout_seconds: float) -> None:
        self._rules = rules
        self._timeout_seconds = timeout_seconds

    async def post(self, endpoint: Endpoint, delivery: Delivery, now: float) -> Answered:
        """Try once.

        Args:
            endpoint: where.
            delivery: what.
            now: the time, in seconds since 1970.
        """
        body = delivery.body.encode()
        try:
            secure, host, port, target = self._rules.target_of(endpoint.url)
        except ValueError as error:
            return Answered(f"the url {error}")
        request = Request(
            method="POST",
            secure=secure,
            host=host,
            port=port,
            target=target,
            headers=[
                ("Content-Type", CONTENT_TYPE),
                ("User-Agent", USER_AGENT),
                *headers(endpoint.signs(now), delivery.message_id, int(now), body),
            ],
            body=body,
        )
        try:
            async with asyncio.timeout(self._timeout_seconds):
                addresses = await self._rules.guard.addresses(host, port)
                answer = await exchange(
                    request, addresses, body_bytes_max=ANSWER_BYTES_MAX, seconds_left=self._timeout_seconds, cut=True
                )
        except TimeoutError:
            return Answered(f"there was no whole answer within {self._timeout_seconds:g} s")
        except StepError as error:
            return Answered(str(error))
        if 200 <= answer.status < 300:
            return Answered()
        problem = f"it answered {answer.status}"
        if 300 <= answer.status < 400:
            problem += "; redirects are not followed: replace the url by the place itself"
        rest = retry_after(answer) if answer.status in WAITS else None
        return Answered(problem, is_gone=answer.status == GONE, rest_seconds=rest)
