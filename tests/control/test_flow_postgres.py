"""Many processes edit one flow at once: each edit is in it, none undoes another's."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from goconductor import Flow, FlowChangedError, Settings, connect
from goconductor.app import migrate

pytestmark = pytest.mark.postgres

EDITOR = """
import asyncio, sys
from goconductor import Flow, connect

async def main(name, count):
    async with connect() as conductor:
        flow = Flow(conductor, "order")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for number in range(count):
            await flow.create_step(f"{name}.work{number}", id=f"{name}-{number}", after=["begin"], before=["end"])
        await flow.delete_step(f"{name}-0")

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
EDITORS = 3
STEPS = 5


async def test_edits_of_several_processes_at_once_are_all_in_the_flow(postgres_url: str) -> None:
    settings = Settings.model_validate({"database": {"url": postgres_url}})
    await migrate(settings)
    async with connect(settings) as conductor:
        flow = Flow(conductor, "order")
        await flow.create_step("shop.begin")
        await flow.create_step("shop.end", after=["begin"])
        editors = [await _editor(f"shop{number}", postgres_url) for number in range(EDITORS)]
        for editor in editors:
            assert editor.stdout is not None
            assert await editor.stdout.readline() == b"ready\n"
        ended = await asyncio.gather(*(editor.communicate(b"go\n") for editor in editors))
        assert [editor.returncode for editor in editors] == [0] * EDITORS, ended
        found = await flow.lookup()
    there = {f"shop{editor}-{number}" for editor in range(EDITORS) for number in range(1, STEPS)}
    assert {step.id for step in found.steps} == {"begin", "end"} | there
    [end] = [step for step in found.steps if step.id == "end"]
    assert {*end.after} == {"begin"} | there


async def test_of_edits_at_once_of_one_version_one_is_accepted(postgres_url: str) -> None:
    settings = Settings.model_validate({"database": {"url": postgres_url}})
    await migrate(settings)
    async with connect(settings) as one, connect(settings) as other:
        seen = (await Flow(one, "order").create_step("shop.begin")).version
        done = await asyncio.gather(
            *(Flow([one, other][n % 2], "order").create_step(f"shop.work{n}", made_of=seen) for n in range(6)),
            return_exceptions=True,
        )
        refused = [each for each in done if isinstance(each, FlowChangedError)]
        [accepted] = [each for each in done if not isinstance(each, BaseException)]
        assert len(refused) == len(done) - 1
        assert {each.version for each in refused} == {accepted.version}
        assert await Flow(other, "order").lookup() == accepted


async def _editor(name: str, postgres_url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", EDITOR, name, str(STEPS)),
        env=os.environ | {"GOCONDUCTOR_DATABASE_URL": postgres_url},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
