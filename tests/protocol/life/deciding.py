"""The pure core: what an event makes of the saga, or None where it changes nothing or is refused."""

from __future__ import annotations

from collections.abc import Iterator

from tests.protocol.life.rules import Event, Rules, Saga, put_char, put_number

SUCCEEDED, FAILED, FAILED_WITH_PROOF, UNKNOWN = "S", "F", "f", "U"
COMPENSATED, COMPENSATION_FAILED, COMPENSATION_UNKNOWN = "C", "CF", "CU"
TIMER, HAPPENED, NEVER = "T", "PS", "PN"
ABORT, PAUSE, RESUME, RETRY, SKIP, RESTART = "A", "PA", "RE", "RT", "SK", "RS"
OF_OPERATORS = (ABORT, PAUSE, RESUME, RETRY, SKIP, RESTART)


def fresh(rules: Rules, round_: int) -> Saga:
    nothing, none = "-" * rules.size, (0,) * rules.size
    return advance(rules, Saga("F", False, round_, nothing, none, none, nothing, none, False, False))


def due(saga: Saga, step: int, direction: int, attempt: int, round_: int) -> bool:
    """Directions: 0 action, 1 compensation, 2 settling or fencing."""
    if round_ != saga.round or (saga.paused and direction < 2):
        return False
    if direction == 0:
        return saga.mode == "F" and saga.actions[step] == "D" and saga.attempts[step] == attempt
    if direction == 1:
        return saga.mode in "RQ" and saga.undos[step] == "D" and saga.undo_attempts[step] == attempt
    return saga.actions[step] == "P" or saga.undos[step] == "Z"


def jobs(rules: Rules, saga: Saga) -> Iterator[tuple[int, int, int, int]]:
    """What is to be done: (step, direction, attempt, round)."""
    for step in range(rules.size):
        for direction, attempt in ((0, saga.attempts[step]), (1, saga.undo_attempts[step]), (2, 0)):
            if due(saga, step, direction, attempt, saga.round):
                yield step, direction, attempt, saga.round


def advance(rules: Rules, saga: Saga) -> Saga:
    mode, actions, attempts = saga.mode, saga.actions, saga.attempts
    undos, undo_attempts = saga.undos, saga.undo_attempts
    if mode == "F":
        if any(action in "FfUN" for action in actions):
            mode = "R"
        elif actions == "S" * rules.size:
            mode = "E"
        else:
            step = next(step for step, action in enumerate(actions) if action != "S")
            if actions[step] == "-":
                actions, attempts = put_char(actions, step, "D"), put_number(attempts, step, 1)
    if mode in "RQ":
        # what backs off was sent before, so it may have run
        actions = "".join("F" if action == "B" and rules.roles[step] != "p" else action for step, action in enumerate(actions))
        if not any(action in "DP" for action in actions) and not any(undo in "DBKZ" for undo in undos):
            todo = [
                step for step in range(rules.size) if actions[step] in "SFU" and undos[step] == "-" and rules.roles[step] == "c"
            ]
            if todo:
                undos, undo_attempts = put_char(undos, todo[-1], "D"), put_number(undo_attempts, todo[-1], 1)
            elif mode == "Q" and ("N" not in undos or rules.skip_in_restart):
                return fresh(rules, saga.round + 1)
            else:
                mode = "X"
    stuck = "K" in actions or "K" in undos
    backs_off = "B" in actions or "B" in undos
    wake = mode not in "EX" and not saga.paused and not stuck and (rules.backoff_wakes or not backs_off)
    return Saga(mode, saga.paused, saga.round, actions, attempts, saga.losses, undos, undo_attempts, wake, saga.aborted)


def fold(rules: Rules, saga: Saga, event: Event) -> Saga | None:
    mode, what = saga.mode, event.what
    asked = what in OF_OPERATORS
    if mode == "E" or (mode == "X" and what not in (RESTART, SKIP)):
        return None
    if not asked and event.round != saga.round and rules.round_in_event:
        return None
    if saga.paused and not rules.paused_completes and what in (SUCCEEDED, COMPENSATED):
        return None
    if asked:
        return requested(rules, saga, event)
    after = of_action(rules, saga, event) or of_compensation(rules, saga, event)
    return None if after is None else advance(rules, after)


def of_action(rules: Rules, saga: Saga, event: Event) -> Saga | None:
    what, step, attempt, _ = event
    action = saga.actions[step]
    current = saga.attempts[step] == attempt

    def becomes(letter: str) -> Saga:
        return saga._replace(actions=put_char(saga.actions, step, letter))

    if what == SUCCEEDED and action in "DBPUK" and (saga.mode == "F" or saga.undos[step] == "-"):
        return becomes("S")
    if what in (FAILED, FAILED_WITH_PROOF) and action == "D" and (current or not rules.attempt_named):
        return failed(rules, saga, step, proof=what == FAILED_WITH_PROOF)
    if what == UNKNOWN and action == "D" and current:
        return lost(rules, saga, step)
    if what == TIMER and action == "B" and (current or not rules.timer_named):
        return becomes("D")
    if what == TIMER and not rules.timer_once and action == "D" and current and saga.mode == "F":
        return saga._replace(attempts=put_number(saga.attempts, step, attempt + 1))
    if what in (HAPPENED, NEVER) and action == "P":
        return becomes("S" if what == HAPPENED else "N")
    return None


def failed(rules: Rules, saga: Saga, step: int, *, proof: bool) -> Saga:
    attempt, role = saga.attempts[step], rules.roles[step]
    backs_off = saga._replace(actions=put_char(saga.actions, step, "B"), attempts=put_number(saga.attempts, step, attempt + 1))
    if role == "r":
        stuck = rules.failures_max and attempt >= rules.failures_max
        return saga._replace(actions=put_char(saga.actions, step, "K")) if stuck else backs_off
    if saga.mode == "F" and attempt < rules.attempts_max and not proof:
        return backs_off
    if role == "p":
        letter = "P" if rules.pivot_failed == "settle" else "F"
    else:
        letter = "f" if rules.proof and (proof or not rules.attempt_named) else "F"
    return saga._replace(actions=put_char(saga.actions, step, letter))


def lost(rules: Rules, saga: Saga, step: int) -> Saga:
    attempt, role = saga.attempts[step], rules.roles[step]
    backs_off = saga._replace(actions=put_char(saga.actions, step, "B"), attempts=put_number(saga.attempts, step, attempt + 1))
    if role == "r":
        losses = put_number(saga.losses, step, saga.losses[step] + 1)
        stuck = losses[step] >= rules.losses_max
        after = saga._replace(actions=put_char(saga.actions, step, "K")) if stuck else backs_off
        return after._replace(losses=losses)
    if saga.mode == "F" and attempt < rules.attempts_max:
        return backs_off
    return saga._replace(actions=put_char(saga.actions, step, "P" if role == "p" else "U"))


def of_compensation(rules: Rules, saga: Saga, event: Event) -> Saga | None:
    what, step, attempt, _ = event
    undo = saga.undos[step]
    current = saga.undo_attempts[step] == attempt

    def becomes(letter: str) -> Saga:
        return saga._replace(undos=put_char(saga.undos, step, letter))

    if what == COMPENSATED and undo in "DBZK":
        return becomes("C")
    if what in (COMPENSATION_FAILED, COMPENSATION_UNKNOWN) and undo == "D" and current:
        if attempt >= rules.undo_attempts_max:
            return becomes("K")
        return becomes("B")._replace(undo_attempts=put_number(saga.undo_attempts, step, attempt + 1))
    if what == TIMER and undo == "B" and (current or not rules.timer_named):
        return becomes("D")
    if what in (HAPPENED, NEVER) and undo == "Z":
        return becomes("C" if what == HAPPENED else "N")
    return None


def requested(rules: Rules, saga: Saga, event: Event) -> Saga | None:
    what, step = event.what, event.step
    action, undo = saga.actions[step], saga.undos[step]
    after: Saga | None = None
    if what == ABORT and saga.mode in "FQ":
        after = aborted(rules, saga)
    elif what == PAUSE and not saga.paused:
        after = saga._replace(paused=True)
    elif what == RESUME and saga.paused:
        resumed = advance(rules, saga._replace(paused=False))
        return resumed if rules.resume_wakes else resumed._replace(wake=False)
    elif what == RETRY and action == "K":
        attempts = put_number(saga.attempts, step, saga.attempts[step] + 1)
        losses = put_number(saga.losses, step, 0)
        after = saga._replace(actions=put_char(saga.actions, step, "D"), attempts=attempts, losses=losses)
    elif what == RETRY and undo == "K":
        attempts = put_number(saga.undo_attempts, step, saga.undo_attempts[step] + 1)
        after = saga._replace(undos=put_char(saga.undos, step, "D"), undo_attempts=attempts)
    elif what == SKIP and (undo == "K" or (rules.skip == "late" and undo == "C")):
        after = saga._replace(undos=put_char(saga.undos, step, "Z" if rules.skip == "fence" else "N"))
    elif what == RESTART and not saga.round:
        at_once = (saga.mode == "X" and "N" not in saga.undos) or (rules.restart == "live" and saga.mode == "F")
        if at_once:
            return fresh(rules, saga.round + 1)
        pivot_sent = rules.pivot >= 0 and saga.actions[rules.pivot] != "-"
        if rules.restart == "settle" and saga.mode == "F" and not pivot_sent:
            after = saga._replace(mode="Q")
    return None if after is None else advance(rules, after)


def aborted(rules: Rules, saga: Saga) -> Saga | None:
    pivot = saga.actions[rules.pivot] if rules.pivot >= 0 else "-"
    after = saga._replace(aborted=True, paused=saga.paused and not rules.abort_lifts)
    if pivot == "-":
        return after._replace(mode="R")
    if rules.abort_at_pivot == "settle" and pivot == "B":
        return after._replace(actions=put_char(saga.actions, rules.pivot, "P"))
    if (rules.abort_at_pivot == "back-off" and pivot == "B") or (rules.abort_at_pivot == "sent" and pivot in "DB"):
        return after._replace(mode="R", actions=put_char(saga.actions, rules.pivot, "N"))
    return None
