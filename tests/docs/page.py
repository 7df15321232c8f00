"""A page of the documentation as somebody follows it, from its top to its bottom.

* A block with a title (`` ```python title="shop.py"``) is a file's content. The same title again replaces the file.
* Python without a title is the page's own program, ``page.py``: all such blocks together, run at the end if the page itself
  does not.
* ``console`` is typed into a terminal: what follows ``$`` is run, what stands below must be printed. A title names another
  terminal, whose last command may go on running; ``^C`` there interrupts it. What another terminal shows is waited for; a block
  without a command says what it shows by now.
* ``…`` stands for anything; ids and moments need not be the same.

Addresses on the page are examples: the test gives real ones, and free ports.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from goconductor.testing.loopback import free_port

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PORT = re.compile(r"(?<=[:= ])(?:8000|8080|5433)\b")
SECONDS = 600.0
PROGRAM = "page.py"
WAIT = re.compile(r"(?<=timeout_seconds=)(?:30|60)\b")
"""How long programs of a page wait for a saga; here they wait as long as a test does, as the machine may be busy."""


@dataclass(frozen=True)
class Block:
    language: str
    title: str | None
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text("utf-8"))]


def files(page: Path) -> dict[str, str]:
    """The Python files of a page as they are at its end."""
    python = [block for block in blocks(page) if block.language == "python"]
    found = {block.title: patient(block.text) for block in python if block.title}
    if program := "\n\n".join(patient(block.text) for block in python if not block.title):
        found[PROGRAM] = program
    return found


def patient(program: str) -> str:
    """The program with the test's limits in place of the page's."""
    return WAIT.sub(f"{SECONDS:.0f}", program)


def follow(page: Path, folder: Path, given: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Do what the page says.

    Args:
        page: its file.
        folder: an empty one, where the reader is.
        given: what stands on the page → what stands for it here.
        environment: variables that the reader has set before.
    """
    ports: dict[str, str] = {}

    def here(text: str) -> str:
        for shown, real in given.items():
            text = text.replace(shown, real)
        return PORT.sub(lambda found: ports.setdefault(found[0], str(free_port())), patient(text))

    terminals: dict[str, Terminal] = {}
    try:
        for block in blocks(page):
            if block.title and block.language != "console":
                (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.title).write_text(here(block.text), "utf-8")
            elif block.language == "python":
                with (folder / PROGRAM).open("a", encoding="utf-8") as program:
                    program.write(f"{here(block.text)}\n\n")
            elif block.language == "console":
                name = block.title or ""
                if name not in terminals:
                    terminals[name] = Terminal(folder, environment)
                terminals[name].type(here(block.text), leaves_running=bool(name))
        if PROGRAM in files(page) and not any(PROGRAM in block.text for block in blocks(page)):
            terminals["the page's program"] = Terminal(folder, environment)
            terminals["the page's program"].type(f"$ python -W error {PROGRAM}\n", leaves_running=False)
        for terminal in terminals.values():
            terminal.check_last()
    finally:
        for terminal in terminals.values():
            terminal.close()


class Terminal:
    """A shell that reads commands and keeps its variables."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GOCONDUCTOR_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={**kept, "PATH": path, "COLUMNS": "200", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._printed: list[str] = []
        self._expected: list[str] | None = None
        self._command = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, text: str, *, leaves_running: bool) -> None:
        if not _commands(text):  # what it shows meanwhile
            self._expected = text.splitlines()
            self.check_last()
        for command, expected in _commands(text):
            if self._expected is not None and command != "^C":
                raise AssertionError(f"{command!r} is typed while {self._command!r} still runs; show ^C first")
            if command == "^C":
                self.check_last()
                self._interrupt()
                continue
            self._printed.clear()
            mark = secrets.token_hex(8)
            self._say(f"{command}\nprintf '\\n{mark} %s\\n' $?\n")
            self._command = command
            if leaves_running and (command, expected) == _commands(text)[-1]:
                self._expected, self._mark = expected, mark
                self.check_last()
            else:
                self._wait(mark)
                self._compare(expected, mark)

    def check_last(self) -> None:
        """What still runs must have printed what the page shows, or must do so soon."""
        if self._expected is None:
            return
        wanted = "".join(_pattern(line) for line in self._expected)
        with self._news:
            seen = self._news.wait_for(lambda: re.search(wanted, "".join(f"{line}\n" for line in self._printed)), SECONDS)
        assert seen, f"$ {self._command}\nshould have printed\n{wanted}\nbut printed\n" + "\n".join(self._printed)

    def close(self) -> None:
        """End the shell and what it runs."""
        children = psutil.Process(self._shell.pid).children(recursive=True)
        for process in children:
            _signal(process, signal.SIGINT)
        _, alive = psutil.wait_procs(children, timeout=300)
        for process in alive:
            _signal(process, signal.SIGKILL)
        self._shell.kill()
        self._shell.wait()
        self._reader.join(10)
        for stream in (self._shell.stdin, self._shell.stdout):
            assert stream is not None
            stream.close()

    def _interrupt(self) -> None:
        for process in psutil.Process(self._shell.pid).children(recursive=True):
            _signal(process, signal.SIGINT)
        self._wait(self._mark)
        self._expected = None

    def _read(self) -> None:
        assert self._shell.stdout is not None
        for line in self._shell.stdout:
            with self._news:
                self._printed.append(line.rstrip())
                self._news.notify_all()

    def _say(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text)
        self._shell.stdin.flush()

    def _wait(self, mark: str) -> None:
        with self._news:
            ended = self._news.wait_for(lambda: any(line.startswith(mark) for line in self._printed), SECONDS)
        assert ended, f"$ {self._command}\ndid not end; it printed\n" + "\n".join(self._printed)

    def _compare(self, expected: list[str], mark: str) -> None:
        status = self._printed.pop().removeprefix(mark).strip()
        printed = "\n".join(self._printed).rstrip()
        shown = f"$ {self._command}\n{printed}"
        wants_failure = expected[-1:] == ["(exit code 1)"]
        assert status == ("1" if wants_failure else "0"), f"{shown}\nended with {status}"
        lines = expected[:-1] if wants_failure else expected
        if lines:
            wanted = "".join(_pattern(line) for line in lines)
            assert re.fullmatch(wanted, f"{printed}\n"), f"{shown}\nbut the page says\n" + "\n".join(lines)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        time.sleep(0)


def _commands(text: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line == "^C":
            found.append(("^C", []))
        elif line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif line.strip() and found:
            found[-1][1].append(line.rstrip())
    return found


def _pattern(line: str) -> str:
    """What a line, with its end, may look like; a line of ``…`` stands for any lines, and for none."""
    if line.strip() == "…":
        return r"(?:.*\n)*"
    parts = re.split(r"(…|[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\d[T ][\d:.]+Z?)", line)
    return "".join(_part(part) for part in parts) + r"\n"


def _part(part: str) -> str:
    if part == "…":
        return r".*"
    if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", part):
        return r"[0-9a-f-]{36}"
    if re.fullmatch(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?", part):
        return r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?"
    return re.escape(part)


def pages() -> Iterator[Path]:
    """The pages that have something to be done on them."""
    yield from (page for page in sorted(DOCS.rglob("*.md")) if any(b.language in ("python", "console") for b in blocks(page)))
