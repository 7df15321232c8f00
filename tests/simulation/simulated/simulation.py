"""A simulation: a few services and clients, some sagas, and everything that goes wrong for a while; then it heals, and all ends.

Participants, leader and sweep are the production code on the leaves in memory. Loop, clocks, the way to the store, the way to the
broker and the services' databases are simulated, and all their chance comes from one seed.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from goconductor.buses.memory import MemoryBroker
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.starting import start
from goconductor.engine.steps.limits import limit_of
from goconductor.errors import GoConductorError
from goconductor.saga.definition import Definition, each_saga
from goconductor.saga.plan import Plan, plan
from goconductor.stores.memory import MemoryStore
from tests.simulation.simulated.children import with_children
from tests.simulation.simulated.definitions import constructs_of, random_definition, random_input
from tests.simulation.simulated.faults import Fault, Faults
from tests.simulation.simulated.invariants import Watch
from tests.simulation.simulated.leaves.clocks import DatabaseClock
from tests.simulation.simulated.leaves.journal import ServiceDatabase
from tests.simulation.simulated.leaves.store import Database
from tests.simulation.simulated.locking import with_locks
from tests.simulation.simulated.loop import SimulatedLoop
from tests.simulation.simulated.migrations import Migrations
from tests.simulation.simulated.operators import Operators
from tests.simulation.simulated.outside import Outside
from tests.simulation.simulated.population import Population
from tests.simulation.simulated.process import Process
from tests.simulation.simulated.rest import at_rest, runs
from tests.simulation.simulated.run import Options, Result
from tests.simulation.simulated.services import PARTICIPANTS, Script, limits_of

ENDS_WITHIN_SECONDS = 600.0
"""Seconds after the last fault within which every saga must have ended: the longest pauses of the sweep and of retries."""
REST_SECONDS = 60.0
"""Seconds after the last saga's end until nothing must be left: late messages have come, and leases are over."""
CODE_SECONDS = 400.0
"""Seconds that code of a step may run on after its saga has ended: its time limit, and its lease."""
ASKS_WITHIN_SECONDS = 15.0
"""Seconds after which a caller asks another process."""


class _Errors(logging.Handler):
    """Whatever the engine logs as an error is one: nothing here is wrong that it may not be ready for."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(logging.ERROR)
        self._simulation = simulation

    def emit(self, record: logging.LogRecord) -> None:
        if "cannot be read and is left alone" in record.getMessage():
            return  # two broken connections one after the other: that is what it is for
        error = record.exc_info[1] if record.exc_info else None
        why = "" if error is None else f" ({type(error).__name__}: {error})"
        self._simulation.find(f"an error is logged: {record.getMessage()}{why}")


class Simulation:
    """One run.

    Args:
        options: which.

    Attributes:
        population: its processes.
        accepted: the id of each saga that was accepted, by its start key.
    """

    def __init__(self, options: Options) -> None:
        self.options, seed = options, options.seed
        self.loop = SimulatedLoop(seed)
        self.faults = Faults(seed, options.kinds, count_max=options.faults_max)
        self.chance = random.Random(f"world {seed}")
        self.clock = DatabaseClock(self.loop)
        self.store = MemoryStore(self.clock)
        self.store.data.up_since -= 3600
        self.database = Database(self.loop, self.store, self.faults, random.Random(f"travel {seed}"), self._done)
        self.broker = MemoryBroker()
        self.limits = {name: limits_of(seed, name) for name in PARTICIPANTS}
        limited = {
            (name, code): limit
            for name, limits in self.limits.items()
            for code, options in limits.items()
            if (limit := limit_of(f"{name}.{code}", options.get("concurrency_total"), options.get("rate"))) is not None
        }
        self.watch = Watch(self.store.data, self._plan_of, self.find, self.tell, limited)
        self.journals = {
            name: ServiceDatabase(self.loop, self.faults, self.database.travel, self.watch.committed) for name in PARTICIPANTS
        }
        self.outside = Outside(self, random.Random(f"outside {seed}"))
        self.script = Script(seed, self.faults, self._name_of, self.watch.ran, self.outside)
        self.definitions = [
            random_definition(f"saga{number}", random.Random(f"definition {seed} {number}")) for number in range(options.sagas)
        ]
        if options.children:
            self.definitions = with_children(self.definitions, random.Random(f"children {seed}"), deep=not options.locks)
        if options.locks:
            self.definitions = with_locks(self.definitions, random.Random(f"locks {seed}"))
        self._plans = {saga.version: plan(saga) for definition in self.definitions for _, saga in each_saga(definition)}
        self._migrations = Migrations(self, random.Random(f"migrations {seed}")) if options.migrations else None
        if self._migrations is not None:
            self._plans |= self._migrations.plans
        self.population = Population(self)
        self.operators = Operators(self, random.Random(f"operators {seed}"))
        self.accepted: dict[str, UUID] = {}
        self._wrong: list[str] = []
        self._lines: list[str] = []
        self._over = False
        self._healed_at = self._ended_at = 0.0

    def tell(self, who: str, what: str) -> None:
        """Write a line of the transcript."""
        if not self._over:
            self._lines.append(f"{self.loop.time():9.3f} {who:11} {what}")

    def find(self, wrong: str) -> None:
        """Note what must not be."""
        if not self._over:
            self._wrong.append(wrong)
            self.tell("WRONG", wrong)

    def result(self) -> Result:
        """Run it, once."""
        state, errors = random.getstate(), _Errors(self)
        logger = logging.getLogger("goconductor")
        logger.addHandler(errors)
        propagate, logger.propagate = logger.propagate, False
        random.seed(self.options.seed)
        try:
            self.loop.set_exception_handler(self._unhandled)
            self.loop.before_step = self.population.strike
            try:
                self.loop.run_until_complete(self._run())
            finally:
                self._over = self.database.closed = True
                steps = self.loop.steps
                self._end()
        finally:
            random.setstate(state)
            logger.removeHandler(errors)
            logger.propagate = propagate
        return Result(
            options=self.options,
            wrong=tuple(dict.fromkeys(self._wrong)),
            transcript=tuple(self._lines),
            faults=self.faults.counts,
            steps=steps,
            ends=Counter(head.status for head in self.store.data.heads.values()),
            constructs=sum(map(constructs_of, self.definitions), Counter()),
            asked=self.operators.accepted,
            seconds=self.loop.time(),
            healed_seconds=self._ended_at - self._healed_at,
        )

    # --- what happens -------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        for participant in (*PARTICIPANTS * self.options.instances, ""):
            self.population.begin(participant)
        operators = self.operators
        starts = [self.loop.create_task(self._start(definition)) for definition in self.definitions]
        outside = self.loop.create_task(self.outside.work())
        asking = [self.loop.create_task(operators.interfere(self.options.trouble_seconds))]
        if self._migrations is not None:
            asking.append(self.loop.create_task(self._migrations.interfere(self.options.trouble_seconds)))
        await asyncio.sleep(self.options.trouble_seconds)
        await self._heal()
        await asyncio.wait([*starts, *asking])
        for each in (*starts, *asking):
            each.result()
        until = self.loop.time() + ENDS_WITHIN_SECONDS
        while (live := self._live()) and self.loop.time() < until:
            await operators.help()
            await asyncio.sleep(1.0)
        self._ended_at = self.loop.time()
        for saga_id in live:
            self.find(f"I4: {self._name_of(saga_id)} has not ended: {self._about(saga_id)}")
        await asyncio.sleep(REST_SECONDS)
        while runs(self) and self.loop.time() < self._ended_at + CODE_SECONDS:  # noqa: ASYNC110  (virtual seconds cost nothing)
            await asyncio.sleep(10.0)
        for wrong in (*at_rest(self), *self.outside.wrong()):
            self.find(wrong)
        if outside.done():
            outside.result()

    def _live(self) -> list[UUID]:
        data = self.store.data
        return [saga_id for saga_id, head in data.heads.items() if head.status not in ("completed", "compensated", "terminated")]

    def _about(self, saga_id: UUID) -> str:
        state = self.watch.sagas[saga_id].state
        steps = ", ".join(f"{name} {step.action.status}/{step.compensation.status}" for name, step in state.steps.items())
        return f"{state.status}, {steps}"

    async def _start(self, definition: Definition) -> None:
        """Start a saga as a client does: with a key, and again elsewhere where nobody answers."""
        name, data = definition.name, random_input(self.chance)
        await asyncio.sleep(self.chance.random() * self.options.trouble_seconds / 2)
        again = self.faults.strikes(Fault.START_AGAIN)
        while name not in self.accepted or again:
            if name in self.accepted:
                again = False
                await asyncio.sleep(self.chance.random() * 5.0)
            saga_id = await self.ask(lambda process: self._started(process, definition, data))
            if saga_id is not None and self.accepted.setdefault(name, saga_id) != saga_id:
                self.find(f"I8: the key {name!r} started {saga_id} as well as {self.accepted[name]}")

    async def _started(self, process: Process, definition: Definition, data: Any) -> UUID:
        for below in self.definitions[: self.definitions.index(definition)] if self.options.children else ():
            await process.node.definitions.register(below)
        registered: Plan = await process.node.definitions.register(definition)
        started = await start(ANYBODY, process.node, registered, data, key=definition.name)
        return started.saga_id

    async def ask(self, what: Any) -> Any:
        """Have some process do something; None where none answers, or it cannot now."""
        able = [process for process in self.population.processes if process.is_open and not process.gone]
        if not able:
            await asyncio.sleep(0.5)
            return None
        process = self.chance.choice(able)
        task = process.run(lambda: what(process))
        done, _ = await asyncio.wait([task], timeout=ASKS_WITHIN_SECONDS)
        try:
            return task.result() if done else None
        except GoConductorError as error:
            self.tell("client", f"is told: {type(error).__name__}: {str(error)[:120]}")
            await asyncio.sleep(0.3)
            return None

    async def _heal(self) -> None:
        self.tell("outside", "everything heals")
        self.faults.healed = True
        self.population.heal()
        self._healed_at = self.loop.time()

    # --- what the others need of it -----------------------------------------------------------------------------------------

    def _done(self, name: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any) -> None:
        self.watch.done(name, args, options, answer)

    def _plan_of(self, _: str, version: str) -> Plan:
        return self._plans[version]

    def _name_of(self, saga_id: UUID) -> str:
        saga = self.watch.sagas.get(saga_id)
        return "?" if saga is None else saga.plan.name

    def _unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.find(f"nobody handles: {context.get('message')} {context.get('exception')!r}")

    def _end(self) -> None:
        """Cancel what still runs, also of the dead, so that nothing is left to the garbage collector."""
        self.loop.let_end()
        with _silence():
            for _ in range(20):
                tasks = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
                if not tasks:
                    break
                for task in tasks:
                    task.cancel()
                self.loop.run_until_complete(asyncio.wait(tasks, timeout=50.0))
            self.loop.close()


@contextmanager
def _silence() -> Iterator[None]:
    """Log nothing: what is said at the end is of no interest."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def simulate(options: Options) -> Result:
    """Run one simulation."""
    return Simulation(options).result()
