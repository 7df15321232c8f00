"""Revisions 0009 and 0010: features find their way back from the documents, and nobody goes back under a saga that needs one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from goconductor.saga.definition import Binding, Child, Definition, Delay, Lock, Map, Repeat, Savepoint, Step, Undo, Wait
from goconductor.saga.features import OF_SAGA, USES, features_of
from goconductor.saga.retry import Retry
from goconductor.stores.postgres import migrate
from goconductor.stores.postgres.database import dial
from tests.migration.downgrading import downgrade

pytestmark = pytest.mark.postgres

CODE = Step(id="a", run="shop.a")
STEPS = {
    "nothing": [CODE],
    "delay": [CODE, Step(id="b", delay=Delay(seconds=1.0))],
    "wait": [Step(id="b", wait=Wait(event="go"))],
    "tolerated": [Step(id="b", run="shop.b", allow_fail=True)],
    "fallback": [Step(id="b", run="shop.b", fallback="a"), CODE],
    "timed": [Step(id="b", run="shop.b", total_timeout_seconds=60.0)],
    "chosen": [Step(id="b", run="shop.b", compensation_retry=Retry(not_on=("ValueError",)))],
    "value": [Step(id="b", value="1")],
    "value of a reference": [Step(id="b", value="inputs.x", inputs={"x": Binding(ref="$.input.x")})],
    "optional": [Step(id="b", run="shop.b", inputs={"x": Binding(ref="$.input.x", optional=True)})],
    "undo": [Step(id="b", run="shop.b", undo=Undo(run="shop.c", inputs={"x": Binding(ref="$.input.x", optional=True)}))],
    "an undo that waits": [Step(id="b", run="shop.b", undo=Undo(wait=Wait(event="undone")))],
    "an undo that is a saga": [Step(id="b", run="shop.b", undo=Undo(saga=Child(name="back", version="v")))],
    "nothing to undo": [Step(id="b", run="shop.b", undo="none")],
    "map": [
        Step(id="b", map=Map(over="$.input", do=(Step(id="c", map=Map(over="$.item", do=(CODE, Step(id="d", value="1")))),)))
    ],
    "join": [Step(id="b", map=Map(over="$.input", do=(Step(id="c", run="shop.c", undo="none"),), join="any"))],
    "slots": [Step(id="b", map=Map(over="$.input", do=(Step(id="c", run="shop.c"),), concurrency=1))],
    "a map that may fail": [Step(id="b", map=Map(over="$.input", do=(Step(id="c", run="shop.c"),)), allow_fail=True)],
    "undo in a map": [Step(id="b", map=Map(over="$.input", do=(Step(id="c", run="shop.c", undo=Undo(run="shop.d")),)))],
    "an undo that waits in a map": [
        Step(id="b", map=Map(over="$.input", do=(Step(id="c", run="shop.c", undo=Undo(wait=Wait(event="undone"))),)))
    ],
    "a saga in a map, undone": [
        Step(id="b", map=Map(over="$.input", do=(Step(id="c", saga=Child(name="p", version="v"), undo=Undo(run="shop.d")),)))
    ],
    "repeat": [
        Step(
            id="b",
            repeat=Repeat(
                do=(Step(id="c", map=Map(over="$.input", do=(CODE, Step(id="d", delay=Delay(seconds=1.0))))),),
                until="true",
                max=3,
            ),
        )
    ],
    "saga": [Step(id="b", saga=Child(name="parcel", version="v"))],
    "a saga that is written inside": [
        Step(id="b", saga=Child(name="x:b", version="v", held=True, steps=(Step(id="c", delay=Delay(seconds=1.0)),)))
    ],
    "savepoint": [Step(id="b", savepoint=Savepoint(otherwise=("c",)))],
    "held saga": [Step(id="b", saga=Child(name="parcel", version="v", held=True))],
    "locked": [Step(id="b", run="shop.b", locks=(Lock(key="k"),))],
    "grouped": [Step(id="g.b", run="shop.b")],
    "several": [
        Step(id="b", delay=Delay(seconds=1.0)),
        Step(id="c", run="shop.c", allow_fail=True, retry=Retry(on=("OSError",))),
    ],
}


@pytest.fixture
async def hand(postgres_url: str) -> AsyncIterator[dial.Connection]:
    await migrate(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def put(hand: dial.Connection, definition: Definition) -> None:
    await hand.execute(
        "INSERT INTO goconductor.definitions (namespace, saga, version, document, features) VALUES ('default', $1, 'v', $2, $3)",
        definition.name,
        definition.document().decode(),
        [*features_of(definition)],
    )


async def test_a_definition_has_its_features_again_after_the_way_back_and_forth(postgres_url: str, hand: dial.Connection) -> None:
    assert {feature for steps in STEPS.values() for feature in features_of(Definition(name="s", steps=tuple(steps)))} == {*USES}
    grown = Step(id="g.b", map=Map(over="$.input", do=(CODE,)))
    whole = Definition(name="all:of it", steps=(CODE, grown), locks=(Lock(key="k"),), priority=1)
    assert {*features_of(whole)} == {*OF_SAGA, "map", "dotted_id"}
    for name, steps in STEPS.items():
        await put(hand, Definition(name=name, steps=tuple(steps)))
    await put(hand, whole)
    look = "SELECT saga, features FROM goconductor.definitions ORDER BY saga"
    before = await hand.fetch(look)
    assert {row["saga"]: row["features"] for row in before}["several"] == ["delay", "retry_on", "tolerated_failure"]
    await downgrade(postgres_url, "0008")
    await migrate(postgres_url)
    assert await hand.fetch(look) == before


@pytest.mark.parametrize(
    ("saga", "status", "refused"), [("wait", "running", True), ("wait", "completed", False), ("nothing", "running", False)]
)
async def test_nobody_goes_back_under_a_saga_that_the_release_before_cannot_read(
    postgres_url: str, hand: dial.Connection, saga: str, status: str, *, refused: bool
) -> None:
    await put(hand, Definition(name=saga, steps=tuple(STEPS[saga])))
    await hand.execute(
        """
        INSERT INTO goconductor.sagas
        (saga_id, started_at, saga, version, labels, last_instance, seq, tag, updated_at, wake_at, status)
        VALUES ($1, now(), $2, 'v', '{}', 1, 1, 1, now(), now(), $3)
        """,
        UUID(int=1),
        saga,
        status,
    )
    if refused:
        with pytest.raises(DBAPIError, match="definitions the release before cannot read"):
            await downgrade(postgres_url, "0009")
    else:
        await downgrade(postgres_url, "0009")
