"""What must never be true of a world."""

from __future__ import annotations

from tests.protocol.rewind.graph import ALL, COMPENSATABLE, PIVOT
from tests.protocol.rewind.rules import NEVER_SENT, ROUNDS_MAX, Rules, Saga, World, bits


def stands(rules: Rules, journal: bytes, step: int, round_: int) -> bool:
    """The effect of the step in that round was made, and not undone."""
    entry = journal[step * ROUNDS_MAX + round_]
    if entry == NEVER_SENT:
        return False
    action, undo = divmod(entry, 4)
    return action == 1 and undo != 1 if rules.journal else action > undo


def broken_order(rules: Rules, saga: Saga, journal: bytes, step: int) -> str | None:
    """What is wrong when the step is compensated now."""
    graph = rules.graph
    for later in bits(graph.after[step]):
        for round_ in range(ROUNDS_MAX if graph.nodes[later].real else 0):
            left = round_ == saga.rounds[later] and saga.compensations[later] in "Nn"
            if stands(rules, journal, later, round_) and not left:
                name, other = graph.nodes[step].name, graph.nodes[later].name
                return f"{name} is compensated while the effect of {other} (round {round_}) stands: order"
    for other_step, node in enumerate(graph.nodes):
        if node.role != COMPENSATABLE and node.real and any(stands(rules, journal, other_step, r) for r in range(ROUNDS_MAX)):
            return "compensated after the pivot took effect"
    return None


def broken(rules: Rules, world: World) -> str | None:
    saga = world.saga
    found = too_many_at_once(rules, saga) or fallback_passed_over(rules, saga)
    if found is None and saga.counter > saga.request + sum(saga.ways) and not rules.ways_reset:
        found = "rewound more often than asked for"
    if found is None and saga.mode == "E":
        found = wrongly_completed(rules, world)
    if found is None and saga.mode in "RX":
        found = wrongly_turned_back(rules, world)
    return found


def too_many_at_once(rules: Rules, saga: Saga) -> str | None:
    for each in rules.graph.maps:
        at_work = sum(
            any(saga.actions[node] in "DP" or saga.compensations[node] in "DdE" for node in item) for item in each.items
        )
        if at_work > each.concurrency:
            return "concurrency exceeded"
    return None


def fallback_passed_over(rules: Rules, saga: Saga) -> str | None:
    nodes = rules.graph.nodes
    for fallback, node in enumerate(nodes):
        if node.fallback_of is None or saga.actions[fallback] in "SkG" or saga.mode != "F":
            continue
        for reader, other in enumerate(nodes):
            if reader != fallback and node.fallback_of in other.before and saga.actions[reader] in "DPSFU":
                return f"who refers to {nodes[node.fallback_of].name} began before its fallback was done"
    return None


def left_by_operator(saga: Saga, step: int, round_: int) -> bool:
    return saga.compensations[step] == "N" and round_ == saga.rounds[step]


def wrongly_completed(rules: Rules, world: World) -> str | None:
    saga, journal, _, _, _ = world
    graph = rules.graph
    for each in graph.maps:
        effects = sum(any(stands(rules, journal, node, r) for node in item for r in range(ROUNDS_MAX)) for item in each.items)
        optional = each.need != ALL and graph.nodes[each.join].role == COMPENSATABLE and saga.actions[each.join] == "S"
        if optional and effects != each.need and "N" not in saga.compensations:
            return f"completed, join {each.need}, but {effects} items have effects"
    for step, node in enumerate(graph.nodes):
        if not node.real:
            continue
        action = saga.actions[step]
        for round_ in range(ROUNDS_MAX):
            now = stands(rules, journal, step, round_)
            if now and left_by_operator(saga, step, round_) and not saga.left_standing >> step & 1:
                return f"completed, and nothing says that the effect of {node.name} was left standing"
            if now != (action == "S" and round_ == saga.rounds[step]) and not left_by_operator(saga, step, round_):
                what = "stands" if now else "is missing"
                return f"completed, but the effect of {node.name} round {round_} {what} ({action})"
        if action == "S":
            used = [before for before in node.before if saga.actions[before] == "S" and graph.nodes[before].real]
            if any(saga.rounds[before] > saga.rounds[step] for before in used):
                return f"completed, but {node.name} used an output of an old round"
            optional_round = -1 if node.optional is None else saga.rounds[node.optional]
            if saga.sources[step] >= 0 and saga.sources[step] != optional_round:
                return f"completed, but {node.name} used an optional output of an old round"
    return None


def wrongly_turned_back(rules: Rules, world: World) -> str | None:
    saga = world.saga
    for step, node in enumerate(rules.graph.nodes):
        for round_ in range(ROUNDS_MAX if node.real else 0):
            if not stands(rules, world.journal, step, round_):
                continue
            if node.role == PIVOT:
                return "turned back after the pivot took effect"
            if saga.mode == "X" and not left_by_operator(saga, step, round_):
                return f"compensated, but the effect of {node.name} round {round_} stands ({saga.actions[step]})"
            if saga.mode == "X" and not saga.left_standing >> step & 1:
                return f"compensated, and nothing says that the effect of {node.name} was left standing"
    return None
