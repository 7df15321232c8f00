"""``goconductor init``: a project of two services that runs at once."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from goconductor.cli.running import fail
from goconductor.control.doors.exits import Exit

NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
NAME_CHARACTERS_MAX = 40
"""Greatest length of a project's name, in characters."""
TAKEN = {"goconductor", "test", "tests", "pytest", *sys.stdlib_module_names}
"""Names of packages that the project's own would hide, or be hidden by."""
RENAMED = {"gitignore": ".gitignore"}


def init(
    name: Annotated[str, typer.Argument(help="The project's name, such as my-shop.", metavar="NAME")],
    *,
    folder: Annotated[
        Path | None, typer.Option(help="Where to write it; a folder of that name here by default.", show_default=False)
    ] = None,
) -> None:
    """Write a project of two services, orders and payments, with tests, a demo, a compose file and values of the chart."""
    package = name.replace("-", "_")
    if not NAME.fullmatch(name) or len(name) > NAME_CHARACTERS_MAX:
        fail(
            f"{name!a} cannot name a project: use up to {NAME_CHARACTERS_MAX} small letters, digits and '-', a letter first",
            Exit.USAGE,
        )
    if package in TAKEN or keyword.iskeyword(package) or keyword.issoftkeyword(package):
        fail(f"{name!r} cannot name a project: Python has a module or a word of that name; take another", Exit.USAGE)
    goal = folder or Path(name)
    try:
        if goal.exists() and (not goal.is_dir() or any(goal.iterdir())):
            fail(f"{goal} is there and is no empty folder: nothing was written; name another by --folder", Exit.USAGE)
        written = sorted(_write(resources.files("goconductor.cli") / "starter", goal, {"@name@": name, "@package@": package}))
    except OSError as error:
        fail(f"the project cannot be written: {error}", Exit.USAGE)
    for path in written:
        typer.echo(path.as_posix())
    typer.echo(f"Next: cd {goal}, pip install --find-links wheels -e '.[dev]', pytest, python -m {package}.demo")


def _write(source: Traversable, goal: Path, words: dict[str, str]) -> list[Path]:
    """Write what is in a folder of templates, and return the files."""
    goal.mkdir(parents=True, exist_ok=True)
    written = []
    for each in source.iterdir():
        if each.is_dir():
            written += _write(each, goal / (words["@package@"] if each.name == "package" else each.name), words)
        elif each.name.endswith(".txt"):
            name = each.name.removesuffix(".txt")
            text = each.read_text("utf-8")
            for word, meaning in words.items():
                text = text.replace(word, meaning)
            path = goal / RENAMED.get(name, name)
            path.write_text(text, "utf-8")
            written.append(path)
    return written
