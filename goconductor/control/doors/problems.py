"""What can go wrong, by kinds whose names stay for ever: every door answers an error by the same kind.

A kind has HTTP's status; gRPC has a code for each status.
"""

from __future__ import annotations

from typing import NamedTuple

from goconductor.control.authority.authenticating import ProviderUnavailableError, UnauthenticatedError
from goconductor.control.authority.keys import KeyNotFoundError
from goconductor.control.authority.rates import TooManyRequestsError
from goconductor.control.authority.roles import ForbiddenError
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.flows.editing import FlowChangedError
from goconductor.control.flows.edits import StepExistsError
from goconductor.control.installation.dead_letters import DeadLetterNotFoundError
from goconductor.control.sagas.requests import RequestIdReusedError, StepNotFoundError
from goconductor.control.sagas.starting import DefinitionNotFoundError, InputRefusedError
from goconductor.control.schedules.requests import ScheduleExistsError, ScheduleNotFoundError
from goconductor.control.secrets.keeping import SecretNotFoundError
from goconductor.control.webhooks.queues import DeliveryNotFoundError
from goconductor.control.webhooks.requests import WebhookExistsError, WebhookNotFoundError
from goconductor.errors import (
    BusUnavailableError,
    ConfigurationError,
    CursorLostError,
    DefinitionError,
    GoConductorError,
    PayloadError,
    PayloadTooLargeError,
    PoolerError,
    RequestRefusedError,
    RightsError,
    SagaAlreadyStartedError,
    SagaChangedError,
    SagaNotFoundError,
    SchemaError,
    StoreUnavailableError,
)
from goconductor.gateway.protocol import GatewayClosedError, GatewayFullError, SessionGoneError

URN = "urn:goconductor:problem:"


class Kind(NamedTuple):
    """A kind of problem."""

    name: str
    status: int
    title: str


INVALID_REQUEST = Kind("invalid-request", 400, "The request cannot be understood")
INVALID_PAYLOAD = Kind("invalid-payload", 400, "The body is not JSON that can be kept")
UNAUTHENTICATED = Kind("unauthenticated", 401, "Nobody is known to be behind this request")
FORBIDDEN = Kind("forbidden", 403, "This actor may not do this")
CROSS_SITE = Kind("cross-site", 403, "A page of another site may not ask for this")
SAGA_NOT_FOUND = Kind("saga-not-found", 404, "There is no such saga")
DEFINITION_NOT_FOUND = Kind("definition-not-found", 404, "There is no such definition")
KEY_TAKEN = Kind("key-taken", 409, "This key has started a saga with other input")
REQUEST_ID_TAKEN = Kind("request-id-taken", 409, "Another request of this saga had this id")
STEP_NOT_FOUND = Kind("step-not-found", 404, "The saga has no such step")
DEAD_LETTER_NOT_FOUND = Kind("dead-letter-not-found", 404, "There is no such dead letter")
API_KEY_NOT_FOUND = Kind("api-key-not-found", 404, "There is no such API key")
SECRET_NOT_FOUND = Kind("secret-not-found", 404, "There is no such secret")
SCHEDULE_NOT_FOUND = Kind("schedule-not-found", 404, "There is no such schedule")
SCHEDULE_EXISTS = Kind("schedule-exists", 409, "There is a schedule of this name")
WEBHOOK_NOT_FOUND = Kind("webhook-not-found", 404, "There is no such webhook")
WEBHOOK_EXISTS = Kind("webhook-exists", 409, "There is a webhook of this name")
DELIVERY_NOT_FOUND = Kind("delivery-not-found", 404, "The webhook has no such delivery")
REFUSED = Kind("refused", 409, "The saga's state does not allow this now")
CHANGED = Kind("changed", 412, "The saga has moved on since you looked at it")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body is not of a type that is read here")
MISDIRECTED = Kind("misdirected", 421, "This server does not go by that name")
INPUT_REFUSED = Kind("input-refused", 422, "The input does not fit the saga's schema")
DEFINITION_REFUSED = Kind("definition-refused", 422, "The definition cannot run")
FLOW_CHANGED = Kind("flow-changed", 409, "Another edit of the flow came first")
STEP_EXISTS = Kind("step-exists", 409, "The flow has another step of this id")
TOO_MANY_REQUESTS = Kind("too-many-requests", 429, "This key has made more requests than it may")
INTERNAL = Kind("internal", 500, "Something unforeseen went wrong")
UNAVAILABLE = Kind("unavailable", 503, "The saga store cannot be reached now")
PROVIDER_UNAVAILABLE = Kind("identity-provider-unavailable", 503, "The identity provider's keys cannot be read now")
BUS_UNAVAILABLE = Kind("bus-unavailable", 503, "The bus cannot be reached now")
RIGHTS_MISSING = Kind("rights-missing", 503, "The database's role lacks a right")
NOT_READY = Kind("not-ready", 503, "Requests cannot be served yet")
BUSY = Kind("busy", 503, "The server has no room for this now")
CURSOR_LOST = Kind("cursor-lost", 410, "There is no such place among the events")
SESSION_GONE = Kind("session-gone", 404, "There is no such session any more")

KINDS: dict[type[GoConductorError], Kind] = {
    UnauthenticatedError: UNAUTHENTICATED,
    ForbiddenError: FORBIDDEN,
    TooManyRequestsError: TOO_MANY_REQUESTS,
    KeyNotFoundError: API_KEY_NOT_FOUND,
    SecretNotFoundError: SECRET_NOT_FOUND,
    PayloadError: INVALID_PAYLOAD,
    PayloadTooLargeError: TOO_LARGE,
    DefinitionError: DEFINITION_REFUSED,
    RequestRefusedError: REFUSED,
    RequestInvalidError: INVALID_REQUEST,
    InputRefusedError: INPUT_REFUSED,
    SagaNotFoundError: SAGA_NOT_FOUND,
    DefinitionNotFoundError: DEFINITION_NOT_FOUND,
    StepNotFoundError: STEP_NOT_FOUND,
    DeadLetterNotFoundError: DEAD_LETTER_NOT_FOUND,
    ScheduleNotFoundError: SCHEDULE_NOT_FOUND,
    ScheduleExistsError: SCHEDULE_EXISTS,
    WebhookNotFoundError: WEBHOOK_NOT_FOUND,
    WebhookExistsError: WEBHOOK_EXISTS,
    DeliveryNotFoundError: DELIVERY_NOT_FOUND,
    FlowChangedError: FLOW_CHANGED,
    StepExistsError: STEP_EXISTS,
    SagaAlreadyStartedError: KEY_TAKEN,
    RequestIdReusedError: REQUEST_ID_TAKEN,
    SagaChangedError: CHANGED,
    StoreUnavailableError: UNAVAILABLE,
    ProviderUnavailableError: PROVIDER_UNAVAILABLE,
    BusUnavailableError: BUS_UNAVAILABLE,
    RightsError: RIGHTS_MISSING,
    GatewayFullError: BUSY,
    GatewayClosedError: NOT_READY,
    SessionGoneError: SESSION_GONE,
    CursorLostError: CURSOR_LOST,
    ConfigurationError: NOT_READY,
    PoolerError: NOT_READY,
    SchemaError: NOT_READY,
}
"""Kinds of problems by the nearest class; an error that is under none of these is unforeseen."""


def kind_of(error: BaseException) -> Kind | None:
    """Return the kind of an error; None where it was not foreseen."""
    return next((KINDS[each] for each in type(error).__mro__ if each in KINDS), None)


def places_of(error: BaseException) -> list[Fault]:
    """Return the places that are wrong, where an error has such; of a definition's problems the path is empty."""
    match error:
        case PayloadError():
            return [Fault(error.path, error.problem)]
        case RequestInvalidError():
            return list(error.faults)
        case DefinitionError():
            return [Fault("", problem) for problem in error.problems]
        case FlowChangedError():
            return [Fault("", change) for change in error.changes]
        case _:
            return []
