"""One process's engine: a store, a bus, perhaps a service's steps, and what ties them together.

A participant is a node with steps; a server or a client is a node without. All decide alike.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from uuid import UUID

from goconductor.aio.apart import RunApart, in_thread
from goconductor.aio.tasks import Tasks, end
from goconductor.engine.children import Children, Fit, as_given
from goconductor.engine.endings import Endings, count_end
from goconductor.engine.facts.clock import SystemClock, keep_time
from goconductor.engine.facts.colleagues import topics_of, unoffered
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.engine.facts.orphans import Orphans
from goconductor.engine.facts.registration import Registration
from goconductor.engine.facts.rewinding import Rewinding
from goconductor.engine.intake import Intake
from goconductor.engine.locks import Locks
from goconductor.engine.log.append import Appender
from goconductor.engine.log.folding import Expected, Submission
from goconductor.engine.log.outbox import Outbox
from goconductor.engine.log.reader import Reader, send_again
from goconductor.engine.log.resting import Resting
from goconductor.engine.log.start import Starter
from goconductor.engine.log.timers import Timers
from goconductor.engine.membership import Membership
from goconductor.engine.observer import SILENT, Observer
from goconductor.engine.running.admission import Admission
from goconductor.engine.running.executor import Executor
from goconductor.engine.running.invoke import step_in
from goconductor.engine.running.journals import Journals
from goconductor.engine.starting import Starting
from goconductor.engine.steps.listeners import notify
from goconductor.engine.steps.registry import StepRegistry, check, facts, limits
from goconductor.engine.work.renewal import Renewal
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.effects import Work
from goconductor.lifecycle.facts.events import Event, OperatorRequest, Report
from goconductor.lifecycle.facts.state import SagaState
from goconductor.messages.topics import replies_topic
from goconductor.ports.bus import Bus
from goconductor.ports.clock import Clock
from goconductor.ports.store import Instance, Store
from goconductor.ports.store.log.notes import unwritten, written
from goconductor.saga.plan import Plan

LAST_WORDS_SECONDS = 5.0
"""Seconds for which a closing node tries to send what waits."""
BUS_SECONDS = 3.0
"""Seconds after which a node without steps opens without the bus: the sweep sends what it could not."""


class Node:
    """The engine of one process.

    Args:
        store: the saga log; opened and closed by the node.
        bus: opened and closed by the node.
        open_store: makes the store for the thread that renews leases; None lets the store do it.
        registry: the service's steps; None for a server or client.
        clock: the time.
        lease_seconds: the life of a lease on a running step.
        concurrency: how many steps may run at once; None leaves it to the registry, which may change it.
        threads: how many plain functions among them.
        drain_seconds: how long :meth:`close` waits for steps that run.
        prefetch: how many messages are in hand at once.
        payload_bytes_max: larger inputs and outputs are refused.
        baton_bytes_max: a larger state is not carried by messages.
        observer: called with what the engine does, for metrics and traces.
        run_apart: runs the renewal of leases beside this event loop, in a thread by default.
        fit: looks at the inputs of sub-sagas; by default at nothing.
    """

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        open_store: Callable[[], Store] | None = None,
        registry: StepRegistry | None = None,
        clock: Clock | None = None,
        lease_seconds: float = 10.0,
        concurrency: int | None = None,
        threads: int = 32,
        drain_seconds: float = 20.0,
        prefetch: int = 200,
        payload_bytes_max: int = 1024 * 1024,
        baton_bytes_max: int = 16 * 1024,
        observer: Observer = SILENT,
        run_apart: RunApart = in_thread,
        fit: Fit = as_given,
    ) -> None:
        self.store, self.bus, self.registry = store, bus, registry or StepRegistry("client")
        self.clock = clock or SystemClock()
        self.counts, self.observer, self._background = Counter[str](), observer, Tasks()
        self.definitions = Definitions(store.definitions, lambda: self.instance.serial, store.instances.registered)
        self.name = f"{self.registry.name}-{socket.gethostname()}-{os.getpid()}-{random.getrandbits(24):06x}"
        self._drain_seconds, self.payload_bytes_max = drain_seconds, payload_bytes_max
        self._renewal = Renewal(open_store or store.beside, self.clock, lease_seconds, step_in, run_apart=run_apart)
        source = f"/{self.registry.name}/{self.name}"
        self._outbox = Outbox(
            bus, store.choices, source=source, clock=self.clock, baton_bytes_max=baton_bytes_max, observer=observer
        )
        self.resting = Resting()
        self._timers = Timers(self.view, self.clock, store.terms)
        self.reads_only = ""
        """Why nothing may be changed through this process; empty where it may."""
        self.audits_starts = False
        """Whether starts are noted in the audit log."""
        self.orphans = Orphans(store.leases, self.clock)
        self._rewinding = Rewinding(store.failovers, self.definitions, self.clock, known_by=self.name, counts=self.counts)
        self._registration = Registration(store.instances, store.terms, self.clock, self._rewound)
        self._admission = Admission(store.permits, limits(self.registry), self.clock, lease_seconds, self.counts)
        self._executor = Executor(
            self.registry,
            journals=Journals(self.registry, self.clock, lambda kind, report: store.choices.report(self._serial(), kind, report)),
            orphans=self.orphans,
            clock=self.clock,
            renewal=self._renewal,
            admission=self._admission,
            concurrency=concurrency,
            threads=threads,
            output_bytes_max=payload_bytes_max,
            counts=self.counts,
            observer=observer,
        )
        self.appender = self._executor.appender = self._timers.appender = Appender(
            log=store.log,
            definitions=self.definitions,
            outbox=self._outbox,
            clock=self.clock,
            room=self._executor,
            orphans=self.orphans,
            instance=self._serial,
            participant=self.registry.name,
            lease_seconds=lease_seconds,
            on_acknowledged=self._rewinding.acknowledged,
            on_timer=self._timers.set,
            on_child=lambda plan, view, work: self.children.see_to(plan, view, work),  # noqa: PLW0108  (is made below)
            on_locks=lambda plan, view: self.locks.see_to(plan, view),  # noqa: PLW0108  (as above)
            on_end=self._ended,
            resting=self.resting,
            counts=self.counts,
            observer=observer,
        )
        self._reader = Reader(store.log, self.definitions, self.appender.latest)
        self.plan_of, self._admission.again = self._reader.plan_of, partial(send_again, self._reader, self._outbox)
        nobody = partial(unoffered, self.plan_of, store.instances.registered)
        self._endings = Endings(self.view, self.appender.latest, self.definitions.at_hand, self.clock, nobody)
        self._intake = Intake(
            leases=store.leases,
            instances=store.instances,
            choices=store.choices,
            dead_letters=store.dead_letters,
            definitions=self.definitions,
            executor=self._executor,
            orphans=self.orphans,
            clock=self.clock,
            instance=self._serial,
            lease_seconds=lease_seconds,
            on_ended=self._endings.on_message,
            on_missed=self._rewinding.missed,
            written=self.appender.latest,
            send=bus.send,
            counts=self.counts,
            observer=observer,
        )
        self.membership = Membership(bus, self.registry.name, self._intake.receive, prefetch=prefetch, clock=self.clock)
        self._starter = Starter(
            starts=store.starts,
            clock=self.clock,
            room=self._executor,
            orphans=self.orphans,
            appender=self.appender,
            instance=self._serial,
            participant=self.registry.name,
            lease_seconds=lease_seconds,
            input_bytes_max=payload_bytes_max,
            counts=self.counts,
            observer=observer,
        )
        self.children = Children(
            definitions=self.definitions,
            reader=self._reader,
            started=store.sagas.started,
            rest=store.recovery.rest,
            starter=self._starter,
            appender=self.appender,
            fit=fit,
            output_bytes_max=payload_bytes_max,
        )
        self.locks = Locks(store.locks, self._reader, self.appender)
        self.starting = Starting(
            definitions=self.definitions,
            starter=self._starter,
            reader=self._reader,
            appender=self.appender,
            listeners=self.registry.listeners,
            replies_to=replies_topic(self.name),
            hear=self.membership.hear,
        )

    @property
    def instance(self) -> Instance:
        """This process, as the store knows it.

        Raises:
            ConfigurationError: the node is not open.
        """
        return self._registration.instance

    @property
    def bus_problem(self) -> str:
        """Why nothing can be sent at present; empty when nothing is known to hinder it. Sagas are accepted all the same."""
        return self.membership.problem or self._outbox.problem

    @property
    def steps_left(self) -> int:
        """How many steps ran on when this node had closed, as they cannot be ended."""
        return self._executor.left

    def _serial(self) -> int:
        return self.instance.serial

    async def open(self) -> None:
        """Connect, register, and take messages. Waits while the database is absent, and with steps while the bus is.

        Raises:
            DefinitionError: a step of the registry could not be called.
            SchemaError, PoolerError, ConfigurationError: the leaves cannot work with these settings.
        """
        check(self.registry)
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        await self.store.open()
        await self._registration.open(self.registry.name, self.name, facts(self.registry))
        self._renewal.start()
        self._background.start(keep_time(self.clock, self.store.terms.database_time), name="time of the database")
        topics = await topics_of(self.instance, self.store.instances.registered)
        await self.membership.open(topics, patience_seconds=None if topics else BUS_SECONDS)

    def _rewound(self) -> None:
        self.membership.hear(replies_topic(self.name))  # our serial may be higher now than those of instances not seen yet
        self.appender.forget()
        self._endings.forget()
        self._rewinding.rewound()

    async def _withdrawn(self, own: str) -> None:
        """Offer nothing more, and return when all know who might hand us something on our own topic."""
        if await self._registration.withdraw(facts(self.registry)) and self.membership.hears(own):
            await self._intake.hand_on()

    async def close(self) -> None:
        """Say that nothing more is taken here, let steps finish within the drain's time, append what they did, and leave."""
        own = replies_topic(self.name)
        withdrawing = self._background.start(self._withdrawn(own), name="offering nothing more")
        await self.membership.stop(but=own)
        await self._timers.close()
        await self._executor.drain(self._drain_seconds)
        await asyncio.wait([withdrawing], timeout=LAST_WORDS_SECONDS)
        await end(withdrawing)
        await self.membership.stop()
        first = self._intake, self.children, self.locks, self._starter, self.appender, self._reader
        for part in (*first, self._executor, self.orphans, self._rewinding):
            await part.close()
        await self._background.close()
        all_sent = await self._outbox.close(within_seconds=LAST_WORDS_SECONDS)
        await self._renewal.stop(linger=self._executor.left > 0)
        left = "messages unsent" if not all_sent else "steps that cannot be ended" if self._executor.left else ""
        await self._registration.close(left=left)
        await self.membership.close()
        await self.store.close()

    def metrics(self) -> dict[str, int]:
        """Return the metrics beside ``counts``: what runs and waits now, and what became of leases and messages so far."""
        return {
            **self._executor.metrics(),
            "leases_orphaned": len(self.orphans),
            "messages_waiting": self._outbox.waiting,
            "messages_dropped": self._outbox.dropped,
            "loop_blocked": self._renewal.watch.blocked,
            "leases_renewed": self._renewal.renewed,
            "leases_lost": self._renewal.lost,
        }

    async def view(self, saga_id: UUID, known: View | None = None) -> View:
        """Return the present state of a saga. With ``known``, a state from elsewhere, less of its log has to be read.

        Raises:
            SagaNotFoundError: there is no such saga.
        """
        return (await self._reader.look(saga_id, known))[1]

    async def request(
        self,
        saga_id: UUID,
        event: Event,
        *,
        expected: Expected | None = None,
        event_id: UUID | None = None,
        known: View | None = None,
    ) -> View:
        """Append an operator's request, or an outcome that was learnt elsewhere.

        Args:
            saga_id: which saga.
            event: what is asked for.
            expected: the place in its log that the operator saw.
            event_id: the event's id, if the sender gives one; it is then appended once.
            known: what the caller has just seen of the saga; it is then not read before, unless there is an ``event_id``.

        Raises:
            SagaNotFoundError: there is no such saga.
            SagaChangedError: it has moved on from there.
            RequestRefusedError: its state does not allow this.
        """
        seen = known if event_id is None else None  # an event that was appended before is looked for in the log
        plan = None if seen is None else self.definitions.at_hand(seen.state.version)
        submission = Submission(
            saga_id, plan, event, view=seen, expected=expected, doubtful=event_id is not None, note=unwritten()
        )
        submission.event_id = event_id or submission.event_id
        appended = await self.appender.submit(submission)
        if appended.dropped and isinstance(event, OperatorRequest | Report):
            raise RequestRefusedError(appended.dropped)
        if submission.note is not None:
            written()
        return appended.view or await self.view(saga_id)

    async def submit(self, submission: Submission) -> bool:
        """Append an event that this process learnt of, and run what follows from it here. Return False if it is superseded.

        Raises:
            FencedError: the term of the leader who asked is over.
        """
        return not (await self.appender.submit(submission)).dropped

    def send(self, plan: Plan, view: View, works: Iterable[Work]) -> None:
        """Ask the owners of steps to run them, again."""
        self._outbox.work(plan, view, works)

    async def wait_for_end(self, saga_id: UUID, timeout_seconds: float) -> SagaState:
        """Wait until a saga has ended or is stuck.

        Raises:
            TimeoutError: it has not by then.
            SagaNotFoundError: there is no such saga.
        """
        return await self._endings.wait(saga_id, timeout_seconds)

    def _ended(self, plan: Plan, view: View) -> None:
        saga_id, state = view.state.saga_id, view.state
        self._endings.on_end(view)
        self.children.has_ended(plan, view)
        if not state.phase.ended:  # it is held, and over only for whoever waits for its output
            return
        count_end(self.counts, plan, state)
        self.observer.saga_ended(plan, view)
        if state.reply_to and state.reply_to != replies_topic(self.name):
            self._outbox.ended(plan, view, state.phase)
        if self.registry.listeners:
            self._background.start(notify(self.registry.listeners, "saga_ended", saga_id, state.phase), name="listeners")
