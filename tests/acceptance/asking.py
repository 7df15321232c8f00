"""A client of the bank in a process of its own, so that it may have other code than the test: ``python -m`` or by its path.

Each line of its input is how many more transfers to let go. At the end of the input it waits until all are accepted, and prints
their keys and ids.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys

from goconductor import Settings, connect
from tests.acceptance.load import Load


async def _main(seed: int) -> None:
    loop = asyncio.get_running_loop()
    async with connect(Settings.load()) as conductor:
        load = Load(conductor, random.Random(seed))
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            load.release(int(line))
        await load.started()
        sys.stdout.write(json.dumps([(key, str(saga_id)) for key, saga_id in load.answers]))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
