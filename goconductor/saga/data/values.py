"""What may be kept in the saga log and sent over the bus: JSON whose text comes back unchanged.

A step must get the same bytes in every attempt and in every process: in one that started the saga and has its input in memory,
in one that got it over the bus, in one that read it from the log. So a value is brought into the form that reading gives
(:func:`as_read`) before anybody sees it, and nobody gets it to change (:func:`copied`).

A value is checked where it enters (an input, an output, a message, a request), so that nothing behind that line has to ask.
Refused is what would be lost or changed on the way, or would poison a whole batch in the database:

* NaN and infinities (JSON has none), and integers beyond 64 bits, which many readers cannot hold;
* NUL (PostgreSQL's text cannot hold it) and lone surrogates (UTF-8 cannot), in keys as well;
* keys that are no strings, other types than JSON's own (subclasses too: an encoder may treat them otherwise), and nesting
  beyond ``depth_max``, cycles included.

Not kept: the difference between a tuple and a list.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from typing import Any

import msgspec
import rfc8785

from goconductor.errors import PayloadError, PayloadTooLargeError

DEPTH_MAX = 64
"""Greatest depth of lists and objects in one another."""
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
FLOAT_MAX = sys.float_info.max
_CANONICAL_INTEGER_MAX = 2**53 - 1
_KEY_SHOWN_CHARACTERS = 64
"""Number of characters of a key that an error shows."""
_SHORTHAND = re.compile(r"[A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff][0-9A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff]*")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\\'\ud800-\udfff]")
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
_CONTAINERS = (dict, list)


def place(path: str, key: str | int) -> str:
    """Return the path of a member below ``path``, as JSONPath: ``$.items``, ``$['x y']``, ``$[3]``."""
    if type(key) is int:
        return f"{path}[{key}]"
    text = str(key)
    if _SHORTHAND.fullmatch(text):
        return f"{path}.{text}"
    return f"{path}['{_UNWRITABLE.sub(_escape, text)}']"


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\{character}" if character in "\\'" else json.dumps(character)[1:-1].replace("\x7f", "\\u007f")


def check_value(value: object, *, path: str = "$", depth_max: int = DEPTH_MAX) -> None:
    """Checks that a value can be kept and sent, and comes back equal.

    Args:
        value: made of None, bool, int, float, str, list, tuple and dict.
        path: where the value itself stands, for the error.
        depth_max: containers within containers; a flat dict has depth 1.

    Raises:
        PayloadError: it cannot; names the first place found, what is wrong there, and the remedy.
    """
    _check(value, path, depth_max)


def as_read(value: Any) -> Any:
    """Return a value as all read it back: the same value, or with lists for its tuples.

    Raises:
        PayloadError: it cannot be kept, by the rules of :func:`check_value`.
    """
    return _DECODER.decode(_ENCODER.encode(value)) if _check(value, "$", DEPTH_MAX) else value


def copied(value: Any) -> Any:
    """Return a copy whose dicts and lists are all new, for code that may change it."""
    return msgspec.to_builtins(value) if isinstance(value, _CONTAINERS) else value


def _check(value: object, path: str, depth_max: int) -> bool:
    """Check as :func:`check_value` does; return whether the value has a tuple in it."""
    # Nearly all values are flat dicts of ASCII scalars. This loop only accepts them, and leaves every doubt to the walk.
    if type(value) is dict and depth_max > 0:
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or "\0" in key:
                break
            kind = type(item)
            if kind is str:
                if not item.isascii() or "\0" in item:
                    break
            elif kind is int:
                if not INTEGER_MIN <= item <= INTEGER_MAX:
                    break
            elif kind is float:
                if not -FLOAT_MAX <= item <= FLOAT_MAX:
                    break
            elif item is not None and kind is not bool:
                break
        else:
            return False
    return _walk(value, path, depth_max)


# A container on its way: itself, its key in the one around it, and that one's link. Paths are written only on error.
_Link = tuple[Any, "str | int | None", "_Link | None"]


def _walk(value: object, path: str, depth_max: int) -> bool:
    """Check level by level. The stack is an explicit one, so that neither depth nor a cycle exhausts Python's."""
    tuples = False
    stack: list[tuple[_Link, int]] = [((value, None, None), 0)]
    while stack:
        link, depth = stack.pop()
        current = link[0]
        kind = type(current)
        if kind is dict:
            for key in current:
                problem = _key_problem(key)
                if problem is not None:
                    raise PayloadError(_path(link, path), problem)
            members = current.items()
        elif kind is list or kind is tuple:
            tuples = tuples or kind is tuple
            members = enumerate(current)
        else:  # only the root itself: of the members none but containers get here
            problem = _scalar_problem(current)
            if problem is not None:
                raise PayloadError(path, problem)
            return False
        if depth == depth_max:
            problem = f"is nested deeper than {depth_max} levels (or contains itself); send it flatter, or as one string"
            raise PayloadError(_path(link, path), problem)
        for key, item in members:
            kind = type(item)
            if kind is dict or kind is list or kind is tuple:
                stack.append(((item, key, link), depth + 1))
            elif item is not None and kind is not bool and not (kind is str and item.isascii() and "\0" not in item):
                problem = _scalar_problem(item)
                if problem is not None:
                    raise PayloadError(_path((item, key, link), path), problem)
    return tuples


def _key_problem(key: object) -> str | None:
    if type(key) is not str:
        return f"has a key {_named(key)}; keys are strings: use str(key)"
    problem = None if key.isascii() and "\0" not in key else _string_problem(key)
    return problem and f"has a key {_cut(key)!a} that {problem}"


def _scalar_problem(value: object) -> str | None:
    if type(value) is str:
        return _string_problem(value)
    if type(value) is int:
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            return "is an integer beyond 64 bits; send it as a string"
        return None
    if type(value) is float:
        return None if math.isfinite(value) else f"is {value}, which JSON does not have; send None or a string"
    if value is None or type(value) is bool:
        return None
    return f"is {_named(value)}, which JSON does not have; send it as a string, number, list or dict"


def _string_problem(value: str) -> str | None:
    if "\0" in value:
        return "holds a NUL character, which PostgreSQL cannot keep; remove it, or send it encoded (such as base64)"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return f"holds a lone surrogate at {error.start}, which UTF-8 cannot write; send whole characters, or base64"
    return None


def _named(value: object) -> str:
    kind = type(value)
    if kind.__module__ == "builtins":
        return "None" if value is None else f"of type {kind.__qualname__}"
    return f"a {kind.__module__}.{kind.__qualname__}"


def _cut(key: str) -> str:
    return key if len(key) <= _KEY_SHOWN_CHARACTERS else f"{key[:_KEY_SHOWN_CHARACTERS]}…"


def _path(link: _Link | None, path: str) -> str:
    keys: list[str | int] = []
    while link is not None:
        _, key, link = link
        if key is not None:
            keys.append(key)
    for key in reversed(keys):
        path = place(path, _cut(key) if isinstance(key, str) else key)
    return path


def encode(value: object, *, path: str = "$", bytes_max: int | None = None) -> bytes:
    """Checks a value and writes it as JSON.

    Args:
        value: as for `check_value`.
        path: where the value itself stands, for the error.
        bytes_max: the longest JSON allowed, in bytes; None for no limit.

    Raises:
        PayloadError: the value cannot be kept.
        PayloadTooLargeError: it is too large.
    """
    check_value(value, path=path)
    return written(value, path=path, bytes_max=bytes_max)


def written(value: object, *, path: str = "$", bytes_max: int | None = None) -> bytes:
    """Encode a value that :func:`check_value` has passed, as JSON.

    Args:
        value: that value.
        path: where it stands, for the error.
        bytes_max: the longest JSON allowed, in bytes; None for no limit.

    Raises:
        PayloadTooLargeError: it is too large.
    """
    data = _ENCODER.encode(value)
    if bytes_max is not None and len(data) > bytes_max:
        remedy = "keep it elsewhere (an object store, a table) and send a reference to it"
        raise PayloadTooLargeError(path, f"is {len(data):,} bytes as JSON, at most {bytes_max:,} are allowed; {remedy}")
    return data


def decode(data: bytes | str, *, path: str = "$", depth_max: int = DEPTH_MAX) -> Any:
    """Read JSON from anybody, and check its values. Of equal keys in one object the last one counts.

    Args:
        data: JSON text, UTF-8 where it is bytes.
        path: where the value itself stands, for the error.
        depth_max: as for `check_value`.

    Raises:
        PayloadError: not JSON, or a value that cannot be kept. Nothing else is raised, whatever the bytes are.
    """
    try:
        value = _DECODER.decode(data)
    except RecursionError:
        raise PayloadError(path, f"is nested deeper than {depth_max} levels; send it flatter, or as one string") from None
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise PayloadError(path, f"is not JSON: {error.reason} at {error.start}; send UTF-8") from None
    except msgspec.MsgspecError as error:
        raise PayloadError(path, f"is not JSON that can be kept: {error}; send one JSON value, as RFC 8259 has it") from None
    check_value(value, path=path, depth_max=depth_max)
    return value


def canonical(value: object, *, path: str = "$") -> bytes:
    """Write a value in its canonical form (RFC 8785, JCS): equal values give equal bytes, in every language.

    JCS reads all numbers as IEEE doubles; an integer beyond 2^53 would not survive that.

    Raises:
        PayloadError: the value cannot be kept, or holds an integer beyond 2^53 - 1; names its place.
    """
    check_value(value, path=path)
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except rfc8785.IntegerDomainError:
        problem = f"is an integer beyond ±{_CANONICAL_INTEGER_MAX:,}, which has no canonical form; write it as a string"
        raise PayloadError(_beyond_double(value, path) or path, problem) from None


def _beyond_double(value: Any, path: str) -> str | None:
    """Return the place of the first integer that a double may not hold. The value was checked, so it is not too deep."""
    if type(value) is int:
        return path if abs(value) > _CANONICAL_INTEGER_MAX else None
    members = value.items() if type(value) is dict else enumerate(value) if type(value) in (list, tuple) else ()
    below = (_beyond_double(item, place(path, _cut(key) if type(key) is str else key)) for key, item in members)
    return next((found for found in below if found is not None), None)


def digest(value: object) -> str:
    """SHA-256 of the canonical form, as 64 hex digits: the version of a definition, the identity of an input.

    Raises:
        PayloadError: as `canonical`.
    """
    return hashlib.sha256(canonical(value)).hexdigest()
