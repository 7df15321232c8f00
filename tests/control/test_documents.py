"""YAML by its 1.2 core schema: what looks like a word is one."""

from __future__ import annotations

import pytest

from goconductor.control.yaml_reader import DocumentError, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("010", 10),
        ("+5", 5),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        (".inf", ".inf"),
        ("'5'", "5"),
        ("a: [1, {b: c}]", {"a": [1, {"b": "c"}]}),
        ('{"a": [1, 2.5, null, "x"]}', {"a": [1, 2.5, None, "x"]}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
    ],
)
def test_yaml_means_what_it_looks_like(text: str, value: object) -> None:
    read = read_yaml(text, bytes_max=1000)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text", ["!!int x", "!!float x", "9" * 5000, "a: 1\n---\na: 2", "!!binary aGk=", "!!set {a}", "? [a]\n: 1"]
)
def test_what_is_not_plain_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        read_yaml(text, bytes_max=10_000)
