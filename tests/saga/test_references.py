"""References: which texts are one, what they give, and how Python code records them."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import PayloadError
from goconductor.saga.data.references import Place, Reference, reference_of

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
indexes = st.integers(-(2**53) + 1, 2**53 - 1)
keys = st.lists(names | indexes, max_size=6).map(tuple)

INPUT = {"sku": "a-1", "x y": [1, {"deep": None}], "none": None, "0": "zero"}
OUTPUTS = {"charge": {"id": 7, "items": [{"id": 1}, {"id": 2}]}, "a-b": [10, 20], "gift": None}


@pytest.mark.parametrize(
    ("text", "normalised", "step", "found"),
    [
        ("$.input", "$.input", None, ("input", ())),
        ("$.input.sku", "$.input.sku", None, ("input", ("sku",))),
        ("$['input'][\"sku\"]", "$.input.sku", None, ("input", ("sku",))),
        ("$.input['x y'][0]", "$.input['x y'][0]", None, ("input", ("x y", 0))),
        ("$.input['0'][-1]", "$.input['0'][-1]", None, ("input", ("0", -1))),
        ("$ .input\n[0]", "$.input[0]", None, ("input", (0,))),
        ("$.steps.charge.output", "$.steps.charge.output", "charge", ("steps", ())),
        ("$.steps.charge.output.id", "$.steps.charge.output.id", "charge", ("steps", ("id",))),
        ("$.steps['a-b']['output'][0]", "$.steps['a-b'].output[0]", "a-b", ("steps", (0,))),
        ('$.input["it\'s"]', r"$.input['it\'s']", None, ("input", ("it's",))),
        (
            r"""$.input['\'"\\\/\n\u00e9\ud83d\ude00']""",
            "$.input['\\'\"\\\\/\\né\U0001f600']",
            None,
            ("input", ("'\"\\/\né\U0001f600",)),
        ),
        (r"""$.input['say "hi"']""", """$.input['say "hi"']""", None, ("input", ('say "hi"',))),
        ("$.input.größe", "$.input.größe", None, ("input", ("größe",))),
    ],
)
def test_a_singular_query_is_read_and_normalised(text: str, normalised: str, step: str | None, found: tuple[Any, ...]) -> None:
    reference = Reference.parse(text)
    assert str(reference) == reference.path == normalised
    assert reference.step == step
    assert (reference.root, reference.keys) == found


@pytest.mark.parametrize(
    "text",
    [
        *["", "input.sku", "@.input", "$", "$.inputs", "$.output", "$[0]", " $.input", "$.input ", "$.input."],
        *["$.steps", "$.steps.charge", "$.steps.charge.skipped", "$.steps[0].output", "$['input'"],
        *[
            "$.input.*",
            "$.input[*]",
            "$..input",
            "$.input..sku",
            "$.input[0:2]",
            "$.input[0,1]",
            "$.input[?@.a]",
            "$.input[?(@.a==1)]",
        ],
        *["$.input.a-b", "$.input.1a", "$.input[01]", "$.input[-0]", "$.input[+1]", "$.input[1.0]", "$.input[9007199254740992]"],
        *["$.input[ 'a' ]", "$.input[a]", "$.input['a\\'b]", '$.input["\\\'"]', "$.input['\\x41']", "$.input['a\nb']"],
        *[r"$.input['\ud800']", r"$.input['\u0000']", r"$.input['\u12']", "$.input['\ud800']", "$.input.\ud800"],
        *["$.input" + ".a" * 2_000, "$.input['" + "\\" * 1_000, "$" * 1_500],
    ],
)
def test_anything_else_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(PayloadError, match=r"write|is not JSON|NUL|beyond") as caught:
        Reference.parse(text)
    str(caught.value).encode()


@given(st.text(st.sampled_from("$.[]'\"\\input steps*?0-1u") | st.characters(), max_size=40).map(lambda rest: f"$.input{rest}"))
def test_parsing_raises_nothing_else(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except PayloadError:
        return
    assert Reference.parse(str(reference)) == reference


@given(names, keys)
def test_a_reference_survives_being_written_and_read(step: str, keys: tuple[str | int, ...]) -> None:
    for reference in (Reference.to("input", None, *keys), Reference.to("steps", step, *keys)):
        assert Reference.parse(str(reference)) == reference
        assert hash(Reference.parse(str(reference))) == hash(reference)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$.input", INPUT),
        ("$.input.sku", "a-1"),
        ("$.input['x y'][0]", 1),
        ("$.input['0']", "zero"),
        ("$.steps.charge.output.items[1].id", 2),
        ("$.steps.charge.output.items[-2].id", 1),
        ("$.steps['a-b'].output[1]", 20),
        ("$.steps.gift.output", None),
        ("$.steps.gift.output.parcel[3]", None),
        ("$.input.none.anything", None),
        ("$.input['x y'][1].deep[0]", None),
    ],
)
def test_what_stands_at_the_place_is_found_and_below_null_is_null(text: str, value: Any) -> None:
    assert Reference.parse(text).resolve(INPUT, OUTPUTS) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$.input.skuu", r"\$\.input\.skuu: is not there; \$\.input has 'sku', 'x y', 'none', '0'"),
        ("$.input[0]", r"\$\.input\[0\]: is not there; \$\.input is of type dict"),
        ("$.input.sku.x.y", r"\$\.input\.sku\.x: is not there; \$\.input\.sku is of type str"),
        ("$.input.sku[0]", r"is of type str"),
        ("$.steps.charge.output.items.id", r"\$\.steps\.charge\.output\.items is of type list"),
        ("$.steps.charge.output.items[2]", r"\$\.steps\.charge\.output\.items has 2 items"),
        ("$.steps.charge.output.items[-3]", r"has 2 items"),
        ("$.steps.ship.output.id", r"\$\.steps\.ship: .* has not ended"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(text: str, message: str) -> None:
    with pytest.raises(PayloadError, match=message):
        Reference.parse(text).resolve(INPUT, OUTPUTS)


def test_what_is_there_is_listed_but_not_all_of_a_large_dict() -> None:
    reference = Reference.parse("$.input.z")
    with pytest.raises(PayloadError, match="nothing in it"):
        reference.resolve({}, {})
    with pytest.raises(PayloadError, match=r"'9' and 90 more"):
        reference.resolve({str(i): i for i in range(100)}, {})


@given(keys)
def test_a_place_records_the_way_to_it(keys: tuple[str | int, ...]) -> None:
    place = Place("$.steps['a-b'].output")
    for key in keys:
        place = place[key]
    assert reference_of(place) == Reference.to("steps", "a-b", *keys)


def test_attributes_and_items_are_the_same_and_no_field_name_is_taken() -> None:
    root = Place(Reference.to("input", None))
    assert reference_of(root.lines[0]["sku"]) == Reference.parse("$.input.lines[0].sku")
    for name in ("reference", "path", "step", "keys", "resolve", "items", "_refuse", "_path", "self"):
        assert reference_of(getattr(root, name)).keys == (name,)
    assert reference_of(root["__class__"]).keys == ("__class__",)
    with pytest.raises(AttributeError, match=r"reached as \['__fields__'\]"):
        _ = root.__fields__
    assert repr(root.lines[0]) == "Place($.input.lines[0])"
    assert reference_of(copy.deepcopy(root.sku)) == reference_of(root.sku)


misuses: list[Callable[[Any], object]] = [
    bool,
    operator.not_,
    list,
    len,
    int,
    float,
    lambda place: f"order {place}",
    lambda place: 3 in place,
    lambda place: place == 3,
    lambda place: place != place,  # noqa: PLR0124
    lambda place: place > 10_000,
    lambda place: place <= 3,
    lambda place: [1, 2, 3][place],
]


@pytest.mark.parametrize("misuse", misuses)
def test_asking_a_place_for_its_value_fails_loudly(misuse: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match=r"Place\(\$\.input\.total\) has no value before the saga runs.*when="):
        misuse(Place("$.input").total)


@pytest.mark.parametrize("key", [True, 1.5, None, slice(0, 2), ("a", "b")])
def test_only_names_and_indexes_are_items(key: Any) -> None:
    with pytest.raises(TypeError, match="takes a name or an index"):
        Place("$.input")[key]


def test_a_place_can_be_a_key_by_identity() -> None:
    place = Place("$.input")
    assert {place: 1}[place] == 1
    assert hash(place) != hash(Place("$.input"))
