"""Whether all living processes use the same bus and the same election, and whether these settings name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from goconductor.control.actor import ANYBODY
from goconductor.control.doctor.findings import Check, Finding, error, warning
from goconductor.control.installation.changes import present
from goconductor.control.models import ChangeDetail
from goconductor.control.wording import together
from goconductor.ports.store import Store

SHOWN_MAX = 5
"""Number of names that a finding lists."""


async def of_choices(store: Store, named: Mapping[str, Sequence[str]]) -> Check:
    """Look at both.

    Args:
        store: open.
        named: what the settings name, by kind, their own first.
    """
    findings: list[Finding] = []
    used = []
    for kind, names in named.items():
        found = await present(ANYBODY, store, kind, named=names)
        findings += _wrong(found, names)
        used.append(f"{kind} {found.chosen}")
    return Check.of("choices", findings, saw=", ".join(used))


def _wrong(found: ChangeDetail, names: Sequence[str]) -> Iterator[Finding]:
    kind, migrate = found.kind, f"`goconductor {found.kind} migrate --to"
    if found.chosen is None:
        used: dict[str, list[str]] = {}
        for each in found.instances:
            used.setdefault(each.uses, []).append(f"{each.participant} {each.serial}")
        shown = "; ".join(f"{name}: {together(users[:SHOWN_MAX])}" for name, users in sorted(used.items()))
        yield error(
            f"living processes use {len(used)} different ones as their {kind} ({shown})",
            f"restart them with the same {kind} in their settings; between them only the sweep helps",
        )
    elif found.chosen not in names:
        yield error(
            f"the {kind} {found.chosen!a} is used, and these settings do not name it", f"add it to {kind}.others, or set {kind}"
        )
    if found.beside is not None:
        yield warning(
            f"the {kind} is being changed, {found.chosen} is used and {found.beside} beside it, and waits for "
            f"{together(found.waits_for[:SHOWN_MAX]) if found.waits_for else 'the one who asked'}",
            f"go on with {migrate} …`, the one that is to be used, or go back with the other one",
        )
    elif found.number and found.waits_for:
        yield error(
            f"not all have followed the change of the {kind} to {found.chosen}: {together(found.waits_for[:SHOWN_MAX])}",
            f"restart them with settings that name {found.chosen} under {kind}.others",
        )
