"""Runs of a dataflow: data are given, what can run runs, and the answer says what was made and what is missing.

One dataflow is one saga, found by the id that its runs name. A run may come from any process, over any door, and die at any
moment: all that it did stands in the saga's log, and the next run goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from goconductor.aio.first_of import first_of
from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.dataflows import asking
from goconductor.control.dataflows.documents import DataflowRun
from goconductor.control.dataflows.moves import Give, Rest, Restart, Run, is_at_work, is_lost, is_waiting
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.sagas import requests, starting
from goconductor.control.sagas.requests import keepable
from goconductor.dataflow.shape import CLOSE, Graph, graph_of
from goconductor.dataflow.transients import HERE
from goconductor.engine.facts.log import View
from goconductor.engine.log.resting import Follower
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError, SagaChangedError, nearest
from goconductor.lifecycle.facts.events import SignalDropped
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.lifecycle.pending_work import is_backward
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.saga.plan import Plan

TIMEOUT_SECONDS = 60.0
"""Seconds that a run waits for what runs, where nobody says."""

POLL_SECONDS = (0.02, 0.5)
"""Least and greatest seconds between two looks at the saga: few soon after a move, more while others work. What this process
does for the saga needs none."""


@noted(lambda given: f"dataflow {given['id']}", parts=True)
async def run(
    actor: Actor,
    node: Node,
    dataflow: str | Plan,
    id: str,
    data: Mapping[str, Any],
    *,
    close: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
    stopping: asyncio.Event | None = None,
) -> DataflowRun:
    """Give a dataflow data, and let run what can.

    Args:
        actor: who gives them.
        node: the engine.
        dataflow: its definition, or the name of a registered one. A dataflow that has begun keeps the version that it has.
        id: which one: 1 to 255 printable ASCII characters. The first run of an id begins it.
        data: datum → JSON value. A new value of one that was given before runs again what was made of it.
        close: end it, once its target is there.
        timeout_seconds: how long to wait for what runs; the answer then says what does.
        stopping: ends that wait, too.

    Raises:
        DefinitionNotFoundError: no definition has this name.
        RequestRefusedError: the definition is none of a dataflow; or the dataflow was closed, has ended or is paused, and there
            are new data.
        RefusedNowError: what was made of an older value cannot be taken back.
        RequestInvalidError: the id cannot be one; or a datum is unknown, is made by a builder, or is null.
        PayloadError: a value cannot be kept.
        StoreUnavailableError: the database cannot be reached; the run can be repeated safely.
    """
    plan = await starting.plan_of(node, dataflow) if isinstance(dataflow, str) else dataflow
    graph_of(plan.definition)  # refuses what is none
    data = {name: keepable(node, value, name) for name, value in data.items()}
    view = await _begun(actor, node, plan, id, data)
    saga_id, plan = view.state.saga_id, await node.plan_of(view.state)
    graph = graph_of(plan.definition)
    _check(node, graph, data)
    with HERE.held(saga_id, {name: value for name, value in data.items() if name in graph.transients}) as tokens:
        run = Run(graph, {**data, **tokens}, close=close, first=view.state, tokens=tokens)
        return await _done(actor, node, id, view, run, timeout_seconds, stopping or asyncio.Event())


async def _done(
    actor: Actor, node: Node, id: str, view: View, run: Run, timeout_seconds: float, stopping: asyncio.Event
) -> DataflowRun:
    """Do what a run has to do, move by move, and return its answer."""
    saga_id, graph = view.state.saga_id, run.graph
    before = _made(graph, view.state)
    ends_at, pause = node.clock.monotonic() + timeout_seconds, POLL_SECONDS[0]
    with node.resting.following(saga_id) as follower:
        while True:
            move = run.next(view.state)
            try:
                match move:
                    case Give(step, value, ahead):
                        signal = uuid4().hex
                        view = await asking.signal(actor, node, view, step, value, request_id=signal)
                        if ahead:
                            run.kept(step, signal)
                        else:
                            run.given(step)
                    case Restart():
                        view = await _restart(actor, node, view, move)
                    case Rest.OVER:
                        break
                    case Rest.WAIT:
                        if (left := ends_at - node.clock.monotonic()) <= 0 or stopping.is_set():
                            break
                        view = await _later(node, view, follower, min(pause, left), stopping)
            except SagaChangedError:
                view = await _present(node, view, follower)  # somebody was quicker
            pause = min(pause * 1.5, POLL_SECONDS[1]) if move is Rest.WAIT else POLL_SECONDS[0]
    if move is Rest.OVER and run.left:
        raise RequestRefusedError(_why_not(id, graph, view.state, [*run.left]))
    return _report(graph, id, view, run, before)


async def _restart(actor: Actor, node: Node, view: View, move: Restart) -> View:
    """Restart a saga from a step, and return what it is then. Refused, nothing of the run stays in the saga."""
    try:
        return await asking.restart(actor, node, view, move.step, reason=move.reason)
    except SagaChangedError:
        raise
    except RequestRefusedError:
        if move.ahead is not None:
            dropped = SignalDropped(signal=move.ahead, reason=f"{move.step!r} cannot be restarted")
            with suppress(RequestRefusedError):  # somebody else has dropped it
                await requests.ask(actor, node, view.state.saga_id, dropped)
        raise


async def _begun(actor: Actor, node: Node, plan: Plan, id: str, data: Mapping[str, Any]) -> View:
    """Return the saga of an id; begun, where this is the first run."""
    starting.check_names(id, {})
    saga_id = await node.store.sagas.started(DEFAULT_NAMESPACE, plan.name, id, sure=False)  # the start itself makes sure
    if saga_id is not None:
        return await node.view(saga_id)
    _check(node, graph_of(plan.definition), data)
    begun = await starting.start(actor, node, plan, None, key=id)
    return begun.view or await node.view(begun.saga_id)


def _check(node: Node, graph: Graph, data: Mapping[str, Any]) -> None:
    found = []
    for name, value in data.items():
        if name in graph.made:
            problem = f"is made by builder {graph.made[name].run!r}; give what that takes, or write a dataflow that is given it"
            found.append(Fault(f"data.{name}", problem))
        elif name not in graph.outside:
            found.append(Fault(f"data.{name[:100]}", f"is no datum of dataflow {graph.name!r}; {nearest(name, graph.outside)}"))
        elif value is None:
            found.append(Fault(f"data.{name}", "is null, which is the absence of a datum; leave it out"))
        elif name in graph.transients and (away := _elsewhere(node, graph, name)):
            problem = f"is transient, and {', '.join(away)} does not run in this process; give it where that runs"
            found.append(Fault(f"data.{name}", problem))
    if found:
        raise RequestInvalidError("the data", found)


def _elsewhere(node: Node, graph: Graph, datum: str) -> list[str]:
    """Return the builders that take a datum and do not run in this process."""
    here = {action.target for action in node.registry.steps.values()}
    return [run for run in graph.wanted_by(datum) if run not in here]


async def _later(node: Node, view: View, follower: Follower, seconds: float, stopping: asyncio.Event) -> View:
    """Return a saga a while after it was seen; sooner, where an append of this process leaves it with nothing to do."""
    if (rested := _newer(view, follower.take())) is not None:
        return rested
    await first_of(node.clock.sleep(seconds), stopping.wait(), follower.rested.wait())
    return await _present(node, view, follower)


async def _present(node: Node, view: View, follower: Follower) -> View:
    """Return a saga as it is now. It is read only where this process has not brought it further itself than it was seen."""
    saga_id = view.state.saga_id
    ours = _newer(view, follower.take()) or _newer(view, node.appender.latest(saga_id))
    return ours or await node.view(saga_id)


def _newer(view: View, other: View | None) -> View | None:
    return other if other is not None and other.seq > view.seq else None


def _why_not(id: str, graph: Graph, state: SagaState, left: list[str]) -> str:
    what = f"dataflow {graph.name!r} of id {id!r}"
    given = f"{', '.join(left)} was not taken"
    if state.paused:
        return f"{what} is paused, and {given}: resume saga {state.saga_id}, and run it again"
    if state.step(CLOSE).action.status is ActionStatus.SUCCEEDED:
        return f"{what} is closed, and {given}: begin another one under another id"
    return f"{what} is {state.status}, and {given}: begin another one under another id"


def _made(graph: Graph, state: SagaState) -> dict[str, int]:
    """Return the data for which a builder has run, each with the round in which it did. What is undone is none."""
    if is_backward(state) or state.status is SagaStatus.COMPENSATED:
        return {}
    steps = {datum: state.step(datum) for datum in graph.made}
    return {datum: step.round for datum, step in steps.items() if step.action.status is ActionStatus.SUCCEEDED}


def _report(graph: Graph, id: str, view: View, run: Run, before: Mapping[str, int]) -> DataflowRun:
    state = view.state
    outputs = {datum: state.step(datum).output for datum in (*graph.outside, *graph.made)}
    made = _made(graph, state)
    lost = {each for datum, one in graph.made.items() if is_lost(state.step(datum)) for each in one.consumes}
    absent = [
        datum
        for datum, output in outputs.items()
        if datum in lost & graph.transients or (output is None and (datum in graph.outside or datum in made))
    ]
    return DataflowRun(
        dataflow=graph.name,
        id=id,
        saga_id=state.saga_id,
        version=state.version,
        status=state.status,
        target=outputs[graph.target] if graph.target in made else None,
        produced={datum: outputs[datum] for datum in made if outputs[datum] is not None},
        new=[datum for datum, round in made.items() if outputs[datum] is not None and before.get(datum) != round],
        missing={datum: graph.wanted_by(datum) for datum in absent if datum in graph.needed},
        optional={datum: graph.taken_by(datum) for datum in absent if datum not in graph.needed and datum in graph.outside},
        failed={
            datum: str(state.step(datum).failure)
            for datum in graph.made
            if state.step(datum).action.status in (ActionStatus.GIVEN_UP, ActionStatus.STUCK) and not is_lost(state.step(datum))
        },
        running=[datum for datum in graph.made if is_at_work(step := state.step(datum)) or is_waiting(step)],
        untaken=[*run.left],
        closed=run.is_closed(state),
    )
