"""The rules of a saga that is a chain, said a second time, as short as they can be: letters instead of classes.

It follows the model with which the protocol was checked before it was written (``fold`` and ``advance`` there), with what was
decided since:

* the first lost outcome is tried again at once, and lost outcomes have a maximum of their own, for compensations too;
* while paused nothing new becomes due, so there is nothing to drop;
* a proven failure is never tried again, and a step with one needs no compensation;
* a pivot without a journal is stuck when an outcome of it was lost; else its reported failure is believed;
* an operator may declare, force a skip and skip retriable steps, and try again at once, wherever a step waits (that nobody runs
  it meanwhile is a matter of leases);
* there are no rounds yet.

``action``: - not due, D due, B backing off, S succeeded, F failed, f failed with proof (or never to happen), U unknown,
P settling, Z settling for a skip, K stuck, N skipped. ``comp``: - D B C(ompensated) K, Z being fenced, N skipped.
"""

from __future__ import annotations

from typing import NamedTuple


class Rules(NamedTuple):
    roles: str
    """One letter per step: c(ompensatable), p(ivot), r(etriable)."""
    attempts: int = 2
    compensation_attempts: int = 2
    unknowns: int = 2


class Model(NamedTuple):
    mode: str
    """F forward, R on the way back, E completed, X compensated, t terminating, T terminated."""
    paused: bool
    action: str
    attempt: tuple[int, ...]
    comp: str
    comp_attempt: tuple[int, ...]
    lost: tuple[int, ...]


def first(rules: Rules) -> Model:
    zeros = (0,) * len(rules.roles)
    return advance(
        rules,
        Model("F", paused=False, action="-" * len(zeros), attempt=zeros, comp="-" * len(zeros), comp_attempt=zeros, lost=zeros),
    )


def _put(row: tuple[int, ...], i: int, value: int) -> tuple[int, ...]:
    return (*row[:i], value, *row[i + 1 :])


def _act(m: Model, i: int, letter: str, attempt: int | None = None, lost: int | None = None) -> Model:
    return m._replace(
        action=m.action[:i] + letter + m.action[i + 1 :],
        attempt=m.attempt if attempt is None else _put(m.attempt, i, attempt),
        lost=m.lost if lost is None else _put(m.lost, i, lost),
    )


def _comp(m: Model, i: int, letter: str, attempt: int | None = None, lost: int | None = None) -> Model:
    return m._replace(
        comp=m.comp[:i] + letter + m.comp[i + 1 :],
        comp_attempt=m.comp_attempt if attempt is None else _put(m.comp_attempt, i, attempt),
        lost=m.lost if lost is None else _put(m.lost, i, lost),
    )


def advance(rules: Rules, m: Model) -> Model:
    if m.mode == "F" and any(letter in "FfU" for letter in m.action):
        m = m._replace(mode="R")
    if m.mode == "F":
        i = next((i for i, letter in enumerate(m.action) if letter not in "SN"), None)
        if i is None:
            return m._replace(mode="E")
        return _act(m, i, "D", 1) if m.action[i] == "-" and not m.paused else m
    if m.mode == "R" and not any(letter in "DPZ" for letter in m.action) and not any(letter in "DBKZ" for letter in m.comp):
        todo = [i for i, role in enumerate(rules.roles) if role == "c" and m.action[i] in "SFU" and m.comp[i] == "-"]
        if not todo:
            return m._replace(mode="X")
        return m if m.paused else _comp(m, todo[-1], "D", 1, 0)
    if m.mode == "t" and "P" not in m.action and "Z" not in m.comp:
        return m._replace(mode="T")
    return m


def fold(rules: Rules, m: Model, event: str, i: int = 0, attempt: int = 1) -> Model | None:
    """The state after an event; None where it changes nothing or is refused."""
    if m.mode in "EXT":
        return None
    if event in ("terminate", "terminate by force"):
        after = _terminate(rules, m, forced=event != "terminate")
    elif m.mode == "t":
        after = _recorded(rules, m, event, i)
    else:
        after = _fold(rules, m, event, i, attempt)
    return None if after is None else advance(rules, after)


def _fold(rules: Rules, m: Model, event: str, i: int, attempt: int) -> Model | None:
    role, a, c, lost = rules.roles[i], m.action[i], m.comp[i], m.lost[i] + 1
    now, comp_now, forward = m.attempt[i], m.comp_attempt[i], m.mode == "F"
    match event:
        case "succeeded" if (a in "DBPZK" and c == "-") or (a in "FU" and role == "c"):
            return _act(m, i, "S")
        case "failed" | "proven" if a == "D" and attempt == now:
            if event == "failed" and forward and now < rules.attempts:
                return _act(m, i, "B", now + 1)
            if role == "r":
                return _act(m, i, "K")
            return _act(m, i, "f" if event == "proven" else "P" if role == "p" else "F")
        case "unknown" if a == "D" and attempt == now:
            if forward and lost < rules.unknowns:
                return _act(m, i, "D" if lost == 1 else "B", now + 1, lost)
            return _act(m, i, {"r": "K", "p": "P", "c": "U"}[role], None, lost)
        case "timer" if a == "B" and attempt == now:
            return _act(m, i, "D")
        case "happened" if a in "PZ":
            return _act(m, i, "S")
        case "never" if a in "PZ":
            return _act(m, i, "f" if a == "P" else "N")
        case "no journal" if a in "PZ":
            return _act(m, i, "F" if a == "P" and not m.lost[i] else "K")
        case "no journal" if c == "Z":
            return _comp(m, i, "K")
        case "compensated" if c in "DBZK":
            return _comp(m, i, "C")
        case "compensation failed" if c == "D" and attempt == comp_now:
            return _comp(m, i, "B", comp_now + 1) if comp_now < rules.compensation_attempts else _comp(m, i, "K")
        case "compensation unknown" if c == "D" and attempt == comp_now:
            if lost >= rules.unknowns:
                return _comp(m, i, "K", None, lost)
            return _comp(m, i, "D" if lost == 1 else "B", comp_now + 1, lost)
        case "compensation timer" if c == "B" and attempt == comp_now:
            return _comp(m, i, "D")
        case "compensation happened" if c == "Z":
            return _comp(m, i, "C")
        case "compensation never" if c == "Z":
            return _comp(m, i, "N")
        case "pause" if not m.paused:
            return m._replace(paused=True)
        case "resume" if m.paused:
            return m._replace(paused=False)
        case "terminate at once":
            return m._replace(mode="T")
        case "abort" | "deadline" if forward and ("p" not in rules.roles or m.action[rules.roles.find("p")] == "-"):
            m = m._replace(mode="R", paused=m.paused and event == "deadline")
            return m._replace(action=m.action.replace("B", "F"))
        case "abort" if forward and m.action[p := rules.roles.find("p")] == "B":
            return _act(m._replace(paused=False), p, "P")
    return _by_hand(m, event, i, role)


def _terminate(rules: Rules, m: Model, *, forced: bool) -> Model | None:
    """All that is out is to be settled: P, and Z on the way back. An attempt under way counts as lost from then on."""
    if forced:
        return m._replace(mode="T")
    if m.mode == "t":
        return None
    m = m._replace(mode="t", paused=False)
    for i in range(len(rules.roles)):
        a, c = m.action[i], m.comp[i]
        if c in "DBKZ":
            m = _comp(m, i, "Z", None, m.lost[i] + (c == "D"))
        elif c == "-" and (a in "DBPZFU" or (a == "K" and m.attempt[i])):
            m = _act(m, i, "P", None, m.lost[i] + (a == "D"))
    return m


def _recorded(rules: Rules, m: Model, event: str, i: int) -> Model | None:
    """What comes while the saga terminates is recorded; nothing follows from it."""
    a, c = m.action[i], m.comp[i]
    match event:
        case "succeeded" if a == "P" or (a in "FU" and rules.roles[i] == "c"):
            return _act(m, i, "S")
        case "happened" if a == "P":
            return _act(m, i, "S")
        case "never" if a == "P":
            return _act(m, i, "f")
        case "no journal" if a == "P":
            return _act(m, i, "U" if m.lost[i] else "F")
        case "compensated" | "compensation happened" if c == "Z":
            return _comp(m, i, "C")
        case "compensation never" | "no journal" if c == "Z":
            return _comp(m, i, "N")
    return None


def _by_hand(m: Model, event: str, i: int, role: str) -> Model | None:
    a, c = m.action[i], m.comp[i]
    waits, waits_back = a in "KBDPZ" and c == "-", c in "KBDZ"
    match event:
        case "retry" if a == "K":
            return _act(m, i, "D", m.attempt[i] + 1, min(m.lost[i], 1))
        case "retry" if a == "B":
            return _act(m, i, "D")
        case "retry" if c == "K":
            return _comp(m, i, "D", m.comp_attempt[i] + 1, 0)
        case "retry" if c == "B":
            return _comp(m, i, "D")
        case "skip" if waits_back and c != "Z":
            return _comp(m, i, "Z")
        case "force" if waits_back:
            return _comp(m, i, "N")
        case "skip" if waits and role == "r" and a != "Z":
            return _act(m, i, "Z")
        case "force" if waits and role == "r":
            return _act(m, i, "N")
        case "it happened" if waits:
            return _act(m, i, "S")
        case "it happened" if waits_back:
            return _comp(m, i, "C")
        case "it did not" if waits:
            return _act(m, i, "N" if role == "r" else "f")
    return None
