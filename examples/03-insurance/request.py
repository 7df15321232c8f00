"""One request, as a web server would take it: it gives some data, and the answer says what is missing. Each is a process here."""

from __future__ import annotations

import asyncio
import json
import sys

from policy import insurance, insurer

from goconductor import Settings, logs


async def main(data: dict[str, object]) -> None:
    """Give the data, and print what has come of them."""
    logs.set_up(level="error", format="text")
    async with insurer.running(Settings.load()) as conductor:
        answer = await conductor.run(insurance, "ann-17", data, close=True, timeout_seconds=600)
    print(f"  made: {', '.join(sorted(answer.new)) or 'nothing'}")
    for datum, wanted_by in sorted(answer.missing.items()):
        print(f"  missing: {datum}, for {', '.join(wanted_by)}")
    for datum, why in sorted(answer.failed.items()):
        print(f"  failed: {datum}: {why}")
    if answer.target:
        print(f"  {answer.target}")
    print(f"  {answer.status}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.read())))
