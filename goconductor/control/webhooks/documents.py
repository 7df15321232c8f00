"""What the doors take and show of webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from goconductor.control.models import Document
from goconductor.webhooks.endpoint import STATUSES, State


class WebhookWanted(BaseModel):
    """What a webhook is to be: where it is, and what it is told of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="where the ends are sent to: https, without user, password and fragment")
    definitions: Annotated[list[str], Field(description="only of sagas with these names; none is all")] = []
    statuses: Annotated[list[str], Field(description=f"only these: {', '.join(STATUSES)}; none is all")] = []
    description: Annotated[str, Field(description="for people, up to 500 characters")] = ""


class WebhookSummary(Document):
    """One row of a list."""

    name: str
    url: str
    definitions: list[str]
    statuses: list[str]
    description: str
    state: State = Field(description="active; paused: what it wants is queued; gone: it has answered 410, and nothing is queued")
    created_at: datetime
    changed_at: datetime
    changed_by: str
    delivered: int = Field(description="number of deliveries that it has taken")
    failed: int = Field(description="number of attempts that failed")
    delivered_at: Annotated[datetime | None, Field(description="when it took the last; null is never")] = None
    failing_since: Annotated[
        datetime | None, Field(description="when it began to fail; null where the last attempt succeeded")
    ] = None
    problem: Annotated[str, Field(description="why the last attempt failed")] = ""


class WebhookSecret(Document):
    """One secret by which is signed, without the secret."""

    until: Annotated[datetime | None, Field(description="when it ends, after a rotation; null for the present one")] = None


class WebhookDetail(WebhookSummary):
    """One webhook."""

    secrets: list[WebhookSecret] = Field(description="by which is signed, the newest first")
    waiting: int = Field(description="number of deliveries that wait; up to 10,000")
    oldest_seconds: float = Field(description="age of the oldest of them")
    dead: int = Field(description="number of dead letters; up to 10,000")


class MadeWebhook(Document):
    """A webhook with its new secret. Nobody can show the secret again."""

    secret: str = Field(description="for the receiver, as Standard Webhooks has it: whsec_ and base64")
    detail: WebhookDetail


class WebhookList(Document):
    """Some webhooks, in the order of their names."""

    webhooks: list[WebhookSummary]
    after: Annotated[str | None, Field(description="ask for the rest with this; null at the end")] = None


class DeadDelivery(Document):
    """A delivery that was given up."""

    delivery_id: int
    message_id: str = Field(description="its header webhook-id")
    created_at: datetime
    attempts: int = Field(description="number of attempts that failed")
    problem: str = Field(description="why the last one failed")
    body: str = Field(description="what was sent, a CloudEvent in JSON")


class DeadDeliveries(Document):
    """Some dead letters of a webhook, the oldest first."""

    dead_letters: list[DeadDelivery]
    after: Annotated[int | None, Field(description="ask for the rest with this; null at the end")] = None


class RedrivenDeliveries(Document):
    """How many are sent again."""

    redriven: int = Field(description="number of deliveries that are due now")


class WebhookTest(Document):
    """What was queued to try a webhook."""

    message_id: str = Field(description="its header webhook-id")
