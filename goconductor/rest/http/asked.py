"""The fields that every request about a saga may have, in its body and its headers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field

from goconductor.control.actor import NAME_CHARACTERS_MAX
from goconductor.control.sagas.requests import REASON_CHARACTERS_MAX
from goconductor.rest.http.parameters import ENTITY_TAG

RequestId = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="names this request: sent again, it changes nothing and is answered like the first time",
        json_schema_extra={"pattern": "^[ -~]{1,255}$"},
    ),
]
"""Declared for the document; :func:`goconductor.rest.http.parameters.idempotency_key` reads it, and checks that it comes once."""


IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="the ETag of the saga as you saw it: refused with 412 if it has moved on since; * matches any",
        json_schema_extra={"pattern": rf"^(\*|{ENTITY_TAG})$"},
    ),
]
"""Declared for the document; :func:`goconductor.rest.http.parameters.if_match` reads it, and checks that it comes once."""


class Body(BaseModel):
    """The fields of every request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    by: Annotated[str, Field(max_length=NAME_CHARACTERS_MAX, description="who asks; kept in the saga's history")] = ""


class WithReason(Body):
    """A request that may be explained."""

    reason: Annotated[str, Field(max_length=REASON_CHARACTERS_MAX, description="why")] = ""


class MustSayWhy(Body):
    """A request that must be explained."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_CHARACTERS_MAX, pattern=r"\S", description="why")]
