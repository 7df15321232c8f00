"""What the evaluator of conditions complains of, in words for whoever wrote the condition.

Its own words are those of a library: ``No matching overloads found : _>_(string, int64)``. They change with its releases. What is
not known here is shown as it is, so nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TYPES = {
    "int": "a whole number",
    "int64": "a whole number",
    "uint": "an unsigned number",
    "uint64": "an unsigned number",
    "double": "a number with a point",
    "string": "a text",
    "bytes": "bytes",
    "bool": "a bool",
    "list": "a list",
    "map": "an object",
    "null_type": "null",
    "timestamp": "a time",
    "duration": "a duration",
}
_HAS = "where it may be missing, ask has(…) first"
_KIND = "convert it, or ask type(…) first"


def of_data(problem: str) -> str:
    """Say why a condition has no answer on its data, and the remedy.

    Args:
        problem: the evaluator's words.
    """
    return _said(problem.partition(": ")[2] if _CODE.match(problem) else problem, _OF_DATA)


def of_text(problem: str) -> str:
    """Say why a condition's text is none, and the remedy.

    Args:
        problem: the compiler's words about one place.
    """
    return _said(problem, _OF_TEXT)


def kind_of(name: str) -> str:
    """Return the evaluator's name of a type in words."""
    return _TYPES.get(name.partition("<")[0].lower(), name)


def _said(problem: str, rules: dict[re.Pattern[str], Callable[[re.Match[str]], str]]) -> str:
    for pattern, say in rules.items():
        if (found := pattern.search(problem)) is not None:
            return say(found)
    return problem


def _operands(found: re.Match[str]) -> str:
    name, types = found["name"].strip("_@"), [kind_of(each.strip()) for each in (found["types"] or "").split(",") if each.strip()]
    if found["on"]:
        return f"{kind_of(found['on'])} has no {name}(…); {_KIND}"
    if name.isidentifier() and name != "in":
        return f"{name}(…) cannot take {' and '.join(types) or 'what it is given'}; {_KIND}"
    operator = name.strip("_") or "the operator"
    return f"{operator} does not work on {' and '.join(types) or 'what is given to it'}; {_KIND}"


_CODE = re.compile(r"[A-Z_]{4,30}: ")
_OVERLOAD = r"(?:\((?P<on>\w+)\)\.)?(?P<name>[^\s'(]+)"

_OF_DATA: dict[re.Pattern[str], Callable[[re.Match[str]], str]] = {
    re.compile(r"No matching overloads found : <jump_condition>"): lambda _: "what decides is no bool; compare it with something",
    re.compile(r"Key not found in map : (?P<key>.*)"): lambda found: f"{found['key']} is not there; {_HAS}",
    re.compile(rf"No matching overloads found : {_OVERLOAD}(?:\((?P<types>[^)]*)\))?"): _operands,
    re.compile(r"Applying SELECT to non-message type"): lambda _: f"a field is asked of what is no object; {_KIND}",
    re.compile(r"Index error: index=(?P<at>-?\d+) size=(?P<size>\d+)"): (
        lambda found: f"the list has {found['size']} items, and item {found['at']} is asked for; ask size(…) first"
    ),
    re.compile(r"Index error: expected integer type, got (?P<kind>\w+)"): (
        lambda found: f"an item of a list is asked for by {kind_of(found['kind'])}; give its number, from 0"
    ),
    re.compile(r"(?P<what>divide|modulus) by zero"): lambda _: "it divides by zero; ask whether the divisor is 0 first",
    re.compile(r"(?P<kind>integer|unsigned integer) overflow|out of .*range"): (
        lambda _: "a number is beyond what 64 bits hold; compute it in a step, and ask for its output"
    ),
    re.compile(r"cannot convert (?P<kind>\w+) to (?P<to>\w+)|conversion error from '(?P<kind2>\w+)' to '(?P<to2>\w+)'"): (
        lambda found: (
            f"{kind_of(found['kind'] or found['kind2'])} cannot be read as {kind_of(found['to'] or found['to2'])}; {_KIND}"
        )
    ),
    re.compile(r"String to (?P<to>Timestamp|Duration) conversion failed"): (
        lambda found: (
            "a text of the data is no time; write it as 2026-01-31T12:00:00Z"
            if found["to"] == "Timestamp"
            else "a text of the data is no duration; write it as 90s or 1h30m"
        )
    ),
    re.compile(r"invalid regular expression: (?P<why>.*)"): lambda found: (
        f"its regular expression is not valid: {found['why']}; correct it"
    ),
}

_OF_TEXT: dict[re.Pattern[str], Callable[[re.Match[str]], str]] = {
    re.compile(r"(?:mismatched|extraneous|no viable alternative at) input '<EOF>'"): (
        lambda _: "it ends too early; write what is missing, or close what is open"
    ),
    re.compile(r"(?:mismatched|extraneous|no viable alternative at) input '(?P<what>.*?)'"): (
        lambda found: f"{found['what']!a} cannot stand here; look at what is before it"
    ),
    re.compile(r"token recognition error at: '(?P<what>= ?)'"): lambda _: "= is no operator; compare by ==",
    re.compile(r"token recognition error at: '(?P<what>['\"].*)'"): lambda _: (
        "a text begins here and does not end; close its quotes"
    ),
    re.compile(r"token recognition error at: '(?P<what>.*)'"): lambda found: (
        f"{found['what']!a} is no sign of a condition; leave it out"
    ),
    re.compile(r"undeclared reference to '(?P<name>[^']*)'"): (
        lambda found: f"nothing is called '{found['name']}'; data begins with input or steps, and in a where with payload"
    ),
    re.compile(rf"found no matching overload for '{_OVERLOAD}' applied to '(?:(?P<o>\w+)\.)?\((?P<types>.*)\)'"): _operands,
    re.compile(r"has\(\) argument must be a field selection|invalid argument to has\(\) macro"): (
        lambda _: "has(…) asks for a field; write has(input.name)"
    ),
    re.compile(r"expression of type '(?P<kind>\w+)[^']*' cannot be the operand of a select operation"): (
        lambda found: f"{kind_of(found['kind'])} has no fields; ask about it itself"
    ),
    re.compile(r"invalid (?P<kind>\w+) literal"): lambda _: "a number is beyond what 64 bits hold; write a smaller one",
}
