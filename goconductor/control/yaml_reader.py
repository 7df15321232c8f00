"""Reads YAML and JSON from people strictly: settings and definitions.

YAML is read by its 1.2 core schema, so that ``no`` and ``on`` are words, ``010`` is ten and a date is a string. Nothing names
code. Refused are aliases (a kilobyte of them can stand for terabytes; nothing that we read needs them), duplicate keys, of which
the first would be lost silently, and files beyond a size. An error names the place, never the value there: it may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, ClassVar

import yaml
from yaml.nodes import MappingNode, ScalarNode

SETTINGS_BYTES_MAX = 256 * 1024
DEFINITION_BYTES_MAX = 1024 * 1024


class DocumentError(ValueError):
    """The document cannot be read; names the place and the remedy."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (as typeshed has it)
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise _problem("uses an alias", self.peek_event().start_mark, "write the value out")  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def mapping(self, node: MappingNode) -> dict[Hashable, Any]:
        made: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _problem("has a key that is no word", key_node.start_mark, "write it in quotes")
            if key in made:
                raise _problem("has a key that stood before", key_node.start_mark, "keep one of the two")
            made[key] = self.construct_object(value_node, deep=True)
        return made

    def sequence(self, node: Any) -> list[Any]:
        return [self.construct_object(item, deep=True) for item in node.value]

    def text(self, node: ScalarNode) -> str:
        return str(node.value)

    def unknown(self, node: Any) -> Any:
        raise _problem("has a tag that is not YAML's own", node.start_mark, "remove the tag; write a plain value")


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), list(first))


_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("null", "~|null|Null|NULL|", "~nN\0")
_Loader.yaml_implicit_resolvers.setdefault("", _Loader.yaml_implicit_resolvers["\0"])
_resolve("int", "[-+]?[0-9]+", "-+0123456789")
_resolve("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789")

_Loader.add_constructor("tag:yaml.org,2002:bool", lambda _, node: node.value.lower() == "true")
_Loader.add_constructor("tag:yaml.org,2002:null", lambda _, __: None)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))
_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.text)
_Loader.add_constructor("tag:yaml.org,2002:seq", _Loader.sequence)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.mapping)
_Loader.add_constructor(None, _Loader.unknown)


def read_yaml(data: bytes | str, *, bytes_max: int) -> Any:
    """Read one YAML document as None, bool, int, float, str, list and dict.

    Args:
        data: YAML 1.2, of which JSON is a part; UTF-8 where it is bytes.
        bytes_max: the longest document allowed, in bytes.

    Raises:
        DocumentError: it cannot be read.
    """
    size = len(data)
    if size > bytes_max:
        raise DocumentError(f"is {size:,} bytes, at most {bytes_max:,} are allowed; keep large values elsewhere")
    try:
        return yaml.load(data if isinstance(data, str) else data.decode(), _Loader)  # noqa: S506  (derived from SafeLoader)
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except RecursionError:
        raise DocumentError("is nested too deeply; write it flatter") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _problem("is not YAML", mark, "look at the indentation, quotes and brackets there") from None
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError):
        raise DocumentError(
            "is not YAML: it holds a character or a number that cannot be read; remove it, or write it in quotes"
        ) from None


def _problem(what: str, mark: Any, remedy: str) -> DocumentError:
    where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
    return DocumentError(f"{what}{where}; {remedy}")
