"""Counts the contract tests that each leaf has passed, and fails the run where one passed fewer than its suite has.

A leaf's tests are those that it inherits from a suite in goconductor.testing.contracts; its name stands in the file name, as
in ``test_bus_postgres.py``. A test that a leaf hides behind one of its own is missing, and so is one that was skipped.

Tests may run in several processes. So what is known of a test where it was collected travels with its report, as its
properties, and is counted where the reports arrive.
"""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from importlib import import_module
from pkgutil import walk_packages
from typing import cast

import pytest

from goconductor import plugins
from goconductor.testing import contracts

SUITES = f"{contracts.__name__}."
REAL_SERVERS = ("postgres", "kafka", "kinesis", "sqs", "rabbitmq", "nats", "etcd", "zookeeper")
"""The markers of tests on real servers, which are never skipped."""
REAL, CONTRACT, PROBLEM = "real server", "contract", "problem"
"""The names of the properties that travel with a report."""
Leaf = tuple[str, str]


class PerLeaf:
    """The plugin behind ``--per-leaf``."""

    def __init__(self) -> None:
        self._passed: defaultdict[Leaf, Counter[str]] = defaultdict(Counter)
        self._problems: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note whose contract test an item is, and whether it is about a real server."""
        for item in items:
            if any(map(item.get_closest_marker, REAL_SERVERS)):
                item.user_properties.append((REAL, True))
            function = getattr(item, "function", None)
            if function is not None and function.__module__.startswith(SUITES):
                kind = function.__module__.removeprefix(SUITES).split(".")[0]
                words = set(item.path.stem.split("_"))
                found = {name for name in plugins.installed(kind) if words >= set(name.split("_"))}
                names = {name for name in found if not any(set(name.split("_")) < set(other.split("_")) for other in found)}
                if len(names) == 1:
                    item.user_properties.append((CONTRACT, [kind, names.pop(), function.__qualname__]))
                else:
                    problem = f"{item.path.name} does not name one {kind}: call it test_{kind}_<leaf>.py"
                    item.user_properties.append((PROBLEM, problem))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what passed; a real server's test that was skipped is a problem."""
        noted = dict(report.user_properties)
        if PROBLEM in noted:
            self._problems.append(str(noted[PROBLEM]))
        if report.skipped and REAL in noted:
            self._problems.append(f"{report.nodeid} was skipped")
        if report.when == "call" and report.passed and CONTRACT in noted:
            kind, name, test = cast("list[str]", noted[CONTRACT])
            self._passed[kind, name][test] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare with the suites, in the process that sees all reports."""
        if hasattr(session.config, "workerinput"):
            return
        for kind, name in leaves():
            wanted = suite(kind)
            if not wanted:
                self._problems.append(f"{kind}/{name} has no contract suite: {SUITES}{kind} is missing")
            if missing := sorted(wanted - self._passed[kind, name].keys()):
                self._problems.append(f"{kind}/{name} did not pass {len(missing)} tests: {', '.join(missing[:3])} ...")
        if self._problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print one line per leaf, then what is wrong."""
        terminalreporter.section("contract tests passed per leaf")
        for leaf in leaves():
            passed = self._passed[leaf]
            terminalreporter.line(f"{'/'.join(leaf):20} {passed.total():4} runs, {len(passed)} of {len(suite(leaf[0]))} tests")
        for problem in dict.fromkeys(self._problems):
            terminalreporter.line(f"ERROR {problem}", red=True)


def leaves() -> list[Leaf]:
    """Every leaf that is installed, with its kind."""
    return [(kind, name) for kind in plugins.GROUPS for name in plugins.installed(kind)]


def suite(kind: str) -> set[str]:
    """The names of the tests that a leaf of this kind must pass."""
    modules = [module.name for module in walk_packages(contracts.__path__, SUITES)]
    return {
        test.__qualname__
        for name in modules
        if name.removeprefix(SUITES).split(".")[0] == kind
        for _, contract in inspect.getmembers(import_module(name), inspect.isclass)
        for test in vars(contract).values()
        if inspect.isfunction(test) and test.__name__.startswith("test_")
    }
