"""Commands run in this process, in a thread of their own, so that a test's participants go on beside them."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, NamedTuple

from typer.testing import CliRunner

from goconductor.cli.main import cli

CANARY = "hunter2-canary"


class Answer(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.out.splitlines()]


class Prompt:
    """Runs commands with an environment.

    Args:
        environ: variables of ours; all others that begin like ours are unset.
    """

    def __init__(self, **environ: str) -> None:
        self.environ = environ

    def run(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Answer:
        ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("GOCONDUCTOR_")}
        ours |= {"COLUMNS": "240", "TERM": "dumb", **self.environ, **environ}
        result = CliRunner().invoke(cli, arguments, input=stdin, env=ours, prog_name="goconductor")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert CANARY not in result.stdout + result.stderr
        return Answer(result.exit_code, result.stdout, result.stderr)

    async def ask(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Answer:
        return await asyncio.to_thread(self.run, *arguments, stdin=stdin, **environ)
