"""A document of Orchy's that runs as it stands: sent, executed and told of events over REST, its actions run by a worker."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from goconductor import Settings, logs, migrate
from goconductor.testing import PostgresServer

FOLDER = Path(__file__).parent


@contextmanager
def process(url: str, *command: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program with these settings, and ask it to end at the end."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GOCONDUCTOR_")}
    environment |= {f"GOCONDUCTOR_{key}": value for key, value in (settings | {"DATABASE_URL": url}).items()}
    with subprocess.Popen([sys.executable, *command], env=environment, text=True, stdout=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.terminate()
            running.communicate()


@contextmanager
def server(url: str) -> Iterator[str]:
    """Run a server that runs scripts as well; yields where it speaks REST."""
    allowed = {"REST_PORT": "0", "LOG_LEVEL": "error", "SYSTEM_ENABLED": "true", "SYSTEM_JAVASCRIPT": "true"}
    with process(url, "-c", "from goconductor.cli import main; main()", "serve", **allowed) as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        if (found := re.search(r"REST on (\S+)/v1", said)) is None:
            raise SystemExit(f"the server said: {said}")
        yield found[1]


def asked(url: str, body: bytes | None = None) -> Any:
    """Ask the server, and return what it answers."""
    with urlopen(Request(url, data=body, headers={"Content-Type": "application/json"})) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def execute(rest: str, applicant: dict[str, Any]) -> str:
    """Execute the document; returns the UUID."""
    print(f"{applicant['name']}, {applicant['age']} years old", flush=True)
    body = json.dumps({"name": "loan", "input": applicant}).encode()
    return str(asked(f"{rest}/flow/execute", body))


def show(rest: str, execution: str) -> None:
    """Wait for the end, which is where the stream of events ends, and print which actions were run and what came out last."""
    with urlopen(f"{rest}/v1/sagas/{execution}/events") as events:
        events.read()
    saga = asked(f"{rest}/v1/sagas/{execution}")
    ran = [step["id"] for step in saga["steps"] if step["status"] == "succeeded"]
    print(f"  {saga['status']}, actions {', '.join(ran)}: {saga['output']['40']}", flush=True)


def three_loans(rest: str) -> None:
    """Send the document, and execute it for three people."""
    sent = asked(f"{rest}/flow", (FOLDER / "loan.json").read_bytes())
    print(f"the server has {sent['saga']!r}", flush=True)
    show(rest, execute(rest, {"name": "Bob", "age": 20}))
    show(rest, execute(rest, {"name": "Eve", "age": 40}))
    execution = execute(rest, {"name": "Ann", "age": 30})
    asked(f"{rest}/flow/{execution}/events/signed", b'{"by": "Ann"}')
    show(rest, execution)


def main() -> None:
    """Run it all over a PostgreSQL of its own."""
    logs.set_up(level="error", format="text")
    with PostgresServer() as postgres:
        url = postgres.url()
        asyncio.run(migrate(Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})))
        with server(url) as rest, process(url, str(FOLDER / "loan_worker.py")):
            three_loans(rest)


if __name__ == "__main__":
    main()
