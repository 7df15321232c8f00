"""Four requests, of which the second is killed in the middle; then a look for what the database must not have."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg

from goconductor import Settings, migrate
from goconductor.testing import PostgresServer

REQUEST = Path(__file__).with_name("request.py")
CARD, CODE = "4242-4242-4242-4217", "271828"


def request(url: str, data: dict[str, object], *, killed: bool = False) -> None:
    """Take a request in a process of its own, and print what it prints."""
    print(f"given: {', '.join(sorted(data))}", flush=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOCONDUCTOR_")}
    environment |= {"GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": "3"}
    environment |= {"BUREAU_HANGS": "1"} if killed else {}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(REQUEST)], env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(data))
        process.stdin.close()
        for line in process.stdout:
            print(line, end="", flush=True)
            if killed:
                process.kill()
                print("  killed", flush=True)
    if process.returncode != 0 and not killed:
        raise SystemExit(f"the request ended with {process.returncode}")


async def found(url: str, text: str) -> int:
    """Count the rows in all tables of the saga log that have a text, as text or as bytes."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'goconductor'")
        rows = 0
        for table in tables:
            query = f"SELECT count(*) FROM goconductor.{table['tablename']} AS r WHERE r::text LIKE ANY ($1)"
            rows += await connection.fetchval(query, [f"%{text}%", f"%{text.encode().hex()}%"])
        return rows
    finally:
        await connection.close()


def main() -> None:
    """Run it all."""
    with PostgresServer() as postgres:
        url = postgres.url()
        asyncio.run(migrate(Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})))
        request(url, {"car": {"model": "van", "built": 2020}})
        request(url, {"applicant": {"name": "Ann", "born": 1990}}, killed=True)
        request(url, {"voucher": "SPRING"})
        request(url, {"card": CARD, "code": CODE})
        kept = {what: asyncio.run(found(url, text)) for what, text in {"SPRING": "SPRING", "card": CARD, "code": CODE}.items()}
    print(f"rows of the log with the voucher: {'some' if kept['SPRING'] else 'none'}", end="; ")
    print(f"with the card: {kept['card'] or 'none'}; with the code: {kept['code'] or 'none'}")


if __name__ == "__main__":
    main()
