"""A HAProxy on loopback that leads to the primary of a Patroni, set up as the page on failover says."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from goconductor.testing.loopback import LOOPBACK, free_port
from tests.docs.page import DOCS
from tests.servers.child import Child, answers, installed
from tests.servers.patroni import Member


class HaproxyServer(Child):
    """A HAProxy that we start and stop.

    Args:
        folder: its own, for its settings and log.
        members: those whose primary it leads to.

    Raises:
        ConfigurationError: there is no HAProxy.
    """

    def __init__(self, folder: Path, members: Sequence[Member]) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "haproxy.cfg"
        config.write_text(_of_the_page(self.port, members))
        super().__init__(
            "haproxy", folder=folder, command=[installed("haproxy"), "-db", "-f", config], ready=lambda: answers(self.port)
        )


def _of_the_page(port: int, members: Sequence[Member]) -> str:
    """The page's settings, with our ports in place of its servers."""
    page = (DOCS / "how-to" / "postgresql-failover.md").read_text("utf-8")
    shown = page.split("    listen sagas\n")[1].split("\n\n")[0]
    lines = [line for line in textwrap.dedent(shown).splitlines() if not line.lstrip().startswith(("bind", "server "))]
    mine = [f"server {each.name} {LOOPBACK}:{each.port} check port {each.rest_port}" for each in members]
    section = [f"bind {LOOPBACK}:{port}", *lines, *mine]
    return "\n".join(["listen sagas", *(f"    {line.strip()}" for line in section), ""])
