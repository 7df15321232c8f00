"""Runs of dataflows from the command line, on a real PostgreSQL."""

from __future__ import annotations

import pytest

from goconductor.engine.node import Node
from tests.doors.prompt import Prompt
from tests.doors.test_rest_dataflows import sale

pytestmark = pytest.mark.postgres


async def test_a_dataflow_is_given_data_and_says_what_is_missing(command_line: Prompt, open_shop: Node) -> None:
    await open_shop.definitions.register(sale().definition, activate=True)
    first = await command_line.ask("dataflow", "run", "sale", "s-1")
    assert first.code == 0
    assert "sale s-1: waiting (saga " in first.out
    assert "card is missing, shop.charge wants it" in first.out
    second = await command_line.ask("dataflow", "run", "sale", "s-1", "--data", '{"card": "4242"}', "--close", "--by", "ann")
    assert second.code == 0
    assert ": completed, closed" in second.out
    assert 'receipt = "receipt for 4242" (new)' in second.out
    again = await command_line.ask("dataflow", "run", "sale", "s-1", "--json")
    assert again.json["target"] == {"parcel": "p-1", "receipt": "receipt for 4242"}
    failed = await command_line.ask("dataflow", "run", "sale", "s-2", "--data", '{"card": "declined"}')
    assert (failed.code, "receipt failed: PermanentError: the card was declined" in failed.out) == (1, True)
    wrong = await command_line.ask("dataflow", "run", "sale", "s-1", "--data", "[]")
    assert (wrong.code, "--data: is no object" in wrong.err) == (2, True)
    unknown = await command_line.ask("dataflow", "run", "sael", "s-1")
    assert (unknown.code, "there is no definition of saga 'sael'" in unknown.err) == (4, True)
