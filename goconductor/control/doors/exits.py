"""What a process of ours ends with, by what went wrong: the command line's, and a participant's that runs by itself."""

from __future__ import annotations

from enum import IntEnum

from goconductor.control.authority.keys import KeyNotFoundError
from goconductor.control.faults import RequestInvalidError
from goconductor.control.installation.dead_letters import DeadLetterNotFoundError
from goconductor.control.sagas.requests import StepNotFoundError
from goconductor.control.sagas.starting import DefinitionNotFoundError, InputRefusedError
from goconductor.control.schedules.requests import ScheduleNotFoundError
from goconductor.control.secrets.keeping import SecretNotFoundError
from goconductor.control.webhooks.queues import DeliveryNotFoundError
from goconductor.control.webhooks.requests import WebhookNotFoundError
from goconductor.errors import (
    BusUnavailableError,
    ConfigurationError,
    ElectionError,
    GoConductorError,
    PluginNotFoundError,
    PoolerError,
    SagaNotFoundError,
    SchemaError,
    StoreUnavailableError,
)


class Exit(IntEnum):
    """What a command ends with."""

    OK = 0
    FAILED = 1
    """The request was refused, or the saga did not complete."""
    USAGE = 2
    """The command or the settings are wrong."""
    UNAVAILABLE = 3
    """The database or the bus cannot be reached, or is not migrated."""
    NOT_FOUND = 4
    """There is no such saga, step, definition, schedule, webhook, API key, secret or dead letter."""


_CODES: dict[type[GoConductorError], Exit] = {
    ConfigurationError: Exit.USAGE,
    PluginNotFoundError: Exit.USAGE,
    RequestInvalidError: Exit.USAGE,
    InputRefusedError: Exit.FAILED,
    StoreUnavailableError: Exit.UNAVAILABLE,
    BusUnavailableError: Exit.UNAVAILABLE,
    ElectionError: Exit.UNAVAILABLE,
    SchemaError: Exit.UNAVAILABLE,
    PoolerError: Exit.UNAVAILABLE,
    SagaNotFoundError: Exit.NOT_FOUND,
    WebhookNotFoundError: Exit.NOT_FOUND,
    DeliveryNotFoundError: Exit.NOT_FOUND,
    StepNotFoundError: Exit.NOT_FOUND,
    DefinitionNotFoundError: Exit.NOT_FOUND,
    DeadLetterNotFoundError: Exit.NOT_FOUND,
    KeyNotFoundError: Exit.NOT_FOUND,
    SecretNotFoundError: Exit.NOT_FOUND,
    ScheduleNotFoundError: Exit.NOT_FOUND,
}


def code_of(error: GoConductorError) -> Exit:
    """Return the code for an error, by its nearest class."""
    return next((_CODES[each] for each in type(error).__mro__ if each in _CODES), Exit.FAILED)
