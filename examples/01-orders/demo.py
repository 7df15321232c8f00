"""The demo: 200 orders over three services, one of which is killed in the middle; then the proof that nothing is lost.

All that it needs it starts itself: an embedded PostgreSQL with its data in ``.demo``, below where you are, and the services,
each a process with a database of its own. ``--bus kafka`` lets them talk over a Kafka broker instead of PostgreSQL, which is
started too. ``--serve`` keeps them running, with a REST server beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import asyncpg
from buses import KINDS, bus
from proof import Connection, Databases, claims, holdings, recovery
from rich.console import Console
from rich.live import Live
from saga import Order, order
from screen import Board, proof_table, results_table
from services import Service, running

from goconductor import CompensatedError, Conductor, GoConductorError, SagaHandle, Settings, connect, migrate
from goconductor.testing import PostgresServer

FOLDER = Path(".demo").absolute()
SCRIPTS = [Path(__file__).with_name(f"{name}.py") for name in ("orders", "inventory", "payments")]
DATABASES = ("goconductor", "orders", "inventory", "payments")

PRICES = {"lamp": 4_900, "chair": 8_900, "desk": 24_000, "sofa": 79_000}
PIANO, PIANO_CENTS, PIANOS = "piano", 450_000, 2
CUSTOMERS, ORDERS_EACH = 40, 5
KILL_AFTER, CAUGHT_MIN, DOWN_SECONDS, PLACE_SECONDS = 80, 5, 1.0, 0.02
REST_PORT = 8080
LEASE_SECONDS = "3"
"""The default is 10; for so long after the start of the database, which is young here, nobody is declared dead."""


@dataclass(frozen=True)
class Killed:
    """When, by the database's clock; the sagas whose charges it ran, and how far their logs went; and who was the leader."""

    at: datetime
    sagas: dict[UUID, int]
    leader: str


def shopping() -> list[Order]:
    """Five orders of each customer, all of the same; the last one's five are pianos, of which there are only two."""
    wishes = [list(PRICES.items())[number % len(PRICES)] for number in range(CUSTOMERS - 1)] + [(PIANO, PIANO_CENTS)]
    return [
        Order(f"order-{turn * CUSTOMERS + number + 1:03}", f"customer-{number + 1:02}", sku, 1, cents)
        for turn in range(ORDERS_EACH)
        for number, (sku, cents) in enumerate(wishes)
    ]


async def fill(databases: Databases, orders: list[Order]) -> None:
    """Enough of everything in stock, but for pianos; each customer has money for four of the five, but for the piano player."""
    stock = [*((sku, 100) for sku in PRICES), ("gift", 200), (PIANO, PIANOS)]
    await databases["inventory"].executemany("INSERT INTO stock VALUES ($1, $2)", stock)
    accounts = [(each.customer, each.cents * (5 if each.sku == PIANO else 4)) for each in orders[:CUSTOMERS]]
    await databases["payments"].executemany("INSERT INTO accounts VALUES ($1, $2)", accounts)


async def kill_in_the_middle(payments: Service, databases: Databases) -> Killed:
    """Kill it while it runs charges, which a lock on the accounts holds up for a moment."""
    log = databases["goconductor"]
    leased = """
        SELECT saga_id, seq FROM goconductor.leases JOIN goconductor.sagas USING (saga_id)
        WHERE step = 'charge' AND direction = 'action'
    """
    async with asyncio.timeout(300), databases["payments"].transaction():
        await databases["payments"].execute("LOCK TABLE accounts IN SHARE MODE")
        while len(await log.fetch(leased)) < CAUGHT_MIN:  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(0.01)
        holder = await log.fetchval("SELECT holder FROM goconductor.leadership")
        at = await log.fetchval("SELECT clock_timestamp()")
        payments.kill()
        sagas = {row["saga_id"]: row["seq"] for row in await log.fetch(leased)}
    return Killed(at, sagas, holder.partition("-")[0])


async def all_up(services: list[Service], log: Connection, *, after: int = 0) -> None:
    """Wait until these have made their tables and registered, as instances younger than ``after``."""
    names = [service.name for service in services]
    up = "SELECT DISTINCT participant FROM goconductor.participants WHERE participant = ANY ($1) AND serial > $2"
    while len(await log.fetch(up, names, after)) < len(services):
        for service in services:
            service.check()
        await asyncio.sleep(0.02)
    for service in services:
        service.state = "running"


async def kill_and_restart(services: list[Service], databases: Databases, board: Board) -> tuple[Killed, float]:
    """Also, for how many seconds the service was away."""
    payments = services[-1]
    killed = await kill_in_the_middle(payments, databases)
    since = time.monotonic()
    board.say(f"[bold red]payments is killed[/] by SIGKILL while it runs {len(killed.sagas)} charges; {killed.leader} leads")
    await asyncio.sleep(DOWN_SECONDS)
    youngest = await databases["goconductor"].fetchval("SELECT max(serial) FROM goconductor.participants")
    payments.start()
    await all_up([payments], databases["goconductor"], after=youngest)
    board.say(f"payments is back; {board.placed - board.ends.total()} orders are on their way")
    return killed, time.monotonic() - since


async def sell(conductor: Conductor, databases: Databases, services: list[Service], board: Board) -> tuple[Killed, float]:
    """Start a saga for each order, kill a service in the middle, and wait for the ends of all."""

    async def place(orders: list[Order]) -> None:
        for each in orders:
            saga = await conductor.start(order, each, key=each.id)  # placed twice, it would still be one saga
            group.create_task(follow(saga))
            board.placed += 1
            await asyncio.sleep(PLACE_SECONDS)

    async def follow(saga: SagaHandle[Order]) -> None:
        try:
            await saga.result(timeout_seconds=600)
        except CompensatedError as error:
            board.ends[(error.reason or "").rpartition(": ")[2]] += 1
        except (GoConductorError, TimeoutError) as error:
            board.ends[type(error).__name__] += 1
        else:
            board.ends["completed"] += 1

    async with asyncio.TaskGroup() as group:
        await place(shopping()[:KILL_AFTER])
        trouble = group.create_task(kill_and_restart(services, databases, board))
        await place(shopping()[KILL_AFTER:])
    board.say("every order has its end")
    return trouble.result()


async def run(server: PostgresServer, over: dict[str, str], console: Console, *, serve: bool) -> bool:
    """The whole demo, over a bus of these settings. True if everything adds up."""
    for log in FOLDER.glob("*.log"):
        log.unlink()
    urls = {}
    for name in DATABASES:
        server.drop_database(name)
        urls[name] = server.create_database(name)
    settings = Settings.model_validate({"database": {"url": urls["goconductor"]}, "bus": over})
    await migrate(settings)
    environment = {f"{name.upper()}_DATABASE_URL": url for name, url in urls.items()}
    environment |= {f"GOCONDUCTOR_BUS_{key.upper()}": value for key, value in over.items()}
    environment["GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS"] = LEASE_SECONDS
    services = [Service.of_script(script, folder=FOLDER, environment=environment) for script in SCRIPTS]
    board = Board(console, services, len(shopping()))
    async with AsyncExitStack() as stack:
        stack.enter_context(running(*services))
        databases = {name: await asyncpg.connect(url) for name, url in urls.items()}
        for connection in databases.values():
            stack.push_async_callback(connection.close)
        await all_up(services, databases["goconductor"])
        await fill(databases, shopping())
        before = await holdings(databases)
        conductor = await stack.enter_async_context(connect(settings))
        with Live(board, console=console, refresh_per_second=10):
            board.say("three services are up, each a process with a database of its own")
            killed, away_seconds = await sell(conductor, databases, services, board)
        if not console.is_terminal:
            console.print()
        found = await recovery(databases["goconductor"], killed.at, killed.sagas)
        console.print(results_table(board.ends, found, away_seconds))
        proof = await claims(databases, before, shopping())
        console.print(proof_table(proof))
        holds = all(claim.holds for claim in proof) and found.interrupted == found.known > 0
        console.print("[bold green]It all adds up.[/]" if holds else "[bold red]It does not add up.[/]")
        if serve:
            await keep_serving(console, urls, environment)
    return holds


async def keep_serving(console: Console, urls: dict[str, str], environment: dict[str, str]) -> None:
    """A REST server beside the services, until Ctrl-C."""
    with socket.socket() as probe:
        port = 0 if probe.connect_ex(("127.0.0.1", REST_PORT)) == 0 else REST_PORT
    command = [str(Path(sys.executable).with_name("goconductor")), "serve"]
    rest = Service("rest", command, folder=FOLDER, environment={**environment, "GOCONDUCTOR_REST_PORT": str(port)})
    with running(rest):
        while not (told := re.search(r"REST on (\S+)/v1", rest.log.read_text())):
            rest.check()
            await asyncio.sleep(0.05)
        console.print(f"\nREST          {told[1]}/v1/sagas, described at {told[1]}/openapi.json", highlight=False, soft_wrap=True)
        for name, url in urls.items():
            console.print(f"{name:13} {url}", highlight=False, soft_wrap=True)
        for_commands = " ".join(f"{name}={value}" for name, value in environment.items() if name.startswith("GOCONDUCTOR_"))
        console.print(f"\nfor the command line: export {for_commands}", highlight=False, soft_wrap=True)
        console.print("\nEverything keeps running until Ctrl-C.")
        while True:
            rest.check()
            await asyncio.sleep(0.5)


def main() -> int:
    """0 if everything adds up, 1 if not, 130 when interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="keep everything running afterwards, with a REST server")
    parser.add_argument("--bus", choices=KINDS, default=KINDS[0], help="how the services reach one another")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in the background without it
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    console = Console()
    try:
        FOLDER.mkdir(exist_ok=True)
        console.print("starting an embedded PostgreSQL in .demo", style="dim")
        if arguments.bus != KINDS[0]:
            console.print(f"starting {arguments.bus} in .demo", style="dim")
        with (
            PostgresServer("embedded", folder=FOLDER / "postgres", settings={"max_connections": "200"}) as server,
            bus(arguments.bus, FOLDER / arguments.bus) as over,
        ):
            return 0 if asyncio.run(run(server, over, console, serve=arguments.serve)) else 1
    except KeyboardInterrupt:
        console.print("\nstopped; nothing is left running")
        return 130
    except (GoConductorError, RuntimeError) as error:
        console.print(f"the demo could not run: {error}", markup=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())
