"""Conditions: CEL expressions over the saga's input and the outputs of its steps.

::

    input.total_cents > 10000 && steps["payments-charge"].output.country in ["DE", "AT"]

A condition is data, written by one team and evaluated inside the processes of others, on input that comes from anybody. The
evaluator is Google's (C++), in this process: it can be neither interrupted nor given a memory limit, and its own budget
counts the iterations of comprehensions, nothing else. So the cost is bounded *before* an expression sees data.

The text alone is refused for: more than `SOURCE_MAX` characters; a comprehension (all, exists, exists_one, map, filter) inside
another, or after a ``map`` (a chain of maps doubles its data with each link); regular expressions that are not literals, or name
Unicode categories (1.5 ms to compile, each time); a type that is not bool. The parser itself allows 32 levels of nesting.

The data is refused for depth, items per list, nodes and characters, and for values that cannot be kept at all. Last comes a bound
of the work, in bytes that may be read or copied::

    work  = operations * operands * reach  +  maps and filters * iterations² * 16
    reach = size of what is named outside of comprehensions  +  iterations * size of what is named inside of them

An operation (a comparison, a ``+``, a function) reads or copies each operand once, no operand is larger than all that is
named, and the elements that a comprehension visits are together no larger than the list they are in. A ``map`` or
``filter`` copies its result with every element. A byte takes up to 4 ns, so `WORK_MAX` is half a second.

Conversion of data is eager, so only the parts that an expression names are handed over.

The answer must not depend on what differs between processes, and the order of a map does. Therefore a ``map`` or ``filter`` over
a map is refused: :mod:`goconductor.saga.expressions.condition_text` describes how. Other differences (a release of the evaluator,
the machine's time zones) have no effect, because each answer is kept (:mod:`goconductor.lifecycle.answers`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from goconductor.errors import ConditionError, PayloadError
from goconductor.saga.data.values import check_value
from goconductor.saga.expressions import complaints
from goconductor.saga.expressions.condition_text import NODE_BYTES, ROOTS, Path, Shape

ABOUT_SIGNAL = ROOTS | {"payload"}
"""The names of the data that the ``where`` of a wait may ask about."""
IN_MAP = ROOTS | {"item", "index"}
"""The names of the data that the condition of a step in a map may ask about."""
IN_REPEAT = ROOTS | {"index", "previous"}
"""The same of a step in a repeat."""
SOURCE_MAX = 4_096
"""Greatest length of an expression, in characters."""
ITEMS_MAX = 1_000
"""Greatest number of items in one list or object that an expression sees."""
NODES_MAX = 20_000
"""Greatest number of values that an expression sees."""
CHARACTERS_MAX = 256 * 1024
WORK_MAX = 128 * 1024 * 1024
MAP_WALKED = (
    "makes a list of a map by map(…) or filter(…), and a map has another order in each process; "
    "ask exists(…), all(…), size(…) or 'in' of it, or name a list"
)
NO_LIST = (
    "has a map(…) or filter(…) over what is no list, or is nested too deeply for one; "
    "ask exists(…), all(…), size(…) or 'in' of a map, which has no order"
)
_HAS = re.compile(r"\bhas\s*\(")
_ASKS_KIND = re.compile(r"\b(?:null|skipped|failed)\b|\btype\s*\(")  # outputs of skipped and failed steps are null
_MAP_WALKED = "_+_(map, list)"
_LACKS, _NO_OBJECT = "Key not found", "Applying SELECT"
_OF_KINDS = re.compile(r"overload|conver")
_LESS_DATA = "name a smaller part of the data, or compute the answer in a step and ask for its output"


@lru_cache(maxsize=1_024)
def compile_condition(source: str, roots: frozenset[str] = ROOTS) -> Condition:
    """Compile a condition; the same text again costs nothing.

    Args:
        source: a CEL expression over the roots.
        roots: the names of the data that it may ask about.

    Raises:
        ConditionError: it does not compile, may cost too much on any data, or is not of type bool; names the place and the
            remedy.
    """
    return Condition(source, roots)


def matches(pattern: str, text: str) -> bool:
    """Return whether a regular expression (RE2: linear time, no look-around) matches anywhere in a text.

    Raises:
        ConditionError: it is not valid, or too costly for this text.
    """
    return compile_condition(f"input.text.matches({json.dumps(pattern)})").holds({"input": {"text": text}})


class Expression:
    """A compiled expression; safe to share between threads.

    Attributes:
        source: its text.
        steps: the ids of the steps that it always reads (``steps.charge``, ``steps["charge"]``).
        named: the parts of the data that it names.
        walked: the parts of the data that it walks over by ``map`` or ``filter``, where the text names them.
        problem: why no process may decide by it; empty if its text shows no reason.
    """

    __slots__ = ("_in_order", "_program", "_shape", "_tree", "named", "problem", "source", "steps", "walked")

    ANSWER_WORK = 0
    """What it costs to take the answer over, in operations on all that is named."""

    def __init__(self, source: str, roots: frozenset[str]) -> None:
        self.source = source
        if len(source) > SOURCE_MAX:
            raise ConditionError(source, f"has {len(source):,} characters, at most {SOURCE_MAX:,} are allowed; ask it in a step")
        try:
            check_value(source)
        except PayloadError as error:
            raise ConditionError(source, error.problem) from None
        self._shape = Shape(source, roots)
        self._shape.operations += self.ANSWER_WORK
        self._program = self._in_order = self._compiled(source, roots)
        self.walked = tuple(self._shape.walked)
        self.problem = ""
        if self._shape.in_order != source:
            try:
                self._in_order = self._compiled(self._shape.in_order, roots)
            except ConditionError:
                self.problem = NO_LIST
        paths = {*self._shape.outside, *self._shape.inside}
        self._tree = _tree(paths) or {}
        self.named = frozenset(paths)
        self.steps = frozenset(path[1] for path in paths if path[0] == "steps" and len(path) > 1)

    def may_read(self, *path: str) -> bool:
        """Return whether it names a part of the data, something in that part, or something that has it."""
        return any(each[: len(path)] == path[: len(each)] for each in self.named)

    def _compiled(self, source: str, roots: frozenset[str]) -> Any:
        program, kind = _program(source, roots)
        if problem := self._unfit(kind):
            raise ConditionError(source, f"gives {complaints.kind_of(kind)}, {problem}")
        return program

    def _unfit(self, kind: str) -> str:
        """Return why an answer of this type is of no use, with the remedy; empty if it is."""
        raise NotImplementedError

    def _answer(self, data: Mapping[str, Any], *, any_order: bool = False) -> Any:
        """Return the evaluator's answer, as :meth:`Condition.holds` and :meth:`Value.of` describe it."""
        if self.problem and not any_order:
            raise ConditionError(self.source, self.problem)
        named = {root: _select(data[root], tree) for root, tree in self._tree.items() if root in data}
        self._check(named)
        try:
            answer = (self._program if any_order else self._in_order).eval(data=named)
            kind = answer.type().name()
            if kind not in {"ERROR", "UNKNOWN"} and not (problem := self._unfit(kind)):
                return answer
            problem = str(answer.value()) if kind in {"ERROR", "UNKNOWN"} else f"it gives {complaints.kind_of(kind)}, {problem}"
        except Exception as error:  # noqa: BLE001  the binding turns what the C++ throws into one type or another
            problem = str(error)
        problem = problem.replace("\0", "\N{REPLACEMENT CHARACTER}")  # it will stand in the log
        if _MAP_WALKED in problem and self._in_order is not self._program:
            raise ConditionError(self.source, MAP_WALKED)
        said = self._where_it_ends(named) if _LACKS in problem or _NO_OBJECT in problem else ""
        said = said or f"{complaints.of_data(problem)[:300]}{self._kinds(named) if _OF_KINDS.search(problem) else ''}"
        raise ConditionError(self.source, f"cannot be evaluated on this data: {said}")

    def unreadable(self, data: Mapping[str, Any]) -> str:
        """Return why what it names of this data cannot be seen, whatever else there is; empty if it can.

        Args:
            data: a part of what it is asked about. Roots that are not in it are not looked at.
        """
        try:
            self._check({root: _select(data[root], tree) for root, tree in self._tree.items() if root in data})
        except ConditionError as error:
            return str(error)
        for path in () if _HAS.search(self.source) else sorted(self.named):
            if path[0] in data and (lacking := _lacking(data, path, any_kind=bool(_ASKS_KIND.search(self.source)))):
                return lacking
        return ""

    def _where_it_ends(self, data: Mapping[str, Any]) -> str:
        """Return which part that it names is not there, and the remedy; empty where it asks itself what is there."""
        if _HAS.search(self.source):
            return ""
        ends = (_lacking(data, path, any_kind=False) for path in sorted(self.named) if path[0] in data)
        return next(filter(None, ends), "")

    def _kinds(self, data: Mapping[str, Any]) -> str:
        """Return of which types some parts are that it names, so that one sees which of them does not fit."""
        found = [f"{'.'.join(path)} is {_kind(_part(data, path))}" for path in sorted(self.named)[:3]]
        return f" (here {', '.join(found)})" if found else ""

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


class Condition(Expression):
    """A compiled condition, made by `compile_condition`."""

    __slots__ = ()

    def _unfit(self, kind: str) -> str:
        return "" if kind in {"BOOL", "DYN"} else "not a bool; compare it with something"

    def holds(self, data: Mapping[str, Any], *, any_order: bool = False) -> bool:
        """Return the answer on this data: the same in every process with this release of the evaluator.

        Args:
            data: ``{"input": …, "steps": {step_id: {"output": …, "skipped": bool}}}``, made of JSON values.
            any_order: whether it may walk over maps, as older versions allowed; then the answer may differ between processes.

        Raises:
            ConditionError: the data is too large or cannot be kept, a field is missing, types do not fit, the answer is not a
                bool, or the condition makes a list of a map, which has no order.
        """
        return self._answer(data, any_order=any_order).value() is True


# --- the compiler

_COMPLAINT = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


@lru_cache(maxsize=4)
def _environment(roots: frozenset[str]) -> Any:
    from cel_expr_python import cel  # noqa: PLC0415  (six megabytes, which a process without conditions is spared)

    return cel.NewEnv(variables=dict.fromkeys(sorted(roots), cel.Type.DYN))


def _program(source: str, roots: frozenset[str]) -> tuple[Any, str]:
    """Compile a text, and return the name of the type of its answers as well."""
    environment = _environment(roots)
    try:
        program = environment.compile(source)
        return program, str(program.return_type().name())
    except Exception as error:  # noqa: BLE001  as above
        raise ConditionError(source, _complaints(str(error))) from None


def _complaints(text: str) -> str:
    found = []
    for line, column, complaint in _COMPLAINT.findall(text):
        at = f"line {line}, column {column}: " if int(line) > 0 else ""
        found.append(at + complaints.of_text(re.split(r" expecting \{| \[[A-Z_]+\]$", complaint)[0]))
    return "; ".join(dict.fromkeys(found[:3])) or text


# --- the data

_KINDS: dict[type, str] = {bool: "a bool", str: "a text", list: "a list", tuple: "a list", dict: "an object", type(None): "null"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _select(value: Any, tree: dict[str, Any] | None) -> Any:
    if tree is None or type(value) is not dict:
        return value
    return {key: _select(value[key], below) for key, below in tree.items() if key in value}


def _tree(paths: set[Path]) -> dict[str, Any] | None:
    """Return the paths as nested dicts; None stands for all below."""
    if () in paths:
        return None
    return {first: _tree({path[1:] for path in paths if path[0] == first}) for first in {path[0] for path in paths}}


def _lacking(value: Any, path: Path, *, any_kind: bool) -> str:
    """Return why a path ends before its last name, and the remedy; empty if it does not.

    Args:
        value: the data.
        path: names only: a list's index ends it.
        any_kind: whether the text itself asks what it has before it, so that null and the like are no fault.
    """
    for depth, key in enumerate(path):
        if type(value) is not dict:
            part = ".".join(path[:depth])
            remedy = f"where it may be null, ask {part} != null first" if value is None else f"ask about {part} itself"
            return "" if any_kind else f"{part} is {_kind(value)}, not an object; {remedy}"
        if key not in value:
            return f"{'.'.join(path[: depth + 1])} is not there; where it may be missing, ask has(…) first"
        value = value[key]
    return ""


def _part(value: Any, path: Path) -> Any:
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
    return characters + nodes * NODE_BYTES, longest
