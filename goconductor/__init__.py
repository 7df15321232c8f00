"""Decentralised sagas for Python microservices: no coordinator, one PostgreSQL, nothing lost.

::

    from goconductor import Participant, Saga, connect

A *saga* is a business process over several services that either completes or is compensated. Each service embeds a
:class:`Participant` with its steps; any process may die at any time.
"""

from goconductor.app import Participant, connect
from goconductor.control.commands import InputRefusedError, RequestInvalidError
from goconductor.control.conductor import Conductor, SagaHandle
from goconductor.control.settings import Settings
from goconductor.errors import (
    BusError,
    BusUnavailableError,
    CompensatedError,
    ConditionError,
    ConfigurationError,
    DefinitionError,
    ElectionError,
    GoConductorError,
    JournalError,
    PayloadError,
    PermanentError,
    PluginNotFoundError,
    PoolerError,
    RefusedError,
    RequestRefusedError,
    RightsError,
    SagaAlreadyStartedError,
    SagaChangedError,
    SagaFailedError,
    SagaNotFoundError,
    SchemaError,
    StepError,
    StoreError,
    StoreUnavailableError,
    StuckError,
    TemporaryError,
    TerminatedError,
)
from goconductor.participant.context import StepContext
from goconductor.participant.listeners import Listener
from goconductor.participant.registry import Action
from goconductor.participant.signature import Output
from goconductor.saga.builder import Saga
from goconductor.saga.policies import Retry

__version__ = "0.1.0"

__all__ = [
    "Action",
    "BusError",
    "BusUnavailableError",
    "CompensatedError",
    "ConditionError",
    "Conductor",
    "ConfigurationError",
    "DefinitionError",
    "ElectionError",
    "GoConductorError",
    "InputRefusedError",
    "JournalError",
    "Listener",
    "Output",
    "Participant",
    "PayloadError",
    "PermanentError",
    "PluginNotFoundError",
    "PoolerError",
    "RefusedError",
    "RequestInvalidError",
    "RequestRefusedError",
    "Retry",
    "RightsError",
    "Saga",
    "SagaAlreadyStartedError",
    "SagaChangedError",
    "SagaFailedError",
    "SagaHandle",
    "SagaNotFoundError",
    "SchemaError",
    "Settings",
    "StepContext",
    "StepError",
    "StoreError",
    "StoreUnavailableError",
    "StuckError",
    "TemporaryError",
    "TerminatedError",
    "connect",
]
