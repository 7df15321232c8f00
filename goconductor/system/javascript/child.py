"""Runs one script in a process of its own, which is gone afterwards: ``python -I child.py``.

It reads what to do from standard input and writes the answer to standard output, both JSON. It imports nothing of goconductor, so
that it starts fast, and has neither its settings nor its variables. Only texts cross between Python and the script, as the
binding cuts whole numbers in between.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys

import quickjs

if sys.platform != "win32":
    import resource

OWN_BYTES = 512 * 1024 * 1024
"""Address space of the interpreter itself, beside what the script may take."""
STACK_BYTES = 512 * 1024
_RUN = """
(function (code, text) {
    const result = new Function("inputs", '"use strict";' + code + "\\n")(JSON.parse(text));
    if (result !== null && typeof result === "object" && typeof result.then === "function") {
        throw new TypeError("it returns a promise; a script waits for nothing, so return the value itself");
    }
    const written = JSON.stringify(result);
    return written === undefined ? "null" : written;
})
"""


def main() -> None:
    """Run the script of standard input."""
    given = json.loads(sys.stdin.buffer.read())
    _limit(given["seconds"], given["bytes_max"])
    context = quickjs.Context()
    context.set_memory_limit(given["bytes_max"])
    context.set_max_stack_size(STACK_BYTES)
    run = context.eval(_RUN)
    context.set_time_limit(given["seconds"])
    try:
        answer = {"result": str(run(given["code"], given["inputs"]))}
    except quickjs.StackOverflow:
        answer = {"error": "it calls itself too deeply"}
    except (quickjs.JSException, MemoryError) as error:
        answer = {"error": str(error) or "out of memory"}
    if len(answer.get("result", "")) > given["output_bytes_max"]:
        answer = {"error": f"what it returns is more than {given['output_bytes_max']:,} bytes as JSON"}
    sys.stdout.write(json.dumps(answer))


def _limit(seconds: float, bytes_max: int) -> None:
    """Let the system end what the script's engine does not: memory, time, and files."""
    if sys.platform == "win32":
        return
    processor = math.ceil(seconds) + 2
    limits = {"RLIMIT_AS": OWN_BYTES + bytes_max, "RLIMIT_CPU": processor, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0}
    for name, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # a platform may know no such limit, or have a lower one
            resource.setrlimit(getattr(resource, name), (most, most))


if __name__ == "__main__":
    main()
