"""What Temporal runs: the sagas as its users would write them, and their steps. Its sandbox imports this again and again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from peers.work import PARTS, SERVICES, STEPS, Output, act, summary

OPTIONS: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=60),
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=100)),
}


@activity.defn
async def run(asked: Output) -> Output:
    """A step or a compensation."""
    return await act(**asked)


@activity.defn
async def refuse(asked: Output) -> Output:
    """The last step, where it is to fail."""
    raise ApplicationError(f"no truck for order {asked['order']}", non_retryable=True)


async def execute(action: Any, step: str, asked: Output, queue: str | None = None) -> Output:
    """One step: by a local activity, where that is asked for, else by one of the queue."""
    order = {"step": step, **asked["order"]}
    if asked["local"]:
        local: Output = await workflow.execute_local_activity(action, order, **OPTIONS)
        return local
    output: Output = await workflow.execute_activity(action, order, task_queue=queue, **OPTIONS)
    return output


@workflow.defn
class OrderSaga:
    """The steps in turn; where one is refused, the compensations of those before it."""

    @workflow.run
    async def run(self, asked: Output) -> Output:
        queues = {step: name for name, step in SERVICES.items()} if asked["spread"] else {}
        outputs: dict[str, Output] = {}
        try:
            for step in STEPS:
                refused = asked["fails"] and step == STEPS[-1]
                outputs[step] = await execute(refuse if refused else run, step, asked, queues.get(step))
        except (ActivityError, ApplicationError):  # a local activity's failure comes bare
            undone = {f"undo_{step}": await execute(run, f"undo_{step}", asked) for step in reversed(outputs)}
            return summary("compensated", undone)
        return summary("completed", outputs)


@workflow.defn
class FanOutSaga:
    """All steps at once."""

    @workflow.run
    async def run(self, asked: Output) -> Output:
        outputs = await asyncio.gather(*(execute(run, step, asked) for step in PARTS))
        return summary("completed", dict(zip(PARTS, outputs, strict=True)))
