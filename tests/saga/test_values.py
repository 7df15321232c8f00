"""What may be kept and sent, and what is said of everything else."""

from __future__ import annotations

import decimal
import json
import math
from collections import OrderedDict
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import PayloadError
from goconductor.saga.data.values import as_read, canonical, check_value, copied, decode, digest, encode, place

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.text(characters, max_size=20)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | floats | texts
keepable = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals() | st.dates(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.sets(st.integers()) | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


class Colour(StrEnum):
    RED = "red"


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def refused(value: object) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        check_value(value)
    return caught.value


@given(keepable)
def test_what_may_be_kept_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    assert repr(decode(encode(value))) == repr(value)


@given(st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.lists(inner) | st.dictionaries(texts, inner)))
def test_a_value_as_it_is_read_stays_what_it_is_when_it_is_read_again(value: Any) -> None:
    read = as_read(value)
    assert repr(decode(encode(read))) == repr(read)
    assert encode(read) == encode(value)


def test_what_is_copied_shares_nothing_that_can_be_changed() -> None:
    value: dict[str, Any] = {"items": [{"sku": "tea"}], "note": "x"}
    own = copied(value)
    own["items"][0]["sku"] = "coffee"
    own["items"].append(1)
    assert value == {"items": [{"sku": "tea"}], "note": "x"}
    assert [copied(each) for each in (1, -0.0, None, "é")] == [1, -0.0, None, "é"]


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        (math.nan, "$", "nan"),
        ({"a": [1, -math.inf]}, "$.a[1]", "-inf"),
        ({"n": 2**63}, "$.n", "send it as a string"),
        ([-(2**63) - 1], "$[0]", "beyond 64 bits"),
        ({"a b": {"c": "x\0"}}, "$['a b'].c", "NUL"),
        ("\ud800", "$", "lone surrogate at 0"),
        ({"ok": {"\udfff": 1}}, "$.ok", "'\\udfff' that holds a lone surrogate"),
        ({"a\0": 1}, "$", "NUL"),
        ({1: "a"}, "$", "use str(key)"),
        ({"a": {None: 1}}, "$.a", "use str(key)"),
        ({"amount": decimal.Decimal(1)}, "$.amount", "decimal.Decimal"),
        ([b"a"], "$[0]", "of type bytes"),
        ({"s": {1}}, "$.s", "of type set"),
        ({"colour": Colour.RED}, "$.colour", "Colour"),
        (OrderedDict(a=1), "$", "OrderedDict"),
    ],
)
def test_the_place_and_the_remedy_are_named(value: object, path: str, problem: str) -> None:
    error = refused(value)
    assert error.path == path
    assert problem in error.problem
    str(error).encode()


@pytest.mark.parametrize(
    "value",
    [2**63 - 1, -(2**63), 1e16, 1e22, -1.7976931348623157e308, -0.0, 5e-324, "é\U0001f600", (1, (2,)), {}, []],
)
def test_the_last_values_inside_the_bounds_are_kept(value: object) -> None:
    check_value(value)
    check_value({"a": value, "é": value})


def test_nesting_is_allowed_to_the_given_depth_and_no_further() -> None:
    check_value(nested(64))
    assert "deeper than 64 levels" in refused(nested(65)).problem
    check_value({"a": 1}, depth_max=1)
    with pytest.raises(PayloadError, match="deeper than 1 levels"):
        check_value({"a": {}}, depth_max=1)
    with pytest.raises(PayloadError, match="deeper than 0 levels"):
        check_value({"a": 1}, depth_max=0)


def test_neither_a_deep_nor_a_cyclic_value_exhausts_the_stack() -> None:
    assert "nested deeper" in refused(nested(200_000)).problem
    check_value(nested(50_000), depth_max=50_000)
    cycle: dict[str, Any] = {}
    cycle["itself"] = [cycle]
    assert "contains itself" in refused(cycle).problem
    with pytest.raises(PayloadError, match="contains itself"):
        encode(cycle)


def test_a_path_begins_where_the_caller_says_and_stays_short() -> None:
    with pytest.raises(PayloadError) as caught:
        check_value({"a" * 100_000: [math.nan]}, path="$.steps.charge.output")
    assert caught.value.path.startswith("$.steps.charge.output.aaa")
    assert len(str(caught.value)) < 300


@given(anything)
def test_whatever_passes_the_check_can_be_sent(value: object) -> None:
    try:
        check_value(value)
    except PayloadError as error:
        str(error).encode()
    else:
        json.loads(encode(value))


def test_what_is_too_large_is_refused_with_its_size_and_the_limit() -> None:
    assert encode("abc", bytes_max=5) == b'"abc"'
    with pytest.raises(PayloadError, match=r"\$\.input: is 2,002 bytes as JSON, at most 2,000 are allowed; keep it elsewhere"):
        encode("a" * 2_000, path="$.input", bytes_max=2_000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"1 2",
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"9223372036854775808",
        b"1" * 5_000,
        b'"\\u0000"',
        b'{"a\\u0000":1}',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'{"\\ud800":1}',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b"\xef\xbb\xbf1",
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        "\ud800",
        '"\ud800"',
    ],
)
def test_json_that_cannot_be_kept_is_refused(data: bytes | str) -> None:
    with pytest.raises(PayloadError) as caught:
        decode(data, path="$.body")
    assert caught.value.path.startswith("$.body")
    str(caught.value).encode()


def test_the_place_in_the_json_is_named_as_far_as_it_is_known() -> None:
    with pytest.raises(PayloadError, match=r"\$\.items\[1\]\.n: is an integer beyond 64 bits"):
        decode(b'{"items":[{},{"n":18446744073709551616}]}')
    with pytest.raises(PayloadError, match=r"byte 4"):
        decode(b'[1, "a" 2]'[:4] + b"x]")


@given(st.binary() | st.text() | st.text(st.sampled_from('[]{}":,0123456789.eE-+\\ud8 ntf"abc')))
def test_decoding_raises_nothing_but_a_payload_error(data: bytes | str) -> None:
    try:
        value = decode(data)
    except PayloadError:
        return
    assert repr(decode(encode(value))) == repr(value)


def test_the_canonical_form_is_that_of_the_rfc() -> None:
    value = {"literals": [None, True, False], "numbers": [1e15, 4.5, 2e-3, 1e-27], "\u20ac": "\u20ac$\u000f\nA'B\"\\/", "1": -0.0}
    expected = '{"1":0,"literals":[null,true,false],"numbers":[1000000000000000,4.5,0.002,1e-27],"€":"€$\\u000f\\nA\'B\\"\\\\/"}'
    assert canonical(value) == expected.encode()


def test_an_integer_that_others_would_read_as_a_float_has_no_canonical_form() -> None:
    assert canonical(2**53 - 1) == b"9007199254740991"
    for number in (2**53, -(2**53)):
        with pytest.raises(PayloadError, match=r"write it as a string"):
            canonical({"n": number})


def test_the_place_of_an_integer_without_a_canonical_form_is_named() -> None:
    with pytest.raises(PayloadError) as refused:
        canonical({"a": [1, {"x y": -(2**53)}], "b": True})
    assert refused.value.path == "$.a[1]['x y']"


def test_what_cannot_be_kept_has_no_canonical_form() -> None:
    with pytest.raises(PayloadError, match=r"NaN|nan"):
        canonical(math.nan)


@given(st.dictionaries(texts, st.integers(-(2**53) + 1, 2**53 - 1) | texts, max_size=8), st.randoms())
def test_a_digest_does_not_depend_on_the_order_of_keys(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert digest(dict(items)) == digest(value)
    assert digest({**value, "more": 1}) != digest(value) or value.get("more") == 1


def test_the_digest_of_an_empty_object_is_the_sha256_of_two_braces() -> None:
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a", "$.a"),
        ("_é1", "$._é1"),
        ("1a", "$['1a']"),
        ("x y", "$['x y']"),
        ("it's\\\n", "$['it\\'s\\\\\\n']"),
        ("", "$['']"),
        (-1, "$[-1]"),
    ],
)
def test_a_place_is_written_as_jsonpath(key: str | int, path: str) -> None:
    assert place("$", key) == path
