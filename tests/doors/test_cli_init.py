"""``goconductor init``: what it writes is installed, tested and run as its README says, and nothing is overwritten."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose
from typer.testing import CliRunner

from goconductor.cli.main import cli
from tests.examples.running import install

ROOT = Path(__file__).parents[2]
NONSENSE = ["", "My-Shop", "my shop", "../shop", "-x-", "9lives", "a" * 41, "json", "class", "match", "goconductor", "é"]


def init(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["init", *arguments])
    return done.exit_code, done.output


def typed(folder: Path, *command: str, **more: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GOCONDUCTOR_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my-shop"
    code, output = init("my-shop", "--folder", str(folder))
    assert code == 0, output
    assert f"Next: cd {folder}" in output
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        ".gitignore",
        "Dockerfile",
        "README.md",
        "chart-values.yaml",
        "compose.yaml",
        "my_shop/__init__.py",
        "my_shop/demo.py",
        "my_shop/orders.py",
        "my_shop/payments.py",
        "my_shop/saga.py",
        "pyproject.toml",
        "tests/test_order.py",
        "wheels/README.md",
    ]
    texts = [path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()]
    assert not any(word in text for text in texts for word in ("@name@", "@package@"))
    return folder


def test_its_tests_pass(project: Path) -> None:
    options = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider")
    assert "2 passed" in typed(project, "-m", "pytest", *options, PYTHONPATH=f"{project}:{ROOT}")


@pytest.mark.postgres
def test_its_demo_runs_as_installed(project: Path, postgres_url: str, tmp_path: Path) -> None:
    path = f"{install(project, tmp_path / 'installed')}:{ROOT}"
    printed = typed(tmp_path, "-m", "my_shop.demo", GOCONDUCTOR_DATABASE_URL=postgres_url, PYTHONPATH=path)
    declined = "compensated: step 'charge': RefusedError: the card of ann is declined"
    assert printed.splitlines() == ["completed: order 1 is confirmed", declined]


def test_compose_and_the_chart_take_what_it_writes(project: Path) -> None:
    composed = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))
    resolved = yaml.safe_dump({name: part for name, part in composed.items() if not name.startswith("x-")})
    assert set(PyCompose.from_yaml(resolved).to_dict()["services"]) == {"postgres", "migrate", "server", "orders", "payments"}
    values = yaml.safe_load((project / "chart-values.yaml").read_text("utf-8"))
    schema = yaml.safe_load((ROOT / "helm" / "goconductor" / "values.schema.json").read_text("utf-8"))
    assert set(values) <= set(schema["properties"])
    assert sorted(values["participants"]) == ["orders", "payments"]


@pytest.mark.parametrize("name", NONSENSE)
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    code, output = init("--folder", str(tmp_path / "goal"), "--", name)
    assert code == 2
    assert "cannot name a project" in output
    assert not (tmp_path / "goal").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    code, output = init("my-shop", "--folder", str(tmp_path))
    assert (code, [path.name for path in tmp_path.iterdir()]) == (2, ["mine.txt"])
    assert "nothing was written" in output
    code, output = init("my-shop", "--folder", str(tmp_path / "mine.txt"))
    assert code == 2
    code, output = init("my-shop", "--folder", str(tmp_path / "mine.txt" / "below"))
    assert code == 2
    assert "cannot be written" in output or "nothing was written" in output
