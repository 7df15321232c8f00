"""The methods of blocking schedules, written by ``tests/doors/test_blocking_interface.py``: change the asynchronous ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goconductor.blocking.client import BlockingClient
from goconductor.control.schedules.documents import ScheduleDetail, ScheduleList
from goconductor.schedules.schedule import Overlap


class BlockingSchedules:
    """Makes schedules, changes them and asks after them."""

    def __init__(self, client: BlockingClient) -> None:
        self._ask = client._ask  # noqa: SLF001

    def create(
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
        return self._ask(
            lambda conductor: conductor.schedules.create(
                name,
                saga,
                input,
                cron=cron,
                time_zone=time_zone,
                every_seconds=every_seconds,
                overlap=overlap,
                catch_up=catch_up,
                paused=paused,
                labels=labels,
                by=by,
            )
        )

    def replace(
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
        return self._ask(
            lambda conductor: conductor.schedules.replace(
                name,
                saga,
                input,
                cron=cron,
                time_zone=time_zone,
                every_seconds=every_seconds,
                overlap=overlap,
                catch_up=catch_up,
                paused=paused,
                labels=labels,
                by=by,
            )
        )

    def pause(self, name: str, *, by: str = "") -> ScheduleDetail:
        """Fire nothing from now on. A fire that waits for the end of the saga before is left out.

        Args:
            name: its name.
            by: who asks.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            StoreUnavailableError: the database cannot be reached.
        """
        return self._ask(lambda conductor: conductor.schedules.pause(name, by=by))

    def resume(self, name: str, *, by: str = "") -> ScheduleDetail:
        """Fire again, from the first time after now: what passed meanwhile is not caught up.

        Args:
            name: its name.
            by: who asks.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            RequestInvalidError: its zone is not known here any more, or its expression never fires again.
            StoreUnavailableError: the database cannot be reached.
        """
        return self._ask(lambda conductor: conductor.schedules.resume(name, by=by))

    def delete(self, name: str, *, by: str = "") -> None:
        """Delete a schedule. The sagas that it has started go on.

        Args:
            name: its name.
            by: who asks.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            StoreUnavailableError: the database cannot be reached.
        """
        return self._ask(lambda conductor: conductor.schedules.delete(name, by=by))

    def fire(self, name: str, *, by: str = "", request_id: str | None = None) -> ScheduleDetail:
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
        return self._ask(lambda conductor: conductor.schedules.fire(name, by=by, request_id=request_id))

    def show(self, name: str) -> ScheduleDetail:
        """Return one schedule: its next fires, its last ones, and what became of them.

        Args:
            name: its name.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            StoreUnavailableError: the database cannot be reached.
        """
        return self._ask(lambda conductor: conductor.schedules.show(name))

    def list(self, *, after: str = "", limit: int = 50) -> ScheduleList:
        """List schedules in the order of their names.

        Args:
            after: only names behind this one: what the page before has as ``after``.
            limit: greatest number of schedules in the page, up to 200.

        Raises:
            RequestInvalidError: there is no such page.
            StoreUnavailableError: the database cannot be reached.
        """
        return self._ask(lambda conductor: conductor.schedules.list(after=after, limit=limit))
