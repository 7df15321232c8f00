"""Health over HTTP for a process without a REST door: ``/livez`` and ``/readyz`` on ``health.port``.

A thread listens, and the event loop answers. So ``/livez`` shows that the loop turns, which a restart can mend. ``/readyz`` asks
the database as well, which no restart of this process would bring back. So the port answers before the node is open, and while it
closes: a process that waits for its database lives. The answer is *ready*, or the part that is missing, and has no other name or
number.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from goconductor.control.installation.readiness import READY, readiness
from goconductor.control.settings.sections import HealthSettings
from goconductor.engine.node import Node
from goconductor.redaction import logger_of

logger = logger_of("goconductor.health")

LOOP_SECONDS = 5.0
"""Seconds that the event loop may take to answer before the process counts as hung."""
CLIENT_SECONDS = 10.0
"""Seconds that a client may take to send its request."""


@asynccontextmanager
async def answering(opened: Callable[[], Node | None], settings: HealthSettings) -> AsyncIterator[int | None]:
    """Answer for as long as the context lasts; nothing is served without a port, or where another process has it.

    Args:
        opened: answers the engine, once it has opened and while it does not close yet; None else, when nothing is asked of it.
        settings: where to listen.

    Yields:
        The port that it listens on.
    """
    if settings.port is None:
        yield None
        return
    try:
        server = _Server(opened, (settings.host, settings.port))
    except OSError as error:
        why = error.strerror or type(error).__name__
        logger.warning(
            "cannot answer about health on %s port %d (%s); this process works on without. "
            "Choose another health.host or health.port, or let one of several processes have it",
            settings.host,
            settings.port,
            why,
        )
        yield None
        return
    thread = Thread(target=server.serve_forever, name="goconductor-health", daemon=True)
    thread.start()
    port = int(server.server_address[1])
    logger.info("health on http://%s:%d/livez and /readyz", settings.host, port)
    try:
        yield port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a request waits for the loop, which waits for no request

    def __init__(self, opened: Callable[[], Node | None], address: tuple[str, int]) -> None:
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        super().__init__(address, _Request)

    def alive(self) -> dict[str, str]:
        """Return what keeps the process from being alive."""
        return self._ask(asyncio.sleep(0, {}))

    def ready(self) -> dict[str, str]:
        """Return what keeps the process from being ready."""
        return self._ask(self._missing())

    async def _missing(self) -> dict[str, str]:
        if (node := self._opened()) is None:
            return {"process": "waits for its database or its bus, or stops"}
        found = await readiness(node)
        return {} if found.ready else {part: "away" for part, what in found.parts.items() if what != READY}

    def _ask(self, question: Coroutine[Any, Any, dict[str, str]]) -> dict[str, str]:
        asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return asked.result(LOOP_SECONDS)
        except TimeoutError:
            asked.cancel()
            return {"event loop": "blocked"}


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_SECONDS
    server_version, sys_version = "goconductor", ""

    def do_GET(self) -> None:
        """Answer."""
        match self.path.partition("?")[0]:
            case "/livez":
                self._answer(self.server.alive())
            case "/readyz":
                self._answer(self.server.ready())
            case _:
                self.send_error(404, "there are /livez and /readyz")

    do_HEAD = do_GET  # noqa: N815  (the library's name)

    def _answer(self, missing: dict[str, str]) -> None:
        text = "".join(f"{part}: {what}\n" for part, what in missing.items()) or "ready\n"
        body = text.encode()
        self.send_response(503 if missing else 200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: a probe comes every few seconds."""
        logger.debug(format, *arguments)
