"""Who installs goconductor without extras gets what they import and type, and is told which extra brings the rest."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
EXTRAS = {
    "blocking_sqlalchemy": "psycopg",
    "django": "django",
    "etcd": "aetcd",
    "kafka": "confluent_kafka",
    "kinesis": "aiobotocore",
    "nats": "nats",
    "psycopg": "psycopg",
    "rabbitmq": "aio_pika",
    "sqs": "aiobotocore",
    "zookeeper": "kazoo",
}
"""Leaves, which are called as their extras are, and what only that extra brings, as it is imported."""
WITHOUT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def bare_install() -> set[str]:
    """The distributions that an installation without extras brings, as pyproject.toml and their metadata say it."""
    found: set[str] = {"goconductor"}
    wanted = [Requirement(line) for line in tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"]]
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    while wanted:
        requirement = wanted.pop()
        found.add(_normal(requirement.name))
        for line in distribution(requirement.name).requires or []:
            needed = Requirement(line)
            applies = needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in requirement.extras or {""}
            )
            if applies and _normal(needed.name) not in found:
                wanted.append(needed)
    return found


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def run_bare(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program as where nothing else is installed: all that other distributions bring is absent."""
    bare = bare_install()
    absent = {
        module for module, brought_by in packages_distributions().items() if bare.isdisjoint(map(_normal, brought_by))
    } - sys.stdlib_module_names
    command = [sys.executable, "-c", WITHOUT.format(absent=absent) + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"COLUMNS": "200"})


def test_an_installation_without_extras_has_no_client_of_a_broker_or_an_election() -> None:
    brought_by = packages_distributions()
    assert bare_install().isdisjoint(_normal(name) for module in EXTRAS.values() for name in brought_by[module])


def test_it_is_imported_without_extras() -> None:
    done = run_bare("import goconductor, goconductor.blocking, goconductor.app; print(goconductor.__version__)")
    assert done.returncode == 0, done.stderr


def test_importing_it_loads_no_client_that_is_there() -> None:
    program = "import sys, goconductor, goconductor.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(EXTRAS.values()).isdisjoint(done.stdout.split())


@pytest.mark.parametrize("command", ["", "serve"])
def test_the_commands_say_what_they_are_for_without_extras(command: str) -> None:
    done = run_bare("from goconductor.cli import main; main()", *command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_each_leaf_that_needs_an_extra_says_which_one_and_the_others_need_none() -> None:
    program = """
from goconductor import plugins
from goconductor.errors import PluginNotFoundError
for kind in plugins.GROUPS:
    for name in plugins.installed(kind):
        try:
            plugins.load(kind, name)
        except PluginNotFoundError as error:
            print(error)
"""
    done = run_bare(program)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    for leaf in EXTRAS:
        (line,) = [line for line in told if line.endswith(f"pip install 'goconductor[{leaf}]'")]
        assert "needs a library that is not installed" in line
    assert len(told) == len(EXTRAS)


def test_a_command_that_needs_an_absent_leaf_ends_with_what_to_install() -> None:
    settings = (
        "import os; os.environ |= {'GOCONDUCTOR_DATABASE_URL': 'postgresql://nobody@127.0.0.1:1/none', "
        "'GOCONDUCTOR_BUS_KIND': 'kafka', 'GOCONDUCTOR_BUS_URL': 'kafka://127.0.0.1:1'}\n"
    )
    done = run_bare(f"{settings}from goconductor.cli import main; main()", "doctor")
    assert done.returncode != 0
    assert "pip install 'goconductor[kafka]'" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
