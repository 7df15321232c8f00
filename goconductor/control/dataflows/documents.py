"""What a run of a dataflow answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from goconductor.control.models import Document
from goconductor.lifecycle.facts.status import SagaStatus


class DataflowRun(Document):
    """How far a dataflow has come."""

    dataflow: str
    id: str = Field(description="as its runs name it")
    saga_id: UUID = Field(description="the saga that keeps its data")
    version: str = Field(description="of the definition, which it keeps from its first run on")
    status: SagaStatus
    target: Any = Field(description="what it is for; null until that is there")
    produced: dict[str, Any] = Field(description="what builders have made, by datum")
    new: list[str] = Field(description="those of them that came while this run went on")
    missing: dict[str, list[str]] = Field(description="what the target needs and is not there, and the builders that want it")
    optional: dict[str, list[str]] = Field(description="what may be given as well, and the builders that would take it")
    failed: dict[str, str] = Field(description="what could not be made, and why; the next run tries it again")
    running: list[str] = Field(description="what is still being made: the time of the run was over, or it was handed out")
    untaken: list[str] = Field(description="what was given and not taken before the time was over; give it again")
    closed: bool = Field(description="whether nothing can be given any more")
