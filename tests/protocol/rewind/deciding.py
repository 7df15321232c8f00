"""What follows from an event: steps begin, are undone, are given up; constructs grow and join; a rewind ends."""

from __future__ import annotations

import random

from tests.protocol.rewind.draft import Draft
from tests.protocol.rewind.graph import ALL, GROW, JOIN, REPEAT, RETRIABLE, UNTIL, Map
from tests.protocol.rewind.rules import bits


def advance(draft: Draft) -> Draft:
    """Decide until nothing follows any more."""
    while draft.mode in "FR" and (undo(draft) or forward(draft)):
        pass
    return draft


def undo(draft: Draft) -> bool:
    changed = draft.withdraw()
    for step in reversed(range(draft.size)):
        if draft.needs_undo(step) and (draft.goes_back(step) or draft.failing(step)) and may_be_undone(draft, step):
            changed |= ask_for_undo(draft, step)
    if draft.mode == "R":
        if not any(draft.open_backwards(step) for step in range(draft.size)):
            draft.mode = "X"
            return False
        return changed
    changed |= give_up(draft)
    if draft.rewound and not any(draft.open_backwards(step) for step in bits(draft.rewound)):
        skipped = any(draft.compensations[step] == "N" for step in bits(draft.rewound))
        if skipped and draft.rules.skip_in_rewind != "go":
            draft.turn_back()
        else:
            draft.end_rewind()
        changed = True
    return changed


def may_be_undone(draft: Draft, step: int) -> bool:
    """Nothing that goes back with it runs, all after it is undone, and there is a slot."""
    rules = draft.rules
    if draft.mode == "R":
        group = range(draft.size)
    elif draft.rewound >> step & 1:
        group = bits(draft.rewound)  # type: ignore[assignment]
    elif draft.is_undone(step):
        group = bits(undone_with(draft, step))  # type: ignore[assignment]
    else:
        group = range(step, step + 1)
    if rules.awaits and any(draft.actions[other] in "DP" for other in group):
        return False
    if rules.ordered and not all(draft.closed(later) for later in bits(draft.graph.after[step])):
        return False
    return not (rules.undo_counts and draft.no_slot(step, starts=False))


def undone_with(draft: Draft, step: int) -> int:
    """The bits of the largest item around the step that is undone as a whole."""
    for number, item in reversed(draft.graph.nodes[step].items):
        if draft.is_undone(draft.graph.maps[number].items[item][0]):
            return draft.graph.item_bits(number, item) & draft.undone
    return 1 << step


def ask_for_undo(draft: Draft, step: int) -> bool:
    rules, node = draft.rules, draft.graph.nodes[step]
    in_log = draft.actions[step] == "S"
    if node.declared_undo and rules.fence and rules.journal and (not in_log or rules.fences == "always"):
        draft.compensations[step] = "E"  # fencing goes on while paused
        return True
    if draft.paused:
        return False
    known = in_log and (rules.journal or rules.undo_reads == "log")
    if node.declared_undo and in_log and not known:
        draft.broken = f"the undo of {node.name} runs with a null output, and the log has one"
    draft.compensations[step] = "d" if node.declared_undo and not known else "D"
    draft.undo_attempts[step] = 1
    return True


def give_up(draft: Draft) -> bool:
    changed = False
    for step in range(draft.size):
        if not draft.tolerated(step) or draft.goes_back(step):
            continue
        undone = draft.compensations[step] in "CN" or not draft.rules.failed_undone
        if draft.actions[step] == "f" or (draft.actions[step] in "FU" and undone):
            draft.actions[step], changed = "G", True
    for number, its_map in enumerate(draft.graph.maps):
        for item in range(len(its_map.items)):
            changed |= end_item(draft, number, item)
        if its_map.tolerated and draft.is_undone(its_map.join) and not draft.rewound >> its_map.join & 1:
            changed |= give_construct_up(draft, its_map)
    return changed


def end_item(draft: Draft, number: int, item: int) -> bool:
    """An item that is undone as a whole has ended when nothing of it is open."""
    nodes = draft.graph.maps[number].items[item]
    mask = draft.graph.item_bits(number, item)
    if not draft.is_undone(nodes[0]) or draft.rewound >> nodes[0] & 1 or draft.undone & mask == 0:
        return False
    if any(draft.open_backwards(node) for node in nodes):
        return False
    for node in nodes:
        if draft.actions[node] != ".":
            draft.actions[node] = "G" if draft.actions[node] in "FUf" else "k"
    draft.undone &= ~mask
    return True


def give_construct_up(draft: Draft, its_map: Map) -> bool:
    inside = [node for node in its_map.inside() if draft.actions[node] != "."]
    if draft.rules.construct_undone and any(draft.is_undone(node) for node in inside):
        return False
    draft.actions[its_map.join] = "G"
    draft.undone &= ~(1 << its_map.join | sum(1 << node for node in inside))
    for node in inside:
        if draft.actions[node] == "-":
            draft.actions[node] = "k"
    return True


def forward(draft: Draft) -> bool:
    if draft.mode != "F":
        return False
    changed = False
    for step, node in enumerate(draft.graph.nodes):
        stands_still = draft.goes_back(step) and (draft.rules.nothing_starts or not draft.rewound >> step & 1)
        if draft.actions[step] != "-" or stands_still:
            continue
        if node.type == JOIN:
            changed |= join(draft, step)
        elif all(draft.actions[before] in ("SkG." if node.type == UNTIL else "SkG") for before in node.before):
            changed |= iterate(draft, step) if node.type == UNTIL else begin(draft, step)
        if draft.mode != "F":
            return True
    if all(action in "SkG." for action in draft.actions) and not draft.rewound and not draft.undone:
        draft.mode = "E"
    return changed


def begin(draft: Draft, step: int) -> bool:
    node, rules = draft.graph.nodes[step], draft.rules
    fallback_unwanted = node.fallback_of is not None and draft.actions[node.fallback_of] != "G"
    if fallback_unwanted or (node.way is not None and draft.ways[node.way[0]] != node.way[1]):
        draft.actions[step] = "k"
    elif node.type in (GROW, REPEAT):
        if node.items and draft.no_slot(step, starts=True):
            return False
        grow(draft, step)
    elif draft.paused or draft.no_slot(step, starts=True):
        return False
    else:
        draft.actions[step], draft.attempts[step] = "D", 1
        if node.optional is not None:
            absent = draft.actions[node.optional] != "S" or (rules.optional_absent and draft.goes_back(node.optional))
            draft.sources[step] = -1 if absent else draft.rounds[node.optional]
    return True


def grow(draft: Draft, step: int) -> None:
    rules, graph = draft.rules, draft.graph
    if graph.nodes[step].type == REPEAT:
        exist(draft, next(each for each in graph.repeats if each.grow == step).iterations[:1], step)
    else:
        number, its_map = next((number, each) for number, each in enumerate(graph.maps) if each.grow == step)
        length = rules.lengths[draft.rounds[its_map.over]] if rules.length_logged else random.randint(1, 2)
        for item, nodes in enumerate(its_map.items[:length]):  # what a map inside of an item holds, it grows itself
            exist(draft, tuple(node for node in nodes if graph.nodes[node].items[0] == (number, item)), step)
    draft.actions[step] = "S"


def exist(draft: Draft, nodes: tuple[int, ...], grown_at: int) -> None:
    round_ = draft.counter if draft.rules.grown_round == "counter" else draft.rounds[grown_at]
    for node in nodes:
        draft.actions[node], draft.attempts[node], draft.rounds[node] = "-", 0, round_


def iterate(draft: Draft, step: int) -> bool:
    """One more iteration, or the end of a repeat."""
    rules = draft.rules
    repeat = next(each for each in draft.graph.repeats if each.end == step)
    last = max(number for number, node in enumerate(repeat.iterations) if draft.actions[node] != ".")
    node = repeat.iterations[last]
    behind_pivot = draft.graph.nodes[step].role == RETRIABLE
    if draft.actions[node] == "k" or last >= rules.until[draft.rounds[node]]:
        draft.actions[step] = "S"
    elif last + 1 < len(repeat.iterations):
        exist(draft, repeat.iterations[last + 1 : last + 2], repeat.grow)
    elif behind_pivot and rules.max_behind_pivot == "stuck":
        draft.actions[step] = "K"
    else:
        draft.actions[step] = "f"
        if behind_pivot:
            draft.turn_back()
        else:
            draft.fail(step)
    return True


def join(draft: Draft, step: int) -> bool:
    its_map = next(each for each in draft.graph.maps if each.join == step)
    if draft.actions[its_map.grow] != "S":
        return False
    items = [(item, nodes) for item, nodes in enumerate(its_map.items) if draft.actions[nodes[0]] != "."]
    whole = draft.rules.lost_as_a_whole
    undone = {item for item, nodes in items if any(map(draft.is_undone, nodes[:1] if whole else nodes))}
    won = {item for item, nodes in items if item not in undone and item_done(draft, nodes)}
    lost = undone | {
        item for item, nodes in items if item not in won and any(draft.actions[n] in "Gk" for n in exposed(draft, nodes))
    }
    if its_map.need == ALL:
        if len(won) == len(items):
            draft.actions[step] = "S"
            return True
        return False
    for item, nodes in items:  # an item that has lost a step goes no further
        if item in lost - undone and any(draft.actions[node] == "-" for node in nodes):
            for node in nodes:
                draft.actions[node] = "k" if draft.actions[node] == "-" else draft.actions[node]
            return True
    if len(won) >= its_map.need:
        surplus = [item for item, _ in items if item not in won and item not in lost]
        for item in surplus:
            draft.undone |= sum(1 << node for node in its_map.items[item] if draft.actions[node] != ".")
        under_way = any(any(map(draft.is_undone, nodes[:1] if whole else nodes)) for _, nodes in items)
        if not under_way or not draft.rules.join_waits:
            draft.actions[step] = "S"
            return True
        return bool(surplus)
    if len(items) - len(lost) < its_map.need:
        draft.actions[step] = "f"
        draft.fail(step)
        return True
    return False


def exposed(draft: Draft, nodes: tuple[int, ...]) -> list[int]:
    """The nodes of an item whose failure is the item's: not those inside of a map in it, whose join speaks for them."""
    depth = min(len(draft.graph.nodes[node].items) for node in nodes)
    return [node for node in nodes if len(draft.graph.nodes[node].items) == depth]


def item_done(draft: Draft, nodes: tuple[int, ...]) -> bool:
    return all(draft.actions[node] == "S" for node in exposed(draft, nodes))
