"""Readers of outboxes that start sagas by a process's engine: the door between a row and what it asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable

from goconductor.control.actor import ANYBODY
from goconductor.control.doors.conductor import Conductor, plan_of
from goconductor.control.sagas import starting
from goconductor.engine.node import Node
from goconductor.outbox.outbox import Outbox
from goconductor.outbox.reading import Reader, Row, Standing
from goconductor.ports.store.leading.choices import OUTBOX, Report


def readers(outboxes: Iterable[Outbox], node: Node) -> list[Reader]:
    """Return a reader of each outbox.

    Args:
        outboxes: what is read.
        node: the engine by which sagas are started, open.
    """
    conductor, standings = Conductor(node), dict[str, Standing]()
    return [_reader(each, node, conductor, standings) for each in outboxes]


def _reader(outbox: Outbox, node: Node, conductor: Conductor, standings: dict[str, Standing]) -> Reader:

    async def start(row: Row) -> None:
        saga = outbox.saga_of(row.version)
        plan = await starting.plan_of(node, row.saga, row.version) if saga is None else await plan_of(conductor, saga)
        await starting.start(
            ANYBODY,
            node,
            plan,
            row.input,
            key=row.key,
            labels=row.labels,
            input_type=saga.input_type if saga is not None else None,
            priority=row.priority or None,
        )

    def count(started: int, refused: int) -> None:
        node.counts["outbox_started"] += started
        node.counts["outbox_refused"] += refused

    async def on_standing(standing: Standing) -> None:
        standings[outbox.where] = standing
        node.counts["outbox_lag_seconds"] = math.ceil(max(each.lag_seconds for each in standings.values()))
        node.counts["outbox_rows_kept"] = sum(each.refused + each.waiting for each in standings.values())
        problem = standing.trouble
        if not problem and (standing.refused or standing.waiting):
            problem = (
                f"{standing.refused} rows are refused and {standing.waiting} wait for another try, such as: {standing.reason}"
            )
        kind = f"{OUTBOX}:{outbox.where}"  # the database too: the tables of two have one name as a rule
        report = Report(names=[outbox.where], uses="", number=0, problem=problem, at=node.clock.now())
        await node.store.choices.report(node.instance.serial, kind, report)

    return Reader(outbox, start, count, on_standing)
