"""Where in a file something is wrong: the line and column of what a fault names, for people whose editor shows lines.

A fault names its place by a path (``$.steps[0].run``), or by the id of a step. Both are looked up in the tree that YAML's parser
makes of the file; JSON is read by it as well. It is made only where there are faults.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

PLACED_BYTES_MAX = 256 * 1024
"""Greatest size of a file whose faults get lines, in bytes: for larger ones the parser takes seconds."""
_PATH = re.compile(r"\$(?:\.[^\s.\[\]:]+|\[[0-9]+\]|\['[^']*'\])*")
_PART = re.compile(r"\.(?P<name>[^\s.\[\]:]+)|\[(?P<index>[0-9]+)\]|\['(?P<text>[^']*)'\]")
_UNKNOWN_KEY = re.compile(r" has an unknown key '([^']*)'")
_STEP = re.compile(r"\b(?:step|map|repeat|group|switch|pivot) '([^']+)'")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def with_lines(data: bytes, problems: Sequence[str]) -> list[str]:
    """Return faults, each with the line and column of what it names; those whose place is not found as they are.

    Args:
        data: the file, YAML or JSON, which could be read.
        problems: what is wrong with it.
    """
    if len(data) > PLACED_BYTES_MAX:
        return [*problems]
    try:
        root = yaml.compose(data.decode(), Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError):
        return [*problems]
    if root is None:
        return [*problems]
    places = _Places(root)
    return [
        f"{each} (line {node.start_mark.line + 1}, column {node.start_mark.column + 1})" if node else each
        for each in problems
        for node in [places.of(each)]
    ]


class _Places:
    """Finds the places of faults. Each object is looked through once, as every step of a file may have a fault.

    Args:
        root: the tree of the file.
    """

    def __init__(self, root: Node) -> None:
        self._root = root
        self._fields: dict[MappingNode, dict[str, tuple[Node, Node]]] = {}
        """By the object each key and its value, under the name of the key."""

    def of(self, problem: str) -> Node | None:
        """Return what a fault names; None where that is not found."""
        if (path := _PATH.match(problem)) is not None:
            node = self._root
            for part in _PART.finditer(path[0]):
                below = self._below(node, part)
                if below is None:
                    break  # what is missing: the place around it
                node = below
            if (unknown := _UNKNOWN_KEY.match(problem, path.end())) is not None and isinstance(node, MappingNode):
                return self._fields_of(node).get(unknown[1], (node, node))[0]
            return node
        if (step := _STEP.search(problem)) is not None:
            found = self._called.get(step[1], [])
            return found[0] if len(found) == 1 else None
        return None

    def _below(self, node: Node, part: re.Match[str]) -> Node | None:
        if part["index"] is not None:
            number = int(part["index"])
            return node.value[number] if isinstance(node, SequenceNode) and number < len(node.value) else None
        name = part["name"] or part["text"]
        return self._fields_of(node).get(name, (None, None))[1] if isinstance(node, MappingNode) else None

    def _fields_of(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        if node not in self._fields:
            self._fields[node] = {key.value: (key, value) for key, value in node.value if isinstance(key, ScalarNode)}
        return self._fields[node]

    @cached_property
    def _called(self) -> dict[str, list[Node]]:
        """Return the values of all fields ``id``, by what they are: those of steps are among them."""
        found: dict[str, list[Node]] = {}
        waiting: list[Node] = [self._root]
        while waiting:
            node = waiting.pop()
            if isinstance(node, SequenceNode):
                waiting += node.value
            elif isinstance(node, MappingNode):
                for key, value in node.value:
                    if key.value == "id" and isinstance(value, ScalarNode):
                        found.setdefault(value.value, []).append(value)
                    waiting.append(value)
        return found
