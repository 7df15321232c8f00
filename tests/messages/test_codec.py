"""What crosses the bus: CloudEvents that carry all that is needed, and a clear word on whatever is not ours."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import MessageError
from goconductor.lifecycle.facts.state import SagaState, Side, StepState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.messages import codec
from goconductor.messages.envelope import Baton, RunStep, SagaEnded
from goconductor.messages.topics import replies_topic, steps_topic
from goconductor.ports.bus import TOPIC
from goconductor.saga.ids import Direction

SAGA = UUID("01a1fae2-6686-7f93-8f9b-23c8f725f438")
STATE = SagaState(SAGA, "v1", input={"n": 1}, steps={"pay": StepState(Side(ActionStatus.SENT, 1))}, remaining=1)
RUN = RunStep(
    saga_id=SAGA,
    saga="order",
    version="v1",
    step="pay",
    target="payments.charge",
    direction=Direction.ACTION,
    attempt=2,
    round=0,
    baton=Baton(7, 99, STATE),
)
ENDED = SagaEnded(saga_id=SAGA, saga="order", status=SagaStatus.COMPLETED, baton=Baton(9, 99, STATE))


def encoded(body: RunStep | SagaEnded = RUN) -> bytes:
    return codec.encode(body, message_id="m-1", source="/orders/orders-1", time="2026-11-20T20:00:00+00:00", causation_id="e-1")


def changed(**attributes: Any) -> bytes:
    return json.dumps({**json.loads(encoded()), **attributes}).encode()


@pytest.mark.parametrize("body", [RUN, ENDED])
def test_a_message_says_the_same_after_its_way(body: RunStep | SagaEnded) -> None:
    assert codec.decode(encoded(body))[1] == body


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5))


@given(values, values, st.dictionaries(texts, values, max_size=3))
def test_who_gets_the_state_by_a_message_has_the_values_of_who_sent_it(input: Any, output: Any, edited: dict[str, Any]) -> None:
    """Equal is not enough: 1 is 1.0, and 0.0 is -0.0, but a step would send on other bytes."""
    pay = StepState(Side(ActionStatus.SUCCEEDED, 1), output=output, edited=edited)
    sent = msgspec.structs.replace(RUN, baton=Baton(7, 99, msgspec.structs.replace(STATE, input=input, steps={"pay": pay})))
    _, got = codec.decode(encoded(sent))
    assert isinstance(got, RunStep)
    assert got.baton.state is not None
    step = got.baton.state.steps["pay"]
    assert [repr(each) for each in (got.baton.state.input, step.output, step.edited)] == [
        repr(x) for x in (input, output, edited)
    ]
    assert encoded(got) == encoded(sent)


def test_the_attributes_are_those_of_cloudevents() -> None:
    said = json.loads(encoded())
    assert said.pop("data")
    assert said == {
        "specversion": "1.0",
        "id": "m-1",
        "source": "/orders/orders-1",
        "type": "goconductor.step.run.v2",
        "subject": "payments.charge",
        "time": "2026-11-20T20:00:00+00:00",
        "partitionkey": str(SAGA),
        "correlationid": str(SAGA),
        "causationid": "e-1",
        "idempotencykey": f"{SAGA}/pay/action/0",
    }


def test_a_retry_carries_the_same_idempotency_key() -> None:
    first, second = (codec.decode(codec.encode(RUN, message_id=number, source="/a"))[0] for number in ("1", "2"))
    assert first.id != second.id
    assert first.idempotencykey == second.idempotencykey


def test_an_older_message_is_read_without_its_state() -> None:
    """Version 1 had both sides of a step in one flat object."""
    data = json.loads(encoded())["data"]
    data["baton"]["state"]["steps"] = {"pay": {"action": "backoff", "attempt": 2, "unknowns": 1, "due_at": 5.0}}
    old = changed(type="goconductor.step.run.v1", data=data)
    assert codec.decode(old)[1] == msgspec.structs.replace(RUN, baton=Baton(7, 99))


def test_attributes_that_we_do_not_know_are_passed_over() -> None:
    assert codec.decode(changed(tenant="acme", sequence="3"))[1] == RUN


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "not a CloudEvent"),
        (b"\x80hello", "not a CloudEvent"),
        (b"[" * 100_000, "not a CloudEvent"),
        (b'{"order": 17}', "not a CloudEvent"),
        (changed(type="com.example.order.placed.v1"), "none of ours"),
        (changed(type="goconductor.step.run"), "none of ours"),
        (changed(data={"saga_id": "17"}), "does not fit"),
        (changed(data=None), "does not fit"),
        (changed(data=None, type="goconductor.step.run.v1"), "does not fit"),
        (changed(data={"baton": 17}, type="goconductor.step.run.v1"), "does not fit"),
        (changed(data={"saga_id": "17"}, type="goconductor.step.run.v1"), "does not fit"),
    ],
)
def test_what_is_not_ours_is_refused_with_the_reason(payload: bytes, why: str) -> None:
    with pytest.raises(MessageError, match=why) as refused:
        codec.decode(payload)
    assert not refused.value.newer or "none of ours" in why


@pytest.mark.parametrize(
    "attributes",
    [
        {"type": "goconductor.step.run.v4"},
        {"type": "goconductor.saga.ended.v3"},
        {"specversion": "2.0"},
        {"type": "goconductor.new.v1"},
    ],
)
def test_what_a_newer_version_wrote_is_left_to_newer_instances(attributes: dict[str, str]) -> None:
    with pytest.raises(MessageError) as refused:
        codec.decode(changed(**attributes))
    assert refused.value.newer


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_no_bytes_do_more_than_be_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        codec.decode(payload)


def test_topics_can_be_named_on_every_bus() -> None:
    for topic in (steps_topic("payments"), steps_topic("a-b_c"), replies_topic("server-host-12-abcdef")):
        assert TOPIC.fullmatch(topic)


def featured(*features: str, body: RunStep | SagaEnded = RUN) -> bytes:
    """A message of a saga whose definition uses these features."""
    return encoded(msgspec.structs.replace(body, baton=msgspec.structs.replace(body.baton, features=features)))


def test_a_saga_without_features_has_messages_that_code_from_before_features_reads() -> None:
    assert b"features" not in encoded()
    assert json.loads(featured("loops"))["type"] == "goconductor.step.run.v3"
    assert json.loads(featured("loops", body=ENDED))["type"] == "goconductor.saga.ended.v2"


def test_who_lacks_a_feature_leaves_the_message_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "KNOWN", {"loops"})
    assert codec.decode(featured("loops"))[1].baton.features == ("loops",)
    with pytest.raises(MessageError, match=r"does not know \(knots\): upgrade this instance") as caught:
        codec.decode(featured("knots", "loops"))
    assert caught.value.newer


def test_a_state_that_this_code_cannot_read_is_no_dead_letter_where_it_lacks_the_feature() -> None:
    sent = json.loads(featured("knots"))
    sent["data"]["baton"]["state"]["steps"]["pay"]["action"]["status"] = "knotted"
    with pytest.raises(MessageError) as caught:
        codec.decode(json.dumps(sent).encode())
    assert caught.value.newer
    with pytest.raises(MessageError) as caught:
        codec.decode(json.dumps({**sent, "type": "goconductor.step.run.v2"}).encode())
    assert not caught.value.newer


def test_a_pointer_names_the_features_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "KNOWN", {"loops"})
    pointer = codec.without_state(featured("loops"))
    assert pointer is not None
    assert codec.decode(pointer)[1].baton == Baton(7, 99, None, ("loops",))
