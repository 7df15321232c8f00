"""Definitions, schedules and the installation over gRPC; and that nothing of REST is missing there."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from pydantic import BaseModel

from goconductor.control import models
from goconductor.control.authority.keys import KeyDetail, KeyList, MadeKey
from goconductor.control.dataflows.documents import DataflowRun
from goconductor.control.definitions.comparing import DefinitionDiff
from goconductor.control.flows import editing, executing
from goconductor.control.sagas.bulk import BulkItem, BulkReport
from goconductor.control.schedules import documents
from goconductor.control.secrets.keeping import RewrappedSecrets, SecretDetail, SecretList, VerifiedSecrets
from goconductor.control.webhooks import documents as webhook_documents
from goconductor.ports.store import DeadLetter
from tests.doors.conftest import ORDER, Shop
from tests.doors.over_grpc import METHODS, Caller, value
from tests.doors.test_rest_dataflows import sale
from tests.doors.test_rest_reference import document

ELSEWHERE: dict[str, set[str]] = {
    "Get Diagram": {"GetSagaDiagram", "GetDefinitionDiagram"},
    "Get Events": {"WatchSaga"},
    "Readyz": {"GetReadiness"},
    "Livez": set(),  # grpc.health.v1 is for that
    "Metrics": set(),  # for Prometheus, which asks over HTTP
    "Put Document": set(),  # this one and the next but one are Orchy's own paths, as one of the two that execute
    "Tell": set(),
    "Get Result": {"GetStepResult"},
    "Stop": {"StopExecution"},
    "Join Workers": {"Work"},
    "Poll Worker": {"Work"},
    "Leave Worker": {"Work"},
}
"""Where a path of REST has another name here, or is none of gRPC's."""


def test_each_path_of_rest_is_a_method_here() -> None:
    operations = [each for methods in document()["paths"].values() for each in methods.values()]
    names = {each["summary"] for each in operations}
    assert names > {"Start Saga", "Pause", "Put Definition", "List Dead Letters"} | (ELSEWHERE.keys() - {"Metrics"})
    wanted = set().union(*(ELSEWHERE.get(name, {name.replace(" ", "")}) for name in names))
    missing = sorted(wanted - METHODS.keys())
    assert not missing, f"{missing} of REST are no methods: add them to goconductor/grpc/v1, then make proto, or to ELSEWHERE"


SHOWN: list[type[BaseModel]] = [
    *(each for each in vars(models).values() if isinstance(each, type) and issubclass(each, models.Document)),
    *(each for each in vars(documents).values() if isinstance(each, type) and issubclass(each, models.Document)),
    *(each for each in vars(webhook_documents).values() if isinstance(each, type) and issubclass(each, models.Document)),
    *(editing.FlowDetail, editing.FlowStepDetail),
    *(executing.FlowExecution, executing.FlowStepStatus, executing.FlowStepResult),
    *(BulkItem, BulkReport, DefinitionDiff, DataflowRun, KeyDetail, KeyList, MadeKey),
    *(SecretDetail, SecretList, RewrappedSecrets, VerifiedSecrets),
]
NOT_SHOWN = {"Document", "CheckedDefinitions"}
"""A base, and what the command line shows of several files."""
MESSAGES = {each.name: each for method in METHODS.values() for each in (method.output_type,)}


def _with_parts(message: Any) -> None:
    for field in message.fields:
        part = field.message_type
        if part is not None and part.full_name.startswith("goconductor.") and part.name not in MESSAGES:
            MESSAGES[part.name] = part
            _with_parts(part)


for _each in list(MESSAGES.values()):
    _with_parts(_each)


@pytest.mark.parametrize("shown", [each for each in SHOWN if each.__name__ not in NOT_SHOWN], ids=lambda each: each.__name__)
def test_each_document_is_a_message_with_its_fields(shown: type[BaseModel]) -> None:
    assert set(MESSAGES[shown.__name__].fields_by_name) == set(shown.model_fields)


async def test_a_definition_is_registered_checked_compared_and_pinned(caller: Caller) -> None:
    changed = {**ORDER, "timeout_seconds": 600}
    new = await caller.call("PutDefinition", document=value(changed))
    old = (await caller.call("ListVersions", name="order")).definitions[0].version
    assert (new.saga, new.active, new.version != old) == ("order", True, True)
    assert json.loads((await caller.call("GetDefinition", name="order")).document.data)["timeout_seconds"] == 600
    assert len((await caller.call("ListDefinitions")).definitions) == 2
    assert len((await caller.call("GetDiff", name="order", version=old)).changes) == 1
    assert (await caller.call("ActivateVersion", name="order", version=old)).pinned
    assert not (await caller.call("Unpin", name="order")).pinned
    assert (await caller.call("GetDefinitionDiagram", name="order")).text.startswith("flowchart")
    code = await caller.call("GetDefinitionText", name="order", version=old, language="python")
    assert (code.content_type, code.text.startswith("from goconductor import")) == ("text/x-python", True)
    assert (await caller.call("GetDefinitionText", name="order")).content_type == "application/json"
    refused = await caller.refused("GetDefinitionText", name="order", language="jsno")
    assert refused.places == {"language": "'jsno' is unknown; did you mean json?"}
    assert json.loads((await caller.call("GetDefinitionSchema")).data)["$schema"].endswith("2020-12/schema")


async def test_faults_of_a_definition_are_an_answer_when_it_is_checked_and_an_error_when_it_is_registered(
    caller: Caller,
) -> None:
    wrong = {"name": "wrong", "steps": [{"id": f"s{number}", "run": "x.y", "after": ["none"]} for number in range(200)]}
    checked = await caller.call("CheckDefinition", document=json.dumps(wrong).encode(), file="wrong.json")
    assert (checked.saga, checked.version, len(checked.problems)) == ("wrong", "", 200)
    refused = await caller.refused("PutDefinition", document=value(wrong))
    assert (refused.code, refused.kind) == (grpc.StatusCode.INVALID_ARGUMENT, "definition-refused")
    assert int(refused.info.metadata["left_out"]) > 0


async def test_a_schedule_is_made_changed_fired_and_deleted(caller: Caller) -> None:
    wanted: dict[str, Any] = {
        "name": "nightly",
        "saga": "order",
        "input": value({"sku": "tea", "quantity": 1, "card": "1"}),
        "by": "ann",
    }
    made = await caller.call("CreateSchedule", **wanted, cron="@daily", time_zone="Europe/Berlin")
    assert (made.changed_by, made.overlap, len(made.next_fires) > 0) == ("ann", "skip", True)
    assert (await caller.refused("CreateSchedule", **wanted, every_seconds=60)).kind == "schedule-exists"
    assert (await caller.call("ReplaceSchedule", **wanted, every_seconds=3600)).every_seconds == 3600
    assert (await caller.call("PauseSchedule", name="nightly")).paused
    assert not (await caller.call("ResumeSchedule", name="nightly")).paused
    fired = await caller.call("FireSchedule", name="nightly", by="ann", request_id="f-1")
    again = await caller.call("FireSchedule", name="nightly", by="ann", request_id="f-1")
    assert fired.saga_id == again.saga_id
    assert [each.name for each in (await caller.call("ListSchedules")).schedules] == ["nightly"]
    assert (await caller.call("GetSchedule", name="nightly")).last.by == "ann"
    await caller.call("DeleteSchedule", name="nightly")
    assert (await caller.refused("GetSchedule", name="nightly")).kind == "schedule-not-found"
    assert list((await caller.refused("CreateSchedule", **wanted, every_seconds=60, overlap="never")).places) == ["overlap"]


async def test_a_dataflow_is_given_data_until_its_target_is_there(shop: Shop, caller: Caller) -> None:
    await shop.server.definitions.register(sale().definition, activate=True)
    first = await caller.call("Run", name="sale", id="s-1")
    assert {datum: list(each.names) for datum, each in first.missing.items()} == {"card": ["shop.charge"]}
    second = await caller.call("Run", name="sale", id="s-1", data=value({"card": "4242"}), close=True, by="ann")
    assert json.loads(second.target.data) == {"parcel": "p-1", "receipt": "receipt for 4242"}
    assert (list(second.new), second.closed, second.status) == (["receipt", "parcel"], True, "completed")
    assert (await caller.refused("Run", name="sale", id="s-1", data=value({"card": "11"}))).kind == "refused"
    assert list((await caller.refused("Run", name="sale")).places) == ["id"]


async def test_the_installation_is_shown(shop: Shop, caller: Caller) -> None:
    assert (await caller.call("GetReadiness")).ready
    found = (await caller.call("ListParticipants")).participants
    assert [(each.participant, each.alive) for each in found if each.participant == "shop"] == [("shop", 1)]
    assert (await caller.call("GetLeader")).epoch == 0
    assert (await caller.call("GetChoice", kind="bus")).phase == "settled"
    assert list((await caller.refused("GetChoice", kind="store")).places) == ["kind"]
    assert list((await caller.refused("Migrate", kind="bus", to="not a name")).places) == ["to"]
    assert list((await caller.refused("ListParticipants", dead_seconds=-1)).places) == ["dead_seconds"]


async def test_a_dead_letter_is_looked_at_and_dropped_with_a_reason(shop: Shop, caller: Caller) -> None:
    for reason in ("unreadable", "too old"):
        await shop.store.dead_letters.put(DeadLetter(topic="elsewhere", payload=b"{}", reason=reason, headers={}))
    letters = (await caller.call("ListDeadLetters", limit=1)).letters
    assert [each.reason for each in letters] == ["too old"]
    assert (await caller.call("RedriveDeadLetter", letter_id=letters[0].letter_id)).topic == letters[0].topic
    (left,) = (await caller.call("ListDeadLetters")).letters
    assert list((await caller.refused("DropDeadLetter", letter_id=left.letter_id)).places) == ["reason"]
    assert (await caller.call("DropDeadLetter", letter_id=left.letter_id, reason="read by hand")).reason == "unreadable"
    assert (await caller.refused("RedriveDeadLetter", letter_id=left.letter_id)).kind == "dead-letter-not-found"
