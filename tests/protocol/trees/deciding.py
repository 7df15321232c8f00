"""The pure core: what follows from an event, and what an event makes of a saga."""

from __future__ import annotations

from tests.protocol.trees.rules import BY_OPERATOR, Rules, Saga

TRIES_MAX = 2


def begun(rules: Rules, number: int, mode: str) -> Saga:
    size = len(rules.scripts[number].steps)
    saga = Saga(mode, 0, 0, "-" * size, (0,) * size)
    return advance(rules, number, saga) if mode == "F" else saga


def put_char(text: str, place: int, char: str) -> str:
    return text[:place] + char + text[place + 1 :]


def advance(rules: Rules, number: int, saga: Saga) -> Saga:
    mode, steps, round_ = saga.mode, saga.steps, saga.round
    if mode == "Q":
        last = max(step for step, status in enumerate(steps) if status != "-")
        if steps[last] in "GS":
            steps = put_char(steps, last, "D")
        elif steps[last] in "WfC":
            steps, round_, mode = put_char(steps, last, "-"), 1, "F"
    if mode == "F":
        if "f" in steps:
            mode = "R"
        elif "-" in steps:
            first = steps.index("-")
            if steps[:first] == "S" * first:
                wishes = rules.steps(number, round_)[first].key is not None
                steps = put_char(steps, first, "W" if wishes else "G")
        elif steps == "S" * len(steps):
            free = rules.scripts[number].parent is None or saga.note == "r" or not rules.holds_child
            mode = "E" if free else "H"
    if mode == "R":
        steps = steps.replace("W", "f").replace("K", "f")
        if "D" not in steps:
            last = max((step for step, status in enumerate(steps) if status in "SG"), default=-1)
            mode, steps = ("X", steps) if last < 0 else (mode, put_char(steps, last, "D"))
    return saga._replace(mode=mode, steps=steps, round=round_)


def fold(rules: Rules, number: int, saga: Saga, what: str, step: int = 0, round_: int | None = None) -> Saga | None:
    """The next state, or None where the event changes nothing."""
    mode, status = saga.mode, saga.steps[step]
    if round_ is not None and round_ != saga.round:
        return None
    if what == "granted" and mode == "F" and status == "W":
        saga = saga._replace(steps=put_char(saga.steps, step, "G"))
    elif what == "done" and status == "G" and mode in "FRQt":
        saga = saga._replace(steps=put_char(saga.steps, step, "S"))
    elif what == "failed" and mode in "FRQt" and status in "GW":
        stuck = rules.steps(number, saga.round)[step].retriable and mode == "F"
        saga = saga._replace(steps=put_char(saga.steps, step, "K" if stuck else "f"))
    elif what == "retried" and mode == "F" and status == "K":
        tries = (*saga.tries[:step], min(saga.tries[step] + 1, TRIES_MAX), *saga.tries[step + 1 :])
        saga = saga._replace(steps=put_char(saga.steps, step, "G"), tries=tries)
    elif what == "undone" and status == "D" and mode in "RQt":
        saga = saga._replace(steps=put_char(saga.steps, step, "C"))
    elif what == "aborted" and mode in "FQ":
        saga = saga._replace(mode="R", paused=0)
    elif what == "to be compensated" and mode in "FQH":
        kept = saga.paused if saga.paused == BY_OPERATOR and not rules.undo_lifts_pause else 0
        saga = saga._replace(mode="R", paused=kept)
    elif what == "rewound" and mode == "F" and not saga.round and may_rewind(rules, number, saga):
        saga = saga._replace(mode="Q")
    elif what == "released" and mode == "H":
        return saga._replace(mode="E")
    else:
        return None
    return advance(rules, number, saga)


def may_rewind(rules: Rules, number: int, saga: Saga) -> bool:
    """Only a wish or a child is rewound here, the newest step; rewind/ has the rest."""
    begun_steps = [step for step, status in enumerate(saga.steps) if status != "-"]
    if not begun_steps:
        return False
    last = begun_steps[-1]
    is_child = bool(rules.steps(number, saga.round)[last].children)
    return saga.steps[last] == "W" or (saga.steps[last] in "GS" and is_child)
