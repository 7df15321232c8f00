#!/bin/sh
# grpc.aio: of more than a thousand calls that come at once, a server drops some as CANCELLED, and no code of its own learns of them.
#
# Versions: grpcio 1.85.3, CPython 3.11.7 on Linux x86-64.
# Behaviour: calls that Python has not taken yet wait in a queue of the core. Where many come at once, part of them is cancelled there. No
#   limit was set (maximum_concurrent_rpcs is None), no handler is entered, and nothing is logged. The client gets CANCELLED, as if it had
#   given up itself, so one that tries UNAVAILABLE again does not try this. Two arguments of the core bound the queue,
#   grpc.server.max_pending_requests and its hard limit; with them raised all calls are answered.
# Source: seen by running it as below; the names of the arguments are in the core's library.
# Why it matters to people who run sagas: after a deploy all clients come at once, and starts are lost under a code that says that the
#   client did not want them. Only a key makes it safe to make them again.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.3
"$folder/venv/bin/python" - <<'PROGRAM'
import asyncio
import collections

import grpc.aio

CALLS = 5000
ROOM = [("grpc.server.max_pending_requests", 100_000), ("grpc.server.max_pending_requests_hard_limit", 200_000)]


async def measured(options):
    entered = 0

    async def echo(request, context):
        nonlocal entered
        entered += 1
        return request

    handler = grpc.unary_unary_rpc_method_handler(echo)
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", {"Say": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        say = channel.unary_unary("/test.Echo/Say")

        async def one():
            try:
                await say(b"x")
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        codes = collections.Counter(await asyncio.gather(*(one() for _ in range(CALLS))))
    await server.stop(0)
    return codes, entered


async def main():
    for name, options in (("as it is", []), ("with room", ROOM)):
        codes, entered = await measured(options)
        print(f"{name}: {CALLS} calls at once, {dict(codes)}, {entered} reached the handler")
        dropped = codes["CANCELLED"]
        assert (dropped > 0) is (not options), "it behaves in another way here"
        assert entered == codes["OK"] == CALLS - dropped


asyncio.run(main())
PROGRAM
echo "as described"
