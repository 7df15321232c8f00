"""How a command runs: its settings, its node, and what an error means for its exit code."""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from goconductor import app
from goconductor.cli import rendering
from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.audit.origin import coming
from goconductor.control.doors.conductor import engine
from goconductor.control.doors.exits import Exit, code_of
from goconductor.control.models import SagaDetail
from goconductor.control.settings.sections import HealthSettings, MetricsSettings
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.errors import (
    ConfigurationError,
    GoConductorError,
    PayloadError,
    nearest,
    without_passwords,
)
from goconductor.observe import logs
from goconductor.redaction import logger_of
from goconductor.saga.data import values

OPEN_SECONDS = 5.0
"""Seconds that a command waits for the database; a server waits for ever."""


Word = TypeVar("Word", bound=StrEnum)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
By = Annotated[str | None, typer.Option(help="Who asks; the name of your account by default.", show_default=False)]


logger = logger_of("goconductor.cli")


def run(command: Coroutine[Any, Any, Exit]) -> NoReturn:
    """Run a command to its exit code; an error of ours is printed on one line, without a traceback."""
    try:
        code = asyncio.run(command)
    except GoConductorError as error:
        fail(str(error), code_of(error))
    except typer.Exit:
        raise
    except (
        BrokenPipeError
    ):  # the reader of our answer, such as `head`, has enough; the interpreter's last flush is to find somebody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.FAILED) from None
    except Exception as error:  # the last place that can report anything
        logger.debug("unforeseen", exc_info=error)
        fail(f"something unforeseen went wrong ({type(error).__name__}); GOCONDUCTOR_LOG_LEVEL=debug shows where", Exit.FAILED)
    raise typer.Exit(code)


def fail(message: str, code: Exit) -> NoReturn:
    """End with a message, without passwords: what a setting cannot be may have come from a secret."""
    typer.echo(f"goconductor: {without_passwords(message)}", err=True)
    raise typer.Exit(code)


def actor(by: str | None = None) -> Actor:
    """Return the actor: the name given by ``--by``, else the account that this process runs under, where it has one.

    Raises:
        RequestInvalidError: the name cannot be kept.
    """
    if by is not None:
        return Actor(by)
    try:
        return Actor(getpass.getuser())
    except (KeyError, OSError):
        return ANYBODY


def settings_path(context: typer.Context) -> Path | None:
    """Return the path given by ``--config``."""
    path: Path | str | None = context.find_root().params.get("config")
    return Path(path) if path is not None else None


def settings_of(context: typer.Context, *, serving: bool = False) -> Settings:
    """Return the settings by ``--config`` and the environment, and set up logging by them.

    Args:
        context: the command's context.
        serving: whether the log is what people want to see; if not, only warnings appear between a command's answers, unless the
            settings name a level.
    """
    try:
        settings = Settings.load(settings_path(context))
    except ConfigurationError as error:
        fail(str(error), Exit.USAGE)
    level = settings.log.level if serving or settings.origins("log", "level") else "warning"
    logs.set_up(level=level, format=settings.log.format)
    logging.getLogger("goconductor").setLevel(level.upper())
    return settings


def choice(words: type[Word], help: str, *names: str) -> Any:
    """Return an option that is one of some words; where it is none, the error has the nearest.

    Args:
        words: the words.
        help: what it is about.
        names: how it is written; none is by its parameter's name.
    """
    shown = f"[{'|'.join(words)}]"
    return typer.Option(*names, help=help, parser=_one_of(words), metavar=shown, autocompletion=lambda: [*words])


def _one_of(words: type[Word]) -> Callable[[str], Word]:
    def read(text: str) -> Word:
        try:
            return words(text)
        except ValueError:
            raise typer.BadParameter(f"{text[:100]!r} is unknown; {nearest(text, words)}") from None

    return read


UNBOUNDED = 1_000_000
"""Width of an output without an edge, in characters."""

TABLE_WIDTH = 80
"""Least width of a table, in characters; with less, rich would leave out columns."""


def console(**options: Any) -> Console:
    """Return where answers are printed. A terminal has an edge, at which a tree or a table wraps; a pipe or a file has none."""
    return Console(width=None if sys.stdout.isatty() else UNBOUNDED, **options)


def print_drawn(*drawn: Tree | Table) -> None:
    """Print trees and tables whole. On a terminal that is too narrow for a table, its lines go on below."""
    printed = console()
    for each in drawn:
        if isinstance(each, Table) and printed.width < TABLE_WIDTH:
            Console(width=UNBOUNDED).print(each, crop=False, soft_wrap=True)  # no print is wider than its console
        else:
            printed.print(each, crop=False)


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines whole: a terminal breaks them by itself, so that copying one gives it back without a break."""
    printed = console(soft_wrap=True, highlight=False)
    for line in lines:
        printed.print(line)


def print_saga(detail: SagaDetail, *, as_json: bool) -> None:
    """Print a saga with its steps."""
    if as_json:
        typer.echo(detail.model_dump_json())
    else:
        print_drawn(rendering.tree(detail))
        print_lines(rendering.untaken(detail))
        print_lines(rendering.tracebacks(detail))


def read_file(name: str, shown: str) -> bytes:
    """Return a file's content, or the standard input's where its name is ``-``; a file that cannot be read ends the command.

    Args:
        name: the file.
        shown: its name in the error, as on the command line.
    """
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:  # a name with a NUL, or with what is in no UTF-8, is a ValueError
        fail(f"{shown}: cannot be read ({why_not(error)}); name a file that is there", Exit.USAGE)


def why_not(error: OSError | ValueError) -> str:
    """Return why a file is not available, in the system's words."""
    return error.strerror or str(error) if isinstance(error, OSError) else "no file can be called so"


def print_or_write(text: str, out: Path | None) -> None:
    """Print a text, or write it to a file; a file that cannot be written ends the command.

    Args:
        text: it.
        out: the file, as the option ``--out`` names it; None prints.
    """
    if out is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        out.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        fail(f"--out {out}: cannot be written ({why_not(error)}); name another file", Exit.USAGE)


def read_value(text: str, option: str) -> Any:
    """JSON from the command line, from ``@FILE``, or from the standard input for ``-``; what is none ends the command."""
    inline = text != "-" and not text.startswith("@")
    data = text if inline else read_file(text.removeprefix("@"), f"{option} {text}")
    try:
        return values.decode(data)
    except PayloadError as error:
        fail(f"{option}: {error}", Exit.USAGE)


@asynccontextmanager
async def client(settings: Settings) -> AsyncIterator[Node]:
    """Open a node for one command: it asks the database directly, so no server need run.

    Raises:
        StoreUnavailableError: the database could not be used in time; names the reason.
    """
    # the process beside us whose settings these are has the ports: `kubectl exec` gives us its environment
    quiet = settings.model_copy(update={"health": HealthSettings(), "metrics": MetricsSettings()})
    async with app.connect(quiet, open_timeout_seconds=OPEN_SECONDS) as conductor:
        with coming(door="cli"):
            yield engine(conductor)
