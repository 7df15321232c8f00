"""A definition is data: a document, and a version that is the hash of its canonical form."""

from __future__ import annotations

import msgspec
import pytest

from goconductor.saga.definition import Binding, Definition, Step
from goconductor.saga.retry import Retry

ORDER = Definition(
    name="order",
    steps=(
        Step(id="reserve", run="inventory.reserve", inputs={"sku": Binding(ref="$.input.sku"), "count": Binding(value=1)}),
        Step(id="charge", run="payments.charge", after=("reserve",), retry=Retry(attempts_max=None), timeout_seconds=2.5),
    ),
    output=Binding(ref="$.steps.charge.output"),
)


def test_a_document_comes_back_as_the_same_definition_and_version() -> None:
    again = msgspec.json.decode(ORDER.document(), type=Definition)
    assert again == ORDER
    assert again.version == ORDER.version


def test_a_document_says_only_what_is_not_as_usual() -> None:
    assert msgspec.json.decode(ORDER.document())["steps"][1] == {
        "id": "charge",
        "run": "payments.charge",
        "after": ["reserve"],
        "retry": {"attempts_max": None},
        "timeout_seconds": 2.5,
    }


def test_the_version_does_not_depend_on_how_the_document_is_written() -> None:
    reordered = dict(reversed(msgspec.json.decode(ORDER.document()).items()))
    spelled_out = {**reordered, "timeout_seconds": None, "input_schema": None}
    assert msgspec.convert(spelled_out, Definition).version == ORDER.version
    assert len(ORDER.version) == 32
    assert int(ORDER.version, 16) >= 0


@pytest.mark.parametrize(
    "changed",
    [
        msgspec.structs.replace(ORDER, name="orders"),
        msgspec.structs.replace(ORDER, steps=ORDER.steps[::-1]),
        msgspec.structs.replace(ORDER, timeout_seconds=60.0),
        msgspec.structs.replace(ORDER, steps=(ORDER.steps[0], msgspec.structs.replace(ORDER.steps[1], when="input.paid"))),
    ],
)
def test_any_change_is_another_version(changed: Definition) -> None:
    assert changed.version != ORDER.version


def test_an_unknown_field_is_refused_and_not_dropped() -> None:
    with pytest.raises(msgspec.ValidationError, match="compensate"):
        msgspec.json.decode(b'{"name": "order", "steps": [{"id": "a", "run": "b.c", "compensate": true}]}', type=Definition)
