"""Leaves are found by entry point, ours like anybody's."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from goconductor import plugins
from goconductor.errors import PluginNotFoundError

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
OURS = [(kind, name) for kind, group in plugins.GROUPS.items() for name in PROJECT["entry-points"][group]]


def test_every_group_of_leaves_is_a_kind() -> None:
    assert set(plugins.GROUPS.values()) == set(PROJECT["entry-points"]) - {"pytest11"}


@pytest.mark.parametrize(("kind", "name"), OURS)
def test_our_leaves_are_installed_and_can_be_loaded(kind: str, name: str) -> None:
    assert name in plugins.installed(kind)
    assert plugins.load(kind, name).__name__ == PROJECT["entry-points"][plugins.GROUPS[kind]][name].split(":")[1]


@pytest.mark.parametrize("kind", plugins.GROUPS)
def test_an_unknown_leaf_is_answered_with_those_that_there_are(kind: str) -> None:
    with pytest.raises(PluginNotFoundError) as caught:
        plugins.load(kind, "carrier-pigeon")
    assert "'carrier-pigeon'" in str(caught.value)
    assert ", ".join(plugins.installed(kind)) in str(caught.value)


def test_a_third_partys_leaf_is_found_like_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", others("collections:OrderedDict"))
    assert plugins.installed("bus") == ["pulsar"]
    assert plugins.load("bus", "pulsar").__name__ == "OrderedDict"


def test_a_leaf_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", others("no_such_library:PulsarBus"))
    with pytest.raises(PluginNotFoundError, match=r"no_such_library.*pip install 'goconductor\[pulsar\]'"):
        plugins.load("bus", "pulsar")


def others(value: str) -> object:
    return lambda group: [EntryPoint("pulsar", value, group)]
