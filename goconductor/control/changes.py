"""Changes the bus, or the election, while sagas run: the phases of :mod:`goconductor.ports.choices`, one after the other.

:func:`change` goes as far as it can at once and returns what it waits for. The next call goes on from there, in any process. So
an interrupted command, or a restart of a server, costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from goconductor.control.actor import Actor
from goconductor.control.models import ChangeDetail, SpeakerDetail, moment
from goconductor.control.wording import together
from goconductor.engine.node import Store
from goconductor.errors import RequestRefusedError
from goconductor.ports.choices import BUS, Choice, Phase, Spoken
from goconductor.ports.store import Instance

DRAIN_SECONDS = 60.0
"""Greatest seconds during which the bus that is left is still read; the sweep sends again what it has then."""
SHOWN_MAX = 5


async def present(actor: Actor, store: Store, kind: str, *, named: Sequence[str]) -> ChangeDetail:
    """Return which one is used, by which processes, and how far a change is.

    Args:
        actor: who asks.
        store: the engine's.
        kind: ``bus`` or ``election``.
        named: the names in the caller's settings. The first, its own, counts where no process lives and nothing was ever changed.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    return _detail(kind, *await _look(store, kind, named[0]))


async def change(
    actor: Actor,
    store: Store,
    kind: str,
    *,
    to: str,
    named: Sequence[str],
    drain_seconds: float = DRAIN_SECONDS,
    force: bool = False,
    going_on: bool = False,
) -> ChangeDetail:
    """Begin a change, or go on with it as far as is possible now; ask again until it is ``done``.

    A change can be turned back at any moment by asking for the one that is being left.

    Args:
        actor: who asks.
        store: the engine's.
        kind: ``bus`` or ``election``.
        to: the one to be used.
        named: as for :func:`present`.
        drain_seconds: how long, at most, the bus that is left is read after everybody sends over the other.
        force: leave processes behind that do not name it: they must restart with other settings.
        going_on: the asker has begun this change, and does not want to turn back what somebody else asks for meanwhile.

    Raises:
        RequestRefusedError: nobody names it, or a living process does not; processes use several; another change is under way; or
            somebody has turned this one back.
        StoreUnavailableError: the database cannot be reached; ask again.
    """
    while True:
        choice, speakers = await _look(store, kind, named[0])
        _refuse_unknown(kind, to, speakers, named)
        heads_for = choice.beside if choice.phase is Phase.JOINING else choice.chosen
        if going_on and heads_for != to:
            who = choice.by or "somebody else"
            raise RequestRefusedError(f"{who} has asked for the {kind} {heads_for} meanwhile; agree with them, and ask again")
        left: list[str] = []
        if force:
            left = [str(each) for each in speakers.values() if not each.spoken or to not in each.spoken.names]
            speakers = {serial: each for serial, each in speakers.items() if each.spoken and to in each.spoken.names}
        following = await _next(store, choice, speakers, to, drain_seconds)
        if following is None:
            return _detail(kind, choice, speakers, left)
        going_on = True
        await store.choose(replace(following, number=choice.number + 1, by=actor.name))


async def _next(store: Store, choice: Choice, speakers: dict[int, _Speaker], to: str, drain_seconds: float) -> Choice | None:
    """Return the choice after this one; None where there is none, or not yet."""
    kind, waits = choice.kind, list(_waits_for(choice, speakers))
    if choice.phase is Phase.SETTLED:
        if not choice.chosen:
            used = sorted({each.spoken.uses for each in speakers.values() if each.spoken})
            raise RequestRefusedError(
                f"living processes use several: {together(used)}; give all the same {kind} first, then change it"
            )
        if choice.chosen == to:
            return None
        _refuse_unless_named(kind, to, speakers)
        if any(each.spoken is None for each in speakers.values()):
            return None
        return replace(choice, beside=to, phase=Phase.JOINING)
    if to not in choice.in_use:
        raise RequestRefusedError(
            f"the {kind} is being changed: {choice.chosen} is used, {choice.beside} beside it, asked for by {choice.by or '?'}; "
            f"end that first, with --to {choice.beside} or --to {choice.chosen}"
        )
    if choice.phase is Phase.JOINING and to == choice.chosen:
        return replace(choice, beside="", phase=Phase.SETTLED)
    if to == choice.beside:  # in both phases: the one is reached, or the other is turned back
        turned = replace(choice, chosen=to, beside=choice.chosen, phase=Phase.DRAINING)
        return turned if choice.phase is Phase.DRAINING or not waits else None
    if waits:
        over = await store.database_time() - choice.since >= drain_seconds
        if not over or list(_waits_for(choice, speakers, quiet=False)):
            return None
    return replace(choice, beside="", phase=Phase.SETTLED)


class _Speaker:
    """A living instance, and its report on this kind."""

    def __init__(self, instance: Instance, kind: str) -> None:
        self.instance = instance
        self.spoken: Spoken | None = instance.speaks.get(kind)

    def __str__(self) -> str:
        return f"{self.instance.participant} {self.instance.serial} ({self.instance.name})"


async def _look(store: Store, kind: str, home: str) -> tuple[Choice, dict[int, _Speaker]]:
    found = await store.choice(kind)
    living = [one for one, presence in await store.presence(dead_since=await store.database_time()) if presence.alive]
    # A process that has joined the bus and reports no election takes part in none: it is a client.
    speakers = {one.serial: _Speaker(one, kind) for one in living if kind == BUS or kind in one.speaks or BUS not in one.speaks}
    if found is None:
        used = {each.spoken.uses for each in speakers.values() if each.spoken} or {home}
        found = Choice(kind=kind, chosen=used.pop() if len(used) == 1 else "")
    return found, speakers


def _waits_for(choice: Choice, speakers: dict[int, _Speaker], *, quiet: bool = True) -> Iterator[str]:
    """Yield each process that has not arrived in the present phase, and what hinders it."""
    for each in speakers.values():
        spoken = each.spoken
        if spoken is None:
            yield f"{each} has not said what it names: it is just starting, or of an older version"
        elif choice.chosen and choice.chosen not in spoken.names:
            if choice.phase is Phase.JOINING and choice.beside in spoken.names:
                continue  # it was left behind, and where all go now it is already
            yield f"{each} does not name {choice.chosen}; restart it with settings that do"
        elif spoken.problem:
            yield f"{each}: {spoken.problem}"
        elif spoken.number != choice.number:
            yield f"{each} has not arrived yet"
        elif quiet and choice.phase is Phase.DRAINING and not spoken.quiet:
            yield f"{each} still hears over {choice.beside}"


def _refuse_unknown(kind: str, to: str, speakers: dict[int, _Speaker], named: Sequence[str]) -> None:
    known = {name for each in speakers.values() if each.spoken for name in each.spoken.names} | set(named)
    if to not in known:
        raise RequestRefusedError(
            f"nobody names {kind} {to!a}, there are {together(sorted(known))}; add it to {kind}.others in the settings of all "
            "services, and restart them one after the other"
        )


def _refuse_unless_named(kind: str, to: str, speakers: dict[int, _Speaker]) -> None:
    without = [each for each in speakers.values() if each.spoken and to not in each.spoken.names]
    if without:
        named = together([str(each) for each in without[:SHOWN_MAX]])
        more = f" and {len(without) - SHOWN_MAX} more" if len(without) > SHOWN_MAX else ""
        raise RequestRefusedError(
            f"{len(without)} living processes do not name {kind} {to!a}: {named}{more}; roll out {kind}.others to them first"
        )


def _detail(kind: str, choice: Choice, speakers: dict[int, _Speaker], left: Sequence[str] = ()) -> ChangeDetail:
    waits = list(_waits_for(choice, speakers))
    return ChangeDetail(
        kind="bus" if kind == BUS else "election",
        chosen=choice.chosen or None,
        beside=choice.beside or None,
        phase=choice.phase.value,
        number=choice.number,
        since=moment(choice.since) if choice.since else None,
        by=choice.by,
        done=choice.phase is Phase.SETTLED and bool(choice.chosen) and not waits,
        waits_for=waits,
        left_behind=list(left),
        instances=[
            SpeakerDetail(
                serial=each.instance.serial,
                participant=each.instance.participant,
                name=each.instance.name,
                names=each.spoken.names,
                uses=each.spoken.uses,
                number=each.spoken.number,
                problem=each.spoken.problem,
            )
            for each in speakers.values()
            if each.spoken
        ],
    )
