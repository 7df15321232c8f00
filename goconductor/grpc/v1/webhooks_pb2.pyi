import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from goconductor.grpc.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PutWebhookRequest(_message.Message):
    __slots__ = ("name", "by", "url", "definitions", "statuses", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    by: str
    url: str
    definitions: _containers.RepeatedScalarFieldContainer[str]
    statuses: _containers.RepeatedScalarFieldContainer[str]
    description: str
    def __init__(self, name: _Optional[str] = ..., by: _Optional[str] = ..., url: _Optional[str] = ..., definitions: _Optional[_Iterable[str]] = ..., statuses: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ...) -> None: ...

class GetWebhookRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListWebhooksRequest(_message.Message):
    __slots__ = ("after", "limit")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    after: str
    limit: int
    def __init__(self, after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class WebhookRequest(_message.Message):
    __slots__ = ("name", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    by: str
    def __init__(self, name: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class RotateWebhookRequest(_message.Message):
    __slots__ = ("name", "by", "overlap_seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    by: str
    overlap_seconds: float
    def __init__(self, name: _Optional[str] = ..., by: _Optional[str] = ..., overlap_seconds: _Optional[float] = ...) -> None: ...

class ListWebhookDeadLettersRequest(_message.Message):
    __slots__ = ("name", "after", "limit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    after: int
    limit: int
    def __init__(self, name: _Optional[str] = ..., after: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class RedriveWebhookRequest(_message.Message):
    __slots__ = ("name", "by", "delivery_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    by: str
    delivery_id: int
    def __init__(self, name: _Optional[str] = ..., by: _Optional[str] = ..., delivery_id: _Optional[int] = ...) -> None: ...

class WebhookSummary(_message.Message):
    __slots__ = ("name", "url", "definitions", "statuses", "description", "state", "created_at", "changed_at", "changed_by", "delivered", "failed", "delivered_at", "failing_since", "problem")
    NAME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_BY_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_AT_FIELD_NUMBER: _ClassVar[int]
    FAILING_SINCE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    url: str
    definitions: _containers.RepeatedScalarFieldContainer[str]
    statuses: _containers.RepeatedScalarFieldContainer[str]
    description: str
    state: str
    created_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    changed_by: str
    delivered: int
    failed: int
    delivered_at: _timestamp_pb2.Timestamp
    failing_since: _timestamp_pb2.Timestamp
    problem: str
    def __init__(self, name: _Optional[str] = ..., url: _Optional[str] = ..., definitions: _Optional[_Iterable[str]] = ..., statuses: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., state: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_by: _Optional[str] = ..., delivered: _Optional[int] = ..., failed: _Optional[int] = ..., delivered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failing_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., problem: _Optional[str] = ...) -> None: ...

class WebhookDetail(_message.Message):
    __slots__ = ("name", "url", "definitions", "statuses", "description", "state", "created_at", "changed_at", "changed_by", "delivered", "failed", "delivered_at", "failing_since", "problem", "secrets", "waiting", "oldest_seconds", "dead")
    NAME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_BY_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_AT_FIELD_NUMBER: _ClassVar[int]
    FAILING_SINCE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    OLDEST_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    name: str
    url: str
    definitions: _containers.RepeatedScalarFieldContainer[str]
    statuses: _containers.RepeatedScalarFieldContainer[str]
    description: str
    state: str
    created_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    changed_by: str
    delivered: int
    failed: int
    delivered_at: _timestamp_pb2.Timestamp
    failing_since: _timestamp_pb2.Timestamp
    problem: str
    secrets: _containers.RepeatedCompositeFieldContainer[WebhookSecret]
    waiting: int
    oldest_seconds: float
    dead: int
    def __init__(self, name: _Optional[str] = ..., url: _Optional[str] = ..., definitions: _Optional[_Iterable[str]] = ..., statuses: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., state: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_by: _Optional[str] = ..., delivered: _Optional[int] = ..., failed: _Optional[int] = ..., delivered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failing_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., problem: _Optional[str] = ..., secrets: _Optional[_Iterable[_Union[WebhookSecret, _Mapping]]] = ..., waiting: _Optional[int] = ..., oldest_seconds: _Optional[float] = ..., dead: _Optional[int] = ...) -> None: ...

class WebhookSecret(_message.Message):
    __slots__ = ("until",)
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    until: _timestamp_pb2.Timestamp
    def __init__(self, until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MadeWebhook(_message.Message):
    __slots__ = ("secret", "detail")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    secret: str
    detail: WebhookDetail
    def __init__(self, secret: _Optional[str] = ..., detail: _Optional[_Union[WebhookDetail, _Mapping]] = ...) -> None: ...

class WebhookList(_message.Message):
    __slots__ = ("webhooks", "after")
    WEBHOOKS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    webhooks: _containers.RepeatedCompositeFieldContainer[WebhookSummary]
    after: str
    def __init__(self, webhooks: _Optional[_Iterable[_Union[WebhookSummary, _Mapping]]] = ..., after: _Optional[str] = ...) -> None: ...

class DeadDelivery(_message.Message):
    __slots__ = ("delivery_id", "message_id", "created_at", "attempts", "problem", "body")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    delivery_id: int
    message_id: str
    created_at: _timestamp_pb2.Timestamp
    attempts: int
    problem: str
    body: str
    def __init__(self, delivery_id: _Optional[int] = ..., message_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempts: _Optional[int] = ..., problem: _Optional[str] = ..., body: _Optional[str] = ...) -> None: ...

class DeadDeliveries(_message.Message):
    __slots__ = ("dead_letters", "after")
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    dead_letters: _containers.RepeatedCompositeFieldContainer[DeadDelivery]
    after: int
    def __init__(self, dead_letters: _Optional[_Iterable[_Union[DeadDelivery, _Mapping]]] = ..., after: _Optional[int] = ...) -> None: ...

class RedrivenDeliveries(_message.Message):
    __slots__ = ("redriven",)
    REDRIVEN_FIELD_NUMBER: _ClassVar[int]
    redriven: int
    def __init__(self, redriven: _Optional[int] = ...) -> None: ...

class WebhookTest(_message.Message):
    __slots__ = ("message_id",)
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    def __init__(self, message_id: _Optional[str] = ...) -> None: ...
