"""The blocking methods are the asynchronous ones without ``await``: written from their classes, and compared here.

``GOCONDUCTOR_TEST_REWRITE=1`` writes the modules anew.
"""

from __future__ import annotations

import ast
import copy
import inspect
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from goconductor import Conductor, Flow, SagaHandle, Schedules
from goconductor.blocking import conductor, flow, saga, schedules

Method: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

TRANSACTION = "transaction"
"""It is of a library that blocks, so it has another type and other words, and is looked at on the caller's thread."""
KINDS = """
    transaction: your own open transaction in the database of the saga log, over psycopg 3: a connection of psycopg,
        SQLAlchemy's ``Session``, ``scoped_session`` or ``Connection``, or Django's ``connection`` inside of
        ``transaction.atomic()``. The saga begins when it commits, or never; call :meth:`BlockingSaga.begin` after the
        commit. Until then nobody sees it, and another start with its key waits.
"""

CONDUCTOR = '''
"""The methods of the blocking client, written by ``tests/doors/test_blocking_interface.py``: change the asynchronous ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, overload
from uuid import UUID

from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor.blocking.client import BlockingClient
from goconductor.blocking.saga import BlockingSaga
from goconductor.blocking.schedules import BlockingSchedules
from goconductor.blocking.transactions import of_this_thread
from goconductor.control.dataflows.documents import DataflowRun
from goconductor.control.models import SagaDetail, SagaPage
from goconductor.control.sagas.bulk import BulkReport
from goconductor.dataflow.dataflow import Dataflow
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store.log.transactions import BlockingTransaction
from goconductor.saga.writing.builder import Saga

I = TypeVar("I")  # noqa: E741
O = DefaultedTypeVar("O", default=Any)  # noqa: E741


class BlockingConductor(BlockingClient):
    """Starts sagas, finds them and asks after them, from any thread. It runs no steps.

    Every method blocks, and raises ``RuntimeError`` where it must not be called: in a child of the process that opened it,
    on a thread with a running event loop, or after :meth:`close`.

    Args:
        settings: None loads them when it opens.
        open_timeout_seconds: how long opening waits for the database; the next use then tries again.
    """

    @property
    def schedules(self) -> BlockingSchedules:
        """Starts by a cron expression or an interval."""
        return BlockingSchedules(self)
'''

SCHEDULES = '''
"""The methods of blocking schedules, written by ``tests/doors/test_blocking_interface.py``: change the asynchronous ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goconductor.blocking.client import BlockingClient
from goconductor.control.schedules.documents import ScheduleDetail, ScheduleList
from goconductor.schedules.schedule import Overlap


class BlockingSchedules:
    """Makes schedules, changes them and asks after them."""

    def __init__(self, client: BlockingClient) -> None:
        self._ask = client._ask  # noqa: SLF001
'''

FLOW = '''
"""The methods of a blocking flow, written by ``tests/doors/test_blocking_interface.py``: change the asynchronous ones."""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload
from uuid import UUID

from goconductor.blocking.client import BlockingClient
from goconductor.control.doors.flow import ExecutionOptions, Flow, FlowStepOptions
from goconductor.control.flows.editing import FlowDetail, FlowStepDetail
from goconductor.control.flows.executing import FlowExecution
from goconductor.errors import check_type
from goconductor.saga.writing.builder import Saga


class BlockingFlow:
{docstring}

    def __init__(self, client: BlockingClient, name: str) -> None:
        check_type("client", client, BlockingClient, "a client, such as blocking.connect() gives it")
        check_type("name", name, str, "the flow's name, such as 'order'")
        self._ask = client._ask  # noqa: SLF001
        self.name = name
        self._places = Saga[Any](name)

    @property
    def input(self) -> Any:
        """The place of the input of an execution: ``flow.input.sku``."""
        return self._places.input

    def output(self, step: str) -> Any:
        """Return the place of a step's output, whoever has added it: ``flow.output("charge").receipt``.

        Args:
            step: its id.

        Raises:
            ArgumentError: it is no text.
        """
        return self._places.later(step).output
'''

SAGA = '''
"""The methods of a blocking handle, written by ``tests/doors/test_blocking_interface.py``: change the asynchronous ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor.blocking.client import BlockingClient
from goconductor.control.doors.handles.saga import SagaHandle
from goconductor.control.models import History, RestartPreview, SagaDetail

O = DefaultedTypeVar("O", default=Any)  # noqa: E741


class BlockingSaga(Generic[O]):
{docstring}

    def __init__(self, client: BlockingClient, handle: SagaHandle[O]) -> None:
        self.saga_id = handle.saga_id
        self.existing = handle.existing
        self._ask = client._ask  # noqa: SLF001
        self._handle = handle
'''


def methods(kind: type) -> Iterator[Method]:
    """The public methods of a class and of what it inherits from, overloads included, as they are written."""
    for one in (each for each in kind.__mro__ if each.__module__ == "goconductor" or each.__module__.startswith("goconductor.")):
        path = inspect.getfile(inspect.unwrap(next(each for each in vars(one).values() if inspect.isfunction(each))))
        (found,) = (
            each
            for each in ast.parse(Path(path).read_text("utf-8")).body
            if isinstance(each, ast.ClassDef) and each.name == one.__name__
        )
        for each in found.body:
            if isinstance(each, Method) and each.name[0] != "_" and (kind is not Flow or isinstance(each, ast.AsyncFunctionDef)):
                yield each


def written(method: Method, *, called: str) -> str:
    """One method without ``await``."""
    given = copy.deepcopy(method.args)
    returned = ast.unparse(method.returns) if method.returns is not None else ""
    parameters = ast.unparse(given).replace("transaction: Transaction", "transaction: BlockingTransaction")
    signature = f"def {method.name}({parameters}) -> {returned.replace('SagaHandle', 'BlockingSaga')}:"
    decorators = [f"@{ast.unparse(each)}" for each in method.decorator_list]
    if "@overload" in decorators:
        return "\n".join([*decorators, f"{signature} ..."])
    words = [each.arg for each in (*given.posonlyargs, *given.args)[1:]] + [f"{each.arg}={each.arg}" for each in given.kwonlyargs]
    words += [f"**{given.kwarg.arg}"] if given.kwarg is not None else []
    first = ""
    if f"{TRANSACTION}={TRANSACTION}" in words:
        words[-1], first = f"{TRANSACTION}=own", f"own = of_this_thread({TRANSACTION})\n"
    call = f"{called}.{method.name}({', '.join(words)})"
    if isinstance(method, ast.AsyncFunctionDef):
        call = f"self._ask(lambda {'conductor' if 'conductor' in called else '_'}: {call})"
    else:
        call = f"self._conductor().{method.name}({', '.join(words)})"
    if "SagaHandle" in returned:
        call = f"BlockingSaga(self, {call})"
    return "\n".join([signature, textwrap.indent(f"{documented(method)}\n{first}return {call}", "    ")])


def documented(method: Method | type) -> str:
    """Its docstring, with the words for what blocks."""
    text = inspect.cleandoc((method.__doc__ if isinstance(method, type) else ast.get_docstring(method, clean=False)) or "")
    lines: list[str] = []
    replaced = False
    for line in text.splitlines():
        if not line.startswith("        "):
            replaced = line.strip().startswith(f"{TRANSACTION}:")
            lines += KINDS.strip("\n").splitlines() if replaced else [line]
        elif not replaced:
            lines.append(line)
    return '"""' + "\n".join(lines) + ('\n"""' if len(lines) > 1 else '"""')


def modules() -> dict[ModuleType, str]:
    """Each module, as it should be."""
    docstring = textwrap.indent(documented(SagaHandle), "    ")
    of_flow = textwrap.indent(
        documented(Flow).replace("await ", "").replace("Flow(conductor", "BlockingFlow(client").replace("conductor", "client"),
        "    ",
    )
    return {
        flow: formatted(FLOW.replace("{docstring}", of_flow), Flow, "Flow(conductor, self.name)"),
        conductor: formatted(CONDUCTOR, Conductor, "conductor"),
        saga: formatted(SAGA.replace("{docstring}", docstring), SagaHandle, "self._handle"),
        schedules: formatted(SCHEDULES, Schedules, "conductor.schedules"),
    }


def formatted(head: str, kind: type, called: str) -> str:
    """A module: what it begins with, and a class's methods without ``await``."""
    parts = [head, *(textwrap.indent(written(each, called=called), "    ") for each in methods(kind))]
    formatter = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "goconductor/blocking/conductor.py", "-"]
    made = subprocess.run(formatter, input="\n".join(parts).lstrip(), capture_output=True, text=True, check=True, timeout=600)
    return made.stdout


def test_the_blocking_methods_are_those_of_the_asynchronous_classes() -> None:
    for module, made in modules().items():
        path = Path(inspect.getfile(module))
        if os.environ.get("GOCONDUCTOR_TEST_REWRITE"):
            path.write_text(made, "utf-8")
        assert path.read_text("utf-8") == made


def test_nothing_is_offered_less() -> None:
    for ours, theirs in (
        (Conductor, conductor.BlockingConductor),
        (SagaHandle, saga.BlockingSaga),
        (Schedules, schedules.BlockingSchedules),
        (Flow, flow.BlockingFlow),
    ):
        names = {name for name in dir(ours) if name[0] != "_"}
        assert names <= set(dir(theirs))
