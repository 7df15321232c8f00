"""What the demo shows: a board that moves while it runs, lines where something happens, tables at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from proof import Claim, Recovery
from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from services import Service

STYLES = {"running": "green", "killed": "bold red", "starting": "yellow"}


class Board:
    """The services and how far the orders are; where there is no terminal, it is printed at the end alone."""

    def __init__(self, console: Console, services: Sequence[Service], total: int) -> None:
        self.placed = 0
        self.ends: Counter[str] = Counter()
        self._console = console
        self._services = services
        self._total = total
        self._since = time.monotonic()

    def say(self, text: str) -> None:
        """A line that stays, with the seconds since the beginning."""
        self._console.print(f"[dim]{time.monotonic() - self._since:5.1f} s[/]  {text}", highlight=False)

    def __rich__(self) -> RenderableType:
        """As it is now; called by rich ten times a second."""
        services = Text("   ").join(
            Text.assemble(("● ", STYLES.get(each.state, "dim")), each.name, (f" {each.state}", "dim")) for each in self._services
        )
        ended = self.ends.total()
        counts = Text.assemble(
            (f"{self.ends['completed']} completed", "green"),
            ", ",
            (f"{ended - self.ends['completed']} compensated", "yellow"),
            f", {self.placed - ended} on their way",
        )
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=self._total, completed=ended, width=30), counts)
        return Group("", services, bar, "")


def results_table(ends: Counter[str], found: Recovery, away_seconds: float) -> Table:
    """What became of the orders, and of the charges in the middle of which their service was killed."""
    table = Table(title="The orders", title_style="bold", title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
    for style in (None, "bold", "dim"):
        table.add_column(style=style, justify="right" if style == "bold" else "left")
    reasons = sorted((end, count) for end, count in ends.items() if end != "completed")
    table.add_row("completed", str(ends["completed"]), "paid, confirmed and shipped")
    table.add_row("compensated", str(ends.total() - ends["completed"]), ", ".join(f"{count} {end}" for end, count in reasons))
    table.add_row("interrupted by the kill", str(found.interrupted), f"charges; {found.known} have an outcome now")
    table.add_row("noticed after", f"{found.noticed_seconds:.2f} s", "the leader declares the first unknown")
    table.add_row("recovered after", f"{found.recovered_seconds:.2f} s", f"the last has an outcome; {away_seconds:.2f} s away")
    return table


def proof_table(claims: Sequence[Claim]) -> Table:
    """What must be so, and what the databases say."""
    table = Table(title="The proof, by four databases", title_style="bold", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("database", "what must hold"):
        table.add_column(heading)
    for heading in ("should be", "is", ""):
        table.add_column(heading, justify="right")
    for claim in claims:
        table.add_row(claim.database, claim.what, claim.wanted, claim.found, "[green]✓[/]" if claim.holds else "[bold red]✗[/]")
    return table
