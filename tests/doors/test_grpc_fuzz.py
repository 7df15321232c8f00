"""Whatever a client sends, every method answers it or refuses it: nothing is unforeseen, and the door stays open.

``GOCONDUCTOR_TEST_FUZZED`` sets how many messages are sent.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from tests.doors.conftest import INPUT, ORDER, Shop
from tests.doors.over_grpc import METHODS, Caller, value

TEXTS = (
    "",
    "order",
    "reserve",
    "ship",
    "shop",
    "bus",
    "election",
    "svg",
    "retry",
    "pause",
    "1-1",
    "x" * 300,
    "é\x00\u2028",
    "-1",
    "nan",
)
VALUES: tuple[Any, ...] = (None, 3, "x", [], {}, INPUT, ORDER, {"forced": 1}, {"name": "order"}, {"sku": None}, [[[]]])
BYTES = (b"", b"{", b"\xff", b'{"a":1,"a":2}', b"1e999", b"[" * 5000, b"name: order\nsteps: [", b"true")
NUMBERS = (0, 1, -1, 7, 500, 2**31 - 1, -(2**31))
MAY_NOT_BE = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}


class Fuzz:
    """Messages by chance, of known ids, names and values as well, so that some come through."""

    def __init__(self, chance: random.Random, saga_ids: list[str]) -> None:
        self.chance = chance
        self.texts = (*TEXTS, *saga_ids)

    def message(self, descriptor: Any) -> Any:
        made = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if self.chance.random() < 0.4 or (field.name == "saga_id" and self.chance.random() < 0.9):
                self._set(made, field)
        return made

    def _set(self, made: Any, field: FieldDescriptor) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(made, field.name)[self.chance.choice(self.texts)] = self.chance.choice(self.texts)
        elif field.is_repeated:
            getattr(made, field.name).extend(self._one(field) for _ in range(self.chance.randrange(3)))
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(self._one(field))
        else:
            setattr(made, field.name, self._one(field))

    def _one(self, field: FieldDescriptor) -> Any:
        if field.message_type is not None:
            if field.message_type.name == "Value" and self.chance.random() < 0.8:
                return value(self.chance.choice(VALUES))
            return self.message(field.message_type)
        match field.type:
            case FieldDescriptor.TYPE_STRING if field.name == "saga_id" and self.chance.random() < 0.8:
                return self.texts[-1]
            case FieldDescriptor.TYPE_STRING:
                return self.chance.choice(self.texts)
            case FieldDescriptor.TYPE_BYTES:
                return self.chance.choice((*BYTES, json.dumps(self.chance.choice(VALUES)).encode()))
            case FieldDescriptor.TYPE_BOOL:
                return self.chance.random() < 0.5
            case FieldDescriptor.TYPE_DOUBLE:
                return self.chance.choice((0.0, 0.01, -1.0, 1e308, float("nan"), float("inf")))
            case _:
                return self.chance.choice(NUMBERS)


async def test_whatever_is_sent_is_answered_or_refused(shop: Shop, caller: Caller) -> None:
    saga_id = (
        await caller.call("StartSaga", saga="order", input=value({**INPUT, "card": "declined", "sku": "glued"}))
    ).saga.saga_id
    fuzz = Fuzz(random.Random(17), [saga_id])
    answered, unforeseen = set(), []
    for _ in range(int(os.environ.get("GOCONDUCTOR_TEST_FUZZED", "200"))):
        method = METHODS[fuzz.chance.choice(sorted(METHODS))]
        request = fuzz.message(method.input_type)
        try:
            if method.server_streaming:
                watch = caller.send(method.name, request)
                await watch.read()
                watch.cancel()
            else:
                await caller.send(method.name, request)
        except grpc.aio.AioRpcError as error:
            if error.code() in MAY_NOT_BE:
                unforeseen.append(f"{method.name}: {error.details()}: {request}")
        else:
            answered.add(method.name)
    assert unforeseen == []
    assert len(answered) > len(METHODS) // 5
    assert (await caller.call("GetSaga", saga_id=saga_id)).saga_id == saga_id
