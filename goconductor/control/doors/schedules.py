"""Schedules from Python: ``conductor.schedules``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goconductor.control.actor import Actor
from goconductor.control.doors.arguments import checked
from goconductor.control.schedules import requests
from goconductor.control.schedules.documents import ScheduleDetail, ScheduleList
from goconductor.engine.node import Node
from goconductor.schedules.schedule import Overlap


class Schedules:
    """Makes schedules, changes them and asks after them.

    Args:
        node: this process's engine, open.
        sagas_days: days for which sagas and their start keys are kept, by the settings; 0 is for ever.
    """

    def __init__(self, node: Node, *, sagas_days: float = 0.0) -> None:
        self._node = node
        self._sagas_days = sagas_days

    @checked
    async def create(
        self,
        name: str,
        saga: str,
        input: Any = None,
        *,
        cron: str | None = None,
        time_zone: str | None = None,
        every_seconds: int | None = None,
        overlap: Overlap | str = Overlap.SKIP,
        catch_up: int = 1,
        paused: bool = False,
        labels: Mapping[str, str] | None = None,
        by: str = "",
    ) -> ScheduleDetail:
        """Make a schedule: by a cron expression with its zone, or by an interval. Its first fire is the first time after now.

        Args:
            name: its name: up to 100 letters, digits, ``_`` and ``-``.
            saga: the name of the definition that it starts, in the version that is active at each fire.
            input: the input of each saga.
            cron: five fields, minute first, or ``@hourly``, ``@daily``, ``@weekly``, ``@monthly``, ``@yearly``.
            time_zone: the zone in which the expression is meant, such as ``Europe/Berlin``.
            every_seconds: an interval in whole seconds, counted from 1970 in UTC.
            overlap: what is done when the saga of the fire before has not ended: ``skip``, ``queue`` (one waits) or ``allow``.
            catch_up: how many fires that were missed while nobody led are started at most, the last ones; 0 to 100.
            paused: whether it fires nothing until it is resumed.
            labels: of each saga; up to 20 words.
            by: who asks.

        Raises:
            ArgumentError: an argument is of a wrong type.
            RequestInvalidError: it cannot be so: an expression that never fires, an unknown zone; names every place.
            DefinitionNotFoundError: no definition has this name.
            InputRefusedError: the input does not fit the definition's schema.
            PayloadError: the input cannot be kept.
            ScheduleExistsError: there is one of this name.
            StoreUnavailableError: the database cannot be reached.
        """
        facts = {"saga": saga, "input": input, "cron": cron, "time_zone": time_zone, "every_seconds": every_seconds}
        rules = {"overlap": overlap, "catch_up": catch_up, "paused": paused, "labels": dict(labels or {})}
        wanted = requests.wanted_of(facts | rules)
        return await requests.create(Actor(by), self._node, name, wanted, sagas_days=self._sagas_days)

    @checked
    async def replace(
        self,
        name: str,
        saga: str,
        input: Any = None,
        *,
        cron: str | None = None,
        time_zone: str | None = None,
        every_seconds: int | None = None,
        overlap: Overlap | str = Overlap.SKIP,
        catch_up: int = 1,
        paused: bool = False,
        labels: Mapping[str, str] | None = None,
        by: str = "",
    ) -> ScheduleDetail:
        """Replace a schedule by another one. What it was to fire before now is left out; its counts and last fires stay.

        Args:
            name: its name, and the rest as :meth:`create` has it.
            saga: as there.
            input: as there.
            cron: as there.
            time_zone: as there.
            every_seconds: as there.
            overlap: as there.
            catch_up: as there.
            paused: as there.
            labels: as there.
            by: who asks.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            ArgumentError: an argument is of a wrong type.
            RequestInvalidError: it cannot be so; names every place.
            DefinitionNotFoundError: no definition has this name.
            InputRefusedError: the input does not fit the definition's schema.
            PayloadError: the input cannot be kept.
            StoreUnavailableError: the database cannot be reached.
        """
        facts = {"saga": saga, "input": input, "cron": cron, "time_zone": time_zone, "every_seconds": every_seconds}
        rules = {"overlap": overlap, "catch_up": catch_up, "paused": paused, "labels": dict(labels or {})}
        wanted = requests.wanted_of(facts | rules)
        return await requests.replace_schedule(Actor(by), self._node, name, wanted, sagas_days=self._sagas_days)

    @checked
    async def pause(self, name: str, *, by: str = "") -> ScheduleDetail:
        """Fire nothing from now on. A fire that waits for the end of the saga before is left out.

        Args:
            name: its name.
            by: who asks.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            StoreUnavailableError: the database cannot be reached.
        """
        return await requests.pause(Actor(by), self._node, name)

    @checked
    async def resume(self, name: str, *, by: str = "") -> ScheduleDetail:
        """Fire again, from the first time after now: what passed meanwhile is not caught up.

        Args:
            name: its name.
            by: who asks.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            RequestInvalidError: its zone is not known here any more, or its expression never fires again.
            StoreUnavailableError: the database cannot be reached.
        """
        return await requests.resume(Actor(by), self._node, name)

    @checked
    async def delete(self, name: str, *, by: str = "") -> None:
        """Delete a schedule. The sagas that it has started go on.

        Args:
            name: its name.
            by: who asks.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            StoreUnavailableError: the database cannot be reached.
        """
        await requests.delete(Actor(by), self._node, name)

    @checked
    async def fire(self, name: str, *, by: str = "", request_id: str | None = None) -> ScheduleDetail:
        """Start its saga now, whatever its overlap, its pause and its times say.

        Args:
            name: its name.
            by: who asks.
            request_id: 1 to 255 printable ASCII characters that name the request. Asked again with the same id, it starts nothing
                more, for as long as the saga is kept.

        Returns:
            The schedule, with the started saga in ``saga_id``.

        Raises:
            RequestInvalidError: the request's id cannot be one.
            ScheduleNotFoundError: there is none of this name.
            DefinitionNotFoundError: its definition is not there any more.
            InputRefusedError: its input does not fit the definition's schema any more.
            StoreUnavailableError: the database cannot be reached; the saga may have been started: look before you fire again,
                or repeat it with its ``request_id``.
        """
        return await requests.fire(Actor(by), self._node, name, request_id=request_id)

    @checked
    async def show(self, name: str) -> ScheduleDetail:
        """Return one schedule: its next fires, its last ones, and what became of them.

        Args:
            name: its name.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            StoreUnavailableError: the database cannot be reached.
        """
        return await requests.schedule_detail(Actor(), self._node, name)

    @checked
    async def list(self, *, after: str = "", limit: int = 50) -> ScheduleList:
        """List schedules in the order of their names.

        Args:
            after: only names behind this one: what the page before has as ``after``.
            limit: greatest number of schedules in the page, up to 200.

        Raises:
            RequestInvalidError: there is no such page.
            StoreUnavailableError: the database cannot be reached.
        """
        return await requests.list_schedules(Actor(), self._node, after=after, limit=limit)
