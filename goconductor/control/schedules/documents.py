"""What the doors take and show of schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from goconductor.control.models import Document
from goconductor.schedules.schedule import Overlap


class ScheduleWanted(BaseModel):
    """What a schedule is to be: a saga, its input, and either a cron expression or an interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    saga: str = Field(description="the name of its definition; the version that is active at each fire is started")
    input: Annotated[Any, Field(description="its input: any JSON value")] = None
    cron: Annotated[
        str | None, Field(description="five fields, minute first, or @hourly, @daily, @weekly, @monthly, @yearly")
    ] = None
    time_zone: Annotated[str | None, Field(description="of the expression, such as Europe/Berlin; required with cron")] = None
    every_seconds: Annotated[StrictInt | None, Field(description="an interval in whole seconds, counted from 1970 in UTC")] = None
    overlap: Annotated[Overlap, Field(description="what is done when the saga of the fire before has not ended")] = Overlap.SKIP
    catch_up: Annotated[
        StrictInt, Field(description="how many fires that were missed while nobody led are started at most, from 0 to 100")
    ] = 1
    paused: Annotated[StrictBool, Field(description="whether it fires nothing until it is resumed")] = False
    labels: Annotated[dict[str, str], Field(description="of each saga; up to 20 words")] = {}


class FireDetail(Document):
    """One fire that was tried."""

    at: datetime = Field(description="its nominal time; of one that was fired by hand, the time of that")
    saga_id: Annotated[UUID | None, Field(description="the saga; null where the start was refused")] = None
    status: str = Field(description="the saga's status; gone where retention has deleted it; refused")
    problem: Annotated[str, Field(description="why it was refused")] = ""
    by: Annotated[str, Field(description="who fired it by hand")] = ""


class ScheduleSummary(Document):
    """One row of a list."""

    name: str
    saga: str
    fires: str = Field(description="when, in words")
    overlap: Overlap
    paused: bool
    next_at: Annotated[datetime | None, Field(description="the next fire; null while it is paused")] = None
    last: Annotated[FireDetail | None, Field(description="the last fire that was tried")] = None


class ScheduleDetail(ScheduleSummary):
    """One schedule."""

    input: Any = None
    cron: str | None = None
    time_zone: str | None = None
    every_seconds: int | None = None
    catch_up: int
    labels: dict[str, str]
    changed_at: datetime
    changed_by: str = ""
    next_fires: list[datetime] = Field(description="the next fires, by the rules of its zone as they are known now")
    waiting_at: Annotated[datetime | None, Field(description="the fire that waits for the end of the saga before")] = None
    started: int = Field(description="number of sagas started since it was made")
    skipped: int = Field(description="number of fires left out because the saga before had not ended")
    missed: int = Field(description="number of fires left out because nobody led; after very long, at least that many")
    refused: int = Field(description="number of fires whose start was refused")
    last_fires: list[FireDetail] = Field(description="the last fires that were tried, newest first")
    saga_id: Annotated[UUID | None, Field(description="the saga that was started; only in the answer to a fire by hand")] = None


class ScheduleList(Document):
    """Some schedules, in the order of their names."""

    schedules: list[ScheduleSummary]
    after: Annotated[str | None, Field(description="ask for the rest with this; null at the end")] = None
