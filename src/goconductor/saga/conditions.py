"""Conditions: CEL expressions over the saga's input and the outputs of its steps.

::

    input.total_cents > 10000 && steps["payments-charge"].output.country in ["DE", "AT"]

A condition is data, written by one team and evaluated inside the processes of others, on input that comes from anybody. The
evaluator is Google's (C++), in this process: it can be neither interrupted nor given a memory limit, and its own budget
counts the iterations of comprehensions, nothing else. So the cost is bounded *before* an expression sees data.

By the text alone are refused: more than `SOURCE_MAX` characters; a comprehension (all, exists, exists_one, map, filter)
inside another, or after a ``map`` (a chain of maps doubles its data with each link); regular expressions that are not
literals, or name Unicode categories (1.5 ms to compile, each time); a type that is not bool. The parser itself allows 32
levels of nesting.

By the data: depth, items per list, nodes and characters, and whatever cannot be kept at all. Last, a bound of the work, in
bytes that may be read or copied::

    work  = operations * operands * reach  +  maps and filters * iterations² * 16
    reach = size of what is named outside of comprehensions  +  iterations * size of what is named inside of them

An operation (a comparison, a ``+``, a function) reads or copies each operand once, no operand is larger than all that is
named, and the elements that a comprehension visits are together no larger than the list they are in. A ``map`` or
``filter`` copies its result with every element. A byte takes up to 4 ns, so `WORK_MAX` is half a second.

Conversion of data is eager, so only the parts that an expression names are handed over.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from goconductor.errors import ConditionError, PayloadError
from goconductor.saga.values import check_value

SOURCE_MAX = 4_096
ITEMS_MAX = 1_000
NODES_MAX = 20_000
CHARACTERS_MAX = 256 * 1024
WORK_MAX = 128 * 1024 * 1024
_ITERATIONS_MAX = 10_000  # CEL's own budget
_NODE_BYTES = 32
_LESS_DATA = "name a smaller part of the data, or compute the answer in a step and ask for its output"

_Path = tuple[str, ...]


@lru_cache(maxsize=1_024)
def compile_condition(source: str) -> Condition:
    """Compiles a condition; the same text again costs nothing.

    Args:
        source: a CEL expression over ``input`` and ``steps``.

    Raises:
        ConditionError: it does not compile, may cost too much on any data, or is no question; says where, and the remedy.
    """
    return Condition(source)


def matches(pattern: str, text: str) -> bool:
    """Whether a regular expression (RE2: linear time, no look-around) matches anywhere in a text.

    Raises:
        ConditionError: it is none, or too costly for this text.
    """
    return compile_condition(f"input.text.matches({json.dumps(pattern)})").holds({"input": {"text": text}})


class Condition:
    """A compiled condition, made by `compile_condition`; safe to share between threads.

    Attributes:
        source: its text.
        steps: the ids of the steps that it certainly asks for (``steps.charge``, ``steps["charge"]``).
    """

    __slots__ = ("_program", "_shape", "_tree", "source", "steps")

    def __init__(self, source: str) -> None:
        self.source = source
        if len(source) > SOURCE_MAX:
            raise ConditionError(source, f"has {len(source):,} characters, at most {SOURCE_MAX:,} are allowed; ask it in a step")
        try:
            check_value(source)
        except PayloadError as error:
            raise ConditionError(source, error.problem) from None
        self._shape = _Shape(source)
        self._program = _program(source)
        paths = {*self._shape.outside, *self._shape.inside}
        self._tree = _tree(paths) or {}
        self.steps = frozenset(path[1] for path in paths if path[0] == "steps" and len(path) > 1)

    def holds(self, data: Mapping[str, Any]) -> bool:
        """Whether the condition holds on this data; always the same answer for the same data.

        Args:
            data: ``{"input": …, "steps": {step_id: {"output": …, "skipped": bool}}}``, made of JSON values.

        Raises:
            ConditionError: the data is too large or cannot be kept, a field is missing, types do not fit, or the answer is
                not a bool.
        """
        named = {root: _select(data[root], tree) for root, tree in self._tree.items() if root in data}
        self._check(named)
        try:
            answer = self._program.eval(data=named)
            kind = answer.type().name()
            if kind == "BOOL":
                return answer.value() is True
            problem = str(answer.value()) if kind in {"ERROR", "UNKNOWN"} else f"it gives {kind}, not a bool; compare it"
        except Exception as error:  # noqa: BLE001  the binding turns what the C++ throws into one type or another
            problem = str(error)
        remedy = "; where it may be missing, ask has(…) first" if "not found" in problem else ""
        raise ConditionError(self.source, f"cannot be evaluated on this data: {problem[:300]}{remedy}")

    def _check(self, named: dict[str, Any]) -> None:
        try:
            whole, longest = _measure(named)
            for root, value in named.items():  # after measuring, which ends on any data
                check_value(value, path=f"$.{root}")
            shape = self._shape
            work = shape.work(whole * len(shape.outside), whole * len(shape.inside), longest)
            if work > WORK_MAX:  # by the coarse bound: measure what is named each time
                outside = sum(_measure(_part(named, path))[0] for path in shape.outside)
                inside = sum(_measure(_part(named, path))[0] for path in shape.inside)
                work = shape.work(outside, inside, longest)
        except PayloadError as error:
            raise ConditionError(self.source, f"cannot be evaluated on this data: {error}") from None
        if work > WORK_MAX:
            problem = f"may take {work:,} bytes of work on this data, at most {WORK_MAX:,} are allowed; {_LESS_DATA}"
            raise ConditionError(self.source, problem)


# --- the compiler

_COMPLAINT = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


@lru_cache(maxsize=1)
def _environment() -> Any:
    from cel_expr_python import cel  # noqa: PLC0415  (six megabytes, which who has no conditions is spared)

    return cel.NewEnv(variables={"input": cel.Type.DYN, "steps": cel.Type.DYN})


def _program(source: str) -> Any:
    environment = _environment()
    try:
        program = environment.compile(source)
        kind = program.return_type().name()
    except Exception as error:  # noqa: BLE001  as above
        raise ConditionError(source, f"does not compile: {_complaints(str(error))}") from None
    if kind not in {"BOOL", "DYN"}:
        raise ConditionError(source, f"gives {kind}, not a bool; compare it with something")
    return program


def _complaints(text: str) -> str:
    found = []
    for line, column, complaint in _COMPLAINT.findall(text):
        at = f"line {line}, column {column}: " if int(line) > 0 else ""
        found.append(at + re.split(r" expecting \{| \[[A-Z_]+\]$", complaint)[0])
    return "; ".join(dict.fromkeys(found[:3])) or text


# --- the data


def _select(value: Any, tree: dict[str, Any] | None) -> Any:
    if tree is None or type(value) is not dict:
        return value
    return {key: _select(value[key], below) for key, below in tree.items() if key in value}


def _tree(paths: set[_Path]) -> dict[str, Any] | None:
    """What the paths name, as nested dicts; None stands for everything from there on."""
    if () in paths:
        return None
    return {first: _tree({path[1:] for path in paths if path[0] == first}) for first in {path[0] for path in paths}}


def _part(value: Any, path: _Path) -> Any:
    for key in path:
        if type(value) is not dict:
            break
        value = value.get(key)
    return value


def _measure(value: object) -> tuple[int, int]:
    """Size in bytes, and the items of the longest list or dict.

    Raises:
        PayloadError: more than a condition may see.
    """
    nodes = characters = longest = 0
    stack: list[Any] = [value]
    while stack:
        current = stack.pop()
        kind = type(current)
        nodes += 1
        if kind is str:
            characters += len(current)
        elif kind is dict or kind is list or kind is tuple:
            length = len(current)
            longest = max(longest, length)
            if length > ITEMS_MAX:
                raise PayloadError(
                    "$", f"has {length:,} items in one {kind.__name__}, at most {ITEMS_MAX:,} are seen; {_LESS_DATA}"
                )
            if kind is dict:
                characters += sum(len(key) for key in current if type(key) is str)
                current = current.values()
            stack.extend(current)
        if nodes > NODES_MAX:
            raise PayloadError("$", f"has more than {NODES_MAX:,} values; {_LESS_DATA}")
        if characters > CHARACTERS_MAX:
            raise PayloadError("$", f"has more than {CHARACTERS_MAX:,} characters; {_LESS_DATA}")
    return characters + nodes * _NODE_BYTES, longest


# --- the text


class _Token(NamedTuple):
    kind: str  # string, raw, bytes, number, name, field, mark; end at both ends
    text: str  # of a string or field what stands between the quotes


_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n\f]+|//[^\n]*)
      | (?P<raw>(?P<raw_prefix>[rR][bB]?|[bB][rR])(?P<raw_quote>\"\"\"|\'\'\'|"|')(?P<raw_body>.*?)(?P=raw_quote))
      | (?P<string>(?P<prefix>[bB]?)(?P<quote>\"\"\"|\'\'\'|"|')(?P<body>(?:(?!(?P=quote))(?:\\.|[^\\]))*)(?P=quote))
      | (?P<number>0[xX][0-9a-fA-F]+[uU]?|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[uU]?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | `(?P<field>[^`\n]*)`
      | (?P<mark>&&|\|\||[=!<>]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_END, _DOT, _OPEN, _CLOSE, _IN = (
    _Token("end", ""),
    _Token("mark", "."),
    _Token("mark", "("),
    _Token("mark", ")"),
    _Token("name", "in"),
)
_COMPREHENSIONS = {"all", "exists", "exists_one", "map", "filter"}
_OPERATIONS = {"+", "==", "!=", "<", "<=", ">", ">="}
_CONSTANTS = {"true", "false", "null"}
_REPEAT = re.compile(r"\{(\d*),?(\d*)\}")
_REPEATED_GROUP = re.compile(r"[)}]\{")
_CATEGORY = re.compile(r"\\[pP]")
_WIDE = re.compile(r"\.|\\[SDWx]|\[\^|\(\?|[^\x00-\x7f]")  # what becomes many states
_SPELT_CHARACTER = re.compile(r"\\[0-7xXuU]")


def _tokens(source: str) -> Iterator[_Token]:
    yield _END
    for match in _TOKEN.finditer(source):
        kind = str(match.lastgroup)
        if kind in {"raw", "string"}:
            is_bytes = "b" in (match["raw_prefix"] or match["prefix"] or "").lower()
            yield _Token("bytes" if is_bytes else kind, match["raw_body" if kind == "raw" else "body"])
        elif kind != "blank":
            yield _Token(kind, match[kind])
    yield from (_END, _END, _END)


class _Shape:
    """What the text of a condition says of its cost. More may be counted than is there, never less."""

    def __init__(self, source: str) -> None:
        self.outside: list[_Path] = []  # what is named outside of comprehensions
        self.inside: list[_Path] = []  # and inside of them, where every iteration may read it
        self.operations = 0  # what reads or copies its operands
        self.operands = 0  # names of data and of variables
        self.literals = 0  # bytes
        self.sums = 0  # each + outside of comprehensions, which may make a list longer
        self.comprehensions = 0
        self.copying = 0  # maps and filters
        self.pattern_compile = self.pattern_scan = 0  # bytes for each evaluation, and for each byte of text
        self._mapped = False
        self._source = source
        tokens = list(_tokens(source))
        brackets: list[bool] = []  # those that are open; True: the arguments of a comprehension
        for i, token in enumerate(tokens[1:-3], 1):
            if token.kind == "name":
                self._name(tokens, i, within=any(brackets))
            elif token.kind == "mark":
                self._mark(tokens[i - 1], token.text, tokens[i + 1], within=any(brackets))
                if token.text in "([{":
                    brackets.append(token == _OPEN and _is_comprehension(tokens, i - 1))
                elif token.text in ")]}" and brackets:
                    brackets.pop()
            elif token.kind != "number":
                self.literals += len(token.text)

    def work(self, outside: int, inside: int, longest: int) -> int:
        """An upper bound of the work, in bytes.

        Args:
            outside: size in bytes of what is named outside of comprehensions, each time that it is named.
            inside: likewise inside of them.
            longest: items of the longest list or dict.
        """
        each = max(longest, self.literals // _NODE_BYTES + 1) * (self.sums + 1) if self.comprehensions else 0
        iterations = min(_ITERATIONS_MAX, each * self.comprehensions)
        reach = outside + self.literals + iterations * (inside + self.literals)
        return (
            (self.operations + self.pattern_scan) * max(1, self.operands) * reach
            + self.pattern_compile * max(1, iterations)
            + self.copying * min(_ITERATIONS_MAX, each) ** 2 * 16
        )

    def _name(self, tokens: list[_Token], i: int, *, within: bool) -> None:
        before, (_, name), after = tokens[i - 1], tokens[i], tokens[i + 1]
        if _is_comprehension(tokens, i):
            self._comprehension(name, variable=tokens[i + 2].text, within=within)
        elif name == "in":
            self.operations += 1
        elif after == _OPEN:
            self.operations += name != "has"
            if name == "matches":
                self._pattern(before, tokens[i + 2], tokens[i + 3])
        elif before != _DOT and name not in _CONSTANTS:
            self.operands += 1
            if name in {"input", "steps"}:
                (self.inside if within else self.outside).append(_path(tokens, i))

    def _comprehension(self, name: str, *, variable: str, within: bool) -> None:
        if within:
            problem = f"has {name}(…) inside another comprehension, which multiplies the two; do one of them in a step"
            raise ConditionError(self._source, problem)
        if self._mapped:
            problem = f"has {name}(…) after a map(…), which may double the data with each; write the map last, or do it in a step"
            raise ConditionError(self._source, problem)
        if variable in {"input", "steps"}:
            raise ConditionError(self._source, f"has a variable of {name}(…) called {variable!r}, which is taken; rename it")
        self.comprehensions += 1
        self.copying += name in {"map", "filter"}
        self._mapped = name == "map"

    def _mark(self, before: _Token, mark: str, after: _Token, *, within: bool) -> None:
        is_operand = before.kind not in {"mark", "end"} and before != _IN
        if mark == "." and after.kind == "name" and not is_operand and before.text not in {")", "]", "}"}:
            raise ConditionError(self._source, f"has .{after.text} with nothing before the dot; write {after.text}")
        if mark == "{" and before.kind in {"name", "field"} and before != _IN:
            raise ConditionError(self._source, f"has the message {before.text}{{…}}; only lists and maps can be written")
        self.operations += mark in _OPERATIONS
        self.sums += mark == "+" and not within
        self.literals += _NODE_BYTES if mark == "," else 0

    def _pattern(self, before: _Token, pattern: _Token, after: _Token) -> None:
        if before != _DOT or pattern.kind not in {"string", "raw"} or after != _CLOSE:
            raise ConditionError(self._source, "has a regular expression that is no literal; write text.matches(r'…')")
        text = pattern.text
        if pattern.kind == "string" and _SPELT_CHARACTER.search(text.replace("\\\\", "")):
            raise ConditionError(
                self._source, "has a regular expression with escapes of its own; write it raw: text.matches(r'…')"
            )
        if _CATEGORY.search(text):
            raise ConditionError(
                self._source, r"has \p{…} in a regular expression, which is slow; write the characters: [a-zà-ÿ]"
            )
        repeats = [max(1, int(least or 0), int(most or 0)) for least, most in _REPEAT.findall(text)]
        times = math.prod(repeats) if _REPEATED_GROUP.search(text) else max(repeats, default=1)
        states = len(text) * times * (10 if _WIDE.search(text) else 1)
        self.pattern_compile += states * 100  # 0.4 µs a state, with each evaluation
        self.pattern_scan += states // 4


def _is_comprehension(tokens: list[_Token], i: int) -> bool:
    return tokens[i].kind == "name" and tokens[i].text in _COMPREHENSIONS and tokens[i - 1] == _DOT and tokens[i + 1] == _OPEN


def _path(tokens: list[_Token], i: int) -> _Path:
    """The root at ``i`` and the names that follow it, as far as they stand in the text."""
    path = [tokens[i].text]
    i += 1
    while True:
        mark, key, end = tokens[i : i + 3]
        if mark == _DOT and key.kind in {"name", "field"} and end != _OPEN:
            i += 2
        elif (
            mark == ("mark", "[")
            and end == ("mark", "]")
            and (key.kind == "raw" or (key.kind == "string" and "\\" not in key.text))
        ):
            i += 3
        else:
            return tuple(path)
        path.append(key.text)
