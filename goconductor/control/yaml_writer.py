"""Writes a document as YAML that every reader of YAML 1.2, and of 1.1, takes for the same values.

A text stands without quotes only where neither could take it for a number, a word of YAML or a date.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

_PLAIN = re.compile(r"[A-Za-z$][\w.$/-]*(?: [\w.$/-]+)*", re.ASCII)
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_WIDTH = 100
"""Characters in a line before it is folded."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (as PyYAML calls it)
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  (as PyYAML calls it)
        super().increase_indent(flow, indentless=False)


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


def _number(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", json.dumps(value))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)


def write_yaml(document: Any) -> str:
    """Write a document.

    Args:
        document: None, bool, int, float, str, list and dict.
    """
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text
