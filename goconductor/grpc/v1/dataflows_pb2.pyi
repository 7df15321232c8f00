from goconductor.grpc.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunRequest(_message.Message):
    __slots__ = ("name", "id", "data", "close", "by", "wait_seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: str
    data: _values_pb2.Value
    close: bool
    by: str
    wait_seconds: float
    def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ..., data: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., close: bool = ..., by: _Optional[str] = ..., wait_seconds: _Optional[float] = ...) -> None: ...

class Names(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class DataflowRun(_message.Message):
    __slots__ = ("dataflow", "id", "saga_id", "version", "status", "target", "produced", "new", "missing", "optional", "failed", "running", "untaken", "closed")
    class MissingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Names
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Names, _Mapping]] = ...) -> None: ...
    class OptionalEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Names
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Names, _Mapping]] = ...) -> None: ...
    class FailedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DATAFLOW_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PRODUCED_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    OPTIONAL_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    UNTAKEN_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    dataflow: str
    id: str
    saga_id: str
    version: str
    status: str
    target: _values_pb2.Value
    produced: _values_pb2.Value
    new: _containers.RepeatedScalarFieldContainer[str]
    missing: _containers.MessageMap[str, Names]
    optional: _containers.MessageMap[str, Names]
    failed: _containers.ScalarMap[str, str]
    running: _containers.RepeatedScalarFieldContainer[str]
    untaken: _containers.RepeatedScalarFieldContainer[str]
    closed: bool
    def __init__(self, dataflow: _Optional[str] = ..., id: _Optional[str] = ..., saga_id: _Optional[str] = ..., version: _Optional[str] = ..., status: _Optional[str] = ..., target: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., produced: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., new: _Optional[_Iterable[str]] = ..., missing: _Optional[_Mapping[str, Names]] = ..., optional: _Optional[_Mapping[str, Names]] = ..., failed: _Optional[_Mapping[str, str]] = ..., running: _Optional[_Iterable[str]] = ..., untaken: _Optional[_Iterable[str]] = ..., closed: bool = ...) -> None: ...
