"""Check of the steps that are limited over all instances."""

from __future__ import annotations

from goconductor.control.doctor.findings import Check, warning
from goconductor.control.wording import in_use, spell, together
from goconductor.engine.steps.limits import limits_of, told
from goconductor.ports.store import Instance, Limit, PermitUse, Store


async def of_limits(store: Store, living: list[Instance]) -> Check:
    """Check whether instances agree about the limits of their steps; shows how they are used."""
    limits = limits_of(living)
    uses = {use.step: use for use in await store.permits.usage()} if limits else {}
    findings = []
    for step, found in sorted(limits.items()):
        without = any(_lacks(each, step) for each in living)
        if len(found) > 1 or without:
            said = sorted(map(_limit, found)) + (["none"] if without else [])
            findings.append(
                warning(
                    f"living instances give {step} different limits: {together(said)}",
                    "the greatest holds until the others are replaced; deploy one version to all of them",
                )
            )
    saw = "; ".join(f"{step}: {_use(limits[step], uses.get(step, PermitUse(step=step)))}" for step in sorted(limits))
    return Check.of("limits", findings, saw=saw or "no living instance has a step that is limited over all instances")


def _limit(limit: Limit) -> str:
    total = [] if limit.total is None else [f"{limit.total} at once"]
    rate = [] if limit.rate is None else [f"{limit.rate} in {spell(limit.interval_seconds)}"]
    return " and ".join([*total, *rate])


def _use(limits: set[Limit], use: PermitUse) -> str:
    waiting = f", {use.waiting} wait, the first for {spell(use.waiting_seconds)}" if use.waiting else ""
    return f"{in_use(limits, use)}{waiting}"


def _lacks(instance: Instance, step: str) -> bool:
    """Return whether an instance offers the step without a limit."""
    participant, _, name = step.partition(".")
    facts = instance.steps.get(name) if instance.participant == participant else None
    return facts is not None and told(step, facts) is None
