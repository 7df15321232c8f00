from goconductor.grpc.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetFlowRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class GetStepRequest(_message.Message):
    __slots__ = ("name", "step")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    name: str
    step: str
    def __init__(self, name: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...

class EditStepRequest(_message.Message):
    __slots__ = ("name", "step", "made_of", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    MADE_OF_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    step: _values_pb2.Value
    made_of: str
    by: str
    def __init__(self, name: _Optional[str] = ..., step: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., made_of: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class DeleteStepRequest(_message.Message):
    __slots__ = ("name", "step", "made_of", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    MADE_OF_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    step: str
    made_of: str
    by: str
    def __init__(self, name: _Optional[str] = ..., step: _Optional[str] = ..., made_of: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class ChangeFlowRequest(_message.Message):
    __slots__ = ("name", "priority", "timeout_seconds", "made_of", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MADE_OF_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    priority: int
    timeout_seconds: float
    made_of: str
    by: str
    def __init__(self, name: _Optional[str] = ..., priority: _Optional[int] = ..., timeout_seconds: _Optional[float] = ..., made_of: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class ExecuteRequest(_message.Message):
    __slots__ = ("name", "input", "key", "labels", "version", "timeout_seconds", "retry", "concurrency", "from_step", "priority", "wait_seconds", "by")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    FROM_STEP_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    input: _values_pb2.Value
    key: str
    labels: _containers.ScalarMap[str, str]
    version: str
    timeout_seconds: float
    retry: _values_pb2.Value
    concurrency: int
    from_step: str
    priority: int
    wait_seconds: float
    by: str
    def __init__(self, name: _Optional[str] = ..., input: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., key: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., version: _Optional[str] = ..., timeout_seconds: _Optional[float] = ..., retry: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., concurrency: _Optional[int] = ..., from_step: _Optional[str] = ..., priority: _Optional[int] = ..., wait_seconds: _Optional[float] = ..., by: _Optional[str] = ...) -> None: ...

class ExecuteResponse(_message.Message):
    __slots__ = ("execution", "existing")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    execution: FlowExecution
    existing: bool
    def __init__(self, execution: _Optional[_Union[FlowExecution, _Mapping]] = ..., existing: bool = ...) -> None: ...

class GetExecutionRequest(_message.Message):
    __slots__ = ("name", "saga_id", "wait_seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    saga_id: str
    wait_seconds: float
    def __init__(self, name: _Optional[str] = ..., saga_id: _Optional[str] = ..., wait_seconds: _Optional[float] = ...) -> None: ...

class GetStepResultRequest(_message.Message):
    __slots__ = ("name", "saga_id", "step")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    name: str
    saga_id: str
    step: str
    def __init__(self, name: _Optional[str] = ..., saga_id: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...

class ExecutionRequest(_message.Message):
    __slots__ = ("name", "saga_id", "reason", "by", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    saga_id: str
    reason: str
    by: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., saga_id: _Optional[str] = ..., reason: _Optional[str] = ..., by: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class StopExecutionRequest(_message.Message):
    __slots__ = ("name", "saga_id", "reason", "forced", "wait_seconds", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    saga_id: str
    reason: str
    forced: bool
    wait_seconds: float
    by: str
    def __init__(self, name: _Optional[str] = ..., saga_id: _Optional[str] = ..., reason: _Optional[str] = ..., forced: bool = ..., wait_seconds: _Optional[float] = ..., by: _Optional[str] = ...) -> None: ...

class FlowDetail(_message.Message):
    __slots__ = ("flow", "version", "steps", "priority", "timeout_seconds")
    FLOW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    flow: str
    version: str
    steps: _containers.RepeatedCompositeFieldContainer[FlowStepDetail]
    priority: int
    timeout_seconds: float
    def __init__(self, flow: _Optional[str] = ..., version: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[FlowStepDetail, _Mapping]]] = ..., priority: _Optional[int] = ..., timeout_seconds: _Optional[float] = ...) -> None: ...

class FlowStepDetail(_message.Message):
    __slots__ = ("id", "step", "after", "before")
    ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    id: str
    step: _values_pb2.Value
    after: _containers.RepeatedScalarFieldContainer[str]
    before: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., step: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., after: _Optional[_Iterable[str]] = ..., before: _Optional[_Iterable[str]] = ...) -> None: ...

class FlowExecution(_message.Message):
    __slots__ = ("saga_id", "flow", "version", "status", "reason", "output", "steps")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    flow: str
    version: str
    status: str
    reason: str
    output: _values_pb2.Value
    steps: _containers.RepeatedCompositeFieldContainer[FlowStepStatus]
    def __init__(self, saga_id: _Optional[str] = ..., flow: _Optional[str] = ..., version: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., output: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[FlowStepStatus, _Mapping]]] = ...) -> None: ...

class FlowStepStatus(_message.Message):
    __slots__ = ("id", "status", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class FlowStepResult(_message.Message):
    __slots__ = ("id", "output")
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    id: str
    output: _values_pb2.Value
    def __init__(self, id: _Optional[str] = ..., output: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...
