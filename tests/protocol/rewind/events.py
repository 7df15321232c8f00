"""The pure core: what an event makes of a saga, or None where it changes nothing or is refused."""

from __future__ import annotations

from tests.protocol.rewind.deciding import advance
from tests.protocol.rewind.draft import Draft
from tests.protocol.rewind.graph import PIVOT, RETRIABLE
from tests.protocol.rewind.rules import NEVER_SENT, NO_FAULTS, ROUNDS_MAX, Event, Rules, Saga, World, bits

SUCCEEDED, FAILED, NEVER_HAPPENED, UNKNOWN = "S", "F", "f", "U"
SETTLED_HAPPENED, SETTLED_NEVER, NOT_SETTLED = "PS", "PN", "PU"
FENCED_HAPPENED, FENCED_NEVER = "X1", "X0"
COMPENSATED, COMPENSATION_FAILED, COMPENSATION_UNKNOWN = "C", "CF", "CU"
SKIP_COMPENSATED, SKIP_FENCED = "ZS", "ZN"
ABORT, PAUSE, RESUME, RETRY, SKIP, REWIND = "A", "PA", "RE", "RT", "SK", "RW"
OF_OPERATORS = (ABORT, PAUSE, RESUME, RETRY, SKIP, REWIND)
ATTEMPTS_MAX = 3


def begin(rules: Rules) -> World:
    graph, size = rules.graph, len(rules.graph.nodes)
    actions = "".join("." if graph.grown(node) else "-" for node in range(size))
    none, nothing = (0,) * size, "-" * size
    first = Saga("F", False, 0, 0, 0, (0,) * len(graph.savepoints), 0, 0, actions, none, nothing, none, none, (-1,) * size)
    saga = advance(Draft(rules, first)).saga()
    journal, _ = keys_handed_out(rules, None, saga, bytes([NEVER_SENT]) * (size * ROUNDS_MAX))
    return World(saga, journal, (), (), rules.left if rules.left is not None else NO_FAULTS)


def fold(rules: Rules, saga: Saga, event: Event) -> tuple[Saga, str | None] | None:
    """The next state, and what the decision breaks."""
    if saga.mode in "EX":
        return None
    draft = Draft(rules, saga)
    if event.what in OF_OPERATORS:
        changes = asked(draft, event)
    elif (event.round != draft.rounds[event.step] and rules.event_round) or draft.actions[event.step] == ".":
        changes = False
    else:
        changes = of_action(draft, event) or of_compensation(draft, event)
    return (advance(draft).saga(), draft.broken) if changes else None


def of_action(draft: Draft, event: Event) -> bool:
    what, step, rules = event.what, event.step, draft.rules
    action, role = draft.actions[step], draft.graph.nodes[step].role
    if what == SUCCEEDED:
        in_time = action in "DPUK" and (draft.compensations[step] == "-" or not rules.event_round)
        if not in_time and (rules.late_success_ignored or action not in "FUGk"):
            return False
        draft.actions[step] = "S"
    elif what in (FAILED, NEVER_HAPPENED, UNKNOWN) and action == "D" and draft.attempts[step] == event.attempt:
        again = not draft.goes_back(step) and event.attempt < rules.attempts_max and what != NEVER_HAPPENED
        tolerated = draft.tolerated(step) and not draft.goes_back(step) and draft.optional_item(step) is None
        if role == RETRIABLE or again:
            draft.attempts[step] = min(event.attempt + 1, ATTEMPTS_MAX)
        elif rules.journal and (role == PIVOT or (tolerated and what != NEVER_HAPPENED and rules.failed_undone)):
            draft.actions[step] = "P"
        else:
            draft.actions[step] = what
            draft.fail(step)
    elif what in (SETTLED_HAPPENED, SETTLED_NEVER) and action == "P":
        draft.actions[step] = "S" if what == SETTLED_HAPPENED else "f"
        if what == SETTLED_NEVER:
            draft.fail(step)
    elif what == NOT_SETTLED and action == "P":
        draft.actions[step] = "K"
    else:
        return False
    return True


def of_compensation(draft: Draft, event: Event) -> bool:
    what, step = event.what, event.step
    undo = draft.compensations[step]
    if what == FENCED_HAPPENED and undo == "E":
        draft.compensations[step], draft.undo_attempts[step] = "D", 1
    elif what == FENCED_NEVER and undo == "E":
        draft.actions[step], draft.compensations[step] = "f", "-"
    elif what == COMPENSATED and undo in "DdZK":
        draft.compensations[step] = "C"
    elif what in (COMPENSATION_FAILED, COMPENSATION_UNKNOWN) and undo in "Dd" and draft.undo_attempts[step] == event.attempt:
        if what == COMPENSATION_UNKNOWN:
            draft.undo_attempts[step] = min(event.attempt + 1, ATTEMPTS_MAX)
        else:
            draft.compensations[step] = "K"
    elif what in (SKIP_COMPENSATED, SKIP_FENCED) and undo == "Z":
        skipped(draft, step, fenced=what == SKIP_FENCED)
    else:
        return False
    return True


def skipped(draft: Draft, step: int, *, fenced: bool) -> None:
    draft.compensations[step] = "N" if fenced else "C"
    if fenced and draft.rules.says_left:
        draft.left_standing |= 1 << step


def asked(draft: Draft, event: Event) -> bool:
    """An operator's request: whether it is accepted."""
    what, step, rules, nodes = event.what, event.step, draft.rules, draft.graph.nodes
    action = draft.actions[step]
    if what == ABORT and draft.mode == "F":
        if any(node.role == PIVOT and draft.actions[number] not in "-.f" for number, node in enumerate(nodes)):
            return False
        draft.paused = False
        draft.turn_back()
    elif what == PAUSE and not draft.paused:
        draft.paused = True
    elif what == RESUME and draft.paused:
        draft.paused = False
    elif what == RETRY and action == "K":
        if not nodes[step].real:
            draft.actions[step] = "S"  # "taken as done"
        else:
            unsettled = rules.journal and nodes[step].role != RETRIABLE
            draft.actions[step] = "P" if unsettled else "D"
        draft.attempts[step] = min(draft.attempts[step] + 1, ATTEMPTS_MAX)
    elif what == RETRY and draft.compensations[step] == "K":
        draft.compensations[step] = "D"
        draft.undo_attempts[step] = min(draft.undo_attempts[step] + 1, ATTEMPTS_MAX)
    elif what == SKIP and draft.compensations[step] == "K":
        if rules.journal:
            draft.compensations[step] = "Z"
        else:
            skipped(draft, step, fenced=True)
    elif what == REWIND:
        return asked_to_rewind(draft, event)
    else:
        return False
    return True


def asked_to_rewind(draft: Draft, event: Event) -> bool:
    rules, nodes = draft.rules, draft.graph.nodes
    known = event.attempt <= draft.request and rules.request_kept  # a rewind's request has its id here
    under_way = draft.rewound and rules.one_at_a_time
    if draft.mode != "F" or known or under_way or draft.actions[event.step] == "." or draft.counter + 1 >= ROUNDS_MAX:
        return False
    mask = draft.closure(event.step)
    if rules.pivot_refuses and any(
        nodes[step].role != "c" and nodes[step].real and draft.actions[step] not in "-." for step in bits(mask)
    ):
        return False
    if rules.skip_in_rewind == "turn" and any(draft.compensations[step] == "N" for step in bits(mask)):
        return False
    if not rules.one_at_a_time:
        draft.rewound = 0
    for step in bits(mask) if rules.skip_in_rewind == "before" else ():
        draft.compensations[step] = "n" if draft.compensations[step] == "N" else draft.compensations[step]
    draft.request = event.attempt
    draft.rewind(mask)
    return True


def keys_handed_out(rules: Rules, old: Saga | None, saga: Saga, journal: bytes) -> tuple[bytes, str | None]:
    """The keys that a decision hands out for the first time; each may be handed out once."""
    broken = None
    for step, node in enumerate(rules.graph.nodes):
        if not node.real or saga.actions[step] != "D" or saga.attempts[step] != 1:
            continue
        new_round = old is not None and old.rounds[step] != saga.rounds[step] and rules.rounds_change == "end"
        if old is not None and old.actions[step] == "D" and not new_round:
            continue
        place = step * ROUNDS_MAX + saga.rounds[step]
        if journal[place] != NEVER_SENT:
            broken = f"the key of {node.name} round {saga.rounds[step]} was used before"
        else:
            journal = journal[:place] + b"\0" + journal[place + 1 :]
    return journal, broken
