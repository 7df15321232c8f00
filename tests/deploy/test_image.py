"""The image's recipe: linted, made of what is pinned, its commands run here. Where an engine answers it is built and run, too."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

import pytest
import yaml

from goconductor.stores.postgres import migrate
from goconductor.testing.loopback import free_port
from tests.deploy.helm import CHART, ROOT

DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text("utf-8").replace("\\\n", "")
FINAL = TEXT.rpartition("\nFROM ")[2]
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
TAG = "goconductor:test"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def lint(text: str) -> subprocess.CompletedProcess[str]:
    command = ["hadolint", "--failure-threshold", "style", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env={"PATH": PATH})


def pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9_.-]+)==([^\s;]+)", (ROOT / "requirements" / name).read_text("utf-8"), re.MULTILINE)
    return dict(found)


def instruction(name: str) -> str:
    """The arguments of the only instruction of that name in the final stage."""
    (found,) = re.findall(rf"^{name} (.*)$", FINAL, re.MULTILINE)
    return str(found)


def environment() -> dict[str, str]:
    """What the image sets, but for its PATH."""
    return dict(pair.split("=", 1) for pair in shlex.split(instruction("ENV")) if not pair.startswith("PATH="))


def test_the_linter_finds_nothing() -> None:
    done = lint(DOCKERFILE.read_text("utf-8"))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_finds_what_is_wrong() -> None:
    assert "DL3002" in lint(DOCKERFILE.read_text("utf-8").replace("USER 10001:10001", "USER root")).stdout


def test_it_is_made_of_the_versions_that_the_tests_run_with() -> None:
    tested = pins("dev.lock")
    assert len(pins("image.lock")) > 50
    for each in ("image.lock", "build.lock"):
        assert pins(each).items() <= tested.items()


def test_it_has_all_that_the_package_needs() -> None:
    """A new dependency is in the image's lock too: make lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (extras,) = re.findall(r"^OF_THE_IMAGE := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    needed = [*project["dependencies"], *(each for extra in extras.split() for each in project["optional-dependencies"][extra])]
    names = {re.split(r"[\[>=<;]", each)[0].strip() for each in needed}
    assert names <= set(pins("image.lock"))
    leaves = {name for port in ("buses", "elections") for name in project["entry-points"][f"goconductor.{port}"]}
    assert leaves & set(project["optional-dependencies"]) <= set(extras.split())


def test_what_it_copies_reaches_the_builder() -> None:
    (ignored, *let_through) = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and not line.startswith(("#", "**"))
    ]
    assert ignored == "*"
    copied = {path for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE) for path in line.split()[:-1]}
    assert {f"!{path}" for path in copied} == set(let_through)
    assert all((ROOT / path).exists() for path in copied)


def test_it_runs_as_the_user_of_the_chart() -> None:
    security = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["podSecurityContext"]
    assert instruction("USER") == f"{security['runAsUser']}:{security['runAsGroup']}"


def test_it_and_the_chart_have_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert re.findall(r"^ARG VERSION=(.*)$", FINAL, re.MULTILINE) == [VERSION]
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


@pytest.mark.postgres
async def test_its_command_serves_and_its_health_check_sees_that(tmp_path: Path, postgres_url: str) -> None:
    await migrate(postgres_url)
    variables = {**environment(), "PATH": PATH, "GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_REST_PORT": "0"}
    assert variables["GOCONDUCTOR_HEALTH_PORT"] == "8081"
    variables["GOCONDUCTOR_HEALTH_PORT"] = str(free_port())
    check = json.loads(instruction("HEALTHCHECK").partition(" CMD ")[2])

    async def healthy() -> bool:
        return await (await create_subprocess_exec(*check, env=variables, stderr=PIPE)).wait() == 0

    assert not await healthy()
    serving = await create_subprocess_exec(*json.loads(instruction("CMD")), cwd=tmp_path, env=variables, stdout=PIPE)
    assert serving.stdout is not None
    assert (await serving.stdout.readline()).startswith(b"REST on ")
    assert await healthy()
    serving.send_signal(signal.SIGTERM)
    assert await serving.wait() == 0
    assert not await healthy()


@pytest.mark.slow
def test_its_instructions_make_a_whole_environment_without_an_engine(tmp_path: Path) -> None:
    """In folders and a Python of this machine's own: what is copied, downloaded, checked, built and installed is the same."""
    if not os.environ.get("GOCONDUCTOR_TEST_IMAGE"):
        pytest.skip("the image's build was not followed, as it downloads some 70 packages: make test-all does it")
    place, python = tmp_path / "opt", tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", python], check=True)
    stage = TEXT.partition("\nFROM ")[2].partition("\nFROM ")[0]
    for line in stage.splitlines():
        command, _, arguments = line.partition(" ")
        if command == "COPY":
            *sources, target = arguments.split()
            for source in sources:
                goal = tmp_path / "build" / target / ("" if (ROOT / source).is_dir() else Path(source).name)
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(ROOT / source, goal) if (ROOT / source).is_dir() else shutil.copy(ROOT / source, goal)
        elif command == "RUN":
            here = arguments.replace("/opt/goconductor", str(place))
            subprocess.run(
                ["sh", "-c", here], cwd=tmp_path / "build", check=True, env={"PATH": f"{python}/bin:{os.environ['PATH']}"}
            )
    told = subprocess.run([place / "bin" / "goconductor", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"{VERSION} (pure Python)"
    parts = (
        "from goconductor import plugins; import goconductor.rest.app, goconductor.observe.traces;"
        "[plugins.load(kind, name) for kind in ('bus', 'store', 'election') for name in plugins.installed(kind)]"
    )
    subprocess.run([place / "bin" / "python", "-c", parts], check=True, cwd=tmp_path)


def test_an_engine_builds_it_and_it_runs_without_rights() -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("the image was not built, and compose.yaml not started: no Docker engine answers")
    subprocess.run(["docker", "build", "--tag", TAG, ROOT], check=True, env={**os.environ, "DOCKER_BUILDKIT": "1"})
    confined = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"]
    run = ["docker", "run", "--rm", *confined, TAG]
    told = subprocess.run([*run, "goconductor", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"{VERSION} (pure Python)"
    assert subprocess.run([*run, "id", "-u"], capture_output=True, text=True, check=True).stdout.strip() == "10001"
    assert subprocess.run([*run, "sh", "-c", "command -v cc gcc c++ make"], check=False).returncode != 0
