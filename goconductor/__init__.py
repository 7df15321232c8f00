"""Decentralised sagas for Python microservices: no coordinator, one PostgreSQL, nothing lost.

::

    from goconductor import Participant, Saga, connect

A *saga* is a business process over several services that either completes or is compensated. Each service embeds a
:class:`Participant` with its steps; any process may die at any time.
"""

from typing import TYPE_CHECKING

from goconductor.app import Participant, connect, migrate
from goconductor.control.dataflows.documents import DataflowRun
from goconductor.control.doors.conductor import Conductor
from goconductor.control.doors.flow import Flow
from goconductor.control.doors.handles.saga import SagaHandle
from goconductor.control.doors.schedules import Schedules
from goconductor.control.faults import RequestInvalidError
from goconductor.control.flows.editing import FlowChangedError, FlowDetail, FlowStepDetail
from goconductor.control.flows.edits import StepExistsError
from goconductor.control.flows.executing import FlowExecution, FlowStepStatus
from goconductor.control.flows.statuses import FlowStatus
from goconductor.control.models import (
    History,
    HistoryEntry,
    RestartPreview,
    SagaDetail,
    SagaPage,
    SagaSummary,
    StepDetail,
    StepStatus,
)
from goconductor.control.sagas.bulk import BulkItem, BulkOutcome, BulkReport
from goconductor.control.sagas.requests import RefusedNowError, RequestIdReusedError, StepNotFoundError
from goconductor.control.sagas.starting import DefinitionNotFoundError, InputRefusedError
from goconductor.control.schedules.documents import FireDetail, ScheduleDetail, ScheduleList, ScheduleSummary
from goconductor.control.schedules.requests import ScheduleExistsError, ScheduleNotFoundError
from goconductor.control.settings.settings import Settings
from goconductor.dataflow.dataflow import Dataflow
from goconductor.dataflow.hints import Access, Builder, Consumes, Optionals, Produces
from goconductor.engine.steps.action import Action
from goconductor.engine.steps.builders import BuilderAction
from goconductor.engine.steps.context import StepContext
from goconductor.engine.steps.listeners import Listener
from goconductor.engine.steps.signature import Factory, Output
from goconductor.errors import (
    ArgumentError,
    BusError,
    BusUnavailableError,
    CompensatedError,
    ConditionError,
    ConfigurationError,
    ConflictError,
    CursorLostError,
    DefinitionError,
    ElectionError,
    FencedError,
    GoConductorError,
    InvariantError,
    JournalError,
    JournalUnavailableError,
    MessageError,
    OutboxError,
    OutboxUnavailableError,
    PayloadError,
    PayloadTooLargeError,
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
    SecretError,
    StepError,
    StoreError,
    StoreUnavailableError,
    StuckError,
    TemporaryError,
    TerminatedError,
    UnexpectedEventError,
)
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.observe import logs
from goconductor.observe.metrics import Metrics
from goconductor.public import lazily, publish
from goconductor.saga.definition import Lock
from goconductor.saga.ids import Direction
from goconductor.saga.retry import Retry
from goconductor.saga.writing.builder import Saga
from goconductor.saga.writing.optional import optional
from goconductor.saga.writing.undo import Undo
from goconductor.schedules.schedule import Overlap
from goconductor.system.writing import HttpAnswer, PublishedMessage, http_step, publish_step

if TYPE_CHECKING:
    from goconductor.control.definitions.loading import load_definition
    from goconductor.observe.exposition import Exposition as Exposition
    from goconductor.rest.app import create_app as create_app

__version__ = "0.1.0"

__all__ = [
    "Access",
    "Action",
    "ArgumentError",
    "Builder",
    "BuilderAction",
    "BulkItem",
    "BulkOutcome",
    "BulkReport",
    "BusError",
    "BusUnavailableError",
    "CompensatedError",
    "ConditionError",
    "Conductor",
    "ConfigurationError",
    "ConflictError",
    "Consumes",
    "CursorLostError",
    "Dataflow",
    "DataflowRun",
    "DefinitionError",
    "DefinitionNotFoundError",
    "Direction",
    "ElectionError",
    "Factory",
    "FencedError",
    "FireDetail",
    "Flow",
    "FlowChangedError",
    "FlowDetail",
    "FlowExecution",
    "FlowStatus",
    "FlowStepDetail",
    "FlowStepStatus",
    "GoConductorError",
    "History",
    "HistoryEntry",
    "HttpAnswer",
    "InputRefusedError",
    "InvariantError",
    "JournalError",
    "JournalUnavailableError",
    "Listener",
    "Lock",
    "MessageError",
    "Metrics",
    "Optionals",
    "OutboxError",
    "OutboxUnavailableError",
    "Output",
    "Overlap",
    "Participant",
    "PayloadError",
    "PayloadTooLargeError",
    "PermanentError",
    "PluginNotFoundError",
    "PoolerError",
    "Produces",
    "PublishedMessage",
    "RefusedError",
    "RefusedNowError",
    "RequestIdReusedError",
    "RequestInvalidError",
    "RequestRefusedError",
    "RestartPreview",
    "Retry",
    "RightsError",
    "Saga",
    "SagaAlreadyStartedError",
    "SagaChangedError",
    "SagaDetail",
    "SagaFailedError",
    "SagaHandle",
    "SagaNotFoundError",
    "SagaPage",
    "SagaStatus",
    "SagaSummary",
    "ScheduleDetail",
    "ScheduleExistsError",
    "ScheduleList",
    "ScheduleNotFoundError",
    "ScheduleSummary",
    "Schedules",
    "SchemaError",
    "SecretError",
    "Settings",
    "StepContext",
    "StepDetail",
    "StepError",
    "StepExistsError",
    "StepNotFoundError",
    "StepStatus",
    "StoreError",
    "StoreUnavailableError",
    "StuckError",
    "TemporaryError",
    "TerminatedError",
    "Undo",
    "UnexpectedEventError",
    "connect",
    "http_step",
    "load_definition",
    "logs",
    "migrate",
    "optional",
    "publish_step",
]

# What needs an extra is not in ``__all__``, so that a star imports without it.
__getattr__ = lazily(
    __name__,
    {
        "Exposition": "goconductor.observe.exposition",
        "create_app": "goconductor.rest.app",
        "load_definition": "goconductor.control.definitions.loading",
    },
)
publish(__name__)
