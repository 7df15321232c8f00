"""``goconductor key …``."""

from __future__ import annotations

import json
import re

from goconductor.stores.postgres import migrate
from tests.doors.prompt import Prompt


async def test_a_key_is_made_listed_and_revoked(command_line: Prompt, postgres_url: str) -> None:
    await migrate(postgres_url)
    made = await command_line.ask(
        "key", "create", "ci", "--role", "operator", "--role", "viewer", "--expires", "90d", "--by", "ann"
    )
    assert made.code == 0, made.err
    assert re.fullmatch(r"gck_[0-9a-f]{12}_[0-9a-f]{64}\n", made.out)
    secret = made.out.strip().split("_")[2]
    listed = await command_line.ask("key", "list", "--json")
    (detail,) = json.loads(listed.out)["keys"]
    assert (detail["name"], detail["roles"], detail["created_by"]) == ("ci", ["operator", "viewer"], "ann")
    assert secret not in listed.out + (await command_line.ask("key", "list")).out + made.err
    revoked = await command_line.ask("key", "revoke", detail["key_id"], "--by", "bob")
    assert (revoked.code, revoked.out) == (0, f"the key {detail['key_id']} of ci is revoked\n")
    assert json.loads((await command_line.ask("key", "list", "--json")).out)["keys"][0]["revoked_by"] == "bob"
    assert (await command_line.ask("key", "revoke", "0" * 12)).code == 4


async def test_nonsense_is_refused(command_line: Prompt) -> None:
    for wrong in (["--role", "root"], ["--role", "viewer", "--expires", "soon"], []):
        ran = await command_line.ask("key", "create", "ci", *wrong)
        assert ran.code == 2, ran.out
