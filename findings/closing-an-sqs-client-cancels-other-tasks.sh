#!/bin/sh
# aiobotocore: closing a client raises CancelledError in other tasks that nobody cancelled, where they wait for one of its connections.
#
# Versions: aiobotocore 3.10.0 with aiohttp 3.14.5, CPython 3.11.7 on Linux x86-64.
# Behaviour: a client has a pool of max_pool_connections. A request that finds none free waits for one. When another task closes the
#   client meanwhile, as one does to make a new client after a connection has failed, the waiting request ends with
#   asyncio.CancelledError, though its task was not cancelled: Task.cancelling() is 0. A request that holds a connection ends with
#   an exception of botocore's instead. `except Exception`, `except BotoCoreError` and asyncio.timeout() all let the CancelledError
#   pass, and the task that met it counts as cancelled, so nothing is logged.
# Source: seen by running it as below; aiohttp cancels the futures of those who wait in its connector when that is closed.
# Why it matters to people who run sagas: the loop that sends or takes the messages of a service ends for good, silently, after its
#   client was replaced under load. Compare Task.cancelling() with 0 before a CancelledError is believed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiobotocore==3.10.0 aiohttp==3.14.5
cd "$folder"
AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none "$folder/venv/bin/python" - <<'PROGRAM'
import asyncio

import aiobotocore
import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session


async def main():
    asked = asyncio.Event()

    async def answer_nothing(reader, writer):
        """A server in the middle of a long poll."""
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer_nothing, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = AioConfig(max_pool_connections=1, retries={"total_max_attempts": 1})
    making = get_session().create_client("sqs", region_name="eu-west-1", endpoint_url=url, config=config)
    client = await making.__aenter__()
    polls = asyncio.create_task(client.receive_message(QueueUrl=f"{url}/queue", WaitTimeSeconds=20))
    await asked.wait()
    in_pool = asyncio.Event()
    client.meta.events.register("before-send.sqs.SendMessage", lambda **_: in_pool.set())
    sends = asyncio.create_task(client.send_message(QueueUrl=f"{url}/queue", MessageBody="reserve"))
    await in_pool.wait()
    await asyncio.sleep(0.2)
    await making.__aexit__(None, None, None)
    polled, sent = await asyncio.gather(polls, sends, return_exceptions=True)
    print("aiobotocore", aiobotocore.__version__, "aiohttp", aiohttp.__version__)
    print("who had the connection:", type(polled).__name__, "; who waited for it:", type(sent).__name__)
    print("the task that waited: asked to cancel", sends.cancelling(), "times, counts as cancelled:", sends.cancelled())
    assert isinstance(sent, asyncio.CancelledError), "this has changed: look again"
    assert sends.cancelling() == 0
    assert sends.cancelled()
    assert isinstance(polled, Exception), "this has changed: look again"
    server.close()


asyncio.run(main())
PROGRAM
echo "as described"
