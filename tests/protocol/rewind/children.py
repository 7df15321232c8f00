"""A child saga of one step. Its own log is one value in the place of the action's key: 0 not there, 1 done and held, 2 tombstone,
3 ended compensated, 4 runs, 5 is being compensated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.protocol.explorer import FAULT, WORK, Move
from tests.protocol.rewind import events as e
from tests.protocol.rewind.properties import broken_order
from tests.protocol.rewind.rules import NEVER_SENT, ROUNDS_MAX, Event, World

if TYPE_CHECKING:
    from tests.protocol.rewind.world import Rewind

ABSENT, HELD, TOMBSTONE, COMPENSATED, RUNS, TURNS_BACK = range(6)


def moves(model: Rewind, world: World, step: int) -> Iterator[Move[World]]:
    for round_ in range(ROUNDS_MAX):
        if world.journal[step * ROUNDS_MAX + round_] != NEVER_SENT:
            yield from of_round(model, world, step, round_)


def of_round(model: Rewind, world: World, step: int, round_: int) -> Iterator[Move[World]]:
    saga, journal = world.saga, world.journal
    place = step * ROUNDS_MAX + round_
    child, undone = divmod(journal[place], 4)
    mine = round_ == saga.rounds[step] and saga.mode in "FR"
    wanted = mine and saga.actions[step] == "D"
    who = f"child {model.name(step)} of round {round_}"

    def becomes(state: int, undo: int = undone) -> bytes:
        return journal[:place] + bytes([4 * state + undo]) + journal[place + 1 :]

    def event(what: str, attempt: int) -> Event:
        return Event(what, step, attempt, round_)

    if child == ABSENT:
        expected = wanted and saga.mode == "F" and not saga.paused
        yield Move(f"the start of {who} lands", WORK if expected else FAULT, model.after(world, journal=becomes(RUNS)))
    if child == RUNS:
        yield Move(f"CHILD: {who} is done, held", WORK, model.after(world, journal=becomes(HELD)))
        if world.left.failures:
            failed = model.after(world, journal=becomes(COMPENSATED), left=world.left.less("failures"))
            yield Move(f"{who} fails and ends compensated", FAULT, failed)
    if child == TURNS_BACK:
        yield Move(f"{who} ends compensated", WORK, model.after(world, journal=becomes(COMPENSATED)))
    if child == HELD and (mine or not model.event_round) and saga.actions[step] == "D":
        done = event(e.SUCCEEDED, saga.attempts[step])
        yield from model.append(world, done, f"the parent is told: {who} is done", WORK if mine else FAULT)
    if child == COMPENSATED and wanted:
        yield from model.append(world, event(e.NEVER_HAPPENED, saga.attempts[step]), f"the parent is told: {who} failed")
    if not mine or saga.compensations[step] != "D" or saga.paused:
        return
    compensated = event(e.COMPENSATED, 1)
    if child == ABSENT:
        written = becomes(TOMBSTONE) if model.tombstones else journal
        yield from model.append(world, compensated, f"the parent finds no {who}: tombstone", journal=written)
    elif child == RUNS and model.child_awaited:
        yield Move(f"the parent has {who} compensated", WORK, model.after(world, journal=becomes(TURNS_BACK)))
    elif child == RUNS:
        yield from model.append(world, compensated, f"the parent has {who} compensated and does not wait")
    elif child == HELD and not undone:
        broken = broken_order(model, saga, journal, step)
        yield Move(f"COMPENSATION of the held {who}", WORK, model.after(world, journal=becomes(HELD, 1)), broken)
    elif child != TURNS_BACK:
        yield from model.append(world, compensated, f"the parent records: {who} is compensated")
