"""What follows a commit: messages to other participants, timers, and notices to the waiters for a saga's end.

All of it may be lost: the log is the outbox, and the sweep sends again what a state still asks for.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
from collections.abc import Iterable
from contextvars import Context
from datetime import UTC, datetime

import msgspec

from goconductor.aio.backoff import Backoff
from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import create_guarded_task, end
from goconductor.engine.facts.installation import Installation
from goconductor.engine.facts.log import View
from goconductor.engine.observer import SILENT, Observer
from goconductor.errors import BusError, PayloadError
from goconductor.lifecycle.facts.effects import Work
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages import codec
from goconductor.messages.envelope import Baton, RunStep, SagaEnded
from goconductor.messages.topics import steps_topic
from goconductor.ports.bus import Bus, Message
from goconductor.ports.clock import Clock
from goconductor.ports.store.leading.choices import Choices
from goconductor.redaction import logger_of
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.engine")

AGAIN_SECONDS, AGAIN_SECONDS_MAX = 0.1, 5.0
"""The first and the longest pause, in seconds, before messages that the bus did not accept are sent again."""
WIDE_FAN_OUT = 50
"""Messages in one decision from which on none carries the state."""


class Outbox:
    """Sends messages after the commit, in the background, in batches.

    Args:
        bus: sends the messages.
        choices: the store, which has the id of this installation.
        source: the sender's name in the messages.
        clock: gives the time in the messages.
        baton_bytes_max: greatest size of a state in a message, in bytes; otherwise the receiver reads the log.
        waiting_max: messages kept while the bus is away; more of them are dropped, and sent again by the sweep.
        observer: called for each call of the bus.
    """

    def __init__(
        self,
        bus: Bus,
        choices: Choices,
        *,
        source: str,
        clock: Clock,
        baton_bytes_max: int = 16 * 1024,
        waiting_max: int = 10_000,
        observer: Observer = SILENT,
    ) -> None:
        self._bus = bus
        self._installation = Installation(choices, clock)
        self._source = source
        self._clock = clock
        self._baton_bytes_max = baton_bytes_max
        self._waiting_max = waiting_max
        self._observer = observer
        self._away = Reminder(monotonic=clock.monotonic)
        self._waiting: list[Message] = []
        self._sender: asyncio.Task[None] | None = None
        self._refused: dict[str, int] = {}
        """By topic, the size of a message that the bus refused there."""
        self.dropped = 0
        self.problem = ""
        """Why the last messages could not be sent; empty when they were."""

    @property
    def waiting(self) -> int:
        """How many messages the bus has not taken yet."""
        return len(self._waiting)

    def work(self, plan: Plan, view: View, works: Iterable[Work], *, cause: str = "") -> None:
        """Ask the owners of steps to run them."""
        works = list(works)
        state = view.state if len(works) < WIDE_FAN_OUT else None
        now = datetime.fromtimestamp(self._clock.now(), UTC).isoformat()
        for work in works:
            body = RunStep(
                saga_id=view.state.saga_id,
                saga=plan.name,
                version=view.state.version,
                step=work.step,
                target=plan.code[work.direction][work.step],
                direction=work.direction,
                attempt=work.attempt,
                round=work.round,
                baton=Baton(view.seq, view.tag, state, (*plan.features, *view.state.features)),
                priority=view.state.priority,
            )
            topic = steps_topic(plan.owners_of[work.direction][work.step][0])
            if self._put(topic, view, body, now, cause) > self._baton_bytes_max:
                state = None

    def ended(self, plan: Plan, view: View, status: SagaStatus) -> None:
        """Send a notice to the instance that waits for the saga's end."""
        state = view.state
        baton = Baton(view.seq, view.tag, state, (*plan.features, *state.features))
        body = SagaEnded(saga_id=state.saga_id, saga=plan.name, status=status, baton=baton)
        now = datetime.fromtimestamp(self._clock.now(), UTC).isoformat()
        self._put(state.reply_to, view, body, now, "")

    def _encode(self, body: RunStep | SagaEnded, now: str, cause: str, view: View) -> bytes:
        return codec.encode(
            body,
            message_id=f"{random.getrandbits(128):032x}",
            source=self._source,
            time=now,
            causation_id=cause,
            trace_parent=view.state.traceparent,
        )

    def _put(self, topic: str, view: View, body: RunStep | SagaEnded, now: str, cause: str) -> int:
        """Put a message into the next batch; returns how many bytes it would have with all that it was to carry."""
        payload = self._encode(body, now, cause, view)
        size = len(payload)
        limit = min(self._baton_bytes_max, self._refused.get(topic, sys.maxsize) - 1)
        if size > limit and body.baton.state is not None:
            pointer = msgspec.structs.replace(body.baton, state=None)
            payload = self._encode(msgspec.structs.replace(body, baton=pointer), now, cause, view)
        if len(self._waiting) >= self._waiting_max:
            self.dropped += 1
            return size
        key = str(view.state.saga_id)
        self._waiting.append(Message(topic=topic, key=key, payload=payload, headers=self._installation.headers))
        if self._sender is None:
            self._sender = create_guarded_task(self._send(), name="outbox", context=Context())
        return size

    async def _send(self) -> None:
        backoff = Backoff(AGAIN_SECONDS, AGAIN_SECONDS_MAX)
        try:
            while self._waiting:
                if not self._installation.headers and await self._installation.learn():
                    headers = self._installation.headers
                    self._waiting = [msgspec.structs.replace(message, headers=headers) for message in self._waiting]
                batch, self._waiting = self._waiting[:500], self._waiting[500:]
                began = time.perf_counter()
                try:
                    await self._bus.send(batch)
                    self._observer.sent(len(batch), time.perf_counter() - began)
                    self.problem = ""
                    self._away.end()
                    backoff.reset()
                except PayloadError as error:
                    self._waiting = self._lighter(batch, error) + self._waiting
                except BusError as error:
                    self.problem, pause = str(error), backoff.next()
                    if self._away.is_due():
                        logger.warning("cannot send %d messages now (%s); trying again in %.1f s", len(batch), error, pause)
                    self._waiting = batch + self._waiting[: max(0, self._waiting_max - len(batch))]
                    await self._clock.sleep(pause)
        finally:
            self._sender = None

    def _lighter(self, batch: list[Message], error: PayloadError) -> list[Message]:
        """Return the messages to send instead, as pointers alone, now that a topic accepted less than we assumed.

        Only the first refused message is named. So all that carry a state go once more without it; a duplicate does no harm, and
        from now on no message as large is sent to that topic.
        """
        place = re.match(r"\$\[(\d+)\]", error.path)
        refused = batch[int(place[1])] if place else max(batch, key=lambda message: len(message.payload))
        self._refused[refused.topic] = min(len(refused.payload), self._refused.get(refused.topic, sys.maxsize))
        lighter = {id(message): codec.without_state(message.payload) for message in batch}
        if lighter[id(refused)] is None:
            self.dropped += 1
            logger.error("the bus refuses a message of ours that is as small as it can be, it is dropped: %s", error)
        else:
            logger.warning("the bus takes no such message, it is sent again without the saga's state: %s", error)
        return [
            msgspec.structs.replace(message, payload=payload)
            for message in batch
            if (payload := lighter[id(message)]) is not None
        ]

    async def close(self, *, within_seconds: float) -> bool:
        """Send what waits, but no longer than that; False if something was left unsent, now or before."""
        if self._sender is not None:
            _, late = await asyncio.wait([self._sender], timeout=within_seconds)
            await end(*late)
            self.dropped += len(late) + len(self._waiting)
        return not self.dropped
