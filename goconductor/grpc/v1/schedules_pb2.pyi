import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from goconductor.grpc.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PutScheduleRequest(_message.Message):
    __slots__ = ("name", "by", "saga", "input", "cron", "time_zone", "every_seconds", "overlap", "catch_up", "paused", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    EVERY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    by: str
    saga: str
    input: _values_pb2.Value
    cron: str
    time_zone: str
    every_seconds: int
    overlap: str
    catch_up: int
    paused: bool
    labels: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., by: _Optional[str] = ..., saga: _Optional[str] = ..., input: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., cron: _Optional[str] = ..., time_zone: _Optional[str] = ..., every_seconds: _Optional[int] = ..., overlap: _Optional[str] = ..., catch_up: _Optional[int] = ..., paused: bool = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class GetScheduleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
    __slots__ = ("after", "limit")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    after: str
    limit: int
    def __init__(self, after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ScheduleRequest(_message.Message):
    __slots__ = ("name", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    by: str
    def __init__(self, name: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class FireScheduleRequest(_message.Message):
    __slots__ = ("name", "by", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    by: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., by: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class FireDetail(_message.Message):
    __slots__ = ("at", "saga_id", "status", "problem", "by")
    AT_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    saga_id: str
    status: str
    problem: str
    by: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., saga_id: _Optional[str] = ..., status: _Optional[str] = ..., problem: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class ScheduleSummary(_message.Message):
    __slots__ = ("name", "saga", "fires", "overlap", "paused", "next_at", "last")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    FIRES_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    NEXT_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    name: str
    saga: str
    fires: str
    overlap: str
    paused: bool
    next_at: _timestamp_pb2.Timestamp
    last: FireDetail
    def __init__(self, name: _Optional[str] = ..., saga: _Optional[str] = ..., fires: _Optional[str] = ..., overlap: _Optional[str] = ..., paused: bool = ..., next_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last: _Optional[_Union[FireDetail, _Mapping]] = ...) -> None: ...

class ScheduleDetail(_message.Message):
    __slots__ = ("name", "saga", "fires", "overlap", "paused", "next_at", "last", "input", "cron", "time_zone", "every_seconds", "catch_up", "labels", "changed_at", "changed_by", "next_fires", "waiting_at", "started", "skipped", "missed", "refused", "last_fires", "saga_id")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    FIRES_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    NEXT_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    EVERY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_BY_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIRES_FIELD_NUMBER: _ClassVar[int]
    WAITING_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    LAST_FIRES_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    saga: str
    fires: str
    overlap: str
    paused: bool
    next_at: _timestamp_pb2.Timestamp
    last: FireDetail
    input: _values_pb2.Value
    cron: str
    time_zone: str
    every_seconds: int
    catch_up: int
    labels: _containers.ScalarMap[str, str]
    changed_at: _timestamp_pb2.Timestamp
    changed_by: str
    next_fires: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    waiting_at: _timestamp_pb2.Timestamp
    started: int
    skipped: int
    missed: int
    refused: int
    last_fires: _containers.RepeatedCompositeFieldContainer[FireDetail]
    saga_id: str
    def __init__(self, name: _Optional[str] = ..., saga: _Optional[str] = ..., fires: _Optional[str] = ..., overlap: _Optional[str] = ..., paused: bool = ..., next_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last: _Optional[_Union[FireDetail, _Mapping]] = ..., input: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., cron: _Optional[str] = ..., time_zone: _Optional[str] = ..., every_seconds: _Optional[int] = ..., catch_up: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_by: _Optional[str] = ..., next_fires: _Optional[_Iterable[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]]] = ..., waiting_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started: _Optional[int] = ..., skipped: _Optional[int] = ..., missed: _Optional[int] = ..., refused: _Optional[int] = ..., last_fires: _Optional[_Iterable[_Union[FireDetail, _Mapping]]] = ..., saga_id: _Optional[str] = ...) -> None: ...

class ScheduleList(_message.Message):
    __slots__ = ("schedules", "after")
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[ScheduleSummary]
    after: str
    def __init__(self, schedules: _Optional[_Iterable[_Union[ScheduleSummary, _Mapping]]] = ..., after: _Optional[str] = ...) -> None: ...
