#!/bin/sh
# uvicorn with several workers: SIGHUP kills a new worker that takes more than five seconds to start, and the old code goes on serving.
#
# Versions: uvicorn 0.54.0, CPython 3.11 on Linux x86-64.
# Behaviour: SIGHUP replaces the workers one by one. A new one must have finished its lifespan's startup within
#   --timeout-worker-healthcheck, 5 seconds by default. Its help says: "seconds to wait for a worker to respond to a healthcheck".
#   Nothing bounds the first start like that. If it takes longer, it is killed by SIGKILL, the whole restart is given up, and one line is
#   logged. The parent goes on, its exit code and its answers are as before, and all workers have the old code.
# Source: seen by running it as below; uvicorn/supervisors/multiprocess.py, restart_all.
# Why it matters to people who run sagas: a participant in a lifespan waits for its database and its broker before it opens. A release during a
#   busy minute seems to succeed and leaves the old code everywhere. Give --timeout-worker-healthcheck a minute, and look at which version runs.
set -eu
folder=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$folder"
}
trap finish EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0
cat >"$folder/app.py" <<'PROGRAM'
import asyncio
import os

PID = str(os.getpid()).encode()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await asyncio.sleep(7)  # as somebody who waits for a database
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": PID})
PROGRAM
cd "$folder"
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/python" -m uvicorn app:app --workers 2 --port "$port" >"$folder/log" 2>&1 &
server=$!
seen() { # all workers that answer: asked until two have
  "$folder/venv/bin/python" - "$port" <<'PROGRAM'
import sys
import time
import urllib.error
import urllib.request

found = set()
while len(found) < 2:
    try:
        found.add(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", timeout=60).read().decode())
    except urllib.error.URLError:
        time.sleep(0.1)
print(*sorted(found))
PROGRAM
}
before=$(seen)
kill -HUP "$server"
until grep -q "aborting the restart" "$folder/log"; do
  kill -0 "$server"
  sleep 0.2
done
after=$(seen)
echo "before: $before; after: $after"
grep "aborting the restart" "$folder/log"
[ "$before" = "$after" ] || { echo "the workers were replaced: this has changed"; exit 1; }
kill -0 "$server" || { echo "the parent has ended: this has changed"; exit 1; }
echo "as described"
