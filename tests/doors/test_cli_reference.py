"""The reference of the command line is made of the commands. ``GOCONDUCTOR_TEST_REWRITE=1`` writes it anew."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from goconductor.cli.main import cli
from goconductor.control.doctor.examination import OF_HEALTH, OF_STORE
from goconductor.control.settings.explain import reference

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "cli.md"


def commands() -> list[tuple[str, Any]]:
    """All commands that do something, with their names in full."""

    def below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        for key, each in (inner or {}).items():
            yield from below(f"{name} {key}".strip(), each)

    return sorted(below("", get_command(cli)))


def section(name: str, command: Any) -> Iterator[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    yield f"### {name}"
    yield ""
    words = " ".join(each.metavar or each.name.upper() for each in arguments)
    yield f"    goconductor {name} {words}".rstrip() + (" [OPTIONS]" if options else "")
    yield ""
    yield " ".join(command.help.split())
    if command.params:
        yield ""
        yield "| Argument or option | |"
        yield "|---|---|"
    for each in arguments:
        yield f"| `{each.metavar or each.name.upper()}` | {told(each)} |"
    for each in options:
        names = " ".join("/".join(pair) for pair in ((*each.opts, *each.secondary_opts),))
        value = "" if each.is_flag else f" {each.metavar or each.name.upper()}"
        yield f"| `{names}{value}` | {told(each)} |"
    yield ""


def told(param: Any) -> str:
    default = param.default
    shown = f" Default: {default}." if isinstance(default, int | float) and not isinstance(default, bool) and default else ""
    return f"{param.help.replace('|', chr(92) + '|')}{shown}"


def written(page: str, mark: str, lines: Iterator[str]) -> str:
    block = f"<!-- {mark} -->\n" + "\n".join(lines).rstrip() + f"\n<!-- /{mark} -->"
    page, times = re.subn(rf"<!-- {mark} -->\n.*?<!-- /{mark} -->", lambda _: block, page, flags=re.DOTALL)
    assert times == 1, f"the page has no place for {mark!r}"
    return page


@pytest.mark.parametrize(
    ("file", "mark"), [("cli.md", "commands"), ("settings.md", "settings")], ids=lambda value: value.removesuffix(".md")
)
def test_the_reference_is_what_the_code_says(file: str, mark: str) -> None:
    path = DOCS / file
    page = path.read_text(encoding="utf-8")
    lines = reference() if mark == "settings" else (line for name, command in commands() for line in section(name, command))
    now = written(page, mark, lines)
    if os.environ.get("GOCONDUCTOR_TEST_REWRITE"):
        path.write_text(now, encoding="utf-8")
        return
    assert page == now, "GOCONDUCTOR_TEST_REWRITE=1 pytest tests/doors/test_cli_reference.py writes it anew"


@pytest.mark.parametrize(("name", "command"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_says_what_it_does_and_what_each_option_means(name: str, command: Any) -> None:
    assert command.help.strip().endswith(".")
    assert [param.name for param in command.params if not getattr(param, "help", None)] == []


def test_every_command_that_prints_json_says_which_document() -> None:
    json = PAGE.read_text().partition("\n## JSON\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([a-z -]+)`(?=[^|]*\|[^|]*\|$)", json, re.MULTILINE))
    printing = {name for name, command in commands() if any("--json" in param.opts for param in command.params)}
    assert not printing - documented, f"name the document of {sorted(printing - documented)} in the table JSON of docs/cli.md"
    without = {"init", "serve", "migrate", "definition diagram", "definition schema", "events asyncapi"}
    assert printing == {name for name, _ in commands()} - without


def test_every_check_of_the_doctor_is_described() -> None:
    described = re.findall(
        r"^\| ([a-z ]+) \|", PAGE.read_text().partition("\n## The doctor\n")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert described == ["settings", "build", "database", *OF_HEALTH, "bus", *OF_STORE]
