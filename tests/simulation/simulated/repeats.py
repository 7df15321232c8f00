"""Random repeats: what some of the maps of a random definition become."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from goconductor.saga.definition import Binding

if TYPE_CHECKING:
    from tests.simulation.simulated.definitions import Draft


def repeats(draft: Draft) -> None:
    """Some maps become repeats instead. The chance is one of its own, so that definitions without maps stay as they were."""
    chance = random.Random(f"repeats {draft.steps!r}")
    for step in [each for each in draft.every() if "map" in each and each["map"] != "$.input.nested"]:
        if chance.random() < 0.5:
            continue
        in_map = draft.is_inside(step)
        del step["map"]
        most = chance.choice([1, 2, 3])
        until = chance.choice([f"index == {chance.randrange(3)}", "input.n > index", "previous != null", "false"])
        step["repeat"] = {"until": until, "max": most, "delay_seconds": chance.choice([None, 0.3, 5.0])}
        step["repeat"]["at_max"] = chance.choice(["fail", "go_on", "go_on"])
        for each in draft.every():  # who asked for the size of the map
            if "value" in each:
                each["value"] = each["value"].replace(f"steps['{step['id']}'].size", f"steps['{step['id']}'].turns")
        for each in draft.below(step) if not in_map else ():
            inputs = each.get("inputs", {})
            each["inputs"] = {name: _of_turn(binding) for name, binding in inputs.items()} if inputs else inputs


def _of_turn(binding: Binding) -> Binding:
    is_item = binding.ref is not None and binding.ref.startswith("$.item")
    return Binding(ref="$.previous", optional=binding.optional) if is_item else binding
