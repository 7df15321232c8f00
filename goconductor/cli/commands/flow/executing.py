"""``goconductor flow execute|status|result|pause|resume|abort|stop``: the executions of a flow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from goconductor.cli.commands.sagas.requests import RequestId, Why, WhyNeeded
from goconductor.cli.completion import saga_ids, saga_names, saga_versions
from goconductor.cli.rendering import plain
from goconductor.cli.running import AsJson, By, actor, client, fail, print_lines, read_value, run, settings_of
from goconductor.cli.seeking import Sought, found, read
from goconductor.control.actor import Actor
from goconductor.control.doors.exits import Exit
from goconductor.control.flows import executing
from goconductor.control.flows.executing import FlowExecution, FlowStepResult
from goconductor.control.flows.options import Options, read_retry
from goconductor.control.flows.statuses import OVER, FlowStatus
from goconductor.control.sagas import filters
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.events import AbortRequested, OperatorRequest, PauseRequested, ResumeRequested
from goconductor.saga.data import values
from goconductor.saga.definition import PRIORITY_MAX
from goconductor.saga.retry import seconds

Name = Annotated[str, typer.Argument(help="The flow's name.", metavar="NAME", autocompletion=saga_names)]
ExecutionId = Annotated[
    Sought,
    typer.Argument(help="The execution's id, or NAME/KEY by its key.", metavar="ID", parser=read, autocompletion=saga_ids),
]
Wait = Annotated[float, typer.Option(min=0, help="How many seconds to wait for its end.")]


def add_to(commands: typer.Typer) -> None:
    """Put these among the commands of ``flow``."""
    for command in (execute, status, result, pause, resume, abort, stop):
        commands.command()(command)


def execute(
    context: typer.Context,
    name: Name,
    input: Annotated[str, typer.Option(help="JSON, @FILE, or - for the standard input.")] = "null",
    *,
    key: Annotated[str | None, typer.Option(help="The same key and input again: the same execution.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")] = None,
    version: Annotated[str | None, typer.Option(help="A version other than the newest.", autocompletion=saga_versions)] = None,
    timeout: Annotated[str | None, typer.Option(help="Such as 10m: after that it compensates.", show_default=False)] = None,
    retry: Annotated[
        str | None,
        typer.Option(help="JSON, @FILE or -: a policy for the steps for which the flow has none.", show_default=False),
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="How many of its steps run at once at most.")] = None,
    from_step: Annotated[
        str | None, typer.Option("--from", help="The step to start at; those before it are skipped.", metavar="STEP")
    ] = None,
    priority: Annotated[
        int,
        typer.Option(
            min=-PRIORITY_MAX, max=PRIORITY_MAX, help="Where steps wait for room, greater ones come first; 0 is the flow's."
        ),
    ] = 0,
    wait: Wait = 0.0,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Execute a flow as it is now. With --wait, the exit code is 1 unless it succeeds in time."""
    given, policy = read_value(input, "--input"), None if retry is None else read_value(retry, "--retry")
    if policy is not None and not isinstance(policy, dict):
        fail("""--retry: is no object; give a policy, such as '{"attempts_max": 5}'""", Exit.USAGE)

    async def executed() -> Exit:
        options = Options(
            timeout_seconds=None if timeout is None else read_duration(timeout),
            retry=None if policy is None else read_retry(policy),
            concurrency=concurrency,
            from_step=from_step,
        )
        labels = filters.read_labels(label or ())
        async with client(settings_of(context)) as node:
            started = await executing.execute(
                actor(by), node, name, given, options, key=key, labels=labels, version=version, priority=priority
            )
            execution = await _ended(node, name, started.saga_id, wait)
        _print(execution, as_json=as_json)
        return Exit.OK if not wait or execution.status is FlowStatus.SUCCESS else Exit.FAILED

    run(executed())


def status(context: typer.Context, name: Name, execution: ExecutionId, *, as_json: AsJson = False) -> None:
    """Show how an execution and each of its steps are doing."""
    _ask(context, execution, lambda _, node, saga_id: executing.execution(actor(), node, name, saga_id), None, as_json=as_json)


def result(
    context: typer.Context,
    name: Name,
    execution: ExecutionId,
    step: Annotated[str | None, typer.Argument(help="A step: its output.", metavar="[STEP]", show_default=False)] = None,
    *,
    wait: Wait = 60.0,
    as_json: AsJson = False,
) -> None:
    """Wait for the result of an execution, and print it as JSON; or the output of one step. The exit code is 1 without one."""

    async def shown() -> Exit:
        async with client(settings_of(context)) as node:
            saga_id = await found(node, execution)
            if step is not None:
                output = await executing.step_result(actor(), node, name, saga_id, step)
                told = FlowStepResult(id=step, output=output).model_dump_json()
            else:
                await executing.checked(actor(), node, name, saga_id)
                ended = await _ended(node, name, saga_id, wait)
                if ended.status is not FlowStatus.SUCCESS:
                    why = f": {ended.reason}" if ended.reason else ""
                    raise RequestRefusedError(f"execution {saga_id} has no result, it is {ended.status}{why}")
                output, told = ended.output, ended.model_dump_json()
        typer.echo(told if as_json else values.encode(output).decode())
        return Exit.OK

    run(shown())


def pause(
    context: typer.Context,
    name: Name,
    execution: ExecutionId,
    *,
    reason: Why = "",
    by: By = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Begin no new steps. Running steps go on, and their outcomes are recorded."""
    _request(context, name, execution, PauseRequested(reason=reason), by, request_id, as_json=as_json)


def resume(
    context: typer.Context,
    name: Name,
    execution: ExecutionId,
    *,
    by: By = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """End a pause."""
    _request(context, name, execution, ResumeRequested(), by, request_id, as_json=as_json)


def abort(
    context: typer.Context,
    name: Name,
    execution: ExecutionId,
    *,
    reason: Why = "",
    by: By = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
) -> None:
    """Compensate what was done. Refused once the pivot was sent."""
    _request(context, name, execution, AbortRequested(reason=reason), by, request_id, as_json=as_json)


def stop(
    context: typer.Context,
    name: Name,
    execution: ExecutionId,
    *,
    reason: WhyNeeded = "",
    force: Annotated[
        bool,
        typer.Option("--force", help="Do not wait for the journals of services that may be gone; late effects are possible."),
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="How many seconds to wait for running steps, and for the end.")] = 60.0,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Begin no new steps, wait for running ones, and end it without compensation. The exit code is 1 if that takes longer."""

    async def stopped(who: Actor, node: Node, saga_id: UUID) -> FlowExecution:
        try:
            return await executing.stop(who, node, name, saga_id, reason, forced=force, within_seconds=wait)
        except TimeoutError as error:
            raise RequestRefusedError(str(error)) from None

    _ask(context, execution, stopped, by, as_json=as_json)


def read_duration(text: str) -> float:
    """Read a duration of the command line, in seconds; what is none ends the command."""
    try:
        return seconds(float(text) if text.replace(".", "", 1).isdecimal() else text)
    except ValueError as error:
        fail(f"--timeout: {error}", Exit.USAGE)


async def _ended(node: Node, flow: str, saga_id: UUID, wait_seconds: float) -> FlowExecution:
    """Return an execution after its end, or as it is when the time is over."""
    if wait_seconds:
        with suppress(TimeoutError):
            await node.wait_for_end(saga_id, wait_seconds)
    return await executing.execution(actor(), node, flow, saga_id)


def _request(
    context: typer.Context,
    name: str,
    execution: Sought,
    asked: OperatorRequest,
    by: str | None,
    request_id: str | None,
    *,
    as_json: bool,
) -> None:
    async def requested(who: Actor, node: Node, saga_id: UUID) -> FlowExecution:
        return await executing.request(who, node, name, saga_id, asked, request_id=request_id)

    _ask(context, execution, requested, by, as_json=as_json)


def _ask(
    context: typer.Context,
    execution: Sought,
    ask: Callable[[Actor, Node, UUID], Awaitable[FlowExecution]],
    by: str | None,
    *,
    as_json: bool,
) -> None:
    async def asked() -> Exit:
        async with client(settings_of(context)) as node:
            answer = await ask(actor(by), node, await found(node, execution))
        _print(answer, as_json=as_json)
        return Exit.OK

    run(asked())


def _print(execution: FlowExecution, *, as_json: bool) -> None:
    if as_json:
        typer.echo(execution.model_dump_json())
    else:
        print_lines(Text(plain(line)) for line in _lines(execution))


def _lines(execution: FlowExecution) -> Iterator[str]:
    why = f": {execution.reason}" if execution.reason else ""
    yield f"{execution.flow} {execution.saga_id} {execution.status}{why}"
    width = max((len(each.id) for each in execution.steps), default=0)
    for each in execution.steps:
        yield f"  {each.id:{width}}  {each.status}{f'  {each.reason}' if each.reason else ''}"
    if execution.status in OVER and execution.output is not None:
        yield f"  = {values.encode(execution.output).decode()}"
