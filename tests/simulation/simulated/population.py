"""The processes of a simulation, and the faults that strike them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goconductor.engine.observer import Observer
from goconductor.engine.steps.context import StepContext
from goconductor.engine.work.granted import Granted
from tests.simulation.simulated.faults import Fault
from tests.simulation.simulated.invariants import Watch
from tests.simulation.simulated.leaves.bus import SimulatedBus
from tests.simulation.simulated.leaves.clocks import ProcessClock
from tests.simulation.simulated.leaves.election import SimulatedElection
from tests.simulation.simulated.leaves.store import connected
from tests.simulation.simulated.loop import Machine
from tests.simulation.simulated.process import Process
from tests.simulation.simulated.services import service

if TYPE_CHECKING:
    from tests.simulation.simulated.simulation import Simulation


class _Observed(Observer):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def step_begins(self, work: Granted, context: StepContext) -> None:
        self._watch.begins(work)


class Population:
    """All processes that live, or have lived.

    Args:
        simulation: in which they do.

    Attributes:
        processes: in the order of their births.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._loop, self._faults, self._tell = simulation.loop, simulation.faults, simulation.tell
        self._broker_machine = self._loop.machine("broker")
        self.processes: list[Process] = []

    def begin(self, participant: str) -> None:
        simulation = self._simulation
        name = f"{participant or 'office'}-{len(self.processes) + 1}"
        registry = None
        if participant:
            limits = simulation.limits[participant]
            registry = service(participant, simulation.script, simulation.journals[participant], limits)
        process = Process(name, registry, self._loop)
        ahead, rate = 0.0, 1.0
        if self._faults.strikes(Fault.CLOCKS):
            chance = self._faults.chance(Fault.CLOCKS)
            ahead, rate = chance.uniform(-30.0, 30.0), chance.uniform(0.97, 1.03)
        self._tell(name, "starts")
        self.processes.append(process)
        store = connected(simulation.database, process.link)
        process.begin(
            store=store,
            bus=SimulatedBus(
                simulation.broker,
                self._broker_machine,
                loop=self._loop,
                machine=process.machine,
                faults=self._faults,
                travel=simulation.database.travel,
                on_acknowledged=simulation.watch.acknowledged,
            ),
            election=SimulatedElection(store.terms, simulation.clock, self._faults),
            clock=ProcessClock(self._loop, ahead_seconds=ahead, rate=rate),
            observer=_Observed(simulation.watch),
        )

    def strike(self, machine: Machine) -> None:
        """Let a fault come before a callback of a process."""
        faults = self._faults
        if faults.healed:
            return
        if faults.strikes(Fault.CRASH):
            self.crash(self._of(machine))
        elif faults.strikes(Fault.PAUSE):
            self._stop(self._of(machine).machines, Fault.PAUSE)
        elif faults.strikes(Fault.BLOCK):
            self._stop(self._of(machine).machines[:1], Fault.BLOCK)
        elif faults.strikes(Fault.CUT_OFF):
            self._cut_off(self._of(machine))
        elif faults.strikes(Fault.CLOCK_JUMP):
            clock = self._of(machine).clock
            assert isinstance(clock, ProcessClock)
            clock.jump(faults.chance(Fault.CLOCK_JUMP).uniform(-20.0, 20.0))
        elif faults.strikes(Fault.DATABASE_CRASH):
            self._tell("database", "crashes")
            self._simulation.database.crash()
            self._simulation.watch.leases_lost()
        elif faults.strikes(Fault.LEAVE) and self._of(machine).is_open:
            process = self._of(machine)
            self._tell(process.name, "leaves")
            process.leave()
            self._succeeded(process, 1.0)

    def _cut_off(self, process: Process) -> None:
        """Cut a living process off from the database, where its sign of life is gone until it is back."""
        if process.link.cut:
            return
        process.link.cut = True
        self._tell(process.name, "is cut off")
        for serial in self._serials(process):
            self._simulation.store.kill(serial)
        chance = self._faults.chance(Fault.CUT_OFF)
        with self._loop.on(self._loop.outside):
            self._loop.call_later(chance.choice([1.0, 5.0, 30.0]) * chance.random(), self._back, process)

    def _back(self, process: Process) -> None:
        if process.link.cut and not process.gone:
            self._tell(process.name, "is back")
            for serial in self._serials(process):
                self._simulation.store.revive(serial)
        process.link.cut = False

    def _serials(self, process: Process) -> list[int]:
        return [each.serial for each in self._simulation.store.data.instances.values() if each.name == process.name]

    def _of(self, machine: Machine) -> Process:
        return next(process for process in self.processes if machine in process.machines)

    def crash(self, process: Process) -> None:
        """Kill a process. The database notices the end of its session; the broker gives its messages to others."""
        self._tell(process.name, "is killed")
        process.gone = True
        for machine in process.machines:
            self._loop.bury(machine)
        chance = self._faults.chance(Fault.CRASH)
        with self._loop.on(self._loop.outside):
            self._loop.call_later(chance.choice([0.01, 2.0]) * chance.random(), self._silent, process)
            self._loop.call_later(chance.random(), self._bus_of(process).lose)
            self._loop.call_later(5.0, self._silent, process)  # it may have registered on its way
        self._succeeded(process, chance.choice([0.5, 15.0]) * chance.random())

    def _bus_of(self, process: Process) -> SimulatedBus:
        bus = process.node.bus
        assert isinstance(bus, SimulatedBus)
        return bus

    def _silent(self, process: Process) -> None:
        for serial in self._serials(process):
            self._simulation.store.kill(serial)
        for journal in self._simulation.journals.values():
            journal.forget_process(process.machine)

    def _succeeded(self, process: Process, seconds: float) -> None:
        """Let another process come in place of one that is gone, or is about to be."""
        with self._loop.on(self._loop.outside):
            self._loop.call_later(seconds, self.begin, process.participant)

    def _stop(self, machines: tuple[Machine, ...], kind: Fault) -> None:
        chance = self._faults.chance(kind)
        self._tell(machines[0].name, "is stopped" if kind is Fault.PAUSE else "is blocked")
        for machine in machines:
            machine.stopped = True
        with self._loop.on(self._loop.outside):
            self._loop.call_later(chance.choice([3.0, 12.0, 40.0]) * chance.random(), self._go_on, machines)

    def _go_on(self, machines: tuple[Machine, ...]) -> None:
        self._tell(machines[0].name, "goes on")
        for machine in machines:
            machine.stopped = False

    def heal(self) -> None:
        """Let all that are stopped go on."""
        for process in self.processes:
            if process.machine.stopped:
                self._go_on(process.machines)
            self._back(process)
