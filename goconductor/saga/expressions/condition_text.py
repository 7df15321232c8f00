"""The text of a condition: its names, the bound of its cost, and its walks over data by ``map`` or ``filter``.

This module reads the tokens only; CEL decides whether the text compiles. The bound may be too high, never too low.

A ``map`` or ``filter`` makes a list of its range, in order. A map as range has no order: the order differs between processes. So
each of them is given a range that must be a list, by ``+ []``, which lists have and maps do not: ``x.map(…)`` is compiled as ``(x
+ []).map(…)``. That fails only where the walk takes place, because ``&&``, ``||`` and ``?:`` may leave it out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple, TypeAlias

from goconductor.errors import ConditionError

NODE_BYTES = 32
"""Bytes that a value takes at least, for an estimate."""
_ITERATIONS_MAX = 10_000
"""Number of iterations that CEL allows in an expression."""

ROOTS = frozenset({"input", "steps"})
"""The names of the data that every condition may ask about."""

Path: TypeAlias = tuple[str, ...]


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
_CLOSING = {")", "]", "}"}
_PLUS = _Token("mark", "+")
_JOINED = {_DOT, _PLUS, _Token("mark", "[")}
"""What follows an operand to which more belongs."""
_EQUALITY = {"==", "!="}
_LISTED = {_Token("mark", ","), _Token("mark", "]")}
_OPERATIONS = {"+", "==", "!=", "<", "<=", ">", ">="}
_CONSTANTS = {"true", "false", "null"}
_REPEAT = re.compile(r"\{(\d*),?(\d*)\}")
_REPEATED_GROUP = re.compile(r"[)}]\{")
_IDENTIFIER = re.compile(
    r"(?!(?:in|as|break|const|continue|else|for|function|if|import|let|loop|namespace|package|return|var|void|while|true|false|null)$)[A-Za-z_][A-Za-z0-9_]*"
)
_CATEGORY = re.compile(r"\\[pP]")
_WIDE = re.compile(r"\.|\\[SDWx]|\[\^|\(\?|[^\x00-\x7f]")  # what becomes many states
_SPELT_CHARACTER = re.compile(r"\\[0-7xXuU]")


def _tokens(source: str) -> Iterator[tuple[_Token, int]]:
    """Yield the tokens of a text, and where each begins."""
    yield _END, 0
    for match in _TOKEN.finditer(source):
        kind = str(match.lastgroup)
        if kind in {"raw", "string"}:
            is_bytes = "b" in (match["raw_prefix"] or match["prefix"] or "").lower()
            yield _Token("bytes" if is_bytes else kind, match["raw_body" if kind == "raw" else "body"]), match.start()
        elif kind != "blank":
            yield _Token(kind, match[kind]), match.start()
    yield from [(_END, len(source))] * 3


class Shape:
    """The structure of a condition's text.

    Args:
        source: the text.
        roots: the names of the data.

    Attributes:
        in_order: the text, with a list as the range of each ``map`` and ``filter``.
        walked: the parts of the data that are named as such a range.

    Raises:
        ConditionError: it may cost too much on any data; names the place and the remedy.
    """

    def __init__(self, source: str, roots: Collection[str] = ROOTS) -> None:
        self._roots = roots
        self.outside: list[Path] = []  # what is named outside of comprehensions
        self.inside: list[Path] = []  # and inside of them, where every iteration may read it
        self.operations = 0  # what reads or copies its operands
        self.operands = 0  # names of data and of variables
        self.literals = 0  # bytes
        self.sums = 0  # each + outside of comprehensions, which may make a list longer
        self.comprehensions = 0
        self.copying = 0  # maps and filters
        self.pattern_compile = self.pattern_scan = 0  # bytes for each evaluation, and for each byte of text
        self.walked: list[Path] = []
        self._mapped = False
        self._source = source
        tokens, self._starts = map(list, zip(*_tokens(source), strict=True))
        self._guards: list[tuple[int, str]] = []
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
        self.in_order = source
        for start, guard in sorted(self._guards, reverse=True):
            self.in_order = self.in_order[:start] + guard + self.in_order[start:]

    def work(self, outside: int, inside: int, longest: int) -> int:
        """Return an upper bound of the work, in bytes.

        Args:
            outside: size in bytes of the data named outside of comprehensions, for each time that it is named.
            inside: the same inside of them.
            longest: number of items of the longest list or dict.
        """
        each = max(longest, self.literals // NODE_BYTES + 1) * (self.sums + 1) if self.comprehensions else 0
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
            if name in {"map", "filter"}:
                self._walk(tokens, i - 1)
        elif name == "in":
            self.operations += 1
        elif after == _OPEN:
            self.operations += name != "has"
            if name == "matches":
                self._pattern(before, tokens[i + 2], tokens[i + 3])
        elif before != _DOT and name not in _CONSTANTS:
            self.operands += 1
            if name in self._roots:
                (self.inside if within else self.outside).append(_path(tokens, i)[0])

    def _comprehension(self, name: str, *, variable: str, within: bool) -> None:
        if within:
            problem = f"has {name}(…) inside another comprehension, which multiplies the two; do one of them in a step"
            raise ConditionError(self._source, problem)
        if self._mapped:
            problem = f"has {name}(…) after a map(…), which may double the data with each; write the map last, or do it in a step"
            raise ConditionError(self._source, problem)
        if variable in self._roots:
            raise ConditionError(self._source, f"has a variable of {name}(…) called {variable!r}, which is taken; rename it")
        self.comprehensions += 1
        self.copying += name in {"map", "filter"}
        self._mapped = name == "map"

    def _walk(self, tokens: list[_Token], dot: int) -> None:
        """See to it that the range of a map or filter, which ends before this dot, is a list."""
        start, is_list = _range(tokens, dot)
        if is_list:
            return
        self._guards += [(self._starts[start], "("), (self._starts[dot], " + [])")]
        self.operations += 1
        path, end = _path(tokens, start)
        if end == dot and path[0] in self._roots:
            self.walked.append(path)

    def _mark(self, before: _Token, mark: str, after: _Token, *, within: bool) -> None:
        is_operand = before.kind not in {"mark", "end"} and before != _IN
        if mark == "." and after.kind == "name" and not is_operand and before.text not in {")", "]", "}"}:
            raise ConditionError(self._source, f"has .{after.text} with nothing before the dot; write {after.text}")
        if mark == "{" and before.kind in {"name", "field"} and before != _IN:
            raise ConditionError(self._source, f"has the message {before.text}{{…}}; only lists and maps can be written")
        self.operations += mark in _OPERATIONS
        self.sums += mark == "+" and not within
        self.literals += NODE_BYTES if mark == "," else 0

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


def _range(tokens: list[_Token], dot: int) -> tuple[int, bool]:
    """Return where the operand begins that ends before this dot, and whether its text shows that it is a list."""
    i, is_list = dot - 1, False
    while True:
        token = tokens[i]
        if token.kind == "mark" and token.text in _CLOSING:
            last, i = i == dot - 1, _opening(tokens, i)
            before = tokens[i - 1]
            named = before.kind in {"name", "field"} and before != _IN
            if token == _CLOSE and named:
                is_list = is_list or (last and _is_comprehension(tokens, i - 1) and before.text in {"map", "filter"})
                i -= 1
            elif token.text == "]" and (named or before.kind in {"string", "raw", "bytes"} or before.text in _CLOSING):
                i -= 1
                continue
            else:
                return i, last and token.text == "]"
        if tokens[i - 1] != _DOT or i < 3:
            return i, is_list
        i -= 2


def _opening(tokens: list[_Token], i: int) -> int:
    """Return where the bracket was opened that is closed at ``i``; the text's begin if it was not."""
    closed = 0
    while i > 1:
        text = tokens[i].text if tokens[i].kind == "mark" else ""
        closed += text in _CLOSING
        if text in {"(", "[", "{"}:
            closed -= 1
            if not closed:
                break
        i -= 1
    return i


def _path(tokens: list[_Token], i: int) -> tuple[Path, int]:
    """Return the root at ``i`` with the names that follow it in the text, and where they end."""
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
            return tuple(path), i
        path.append(key.text)


def compared(source: str) -> Iterator[tuple[Path, str]]:
    """Yield the parts of the data that are compared with a text in quotes, by ``==``, ``!=`` or ``in […]``, each with that one.

    Args:
        source: the text; it need not compile.
    """
    tokens = [token for token, _ in _tokens(source)]
    for i in range(1, len(tokens) - 3):
        if tokens[i].kind != "name" or tokens[i].text not in ROOTS or tokens[i - 1] in {_DOT, _PLUS}:
            continue
        path, end = _path(tokens, i)
        if tokens[end].text in _EQUALITY and _is_text(tokens[end + 1]) and tokens[end + 2] not in _JOINED:
            yield path, tokens[end + 1].text
        elif (
            tokens[i - 1].text in _EQUALITY
            and _is_text(tokens[i - 2])
            and tokens[i - 3] not in {_DOT, _PLUS}
            and tokens[end] not in _JOINED
        ):
            yield path, tokens[i - 2].text
        elif tokens[end : end + 2] == [_IN, _Token("mark", "[")]:
            end += 2
            while _is_text(tokens[end]) and tokens[end + 1] in _LISTED:
                yield path, tokens[end].text
                end += 2


def _is_text(token: _Token) -> bool:
    return token.kind == "raw" or (token.kind == "string" and "\\" not in token.text)


def literal(text: str) -> str:
    """Return a text as a literal of CEL, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def renamed(source: str, name_of: Callable[[str], str], *, by_dots: bool = False) -> str:
    """Return a text in which the steps that it names by ``steps.x`` or ``steps["x"]`` have other names.

    Args:
        source: the text; it need not compile.
        name_of: gives for a step's name the one to write; the same where it stays.
        by_dots: whether it is written as ``steps.x`` where it can be.
    """
    tokens, starts = map(list, zip(*_tokens(source), strict=True))
    for i in range(len(tokens) - 4, 0, -1):
        if tokens[i] != _Token("name", "steps") or tokens[i - 1] == _DOT:
            continue
        path, _ = _path(tokens, i)
        if len(path) > 1 and (name := name_of(path[1])) != path[1]:
            end = i + 3 if tokens[i + 1] == _DOT else i + 4
            named = f".{name}" if by_dots and _IDENTIFIER.fullmatch(name) else f"[{json.dumps(name)}]"
            source = f"{source[: starts[i]]}steps{named}{source[starts[end] :]}"
    return source
