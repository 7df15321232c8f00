import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from goconductor.grpc.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StartSagaRequest(_message.Message):
    __slots__ = ("saga", "input", "key", "labels", "version", "wait_seconds", "priority")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SAGA_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    saga: str
    input: _values_pb2.Value
    key: str
    labels: _containers.ScalarMap[str, str]
    version: str
    wait_seconds: float
    priority: int
    def __init__(self, saga: _Optional[str] = ..., input: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., key: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., version: _Optional[str] = ..., wait_seconds: _Optional[float] = ..., priority: _Optional[int] = ...) -> None: ...

class StartSagaResponse(_message.Message):
    __slots__ = ("saga", "existing")
    SAGA_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    saga: SagaDetail
    existing: bool
    def __init__(self, saga: _Optional[_Union[SagaDetail, _Mapping]] = ..., existing: bool = ...) -> None: ...

class StartSagasRequest(_message.Message):
    __slots__ = ("starts",)
    STARTS_FIELD_NUMBER: _ClassVar[int]
    starts: _containers.RepeatedCompositeFieldContainer[StartOfMany]
    def __init__(self, starts: _Optional[_Iterable[_Union[StartOfMany, _Mapping]]] = ...) -> None: ...

class StartOfMany(_message.Message):
    __slots__ = ("saga", "input", "key", "labels", "version", "priority")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SAGA_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    saga: str
    input: _values_pb2.Value
    key: str
    labels: _containers.ScalarMap[str, str]
    version: str
    priority: int
    def __init__(self, saga: _Optional[str] = ..., input: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., key: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., version: _Optional[str] = ..., priority: _Optional[int] = ...) -> None: ...

class StartSagasResponse(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[StartOutcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[StartOutcome, _Mapping]]] = ...) -> None: ...

class StartOutcome(_message.Message):
    __slots__ = ("saga_id", "existing", "problem")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    existing: bool
    problem: Problem
    def __init__(self, saga_id: _Optional[str] = ..., existing: bool = ..., problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("type", "title", "detail")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    type: str
    title: str
    detail: str
    def __init__(self, type: _Optional[str] = ..., title: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class GetSagaRequest(_message.Message):
    __slots__ = ("saga_id",)
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    def __init__(self, saga_id: _Optional[str] = ...) -> None: ...

class FindSagaRequest(_message.Message):
    __slots__ = ("saga", "key")
    SAGA_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    saga: str
    key: str
    def __init__(self, saga: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class GetResultRequest(_message.Message):
    __slots__ = ("saga_id", "wait_seconds")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    wait_seconds: float
    def __init__(self, saga_id: _Optional[str] = ..., wait_seconds: _Optional[float] = ...) -> None: ...

class ListSagasRequest(_message.Message):
    __slots__ = ("where", "key", "limit", "cursor")
    WHERE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    where: _values_pb2.SagaFilter
    key: str
    limit: int
    cursor: str
    def __init__(self, where: _Optional[_Union[_values_pb2.SagaFilter, _Mapping]] = ..., key: _Optional[str] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class GetHistoryRequest(_message.Message):
    __slots__ = ("saga_id", "after", "limit")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    after: int
    limit: int
    def __init__(self, saga_id: _Optional[str] = ..., after: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class WatchSagaRequest(_message.Message):
    __slots__ = ("saga_id", "after")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    after: int
    def __init__(self, saga_id: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class SagaEvent(_message.Message):
    __slots__ = ("entry", "ended", "alive")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    entry: HistoryEntry
    ended: str
    alive: _values_pb2.Nothing
    def __init__(self, entry: _Optional[_Union[HistoryEntry, _Mapping]] = ..., ended: _Optional[str] = ..., alive: _Optional[_Union[_values_pb2.Nothing, _Mapping]] = ...) -> None: ...

class WatchAllRequest(_message.Message):
    __slots__ = ("after", "saga", "status", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    after: str
    saga: str
    status: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    def __init__(self, after: _Optional[str] = ..., saga: _Optional[str] = ..., status: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class FeedSignal(_message.Message):
    __slots__ = ("event", "reached")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    event: FeedEvent
    reached: str
    def __init__(self, event: _Optional[_Union[FeedEvent, _Mapping]] = ..., reached: _Optional[str] = ...) -> None: ...

class FeedEvent(_message.Message):
    __slots__ = ("cursor", "saga_id", "saga", "labels", "status", "before", "entry")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    saga_id: str
    saga: str
    labels: _containers.ScalarMap[str, str]
    status: str
    before: str
    entry: HistoryEntry
    def __init__(self, cursor: _Optional[str] = ..., saga_id: _Optional[str] = ..., saga: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., status: _Optional[str] = ..., before: _Optional[str] = ..., entry: _Optional[_Union[HistoryEntry, _Mapping]] = ...) -> None: ...

class GetSagaDiagramRequest(_message.Message):
    __slots__ = ("saga_id", "form")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    form: str
    def __init__(self, saga_id: _Optional[str] = ..., form: _Optional[str] = ...) -> None: ...

class SignalRequest(_message.Message):
    __slots__ = ("saga_id", "name", "payload", "by", "revision", "request_id")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    name: str
    payload: _values_pb2.Value
    by: str
    revision: str
    request_id: str
    def __init__(self, saga_id: _Optional[str] = ..., name: _Optional[str] = ..., payload: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("token", "output", "failure", "refused", "again", "by")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    token: str
    output: _values_pb2.Value
    failure: str
    refused: bool
    again: bool
    by: str
    def __init__(self, token: _Optional[str] = ..., output: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., failure: _Optional[str] = ..., refused: bool = ..., again: bool = ..., by: _Optional[str] = ...) -> None: ...

class ApproveRequest(_message.Message):
    __slots__ = ("saga_id", "step", "reason", "round", "by", "revision", "request_id")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    step: str
    reason: str
    round: int
    by: str
    revision: str
    request_id: str
    def __init__(self, saga_id: _Optional[str] = ..., step: _Optional[str] = ..., reason: _Optional[str] = ..., round: _Optional[int] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "reason", "children")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    reason: str
    children: bool
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., children: bool = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AbortRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "reason")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    reason: str
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RestartRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "reason", "from_step", "inputs")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FROM_STEP_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    reason: str
    from_step: str
    inputs: _values_pb2.Value
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., from_step: _Optional[str] = ..., inputs: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class RestartAsNewRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "reason", "inputs", "version", "despite_effects")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DESPITE_EFFECTS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    reason: str
    inputs: _values_pb2.Value
    version: str
    despite_effects: bool
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., inputs: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., version: _Optional[str] = ..., despite_effects: bool = ...) -> None: ...

class PreviewRestartRequest(_message.Message):
    __slots__ = ("saga_id", "from_step", "inputs")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_STEP_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    from_step: str
    inputs: _values_pb2.Value
    def __init__(self, saga_id: _Optional[str] = ..., from_step: _Optional[str] = ..., inputs: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class RestartPreview(_message.Message):
    __slots__ = ("saga_id", "revision", "accepted", "problem", "steps", "compensated", "awaited", "refusing", "warning")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    COMPENSATED_FIELD_NUMBER: _ClassVar[int]
    AWAITED_FIELD_NUMBER: _ClassVar[int]
    REFUSING_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    revision: str
    accepted: bool
    problem: str
    steps: _containers.RepeatedScalarFieldContainer[str]
    compensated: _containers.RepeatedScalarFieldContainer[str]
    awaited: _containers.RepeatedScalarFieldContainer[str]
    refusing: _containers.RepeatedCompositeFieldContainer[Hindrance]
    warning: str
    def __init__(self, saga_id: _Optional[str] = ..., revision: _Optional[str] = ..., accepted: bool = ..., problem: _Optional[str] = ..., steps: _Optional[_Iterable[str]] = ..., compensated: _Optional[_Iterable[str]] = ..., awaited: _Optional[_Iterable[str]] = ..., refusing: _Optional[_Iterable[_Union[Hindrance, _Mapping]]] = ..., warning: _Optional[str] = ...) -> None: ...

class Hindrance(_message.Message):
    __slots__ = ("step", "problem")
    STEP_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    step: str
    problem: str
    def __init__(self, step: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...

class TerminateRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "reason", "forced")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    reason: str
    forced: bool
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., forced: bool = ...) -> None: ...

class DropSignalRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "reason", "signal")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    reason: str
    signal: str
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., signal: _Optional[str] = ...) -> None: ...

class MigrateSagaRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "reason", "version")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    reason: str
    version: str
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class RetryRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "step")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    step: str
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...

class SkipRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "step", "reason", "forced")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    step: str
    reason: str
    forced: bool
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., step: _Optional[str] = ..., reason: _Optional[str] = ..., forced: bool = ...) -> None: ...

class DeclareRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "step", "reason", "happened", "output")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HAPPENED_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    step: str
    reason: str
    happened: bool
    output: _values_pb2.Value
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., step: _Optional[str] = ..., reason: _Optional[str] = ..., happened: bool = ..., output: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class EditInputRequest(_message.Message):
    __slots__ = ("saga_id", "by", "revision", "request_id", "step", "reason", "inputs")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    by: str
    revision: str
    request_id: str
    step: str
    reason: str
    inputs: _values_pb2.Value
    def __init__(self, saga_id: _Optional[str] = ..., by: _Optional[str] = ..., revision: _Optional[str] = ..., request_id: _Optional[str] = ..., step: _Optional[str] = ..., reason: _Optional[str] = ..., inputs: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class AskInBulkRequest(_message.Message):
    __slots__ = ("request", "sagas", "where", "step", "reason", "values", "dry_run", "by", "request_id")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SAGAS_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request: str
    sagas: _containers.RepeatedCompositeFieldContainer[Selected]
    where: _values_pb2.SagaFilter
    step: str
    reason: str
    values: _values_pb2.Value
    dry_run: bool
    by: str
    request_id: str
    def __init__(self, request: _Optional[str] = ..., sagas: _Optional[_Iterable[_Union[Selected, _Mapping]]] = ..., where: _Optional[_Union[_values_pb2.SagaFilter, _Mapping]] = ..., step: _Optional[str] = ..., reason: _Optional[str] = ..., values: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., dry_run: bool = ..., by: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class Selected(_message.Message):
    __slots__ = ("saga_id", "revision")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    revision: str
    def __init__(self, saga_id: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class SagaDetail(_message.Message):
    __slots__ = ("saga_id", "saga", "version", "status", "revision", "allowed", "late_effects", "left_standing", "rewinding", "deadline_at", "reason", "started_at", "updated_at", "labels", "signals", "input", "output", "steps", "parent", "restarted_from", "restarted_as")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    LATE_EFFECTS_FIELD_NUMBER: _ClassVar[int]
    LEFT_STANDING_FIELD_NUMBER: _ClassVar[int]
    REWINDING_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    RESTARTED_FROM_FIELD_NUMBER: _ClassVar[int]
    RESTARTED_AS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    saga: str
    version: str
    status: str
    revision: str
    allowed: _containers.RepeatedScalarFieldContainer[str]
    late_effects: bool
    left_standing: _containers.RepeatedScalarFieldContainer[str]
    rewinding: _containers.RepeatedScalarFieldContainer[str]
    deadline_at: _timestamp_pb2.Timestamp
    reason: str
    started_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    labels: _containers.ScalarMap[str, str]
    signals: _containers.RepeatedCompositeFieldContainer[SignalDetail]
    input: _values_pb2.Value
    output: _values_pb2.Value
    steps: _containers.RepeatedCompositeFieldContainer[StepDetail]
    parent: ParentDetail
    restarted_from: str
    restarted_as: str
    def __init__(self, saga_id: _Optional[str] = ..., saga: _Optional[str] = ..., version: _Optional[str] = ..., status: _Optional[str] = ..., revision: _Optional[str] = ..., allowed: _Optional[_Iterable[str]] = ..., late_effects: bool = ..., left_standing: _Optional[_Iterable[str]] = ..., rewinding: _Optional[_Iterable[str]] = ..., deadline_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., signals: _Optional[_Iterable[_Union[SignalDetail, _Mapping]]] = ..., input: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., output: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[StepDetail, _Mapping]]] = ..., parent: _Optional[_Union[ParentDetail, _Mapping]] = ..., restarted_from: _Optional[str] = ..., restarted_as: _Optional[str] = ...) -> None: ...

class ParentDetail(_message.Message):
    __slots__ = ("saga_id", "step", "round", "attempt", "undoes")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    UNDOES_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    step: str
    round: int
    attempt: int
    undoes: bool
    def __init__(self, saga_id: _Optional[str] = ..., step: _Optional[str] = ..., round: _Optional[int] = ..., attempt: _Optional[int] = ..., undoes: bool = ...) -> None: ...

class StepDetail(_message.Message):
    __slots__ = ("id", "run", "undo", "status", "reason", "waits_for", "attempt", "compensation_attempt", "error", "traceback", "output", "edited", "round", "allowed", "owner", "after", "saga", "started", "follows")
    ID_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    UNDO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    FOLLOWS_FIELD_NUMBER: _ClassVar[int]
    id: str
    run: str
    undo: str
    status: str
    reason: str
    waits_for: WaitDetail
    attempt: int
    compensation_attempt: int
    error: str
    traceback: str
    output: _values_pb2.Value
    edited: _values_pb2.Value
    round: int
    allowed: _containers.RepeatedScalarFieldContainer[str]
    owner: str
    after: _containers.RepeatedScalarFieldContainer[str]
    saga: str
    started: str
    follows: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., run: _Optional[str] = ..., undo: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., waits_for: _Optional[_Union[WaitDetail, _Mapping]] = ..., attempt: _Optional[int] = ..., compensation_attempt: _Optional[int] = ..., error: _Optional[str] = ..., traceback: _Optional[str] = ..., output: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., edited: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., round: _Optional[int] = ..., allowed: _Optional[_Iterable[str]] = ..., owner: _Optional[str] = ..., after: _Optional[_Iterable[str]] = ..., saga: _Optional[str] = ..., started: _Optional[str] = ..., follows: _Optional[_Iterable[str]] = ...) -> None: ...

class WaitDetail(_message.Message):
    __slots__ = ("event", "approval", "round", "since", "until")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    event: str
    approval: str
    round: int
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, event: _Optional[str] = ..., approval: _Optional[str] = ..., round: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SignalDetail(_message.Message):
    __slots__ = ("id", "name", "payload", "approves", "by", "reason", "at", "why")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    APPROVES_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    payload: _values_pb2.Value
    approves: str
    by: str
    reason: str
    at: _timestamp_pb2.Timestamp
    why: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., payload: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., approves: _Optional[str] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., why: _Optional[str] = ...) -> None: ...

class SagaSummary(_message.Message):
    __slots__ = ("saga_id", "saga", "version", "status", "started_at", "updated_at", "labels", "restarted_from")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    RESTARTED_FROM_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    saga: str
    version: str
    status: str
    started_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    labels: _containers.ScalarMap[str, str]
    restarted_from: str
    def __init__(self, saga_id: _Optional[str] = ..., saga: _Optional[str] = ..., version: _Optional[str] = ..., status: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., restarted_from: _Optional[str] = ...) -> None: ...

class SagaPage(_message.Message):
    __slots__ = ("sagas", "cursor", "searched_until")
    SAGAS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SEARCHED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    sagas: _containers.RepeatedCompositeFieldContainer[SagaSummary]
    cursor: str
    searched_until: _timestamp_pb2.Timestamp
    def __init__(self, sagas: _Optional[_Iterable[_Union[SagaSummary, _Mapping]]] = ..., cursor: _Optional[str] = ..., searched_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class HistoryEntry(_message.Message):
    __slots__ = ("seq", "at", "event", "step", "round", "attempt", "participant", "data")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    seq: int
    at: _timestamp_pb2.Timestamp
    event: str
    step: str
    round: int
    attempt: int
    participant: str
    data: _values_pb2.Value
    def __init__(self, seq: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., event: _Optional[str] = ..., step: _Optional[str] = ..., round: _Optional[int] = ..., attempt: _Optional[int] = ..., participant: _Optional[str] = ..., data: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class History(_message.Message):
    __slots__ = ("saga_id", "entries", "after")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    entries: _containers.RepeatedCompositeFieldContainer[HistoryEntry]
    after: int
    def __init__(self, saga_id: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[HistoryEntry, _Mapping]]] = ..., after: _Optional[int] = ...) -> None: ...

class BulkReport(_message.Message):
    __slots__ = ("request", "dry_run", "request_id", "counts", "sagas")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SAGAS_FIELD_NUMBER: _ClassVar[int]
    request: str
    dry_run: bool
    request_id: str
    counts: _containers.ScalarMap[str, int]
    sagas: _containers.RepeatedCompositeFieldContainer[BulkItem]
    def __init__(self, request: _Optional[str] = ..., dry_run: bool = ..., request_id: _Optional[str] = ..., counts: _Optional[_Mapping[str, int]] = ..., sagas: _Optional[_Iterable[_Union[BulkItem, _Mapping]]] = ...) -> None: ...

class BulkItem(_message.Message):
    __slots__ = ("saga_id", "revision", "outcome", "steps", "problem", "status", "restarted_as")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESTARTED_AS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    revision: str
    outcome: str
    steps: _containers.RepeatedScalarFieldContainer[str]
    problem: str
    status: str
    restarted_as: str
    def __init__(self, saga_id: _Optional[str] = ..., revision: _Optional[str] = ..., outcome: _Optional[str] = ..., steps: _Optional[_Iterable[str]] = ..., problem: _Optional[str] = ..., status: _Optional[str] = ..., restarted_as: _Optional[str] = ...) -> None: ...
