"""Schedules: make, change, look at, fire by hand."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.schedules import requests
from goconductor.control.schedules.documents import ScheduleWanted
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.grpc.documents import message, read_value
from goconductor.grpc.fields import given, within
from goconductor.grpc.v1 import schedules_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing
from goconductor.saga.types.complaints import unfit

_MAY_BE_LEFT_OUT = ("cron", "time_zone", "every_seconds", "overlap", "catch_up")


class ScheduleCalls:
    """The methods of ``Schedules``.

    Args:
        node: the engine.
        settings: has how long sagas are kept.
    """

    def __init__(self, node: Node, settings: Settings) -> None:
        self._node = node
        self._sagas_days = settings.retention.sagas_days

    async def create_schedule(self, request: pb.PutScheduleRequest, _context: Any) -> pb.ScheduleDetail:
        """Make a schedule."""
        actor, wanted = asked_by(request.by), _wanted(request)
        return _detail(await requests.create(actor, self._node, request.name, wanted, sagas_days=self._sagas_days))

    async def replace_schedule(self, request: pb.PutScheduleRequest, _context: Any) -> pb.ScheduleDetail:
        """Replace a schedule."""
        actor, wanted = asked_by(request.by), _wanted(request)
        return _detail(await requests.replace_schedule(actor, self._node, request.name, wanted, sagas_days=self._sagas_days))

    async def get_schedule(self, request: pb.GetScheduleRequest, _context: Any) -> pb.ScheduleDetail:
        """Return a schedule."""
        return _detail(await requests.schedule_detail(ANYBODY, self._node, request.name))

    async def list_schedules(self, request: pb.ListSchedulesRequest, _context: Any) -> pb.ScheduleList:
        """Return schedules in the order of their names."""
        limit = within("limit", given(request, "limit", 50), 1, requests.PAGE_MAX)
        return message(pb.ScheduleList, await requests.list_schedules(ANYBODY, self._node, after=request.after, limit=limit))

    async def delete_schedule(self, request: pb.ScheduleRequest, _context: Any) -> Nothing:
        """Delete a schedule."""
        await requests.delete(asked_by(request.by), self._node, request.name)
        return Nothing()

    async def pause_schedule(self, request: pb.ScheduleRequest, _context: Any) -> pb.ScheduleDetail:
        """Fire nothing from now on."""
        return _detail(await requests.pause(asked_by(request.by), self._node, request.name))

    async def resume_schedule(self, request: pb.ScheduleRequest, _context: Any) -> pb.ScheduleDetail:
        """Fire again."""
        return _detail(await requests.resume(asked_by(request.by), self._node, request.name))

    async def fire_schedule(self, request: pb.FireScheduleRequest, _context: Any) -> pb.ScheduleDetail:
        """Start its saga now."""
        request_id = given(request, "request_id")
        return _detail(await requests.fire(asked_by(request.by), self._node, request.name, request_id=request_id))


def _detail(document: Any) -> pb.ScheduleDetail:
    return message(pb.ScheduleDetail, document)


def _wanted(request: pb.PutScheduleRequest) -> ScheduleWanted:
    """Read what a schedule is to be.

    Raises:
        RequestInvalidError: something is of another kind; names every place.
    """
    said = {name: getattr(request, name) for name in _MAY_BE_LEFT_OUT if request.HasField(name)}
    always = {"saga": request.saga, "paused": request.paused, "labels": dict(request.labels)}
    try:
        return ScheduleWanted.model_validate({**always, **said, "input": read_value(request, "input")})
    except ValidationError as error:
        found = [
            Fault(".".join(map(str, each["loc"])), unfit(each)) for each in error.errors(include_url=False, include_input=False)
        ]
        raise RequestInvalidError("the request", found) from None
