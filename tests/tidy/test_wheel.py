"""The wheel is what users get: it has all that is needed, nothing else, and works without the source tree."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from goconductor.stores.postgres.database.migrating import scripts

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "goconductor"
MIGRATIONS = ROOT / "migrations"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, as a release is built: an sdist, and the wheel from that."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture
def unpacked(wheel: Path, tmp_path: Path) -> Path:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def run(script: str, home: Path) -> str:
    environment = {"PYTHONPATH": str(home), "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", script], cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_has_every_file_of_the_package_and_no_other(names: set[str]) -> None:
    """Types' mark and migrations included."""
    expected = {f"goconductor/{name}" for name in files(PACKAGE)} | {
        f"goconductor/migrations/{name}" for name in files(MIGRATIONS)
    }
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "goconductor/py.typed" in names


def test_it_carries_the_licence(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_it_works_without_the_source_tree(unpacked: Path) -> None:
    script = (
        "import goconductor; from goconductor import plugins; print(goconductor.__file__);"
        "[plugins.load(kind, name) for kind in plugins.GROUPS for name in plugins.installed(kind)]"
    )
    assert Path(run(script, unpacked)).is_relative_to(unpacked)


def test_checkout_sdist_and_wheel_have_the_same_migrations(built: Path, unpacked: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (sdist,) = (tmp_path / "sdist").iterdir()
    assert scripts() == MIGRATIONS
    assert files(sdist / "migrations") == files(unpacked / "goconductor" / "migrations") == files(MIGRATIONS)
    found = "from goconductor.stores.postgres.database.migrating import scripts; print(scripts())"
    assert Path(run(found, sdist)) == sdist / "migrations"
    assert Path(run(found, unpacked)) == unpacked / "goconductor" / "migrations"


@pytest.mark.postgres
def test_the_wheel_migrates_a_database(unpacked: Path, postgres_url: str) -> None:
    schema = f"wheel_{secrets.token_hex(6)}"
    script = f"""
import asyncio, json
from goconductor.stores.postgres import PostgresStore
from goconductor.stores.postgres.database.revisions import REVISIONS
store = PostgresStore({postgres_url!r}, schema={schema!r})
async def main():
    await store.migrate()
    await store.open()
    await store.close()
asyncio.run(main())
print(json.dumps(REVISIONS))
"""
    assert f"v{json.loads(run(script, unpacked))[-1]}" == max(path.name[:5] for path in MIGRATIONS.glob("versions/v*.py"))
