"""Participants, the leader and dead letters from the command line."""

from __future__ import annotations

import pytest

from goconductor.engine.node import Node
from goconductor.messages.topics import steps_topic
from goconductor.ports.store import DeadLetter
from tests.doors.prompt import Prompt

pytestmark = pytest.mark.postgres


async def put_letters(node: Node, *payloads: bytes) -> list[int]:
    """Letters that no participant reads, oldest first."""
    for payload in payloads:
        await node.store.dead_letters.put(DeadLetter(topic="goconductor.nobody", payload=payload, reason="it is not ours"))
    return [letter.letter_id for letter in await node.store.dead_letters.newest()][::-1]


async def test_participants_are_shown_with_their_instances_and_without_the_command_itself(
    command_line: Prompt, open_shop: Node
) -> None:
    (shop,) = (await command_line.ask("participants", "--json")).json["participants"]
    assert (shop["participant"], shop["alive"], shop["steps"]) == ("shop", 1, ["charge", "reserve", "ship"])
    assert [(each["name"], each["alive"]) for each in shop["instances"]] == [(open_shop.name, True)]
    lines = (await command_line.ask("participants")).lines
    assert lines[0] == "shop  1 living  charge, reserve, ship"
    assert lines[1].startswith(f"└── ● {open_shop.name}  since 20")


async def test_the_leader_is_shown_and_its_absence_is_a_failure(command_line: Prompt, open_shop: Node) -> None:
    nobody = await command_line.ask("leader")
    assert (nobody.code, nobody.lines) == (1, ["nobody leads: run a participant or `goconductor serve`"])
    term = await open_shop.store.terms.raise_epoch("shop-1", 600)
    assert term is not None
    await open_shop.store.recovery.note_sweep({"rounds": 5, "sagas": 2}, epoch=term.epoch)
    shown = await command_line.ask("leader")
    assert shown.code == 0
    assert shown.lines[0].startswith("shop-1 leads in epoch 1, for ")
    assert shown.lines[1].endswith(" ago in epoch 1: rounds 5, sagas 2")
    as_json = (await command_line.ask("leader", "--json")).json
    assert (as_json["holder"], as_json["epoch"], as_json["last_sweep"]["did"]) == ("shop-1", 1, {"rounds": 5, "sagas": 2})


async def test_dead_letters_are_listed_sent_again_and_dropped(command_line: Prompt, open_shop: Node) -> None:
    first, second, third = await put_letters(open_shop, b"one", b"two\x1b[2J", b"\xff")
    page = (await command_line.ask("dead-letters", "list", "--limit", "2", "--json")).json
    assert [letter["letter_id"] for letter in page["letters"]] == [third, second]
    assert (page["before"], page["letters"][0]["text"], page["letters"][1]["text"]) == (second, None, "two\x1b[2J")
    assert [
        letter["letter_id"]
        for letter in (await command_line.ask("dead-letters", "list", "--before", str(second), "--json")).json["letters"]
    ] == [first]
    listed = await command_line.ask("dead-letters", "list", "--limit", "1")
    assert "it is not ours" in listed.out
    assert f"more: --before {third}" in listed.lines

    sent = await command_line.ask("dead-letters", "redrive", str(first))
    assert (sent.code, sent.lines) == (0, [f"{first}  goconductor.nobody  sent again"])
    reasonless = await command_line.ask("dead-letters", "drop", str(second))
    assert (reasonless.code, "reason" in reasonless.err) == (2, True)
    dropped = await command_line.ask("dead-letters", "drop", "--all", "--reason", "not ours", "--json")
    assert [letter["letter_id"] for letter in dropped.json["letters"]] == [third, second]
    assert (await command_line.ask("dead-letters", "list", "--json")).json == {"letters": [], "before": None}


async def test_a_letter_that_is_not_there_ends_the_command_after_those_that_were_done(
    command_line: Prompt, open_shop: Node
) -> None:
    (only,) = await put_letters(open_shop, b"one")
    answer = await command_line.ask("dead-letters", "redrive", str(only), str(only))
    assert (answer.code, answer.lines) == (4, [f"{only}  goconductor.nobody  sent again"])
    assert "There is no such dead letter" in answer.err
    for arguments in ([], ["--all", "7"]):
        wrong = await command_line.ask("dead-letters", "redrive", *arguments)
        assert (wrong.code, wrong.err) == (2, "goconductor: name the letters by their ids, or use --all\n")


async def test_a_redriven_letter_reaches_its_participant(command_line: Prompt, open_shop: Node) -> None:
    await open_shop.store.dead_letters.put(DeadLetter(topic=steps_topic("shop"), payload=b"not ours", reason="odd"))
    (before,) = await open_shop.store.dead_letters.newest()
    assert (await command_line.ask("dead-letters", "redrive", "--all")).code == 0
    while not (letters := await open_shop.store.dead_letters.newest()) or letters[0].letter_id == before.letter_id:
        pass
    assert letters[0].payload == b"not ours"
