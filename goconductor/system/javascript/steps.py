"""``system.javascript``: a script that makes one value of others, for what a condition or a reference cannot say.

A script is somebody else's code, so it gets a process of its own for each call. It has no files, no network, no variables and
nothing of this process. QuickJS bounds its time and memory; beside that the system does, and a clock here, as the first of them
counts the time of the processor only.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from goconductor.engine.steps.context import StepContext
from goconductor.errors import PayloadError, PermanentError, PluginNotFoundError, TemporaryError
from goconductor.saga.data import values

CODE_CHARACTERS_MAX = 64 * 1024
START_SECONDS = 20.0
"""Seconds that a process may take beside its script, to start on a busy machine."""
_CHILD = Path(__file__).with_name("child.py")
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""Variables without which an interpreter may not start; a script sees none."""
_SHOWN_CHARACTERS_MAX = 500
"""Number of characters of a script's error that are kept."""


class JavascriptInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All inputs that have a meaning of their own; the others are the script's.

    Args:
        code: the body of a function that has ``inputs`` and returns the output.
    """

    code: str


CONSTANT = frozenset({"code"})


def faults(inputs: JavascriptInputs) -> Iterator[str]:
    """Yield what is wrong with inputs, each with its remedy."""
    if "return" not in inputs.code:
        yield "its code returns nothing; write the body of a function, such as 'return inputs.cents * 2'"
    if len(inputs.code) > CODE_CHARACTERS_MAX:
        yield f"its code has {len(inputs.code):,} characters, at most {CODE_CHARACTERS_MAX:,} are allowed; write a step for it"


@dataclass(frozen=True)
class JavascriptSteps:
    """Runs scripts.

    Args:
        seconds: processor time that a script may take, in seconds.
        bytes_max: memory that it may take, in bytes.
        output_bytes_max: greatest size of an output, in bytes.

    Raises:
        PluginNotFoundError: the engine is not installed.
    """

    seconds: float
    bytes_max: int
    output_bytes_max: int

    def __post_init__(self) -> None:
        if find_spec("quickjs") is None:
            raise PluginNotFoundError(
                "system.javascript needs a library that is not installed (quickjs): pip install 'goconductor[javascript]'"
            )

    async def run(self, inputs: dict[str, Any], context: StepContext, output: Any = None) -> Any:
        """Run the script.

        Args:
            inputs: of the step, by name.
            context: of the step.
            output: of an action there is none yet.

        Raises:
            PermanentError: it fails, takes too much, or returns what cannot be kept.
            TemporaryError: no process can be started now.
        """
        del context, output
        code = inputs.get("code")
        if not isinstance(code, str):
            raise PermanentError("its code is no text; correct the definition")
        answer = await self._answer(self._asked(code, {name: value for name, value in inputs.items() if name != "code"}))
        if "error" in answer:
            raise PermanentError(f"the script failed: {' '.join(str(answer['error']).split())[:_SHOWN_CHARACTERS_MAX]}")
        try:
            return values.decode(answer["result"])
        except PayloadError as error:
            raise PermanentError(f"what the script returns cannot be kept: {error}") from None

    def _asked(self, code: str, inputs: Mapping[str, Any]) -> bytes:
        try:
            text = values.canonical(dict(inputs)).decode()
        except PayloadError as error:
            raise PermanentError(f"an input cannot be given to a script: {error}") from None
        limits = {"seconds": self.seconds, "bytes_max": self.bytes_max, "output_bytes_max": self.output_bytes_max}
        return json.dumps({"code": code, "inputs": text, **limits}).encode()

    async def _answer(self, asked: bytes) -> dict[str, Any]:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(_CHILD),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                cwd=_CHILD.parent,
            )
        except OSError as error:
            raise TemporaryError(f"no process can be started for a script: {error.strerror}") from None
        try:
            async with asyncio.timeout(self.seconds + START_SECONDS):
                written = await self._told(process, asked)
                await process.wait()
        except TimeoutError:
            raise PermanentError(f"the script took longer than {self.seconds:g} s, and was ended") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        try:
            answer = json.loads(written)
        except ValueError:
            raise PermanentError("the script's process ended without an answer: it took too much memory or time") from None
        return answer if isinstance(answer, dict) else {}

    async def _told(self, process: asyncio.subprocess.Process, asked: bytes) -> bytes:
        """Give the process what it is to do, and read what it says, but no more than it may."""
        assert process.stdin is not None  # noqa: S101  (a pipe)
        assert process.stdout is not None  # noqa: S101
        with suppress(ConnectionError):
            process.stdin.write(asked)
            await process.stdin.drain()
        process.stdin.close()
        written = bytearray()
        while len(written) <= 8 * self.output_bytes_max + 8192:  # a character may be escaped
            part = await process.stdout.read(64 * 1024)
            if not part:
                return bytes(written)
            written += part
        process.kill()
        return b""
