"""What must be true at rest, when everything has healed and every saga has ended.

Accepted sagas (I5), one start for each key (I8), one effect and its compensation (I1, I2), and nothing left behind: leases,
places, messages and tasks (I10).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from goconductor.control.sagas.restarts import LABEL
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.status import ENDED, ActionStatus, CompensationStatus, SagaStatus
from goconductor.saga.ids import Direction, idempotency_key
from tests.simulation.simulated.children import families
from tests.simulation.simulated.invariants import Watched

if TYPE_CHECKING:
    from tests.simulation.simulated.simulation import Simulation

TASKS_MAX = 16
"""Tasks of an idle process: its main one, the database's time, the renewal, the candidate, and what a leader has beside."""
_BY_HAND = (e.SkipRequested, e.OutcomeDeclared)
"""Requests after which a person has the last word on what happened."""


def at_rest(simulation: Simulation) -> Iterator[str]:
    """Find what is wrong."""
    data = simulation.store.data
    for name, saga_id in simulation.accepted.items():
        if saga_id not in data.heads:
            yield f"I5: {name} was accepted and is not there"
    children = {saga_id for saga_id, saga in simulation.watch.sagas.items() if saga.state.parent is not None}
    yield from families(simulation.watch.sagas)
    for saga_id in children & data.heads.keys():
        head = data.heads[saga_id]
        if head.status in ENDED and head.wake_at is not None:
            yield f"I5: the end of {head.saga} is told to nobody: {head.status}"
    known = {*simulation.accepted.values(), *children}
    if strays := [saga_id for saga_id, head in data.heads.items() if saga_id not in known and LABEL not in head.labels]:
        yield f"I8: sagas that nobody was told of: {strays}"
    for saga in simulation.watch.sagas.values():
        if not saga.has(*_BY_HAND) and not saga.was_forced:
            yield from _effects(simulation, saga)
    yield from _left(simulation)


def runs(simulation: Simulation) -> bool:
    """Whether code of a step still runs, or is about to be declared lost."""
    return any(process.node.metrics()["steps_running"] for process in simulation.population.processes if not process.gone)


def _effects(simulation: Simulation, saga: Watched) -> Iterator[str]:
    """A succeeded transactional action has its effect once, and what was compensated has none left."""
    state = saga.state
    for name, step in state.steps.items():
        participant, code = saga.plan.owners.get(name, ("", ""))
        if not code.startswith("booked"):
            continue
        undoer, undo = saga.plan.owners_of[Direction.COMPENSATION].get(name, (participant, ""))
        did, undid = (
            simulation.journals[owner].held.get(f"effect {idempotency_key(saga.saga_id, name, side, step.round)}", 0)
            for owner, side in ((participant, Direction.ACTION), (undoer, Direction.COMPENSATION))
        )
        declared = name in saga.plan.undoes
        undoes = undo.startswith("booked") if declared else name in saga.plan.undoable and not code.endswith("bare")
        for round in range(step.round if undoes else 0):
            was, gone = (
                simulation.journals[owner].held.get(f"effect {idempotency_key(saga.saga_id, name, side, round)}", 0)
                for owner, side in ((participant, Direction.ACTION), (undoer, Direction.COMPENSATION))
            )
            if was != gone:
                yield f"I2: {saga.plan.name}.{name} was restarted; in round {round} effects {was}, undone {gone}"
        where = f"I2: {saga.plan.name}.{name} ({state.status}, {step.action.status}/{step.compensation.status})"
        if step.action.status is ActionStatus.SUCCEEDED and did != 1:
            yield f"{where} succeeded, and its effect is there {did} times"
        if step.compensation.status is CompensationStatus.DONE and undoes and did != undid:
            yield f"{where} was compensated; effects {did}, undone {undid}"
        left = state.phase is SagaStatus.COMPENSATED and step.compensation.status is not CompensationStatus.SKIPPED
        if left and undoes and did != undid:
            yield f"{where} has an effect left"
        if undid and not did:
            yield f"{where} was undone, and never done"
        if step.action.status is ActionStatus.PREVENTED and did:
            yield f"{where} was prevented, and has an effect"
        of_action = state.phase is SagaStatus.TERMINATED and step.compensation.status is CompensationStatus.NONE
        if of_action and did and step.action.status is not ActionStatus.SUCCEEDED:
            yield f"{where} has an effect that the terminated saga does not know"
    if state.phase is SagaStatus.COMPLETED:
        for name in saga.plan.order:
            without = name in saga.plan.tolerated and state.step(name).action.status is ActionStatus.GIVEN_UP
            if not without and state.step(name).action.status not in (ActionStatus.SUCCEEDED, ActionStatus.SKIPPED):
                yield f"I4: {saga.plan.name} is completed without {name}"


def _left(simulation: Simulation) -> Iterator[str]:
    """Nothing is left (I10)."""
    now, loop = simulation.clock.now(), simulation.loop
    living = [lease for lease in simulation.store.data.leases.values() if lease.expires_at > now]
    if living:
        yield f"I10: {len(living)} leases are held"
    for process in simulation.population.processes:
        if process.gone:
            continue
        if not process.is_open:
            yield f"I10: {process.name} is not open"
            continue
        metrics = process.node.metrics()
        held = ("steps_running", "threads_taken", "connections_taken", "permits_taken", "leases_orphaned", "messages_waiting")
        for name in held:
            if metrics[name]:
                yield f"I10: {process.name} has {name} {metrics[name]}"
        tasks = [task.get_name() for machine in process.machines for task in loop.tasks_of(machine)]
        if len(tasks) > TASKS_MAX:
            yield f"I10: {process.name} has {len(tasks)} tasks: {tasks}"
    for topic, groups in simulation.broker.topics.items():
        for queue in groups.values():
            if queue.readers and queue.waiting:
                yield f"I10: {len(queue.waiting)} messages wait on {topic}"
