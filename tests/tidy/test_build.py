"""A compiled build means the same as pure Python. Each test holds for both: ``make test-compiled`` has the wheel."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import subprocess
import sys
import tomllib
import traceback
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from uuid import UUID

import pytest

import goconductor
from goconductor import builds
from goconductor.control.doctor import CheckOutcome
from goconductor.control.doctor.build import of_build
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.replay import replay
from goconductor.saga.definition import Definition, Step
from goconductor.saga.plan import plan
from hatch_build import chosen, module_of

ROOT = Path(__file__).parents[2]
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
SHOULD_BE_COMPILED = os.environ.get("GOCONDUCTOR_TEST_BUILD") == "compiled"
INSTALLED = Path(goconductor.__file__).parents[1]
RESERVE, PAY = Step(id="reserve", run="stock.reserve"), Step(id="pay", run="bank.pay", after=("reserve",))
PLAN = plan(Definition(name="order", steps=(RESERVE, PAY)))
ID = UUID(int=7)


def should_be_compiled() -> list[str]:
    return [module_of(source) for source in chosen(INSTALLED, HOOK)]


def test_every_module_that_should_be_compiled_is_and_no_other() -> None:
    """Of the installed package, whose sources are in the wheel as well."""
    expected = should_be_compiled()
    assert "goconductor.lifecycle.decide" in expected
    assert "goconductor.lifecycle.facts.state" not in expected
    native = [name for name in expected if str(import_module(name).__file__).endswith(tuple(EXTENSION_SUFFIXES))]
    assert native == (expected if SHOULD_BE_COMPILED else [])
    assert builds.build() == (tuple(native), ())


def test_a_pattern_that_means_no_file_fails_the_build() -> None:
    with pytest.raises(ValueError, match=r"'goconductor/gone/\*\.py', among the modules to compile"):
        chosen(INSTALLED, {"modules": ["goconductor/gone/*.py"], "pure": []})


def test_the_version_names_the_build() -> None:
    script = "import sys; from goconductor.cli import main; sys.argv[1:] = ['--version']; main()"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == f"{goconductor.__version__} ({'compiled' if SHOULD_BE_COMPILED else 'pure Python'})\n"


def test_the_doctor_names_the_build_and_what_is_lost_of_it() -> None:
    assert (of_build(builds.build()).outcome, of_build(builds.build()).saw) == (CheckOutcome.SOUND, str(builds.build()))
    hurt = of_build(builds.Build(("a.b", "a.c"), ("a.c",)))
    assert hurt.outcome is CheckOutcome.WARNING
    assert [(each.what, each.remedy) for each in hurt.findings] == [
        ("compiled, but 1 of 2 modules are not: a.c", "install the wheel again; until then sagas take more CPU")
    ]


def test_a_module_whose_machine_code_is_lost_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "compiled.txt"
    listed.write_text("goconductor.errors\n_struct_that_is_not_there\n")
    monkeypatch.setattr(builds, "LISTED", listed)
    found = builds.build()
    assert found.lost == found.compiled == ("goconductor.errors", "_struct_that_is_not_there")
    assert str(found) == "compiled, but 2 of 2 modules are not"


# --- both mean the same


def test_names_know_their_modules_and_parameters() -> None:
    assert (decide.__module__, decide.__name__, decide.__qualname__) == ("goconductor.lifecycle.decide", "decide", "decide")
    assert list(inspect.signature(decide).parameters) == ["plan", "state", "event", "log"]
    assert inspect.signature(decide).parameters["log"].default is None
    assert (Fold.__module__, Fold.__qualname__) == ("goconductor.lifecycle.fold", "Fold")


def test_a_decision_survives_pickling_and_is_equal() -> None:
    made = begin(PLAN, ID, e.SagaStarted(input=None, at=1.0))
    assert pickle.loads(pickle.dumps(made)) == made
    assert made == begin(PLAN, ID, e.SagaStarted(input=None, at=1.0))


def test_an_error_is_told_with_the_place_where_it_was_raised() -> None:
    state = begin(PLAN, ID, e.SagaStarted(input=None, at=1.0)).state
    with pytest.raises(RequestRefusedError) as refused:
        decide(PLAN, state, e.ResumeRequested(by="ann", at=2.0))
    assert str(refused.value) == f"saga {ID} is queued; only paused sagas can be resumed"
    frames = traceback.extract_tb(refused.value.__traceback__)
    assert [frame.name for frame in frames[-2:]] == ["decide", "apply"]
    assert frames[-1].filename.endswith("goconductor/lifecycle/decide.py")
    lines = (INSTALLED / "goconductor/lifecycle/decide.py").read_text().splitlines()
    assert lines[(frames[-1].lineno or 0) - 1].strip().startswith("raise ")


def test_nothing_that_users_may_subclass_is_compiled() -> None:
    """Python refuses a subclass of a compiled class."""
    compiled = should_be_compiled()
    public = {name: getattr(goconductor, name) for name in goconductor.__all__}
    assert [name for name, value in public.items() if isinstance(value, type) and value.__module__ in compiled] == []


def test_a_decision_can_be_made_in_threads_and_tasks() -> None:
    async def both() -> list[object]:
        event = e.SagaStarted(input=None, at=1.0)
        return await asyncio.gather(*(asyncio.to_thread(begin, PLAN, ID, event) for _ in range(8)))

    made = asyncio.run(both())
    assert all(each == made[0] for each in made)


def test_a_log_is_replayed_as_it_was_decided() -> None:
    started = begin(PLAN, ID, e.SagaStarted(input=None, at=1.0))
    after = decide(PLAN, started.state, e.ActionSucceeded("reserve", 1, output={"n": 2**70}, at=2.0))
    assert replay(PLAN, ID, [started.event, after.event]) == after.state
