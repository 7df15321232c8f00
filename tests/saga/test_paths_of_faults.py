"""What is refused shows by a run, and the fault has it: a counter-example path. What has none says why not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import goconductor
from goconductor.control.definitions.loading import check, read
from goconductor.errors import DefinitionError
from goconductor.saga.checking.constructs.locks import circles
from goconductor.saga.checking.doubts import doubts
from goconductor.saga.checking.fault import WAY_MAX, Fault, path_between, path_to, within
from goconductor.saga.data.values import canonical

Steps = dict[str, Any]
PACKAGE = Path(goconductor.__file__).parent
CHECKING = sorted(
    [*PACKAGE.glob("saga/checking/**/*.py"), PACKAGE / "saga/writing/groups/compiling.py", PACKAGE / "engine/facts/pinning.py"]
)


def step(name: str, *after: str, **fields: Any) -> Steps:
    return {"id": name, "run": f"shop.{name}", "after": [*after], **fields}


def undo(of: str) -> Steps:
    return {"run": "shop.undo", "inputs": {"x": {"ref": f"$.steps.{of}.output"}}}


def grows(*do: Steps, kind: str = "map") -> Steps:
    how = {"over": "$.input.items"} if kind == "map" else {"until": "index > 1", "max": 3}
    return {"id": "lines", kind: {**how, "do": [*do]}}


def saga_of(*steps: Steps) -> Steps:
    return {"steps": [*steps]}


A, PIVOT = step("a"), step("p", "a", pivot=True)
SAVE = {"savepoint": {"otherwise": ["slow"]}}
NO_PIVOT = "no step of the saga is its point of no return"
NEITHER = "the saga can neither turn back nor go on"
IN_ANOTHER_ORDER = "another one, with its items in another order, takes that of its own first"
UNDONE = "a later step fails, and nothing is undone"
CASES: list[tuple[list[Steps], str]] = [
    ([step("a", "b"), step("b", "a")], "a waits for b → b waits for a"),
    ([A, step("p", "a", pivot=True, when="input.x")], f"a → p is skipped → {NO_PIVOT}"),
    ([A, step("b"), step("c", "a", when="steps.b.output == 1")], "a → c asks for b, which has not run"),
    (
        [{"id": "lines", "repeat": {"until": "steps.z.skipped", "max": 3, "do": [A]}}, step("z")],
        "lines asks for z, which has not run",
    ),
    ([step("a", pivot=True), step("b", pivot=True)], f"a succeeds → b fails → {NEITHER}"),
    ([A, step("p", "a", pivot=True, compensation=True)], "a → p succeeds → the saga never turns back"),
    ([A, PIVOT, step("b", "p"), step("c", "b", compensation=True)], "p → b → c → the saga never turns back"),
    ([A, PIVOT, step("b")], f"p succeeds → b fails → {NEITHER}"),
    ([A, step("b", "a", when="steps.a.failed")], "a fails → the saga turns back → nobody asks"),
    ([step("a", allow_fail=True, fallback="b"), step("b")], "a fails → b fails as well → the saga could go on, or turn back"),
    ([step("a", fallback="a")], "a fails → a waits for itself"),
    ([step("a", fallback="c"), step("b", fallback="c"), step("c")], "a fails → b fails → c can stand for one of them only"),
    ([step("a", fallback="p"), step("p", pivot=True)], f"a succeeds → p is skipped → {NO_PIVOT}"),
    ([A, step("p", "a", pivot=True, allow_fail=True), step("b", "p")], f"p fails → the saga goes on → {UNDONE}"),
    ([A, PIVOT, step("b", "p", allow_fail=True)], "p → b fails → it is tried again"),
    ([A, PIVOT, step("b", "p", undo=undo("a"))], "p → b → the saga never turns back"),
    ([A, step("b"), step("c", "a", undo=undo("b"))], "a → c → the saga turns back → the undo of c asks for b, which has not run"),
    ([A, step("z"), grows(step("b", undo=undo("z")))], "b → the saga turns back → the undo of b asks for z, which has not run"),
    (
        [grows({"id": "s", **SAVE}, step("b", "s"))],
        "s → a step after it fails in one of the items → the other items have gone on",
    ),
    ([A, PIVOT, {"id": "s", "after": ["p"], **SAVE}, step("b", "s")], "p → s → a step after it fails, and is tried again"),
    ([A, {"id": "s", "after": ["a"], **SAVE}], "a → s → the saga ends"),
    (
        [step("a", fallback="s"), {"id": "s", **SAVE}, step("b", "s")],
        "a succeeds → s is skipped → a later step fails, and there is no way to take",
    ),
    (
        [{"id": "s", **SAVE}, {"id": "t", **SAVE}, step("b", "s", "t")],
        "s and t, side by side → b fails → the saga would take another way from one of them",
    ),
    (
        [grows(step("b", locks=[{"key": "k:{item}"}]))],
        f"one saga takes the lock of its first item → {IN_ANOTHER_ORDER} → each waits for the other",
    ),
    (
        [A, PIVOT, step("b", "p", locks=[{"key": "k"}])],
        "p → b → it waits for a lock whose holder waits for this saga → neither can turn back",
    ),
    (
        [{"id": "a", "saga": saga_of(A), "undo": "none"}, step("b", "a")],
        "a succeeds → a later step fails → what the saga of a has done stays",
    ),
    (
        [{"id": "a", "saga": saga_of(A, PIVOT)}, step("b", "a")],
        "p succeeds in the saga of a → a later step of this saga fails → what p has done stays",
    ),
    ([grows(step("b", pivot=True))], f"b succeeds → b fails in the next item → {NEITHER}"),
    (
        [grows(A, kind="repeat") | {"allow_fail": True}],
        "a step fails in the second turn of lines → what the first turn has done stays → the saga goes on",
    ),
    ([A, PIVOT, {**grows(step("b", compensation=True)), "after": ["p"]}], "p → lines → the saga never turns back"),
    ([A, PIVOT, {**grows(step("b", undo=undo("b"))), "after": ["p"]}], "p → lines → the saga never turns back"),
    ([A, PIVOT, {**grows(step("b", allow_fail=True)), "after": ["p"]}], "p → lines → b fails, and is tried again"),
    (
        [{"id": "w", "switch": [{"case": n, "when": "input.x", "steps": [A]} for n in ("one", "two")]}],
        "input.x holds → w takes case one",
    ),
    (
        [step("a", fallback="g"), {"id": "g", "steps": [step("b"), step("c")]}],
        "a succeeds → the first steps of g run all the same",
    ),
    (
        [{"id": "c", "saga": saga_of({"id": "d", "saga": saga_of(step("a", locks=[{"key": "k"}]))})}],
        "this saga holds a lock, and waits for the end of the saga of d → that one waits for the same lock → neither ends",
    ),
    ([{"id": "c", "saga": saga_of(step("a", "b"), step("b", "a"))}], "a waits for b → b waits for a"),
]


@pytest.mark.parametrize(("steps", "path"), CASES, ids=[str(number) for number in range(len(CASES))])
def test_a_refusal_names_the_path_on_which_it_shows(steps: list[Steps], path: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read({"name": "order", "steps": steps})
    paths = [" → ".join(each.path) for each in refused.value.problems if isinstance(each, Fault)]
    assert path in paths
    assert f"Path: {path}." in str(refused.value)
    checked = check(canonical({"name": "order", "steps": steps}), "order.json")
    assert any(re.search(rf"Path: {re.escape(path)}\.( \(line 1, column \d+\))?$", each) for each in checked.problems)


def test_what_is_doubtful_names_the_path_as_well() -> None:
    nothing = read({"name": "order", "steps": [step("a", compensation=False), step("b", "a"), step("c", "b", when="1/0 == 1")]})
    assert [" → ".join(each.path) for each in doubts(nothing) if isinstance(each, Fault)] == [
        "c has its turn → its condition cannot be evaluated → the saga turns back, or after the pivot is stuck",
        "a succeeds → b fails → what a has done stays",
    ]


def test_two_sagas_that_wait_for_each_other_are_shown_with_their_locks() -> None:
    locking = [step("a", locks=[{"key": "from:{input.x}"}]), step("b", "a", locks=[{"key": "from:{input.y}"}])]
    (told,) = circles(read({"name": "order", "steps": locking}))
    assert isinstance(told, Fault)
    assert told.path == (
        "a saga takes from:{input.x} for a",
        "another one takes from:{input.y} for b, with other data",
        "the first one waits for from:{input.y} in b",
        "the other one waits for what the first one holds",
    )


def test_a_long_path_is_cut_and_cheap() -> None:
    before = {str(number): [str(number - 1)] for number in range(1, 20_000)}
    assert path_to(before, "19999") == ("…", "19995", "19996", "19997", "19998", "19999")
    assert path_to(before, "2") == ("0", "1", "2")
    assert path_between(before, "1", "19999") == ("1", "…", "19999")
    assert path_between(before, "1", "50") == ("1", "…", "47", "48", "49", "50")
    assert path_between(before, "1", "3") == ("1", "2", "3")
    assert len(path_to({"a": ["b"], "b": ["a"]}, "a")) <= WAY_MAX


def test_a_path_stays_with_a_fault_that_is_put_into_its_place() -> None:
    fault = within("in map 'lines': ", Fault("it cannot be; mend it.", "a", "b"))
    assert isinstance(fault, Fault)
    assert fault.path == ("a", "b")
    assert fault == "in map 'lines': it cannot be; mend it. Path: a → b."
    assert within("in map 'lines': ", "it cannot be; mend it.") == "in map 'lines': it cannot be; mend it."


WITHOUT_A_PATH: dict[str, tuple[str, ...]] = {
    "a name, or what it means, is wrong before anything runs": (
        "is not a step of this saga",
        "is no name",
        "of a saga, which cannot be",
        "must be 1 to 100 letters",
        "by 1 to 100 letters",
        "name it by",
        "name its code as",
        "without a name",
        "rename one of them",
        "written twice",
        " twice; ",
        "asks twice",
        "times; give each step an id",
        "is not there",
    ),
    "there is too much or too little of something": (
        "at most",
        "needs {} items",
        "give it a number",
        "give one from",
        "at least",
        "its timeout {}",
        "has a timeout of",
        "has a total timeout of",
        "max_seconds",
        "has no steps",
        "give 1 to {}",
        "name 1 to {}",
        "use fewer",
        "split it into several sagas",
        "there are more of these",
    ),
    "two things are said of which only one can be, or nothing is": (
        "leave one of them out",
        "leave it out",
        "leave that out",
        "leave the name out",
        "leave 'held' out",
        "leave optional out",
        "leave that to its definition",
        "leave the compensation out",
        "keep one of them",
        "make two steps of it",
        "give one of them",
        "has neither run, wait nor saga",
        "has nothing to do",
        "has no question",
        "has no condition",
        "cannot be optional",
        "runs no code",
        "cannot be the pivot",
    ),
    "the place does not exist on any path": (
        "outside of its {}",
        "which only steps in",
        "refers to {}, but {}",
        "has no {}; {}",
        "which refers to {}",
        "ask for its size",
        "asks for way",
    ),
    "it is about what a value is, and holds for each run that comes there": (
        "does not take",
        "must have; add it",
        "refer to another place, or correct one of the types",
        "does not fit",
        "no value for its input",
        "walks over",
        "{} {}.",
    ),
    "it is so on any data": ("on any data",),
}


@pytest.mark.parametrize("module", CHECKING, ids=[str(path.relative_to(PACKAGE)) for path in CHECKING])
def test_each_kind_of_fault_has_a_path_or_says_why_not(module: Path) -> None:
    phrases = [phrase for each in WITHOUT_A_PATH.values() for phrase in each]
    bare = [text for text in faults_without_a_path(ast.parse(module.read_text())) if not any(each in text for each in phrases)]
    assert bare == []


def test_no_reason_is_given_for_what_is_not_there() -> None:
    bare = [text for module in CHECKING for text in faults_without_a_path(ast.parse(module.read_text()))]
    assert len(bare) > 80
    for phrases in WITHOUT_A_PATH.values():
        for phrase in phrases:
            assert any(phrase in text for text in bare), phrase


def faults_without_a_path(tree: ast.AST) -> Iterator[str]:
    """Yield the texts of faults, which are sentences with a remedy, where they are not made by a call of Fault."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault":
            assert len(node.args) > 1, ast.unparse(node)
            continue
        if isinstance(node, ast.Assign) and [ast.unparse(each) for each in node.targets] == ["text"]:
            continue  # stands in a call of Fault
        text = text_of(node)
        if text is None:
            yield from faults_without_a_path(node)
        elif len(text) > 5 and (text.endswith(".") or "; {}" in text) and "Path: {}" not in text:
            yield text


def text_of(node: ast.AST) -> str | None:
    """Return a text in the code, with braces for what is put into it; None where it is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "{}" for part in node.values)
    return None
