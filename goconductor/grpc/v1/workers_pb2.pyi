from goconductor.grpc.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FromWorker(_message.Message):
    __slots__ = ("hello", "credit", "outcome", "alive", "drain")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    credit: int
    outcome: Outcome
    alive: _values_pb2.Nothing
    drain: _values_pb2.Nothing
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., credit: _Optional[int] = ..., outcome: _Optional[_Union[Outcome, _Mapping]] = ..., alive: _Optional[_Union[_values_pb2.Nothing, _Mapping]] = ..., drain: _Optional[_Union[_values_pb2.Nothing, _Mapping]] = ...) -> None: ...

class ToWorker(_message.Message):
    __slots__ = ("welcome", "task", "acknowledged", "cancelled", "alive", "drain")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    task: Task
    acknowledged: Acknowledged
    cancelled: Cancelled
    alive: _values_pb2.Nothing
    drain: _values_pb2.Nothing
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., task: _Optional[_Union[Task, _Mapping]] = ..., acknowledged: _Optional[_Union[Acknowledged, _Mapping]] = ..., cancelled: _Optional[_Union[Cancelled, _Mapping]] = ..., alive: _Optional[_Union[_values_pb2.Nothing, _Mapping]] = ..., drain: _Optional[_Union[_values_pb2.Nothing, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("participant", "steps", "credit", "worker", "session", "holding")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    HOLDING_FIELD_NUMBER: _ClassVar[int]
    participant: str
    steps: _containers.RepeatedCompositeFieldContainer[OfferedStep]
    credit: int
    worker: str
    session: str
    holding: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, participant: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[OfferedStep, _Mapping]]] = ..., credit: _Optional[int] = ..., worker: _Optional[str] = ..., session: _Optional[str] = ..., holding: _Optional[_Iterable[str]] = ...) -> None: ...

class OfferedStep(_message.Message):
    __slots__ = ("name", "compensation", "inputs", "timeout_seconds", "retry", "compensation_retry")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_RETRY_FIELD_NUMBER: _ClassVar[int]
    name: str
    compensation: bool
    inputs: OfferedInputs
    timeout_seconds: float
    retry: _values_pb2.Value
    compensation_retry: _values_pb2.Value
    def __init__(self, name: _Optional[str] = ..., compensation: bool = ..., inputs: _Optional[_Union[OfferedInputs, _Mapping]] = ..., timeout_seconds: _Optional[float] = ..., retry: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., compensation_retry: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class OfferedInputs(_message.Message):
    __slots__ = ("inputs",)
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[OfferedInput]
    def __init__(self, inputs: _Optional[_Iterable[_Union[OfferedInput, _Mapping]]] = ...) -> None: ...

class OfferedInput(_message.Message):
    __slots__ = ("name", "required", "schema")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    name: str
    required: bool
    schema: _values_pb2.Value
    def __init__(self, name: _Optional[str] = ..., required: bool = ..., schema: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("session", "over", "output_bytes_max")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    OVER_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    session: str
    over: _containers.RepeatedScalarFieldContainer[str]
    output_bytes_max: int
    def __init__(self, session: _Optional[str] = ..., over: _Optional[_Iterable[str]] = ..., output_bytes_max: _Optional[int] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("fence", "step", "compensation", "saga_id", "saga", "saga_step", "attempt", "round", "idempotency_key", "action_key", "input", "output", "timeout_seconds", "reason", "refused", "traceparent")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    SAGA_STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ACTION_KEY_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    fence: str
    step: str
    compensation: bool
    saga_id: str
    saga: str
    saga_step: str
    attempt: int
    round: int
    idempotency_key: str
    action_key: str
    input: _values_pb2.Value
    output: _values_pb2.Value
    timeout_seconds: float
    reason: str
    refused: bool
    traceparent: str
    def __init__(self, fence: _Optional[str] = ..., step: _Optional[str] = ..., compensation: bool = ..., saga_id: _Optional[str] = ..., saga: _Optional[str] = ..., saga_step: _Optional[str] = ..., attempt: _Optional[int] = ..., round: _Optional[int] = ..., idempotency_key: _Optional[str] = ..., action_key: _Optional[str] = ..., input: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., output: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., timeout_seconds: _Optional[float] = ..., reason: _Optional[str] = ..., refused: bool = ..., traceparent: _Optional[str] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("fence", "output", "failure")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    fence: str
    output: _values_pb2.Value
    failure: TaskFailure
    def __init__(self, fence: _Optional[str] = ..., output: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., failure: _Optional[_Union[TaskFailure, _Mapping]] = ...) -> None: ...

class TaskFailure(_message.Message):
    __slots__ = ("kind", "message", "type", "traceback", "retry_after_seconds")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    message: str
    type: str
    traceback: str
    retry_after_seconds: float
    def __init__(self, kind: _Optional[str] = ..., message: _Optional[str] = ..., type: _Optional[str] = ..., traceback: _Optional[str] = ..., retry_after_seconds: _Optional[float] = ...) -> None: ...

class Acknowledged(_message.Message):
    __slots__ = ("fence", "recorded")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    fence: str
    recorded: bool
    def __init__(self, fence: _Optional[str] = ..., recorded: bool = ...) -> None: ...

class Cancelled(_message.Message):
    __slots__ = ("fence", "reason")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    fence: str
    reason: str
    def __init__(self, fence: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
