"""Where in a file something is wrong: the line and column of what a fault names, for people whose editor shows lines.

A fault names its place by a path (``$.steps[0].run``), or by the id of a step. Both are looked up in the tree that YAML's parser
makes of the file; JSON is read by it as well. It is made only where there are faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

PLACED_BYTES_MAX = 256 * 1024
"""Greatest size of a file whose faults get lines, in bytes: for larger ones the parser takes seconds."""
_PATH = re.compile(r"\$(?:\.[^\s.\[\]:]+|\[[0-9]+\]|\['[^']*'\])*")
_PART = re.compile(r"\.(?P<name>[^\s.\[\]:]+)|\[(?P<index>[0-9]+)\]|\['(?P<text>[^']*)'\]")
_UNKNOWN_KEY = re.compile(r" has an unknown key '([^']*)'")
_STEP = re.compile(r"\b(?:step|map|repeat|group|switch) '([^']+)'")
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
    return [
        f"{each} (line {node.start_mark.line + 1}, column {node.start_mark.column + 1})" if node else each
        for each in problems
        for node in [_place(root, each)]
    ]


def _place(root: Node | None, problem: str) -> Node | None:
    if root is None:
        return None
    if (path := _PATH.match(problem)) is not None:
        node = root
        for part in _PART.finditer(path[0]):
            below = _below(node, part)
            if below is None:
                break  # what is missing: the place around it
            node = below
        if (unknown := _UNKNOWN_KEY.match(problem, path.end())) is not None and isinstance(node, MappingNode):
            return next((key for key, _ in node.value if key.value == unknown[1]), node)
        return node
    if (step := _STEP.search(problem)) is not None:
        found = [*_called(root, step[1])]
        return found[0] if len(found) == 1 else None
    return None


def _below(node: Node, part: re.Match[str]) -> Node | None:
    if part["index"] is not None:
        number = int(part["index"])
        return node.value[number] if isinstance(node, SequenceNode) and number < len(node.value) else None
    name = part["name"] or part["text"]
    return next((value for key, value in node.value if key.value == name), None) if isinstance(node, MappingNode) else None


def _called(root: Node, step: str) -> Iterator[Node]:
    """Yield the objects in a document whose ``id`` is that of a step."""
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, SequenceNode):
            waiting += node.value
        elif isinstance(node, MappingNode):
            for key, value in node.value:
                if key.value == "id" and isinstance(value, ScalarNode) and value.value == step:
                    yield value
                waiting.append(value)
