import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from goconductor.grpc.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PutDefinitionRequest(_message.Message):
    __slots__ = ("document", "activate")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    ACTIVATE_FIELD_NUMBER: _ClassVar[int]
    document: _values_pb2.Value
    activate: bool
    def __init__(self, document: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., activate: bool = ...) -> None: ...

class CheckDefinitionRequest(_message.Message):
    __slots__ = ("document", "file")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    document: bytes
    file: str
    def __init__(self, document: _Optional[bytes] = ..., file: _Optional[str] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetDefinitionRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ActivateVersionRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class UnpinRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetDiffRequest(_message.Message):
    __slots__ = ("name", "version", "to")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    to: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., to: _Optional[str] = ...) -> None: ...

class GetDefinitionDiagramRequest(_message.Message):
    __slots__ = ("name", "version", "form")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    form: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., form: _Optional[str] = ...) -> None: ...

class GetDefinitionTextRequest(_message.Message):
    __slots__ = ("name", "version", "language", "compiled")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    COMPILED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    language: str
    compiled: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., language: _Optional[str] = ..., compiled: bool = ...) -> None: ...

class DefinitionText(_message.Message):
    __slots__ = ("content_type", "text")
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    content_type: str
    text: str
    def __init__(self, content_type: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class DefinitionSummary(_message.Message):
    __slots__ = ("saga", "version", "active", "pinned", "offered_by", "features", "waits_for", "registered_at")
    SAGA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    OFFERED_BY_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_FIELD_NUMBER: _ClassVar[int]
    saga: str
    version: str
    active: bool
    pinned: bool
    offered_by: int
    features: _containers.RepeatedScalarFieldContainer[str]
    waits_for: _containers.RepeatedScalarFieldContainer[str]
    registered_at: _timestamp_pb2.Timestamp
    def __init__(self, saga: _Optional[str] = ..., version: _Optional[str] = ..., active: bool = ..., pinned: bool = ..., offered_by: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., waits_for: _Optional[_Iterable[str]] = ..., registered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DefinitionDetail(_message.Message):
    __slots__ = ("saga", "version", "active", "pinned", "offered_by", "features", "waits_for", "registered_at", "document", "written")
    SAGA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    OFFERED_BY_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    saga: str
    version: str
    active: bool
    pinned: bool
    offered_by: int
    features: _containers.RepeatedScalarFieldContainer[str]
    waits_for: _containers.RepeatedScalarFieldContainer[str]
    registered_at: _timestamp_pb2.Timestamp
    document: _values_pb2.Value
    written: _values_pb2.Value
    def __init__(self, saga: _Optional[str] = ..., version: _Optional[str] = ..., active: bool = ..., pinned: bool = ..., offered_by: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., waits_for: _Optional[_Iterable[str]] = ..., registered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., document: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., written: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class DefinitionList(_message.Message):
    __slots__ = ("definitions",)
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    definitions: _containers.RepeatedCompositeFieldContainer[DefinitionSummary]
    def __init__(self, definitions: _Optional[_Iterable[_Union[DefinitionSummary, _Mapping]]] = ...) -> None: ...

class CheckedDefinition(_message.Message):
    __slots__ = ("file", "saga", "version", "steps", "problems", "advice")
    FILE_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    file: str
    saga: str
    version: str
    steps: int
    problems: _containers.RepeatedScalarFieldContainer[str]
    advice: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, file: _Optional[str] = ..., saga: _Optional[str] = ..., version: _Optional[str] = ..., steps: _Optional[int] = ..., problems: _Optional[_Iterable[str]] = ..., advice: _Optional[_Iterable[str]] = ...) -> None: ...

class DefinitionDiff(_message.Message):
    __slots__ = ("saga", "old", "new", "changes", "holding", "stays", "summary")
    SAGA_FIELD_NUMBER: _ClassVar[int]
    OLD_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    HOLDING_FIELD_NUMBER: _ClassVar[int]
    STAYS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    saga: str
    old: str
    new: str
    changes: _containers.RepeatedScalarFieldContainer[str]
    holding: _containers.RepeatedScalarFieldContainer[str]
    stays: str
    summary: str
    def __init__(self, saga: _Optional[str] = ..., old: _Optional[str] = ..., new: _Optional[str] = ..., changes: _Optional[_Iterable[str]] = ..., holding: _Optional[_Iterable[str]] = ..., stays: _Optional[str] = ..., summary: _Optional[str] = ...) -> None: ...
